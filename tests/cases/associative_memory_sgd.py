"""Reference values of arXiv 2310.02984 (see the study) and wrong versions of its theory."""

import jax
import jax.numpy as jnp

from simulator.maths.zipf import finite_law
from simulator.studies.memory.associative_memory.finite_data import count_values, expected_error
from simulator.studies.memory.associative_memory.sgd import logit_gap
from tests.cases import Case, Mutant, Tests, digits
from tests.references import associative_memory as reference

LARGE = {"num_tokens": 100, "dim": 150}

CASES = [
    Case(
        label,
        params,
        {"test_error": value},
        rtol=1e-9,
        atol=5e-9,  # eight decimals are printed
        monte_carlo={"test_error": mean},
        slow="batch" in label,  # a program of its own
    )
    for label, params, value, mean in (
        ("step 1", LARGE, 0.02440300, (0.02332, 0.00056)),
        ("step 0.1", {**LARGE, "learning_rate": 0.1}, 0.04785660, (0.0471, 0.0012)),
        ("step 10", {**LARGE, "learning_rate": 10.0}, 0.02031805, (0.01989, 0.00040)),
        (
            "one large batch",
            {"num_tokens": 100, "dim": 80, "num_samples": 2000, "batch_size": 2000},
            0.10538663,
            (0.1030, 0.0014),
        ),
    )
]

#: All outputs, by the independent program.
GENERIC = {
    "num_tokens": 8,
    "num_classes": 4,
    "zipf_exponent": 1.3,
    "dim": 20,
    "num_samples": 20,
    "learning_rate": 0.7,
}
CASES += [
    Case(
        "generic",
        GENERIC,
        {
            "test_error": 0.120641936884,
            "per_token_error": digits(
                "4.72756574101e-05 0.0428611057198 0.161740589308 0.282009561085 "
                "0.34739094901 0.425732838076 0.492261811483 0.544834564859"
            ),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory_of_sgd,
    ),
    Case(
        "batches",
        GENERIC | {"batch_size": 5},
        {
            "test_error": 0.158564375491,
            "per_token_error": digits(
                "6.21640704306e-05 0.0889936706696 0.249417532373 0.381455981487 "
                "0.407585890934 0.503094401898 0.57209405037 0.621111525093"
            ),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory_of_sgd,
    ),
    Case(
        "one batch",
        GENERIC | {"batch_size": 20},
        {
            "test_error": 0.168807544623,
            "per_token_error": digits(
                "6.98966068384e-05 0.104827813441 0.27381217769 0.406506188962 "
                "0.419993288603 0.52136174692 0.590309659239 0.638016139011"
            ),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory_of_sgd,
    ),
]


def _with(weight):
    """The theory with another map from visits to weights."""

    def change(params, outputs):
        number, chance = _counts(params)
        return _expected(params, weight(params, number), chance)

    return change


@jax.jit
def _counts(params):
    return count_values(params.num_samples, _token_law(params))


@jax.jit
def _expected(params, weights, chance):
    """The theory for given weights; one program for all mutants."""
    found = expected_error(params, weights, chance)
    return {"test_error": _token_law(params) @ found, "per_token_error": found}


def _token_law(params):
    return finite_law(params.zipf_exponent, params.num_tokens)


def _squared(params, number):
    return number**2


def _fill(params, number):
    return (number > 0).astype(number.dtype)


def _no_competition(params, number):
    """The softmax of the wrong classes never saturates: weights grow as exp."""
    return jnp.expm1(jnp.minimum(number * params.learning_rate / 8, 30.0))


def _trained(params, number):
    rate = params.learning_rate / params.batch_size
    steps = params.num_samples // params.batch_size
    return logit_gap(number, rate, params.num_classes, steps)


def _early_stop(params, number):
    return _trained(params, jnp.floor(number / 3))


def _other(name, weight, slow=False):
    return Mutant(name, after=_with(weight), control=_with(_trained), slow=slow)


def _swapped(params, outputs):
    return {"test_error": 1 - outputs["test_error"]}


MUTANTS = [
    _other("squared counts", _squared),
    _other("fill", _fill, slow=True),
    _other("exponential growth", _no_competition),
    _other("a third of the visits", _early_stop),
    Mutant("half the dimension", at=lambda p: {"dim": p.dim // 2}),
    Mutant("probability of being right", after=_swapped),
    Mutant("steeper token law", at=lambda p: {"zipf_exponent": p.zipf_exponent + 0.5}),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "float32": (
            1e-4,
            "small errors lie far in the tails of Gaussians, where roundings are multiplied",
        ),
    },
)
