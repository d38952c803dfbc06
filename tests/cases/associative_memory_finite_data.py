"""Reference values of arXiv 2310.02984 (see the study) and wrong versions of its theory."""

import jax
import jax.numpy as jnp
import numpy as np

from simulator.maths.zipf import finite_law
from simulator.studies.memory.associative_memory import _theory as _errors
from simulator.studies.memory.associative_memory import finite_data
from tests.cases import Case, Mutant, Tests, digits
from tests.cases.associative_memory import averaged, averaged_right
from tests.references import associative_memory as reference

CASES = [
    Case(
        label,
        params,
        {"test_error": value},
        rtol=1e-9,
        atol=5e-9,  # eight decimals are printed
        monte_carlo={"test_error": mean},
        slow=True,  # a hundred tokens take ten seconds
    )
    for label, params, value, mean in (
        ("fill, 100", {"num_samples": 100.0}, 0.05527723, (0.05577, 0.0003)),
        ("fill, 1000", {"num_samples": 1000.0}, 0.04189718, (0.04307, 0.0001)),
        (
            "frequencies",
            {"num_samples": 1000.0, "scheme_exponent": 1.0},
            0.10369524,
            (0.104488, 0.00091),
        ),
        (
            "triplet",
            {"zipf_exponent": 1.5, "num_samples": 2000.0, "cutoff": 50, "threshold": 30},
            0.09913699,
            (0.0991339, 5.2e-6),
        ),
    )
] + [
    Case(
        "twelve tokens",
        {
            "num_tokens": 12,
            "num_classes": 3,
            "zipf_exponent": 1.4,
            "dim": 7,
            "num_samples": 40.0,
        },
        {"test_error": 0.26047507},  # trapezoidal sums over 12,001 x 2,000 nodes in NumPy
        rtol=1e-9,
        atol=5e-9,
    )
]

