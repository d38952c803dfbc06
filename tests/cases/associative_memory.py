"""``associative-memory``: reference values, and wrong versions of its theory (arXiv 2310.02984)."""

import functools

import jax
import numpy as np

from simulator.studies.memory.associative_memory import _theory as _errors
from simulator.studies.memory.associative_memory.main import stored_weights
from tests.cases import Mutant, Tests
from tests.cases._associative_memory_values import CASES


@functools.partial(jax.jit, static_argnames=("embedding", "unembedding"))
def _errors_at(drive, noise, dim, embedding, unembedding):
    """Compiled once for all mutants."""
    return _errors.errors_of_tokens(drive, noise, dim, embedding, unembedding)


_stored_weights = jax.jit(stored_weights)
_noise_of_tokens = jax.jit(_errors.noise_of_tokens, static_argnums=1)


def _with(squares=None, signal=None, law=None, dim=None, noise=None):
    """The theory with one ingredient replaced by a function of (params, its right value)."""

    def change(params, outputs):
        p = token_law(params)
        q = np.asarray(_stored_weights(params))
        power = _noise_of_tokens(q**2 if squares is None else squares(q), params.num_classes)
        power = jax.tree.map(np.asarray, power)
        power = power if noise is None else noise(params, q, power)
        d = float(params.dim if dim is None else dim(params))
        drive = q if signal is None else signal(q)
        found = np.asarray(_errors_at(drive, power, d, params.embedding, params.unembedding))
        weights = p if law is None else law(p)
        return {"test_error": weights @ found, "per_token_error": found}

    return change


def token_law(params):
    p = np.arange(1.0, params.num_tokens + 1) ** -params.zipf_exponent
    return p / p.sum()


def _with_itself(params, q, noise):
    return noise._replace(own=noise.own + q**2)


def _no_own(params, q, noise):
    return noise._replace(own=0 * noise.own)


def _one_competitor(params, q, noise):
    return noise._replace(multiplicity=noise.multiplicity / (params.num_classes - 1))


def averaged(per_token):
    """The mean of other errors of single tokens."""

    def after(params, outputs):
        found = per_token(params, outputs)
        return {"test_error": token_law(params) @ found, "per_token_error": found}

    return after


averaged_right = averaged(lambda params, outputs: outputs["per_token_error"])


def _stored_is_right(params, outputs):
    """Infinite memory: every stored token is right, every other one wrong."""
    return np.where(np.asarray(_stored_weights(params)) > 0, 0.0, 1.0)


def _unstored_is_wrong(params, outputs):
    stored = np.asarray(_stored_weights(params)) > 0
    return np.where(stored, outputs["per_token_error"], 1.0)


def _other(name, outputs=None, **ingredients):
    return Mutant(name, after=_with(**ingredients), control=_with(), outputs=outputs)


MUTANTS = [
    _other("noise of the token itself", noise=_with_itself),
    _other("no noise of the own class", noise=_no_own),
    _other("a single competitor", noise=_one_competitor),
    _other("linear noise powers", squares=lambda q: q),
    _other("half the dimension", dim=lambda params: params.dim / 2),
    _other("frequencies squared", signal=lambda q: q**2),
    _other("uniform test law", ("test_error",), law=lambda p: np.full_like(p, 1 / p.size)),
    Mutant("infinite memory", after=averaged(_stored_is_right), control=averaged_right),
    Mutant(
        "unstored tokens are always wrong",
        after=averaged(_unstored_is_wrong),
        control=averaged_right,
    ),
    Mutant("threshold ignored", at=lambda p: {"threshold": np.inf}),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "float32": (
            1e-4,
            "small errors lie far in the tails of Gaussians, where roundings are multiplied",
        ),
        "special": {"optimal_threshold": "a whole number"},
        "not differentiable": {
            "test_error_lower_bound": "at a maximiser over whole numbers, which jumps",
            "test_error_upper_bound": "at a maximiser over whole numbers, which jumps",
        },
    },
)
