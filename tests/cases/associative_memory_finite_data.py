"""Reference values of arXiv 2310.02984 (see the study) and wrong versions of its theory."""

import jax
import jax.numpy as jnp
import numpy as np

from simulator.studies.memory.associative_memory import _errors, finite_data
from tests.cases import Case, Mutant
from tests.cases.associative_memory import token_law

FLOAT32_RTOL = 1e-4

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


@jax.jit
def _expected(params, number, chance, all_stored):
    """The theory for counts of the given values and chances; one program for all mutants."""
    weights = finite_data._weight(params, number)
    squares = jnp.where(all_stored, 1.0, jnp.sum(chance * weights**2, axis=1))
    noise = _errors.noise_of_tokens(squares, params.num_classes)
    found = _errors.mean_errors_of_tokens(
        weights, chance, noise, params.dim, params.embedding, params.unembedding
    )
    p = _errors.token_law(params.num_tokens, params.zipf_exponent)
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
    found = (1 - np.asarray(_laws(params)[0])) ** params.num_samples
    return {"test_error": token_law(params) @ found, "per_token_error": found}


def _cut_test_law(params, outputs):
    """Tested on the cut law."""
    return {"test_error": np.asarray(_laws(params)[0]) @ outputs["per_token_error"]}


def _full_noise(params, outputs):
    """All tokens of the vocabulary are stored, as with infinite data."""
    return _expected(params, *_laws(params)[1:], True)


MUTANTS = [
    Mutant("expected counts", after=_mean_counts),
    Mutant("every token seen", after=_always_seen),
    Mutant("infinite memory", after=_infinite_memory),
    Mutant("tested on the cut law", after=_cut_test_law, outputs=("test_error",)),
    Mutant("noise of the whole vocabulary", after=_full_noise),
    Mutant("no cut", at=lambda p: {"cutoff": np.inf}),
    Mutant("no threshold", at=lambda p: {"threshold": np.inf, "cutoff": np.inf}),
    Mutant("two thirds of the dimension", at=lambda p: {"dim": p.dim * 2 / 3}),
]
