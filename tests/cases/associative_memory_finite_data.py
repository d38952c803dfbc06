"""Reference values of arXiv 2310.02984 (see the study) and wrong versions of its theory."""

import jax
import jax.numpy as jnp

from simulator.studies.memory.associative_memory import _errors, finite_data
from tests.cases import Case, Mutant

FLOAT32_RTOL = 1e-4

CASES = [
    Case(
        label,
        params,
        {"test_error": value},
        rtol=1e-9,
        atol=5e-9,  # eight decimals are printed
        monte_carlo={"test_error": mean},
        slow=label != "fill, 1000",
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
]


def _expected(params, number, chance):
    p = _errors.token_law(params.num_tokens, params.zipf_exponent)
    weights = finite_data._weight(params, number)
    found = finite_data.expected_error(params, weights, chance)
    return {"test_error": p @ found, "per_token_error": found}


def _counts(params):
    return finite_data.count_values(params.num_samples, finite_data.training_law(params))


@jax.jit
def _mean_counts(params, outputs):
    """Every token at its expected count."""
    number = (params.num_samples * finite_data.training_law(params))[:, None]
    return _expected(params, number, jnp.ones_like(number))


@jax.jit
def _always_seen(params, outputs):
    number, chance = _counts(params)
    seen = chance.at[:, 0].set(0)
    total = seen.sum(axis=1, keepdims=True)
    return _expected(params, number, seen / jnp.where(total > 0, total, 1.0))


@jax.jit
def _infinite_memory(params, outputs):
    """Unseen tokens are wrong, seen ones right."""
    law = finite_data.training_law(params)
    found = (1 - law) ** params.num_samples
    p = _errors.token_law(params.num_tokens, params.zipf_exponent)
    return {"test_error": p @ found, "per_token_error": found}


@jax.jit
def _cut_test_law(params, outputs):
    """Tested on the cut law."""
    return {"test_error": finite_data.training_law(params) @ outputs["per_token_error"]}


@jax.jit
def _full_noise(params, outputs):
    """All tokens of the vocabulary are stored, as with infinite data."""
    number, chance = _counts(params)
    weights = finite_data._weight(params, number)
    noise = _errors.noise_of_tokens(jnp.ones(params.num_tokens), params.num_classes)
    found = _errors.mean_errors_of_tokens(
        weights, chance, noise, params.dim, params.embedding, params.unembedding
    )
    p = _errors.token_law(params.num_tokens, params.zipf_exponent)
    return {"test_error": p @ found, "per_token_error": found}


MUTANTS = [
    Mutant("expected counts", after=_mean_counts),
    Mutant("every token seen", after=_always_seen),
    Mutant("infinite memory", after=_infinite_memory),
    Mutant("tested on the cut law", after=_cut_test_law, outputs=("test_error",)),
    Mutant("noise of the whole vocabulary", after=_full_noise),
    Mutant("no cut", at=lambda p: {"cutoff": jnp.inf}),
    Mutant("no threshold", at=lambda p: {"threshold": jnp.inf, "cutoff": jnp.inf}),
    Mutant("two thirds of the dimension", at=lambda p: {"dim": p.dim * 2 / 3}),
]