#: All outputs, by the independent program.
GENERIC = {
    "num_tokens": 8,
    "num_classes": 4,
    "zipf_exponent": 1.3,
    "dim": 9,
    "num_samples": 20.0,
    "scheme_exponent": 0.6,
    "threshold": 7,
    "cutoff": 6,
}
CASES += [
    Case(
        "generic",
        GENERIC,
        {
            "test_error": 0.173789547648,
            "per_token_error": digits(
                "0.00220994854596 0.10721103164 0.242171851575 0.360573671599 "
                "0.40457589047 0.47927507287 0.797986838953 0.82249399472"
            ),
            "per_token_error_std": digits(
                "0.0469581161609 0.309381360678 0.42839776596 0.480166949038 "
                "0.490809779161 0.499570292747 0.401501984815 0.382096353515"
            ),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory_of_finite_data,
    ),
    Case(
        "fill",
        GENERIC | {"scheme_exponent": 0.0},
        {
            "test_error": 0.156223195063,
            "per_token_error": digits(
                "0.0684078602377 0.0746839766617 0.114711231017 0.200862650001 "
                "0.274772591488 0.336654047767 0.774585074361 0.783948777797"
            ),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory_of_finite_data,
    ),
    Case(
        "no sample",
        GENERIC | {"num_samples": 0.0},
        {
            "test_error": 0.75,
            "per_token_error": digits("0.75 0.75 0.75 0.75 0.75 0.75 0.75 0.75"),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory_of_finite_data,
    ),
    Case(
        "one sample",
        GENERIC | {"num_samples": 1.0},
        {
            "test_error": 0.576354895489,
            "per_token_error": digits(
                "0.406142087737 0.658514980819 0.771928844508 0.804088778671 "
                "0.623234202927 0.711802442186 0.793704764575 0.81676104904"
            ),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory_of_finite_data,
    ),
    Case(
        "no cut",
        GENERIC | {"num_samples": 90.0, "threshold": float("inf"), "cutoff": float("inf")},
        {
            "test_error": 0.131642665281,
            "per_token_error": digits(
                "0.00144083875202 0.0807961108811 0.188698748167 0.289160739148 "
                "0.366814008883 0.423468432606 0.476840616187 0.523520076866"
            ),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory_of_finite_data,
    ),
    Case(
        "fewer tokens than classes",
        {
            "num_tokens": 3,
            "num_classes": 4,
            "zipf_exponent": 3.0,
            "dim": 20,
            "num_samples": 30.0,
            "scheme_exponent": 1.0,
        },
        {
            "test_error": 0.0528599242586,
            "per_token_error": digits("3.74296359e-18 0.312338711 0.604336975"),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory_of_finite_data,
    ),
    Case(
        "unembeddings on the sphere",
        GENERIC | {"unembedding": "sphere"},
        {
            "test_error": 0.191923415007,
            "per_token_error": digits(
                "0.00400476073119 0.140443886553 0.294264197884 0.410194848328 "
                "0.42146841057 0.511911352678 0.790572766972 0.805533596065"
            ),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory_of_finite_data,
    ),
    Case(
        "embeddings on the sphere",
        GENERIC | {"embedding": "sphere"},
        {
            "test_error": 0.163748142835,
            "per_token_error": digits(
                "0.000219655979569 0.0868237348448 0.218516521677 0.338270643219 "
                "0.395115642451 0.468128170191 0.797986838953 0.82249399472"
            ),
        },
        rtol=1e-8,
        atol=2e-10,
        program=reference.theory_of_finite_data,
    ),
]


@jax.jit
def _expected(params, number, chance, all_stored):
    """The theory for counts of the given values and chances; one program for all mutants."""
    weights = finite_data._weight(params, number)
    squares = jnp.where(all_stored, 1.0, jnp.sum(chance * weights**2, axis=1))
    noise = _errors.noise_of_tokens(squares, params.num_classes)
    found = _errors.mean_errors_of_tokens(
        weights, chance, noise, params.dim, params.embedding, params.unembedding
    )
    p = finite_law(params.zipf_exponent, params.num_tokens)
    return {"test_error": p @ found, "per_token_error": found}


@jax.jit
def _laws(params):
    """The training law, and values and chances of its counts."""
    law = finite_data.training_law(params)
    return law, *finite_data.count_values(params.num_samples, law)


def _mean_counts(params, outputs):
    """Every token at its expected count."""
    law, number, chance = map(np.array, _laws(params))
    number[:, 0], number[:, 1:] = params.num_samples * law, 0
    chance[:, 0], chance[:, 1:] = 1, 0
    return _expected(params, number, chance, False)


def _always_seen(params, outputs):
    _, number, chance = map(np.array, _laws(params))
    chance[:, 0] = 0
    total = chance.sum(axis=1, keepdims=True)
    return _expected(params, number, chance / np.where(total > 0, total, 1.0), False)


def _infinite_memory(params, outputs):
    """Unseen tokens are wrong, seen ones right."""
    return (1 - np.asarray(_laws(params)[0])) ** params.num_samples


def _cut_test_law(params, outputs):
    """Tested on the cut law."""
    return {"test_error": np.asarray(_laws(params)[0]) @ outputs["per_token_error"]}


def _noise(all_stored):
    """All tokens of the vocabulary are stored, as with infinite data; or those that are."""
    return lambda params, outputs: _expected(params, *_laws(params)[1:], all_stored)


MUTANTS = [
    Mutant("expected counts", after=_mean_counts, control=_noise(all_stored=False)),
    Mutant("every token seen", after=_always_seen, control=_noise(all_stored=False)),
    Mutant("infinite memory", after=averaged(_infinite_memory), control=averaged_right),
    Mutant(
        "tested on the cut law",
        after=_cut_test_law,
        outputs=("test_error",),
        control=averaged_right,
    ),
    Mutant(
        "noise of the whole vocabulary",
        after=_noise(all_stored=True),
        control=_noise(all_stored=False),
    ),
    Mutant("no cut", at=lambda p: {"cutoff": np.inf}),
    Mutant("no threshold", at=lambda p: {"threshold": np.inf, "cutoff": np.inf}),
    Mutant("two thirds of the dimension", at=lambda p: {"dim": p.dim * 2 / 3}),
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
