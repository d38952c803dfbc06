"""Questions asked backwards: the best penalty, weight or width, and what synthetic data is worth.

Functions of any theory of this folder with a scalar ``test_error``; derivatives come from
differentiating it through its fixed point. They run in double precision on plain numbers.
"""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from simulator.arrays import plain_array
from simulator.maths.compilation import float64_on_cpu, jit_on_cpu

_GRID = 129
_PRECISION = 1e-12


class Optimum(NamedTuple):
    """Where the test error is smallest, and how large it is there."""

    value: float
    test_error: float


def _at(theory, params, name, value):
    return theory(replace(params, **{name: value}))["test_error"]


@partial(jit_on_cpu, static_argnames=("theory", "name"))
def _error(theory, params, name, value):
    return _at(theory, params, name, value)


@partial(jit_on_cpu, static_argnames=("theory", "name"))
def _errors(theory, params, name, values):
    return jax.vmap(lambda value: _at(theory, params, name, value))(values)


@partial(jit_on_cpu, static_argnames=("theory", "name"))
def _error_and_slope(theory, params, name, value):
    return jax.value_and_grad(lambda value: _at(theory, params, name, value))(value)


def optimum(theory, params, name: str, grid) -> Optimum:
    """Minimise ``test_error`` over the parameter ``name`` between the ends of an increasing grid.

    The best grid point brackets the minimum; inside, the derivative of the theory vanishes. At an
    end of the grid that end is returned.

    Parameters
    ----------
    theory, params : a study's theory and its concrete parameters
    name : str
        A traced parameter (counts are taken as real numbers).
    grid : array
        Values to start from, fine enough to single out the valley looked for.
    """
    grid = plain_array(grid).astype(float)
    with float64_on_cpu():
        # Point by point: one program, compiled once, serves the grid and the search.
        best = int(np.argmin([_error_and_slope(theory, params, name, x)[0] for x in grid.tolist()]))
        value = float(grid[best])
        if 0 < best < len(grid) - 1:
            value = scipy.optimize.brentq(
                lambda x: float(_error_and_slope(theory, params, name, x)[1]),
                grid[best - 1],
                grid[best + 1],
                xtol=1e-300,  # relative precision alone: the best weight may be tiny
                rtol=_PRECISION,
            )
        error, _ = _error_and_slope(theory, params, name, value)
        return Optimum(value, float(error))


def optimal_ridge(theory, params, lower=1e-10, upper=1e3) -> Optimum:
    """The best penalty ``lambda``."""
    return optimum(theory, params, "ridge", np.geomspace(lower, upper, _GRID))


def optimal_mixing_weight(theory, params) -> Optimum:
    """The best weight ``alpha`` of the synthetic loss (``weighting = "mixing"``)."""
    half = np.geomspace(1e-9, 0.5, _GRID)
    params = replace(params, weighting="mixing")
    return optimum(theory, params, "mixing_weight", np.r_[0, half, 1 - half[-2::-1], 1])


def optimal_width(theory, params, lower=1.0, upper=1e8) -> Optimum:
    """The best number of random features, as a real number."""
    return optimum(theory, params, "width", np.geomspace(lower, upper, _GRID))


def equivalent_real_samples(theory, params, most=1e15) -> float:
    """Number ``n1'`` of real samples, without any synthetic ones, that reach the same test error.

    Solves ``E(n1, n2) = E(n1', 0)`` at equal penalty. Where the clean error is not monotone in
    ``n1'`` (double descent) the largest solution is meant: more real samples than that are better.
    ``inf`` if ``most`` real samples do not reach the error, 0 if a single one always does better.
    """
    clean = replace(params, synthetic_fraction=0.0)
    if hasattr(params, "weighting"):
        clean = replace(clean, weighting="uniform")
    grid = np.unique(np.r_[np.geomspace(1, most, 40 * _GRID), params.dim + np.arange(-2.0, 3)])
    grid = grid[grid >= 1]
    count = "num_samples"
    with float64_on_cpu():
        target = float(_error(theory, params, count, float(params.num_samples)))
        errors = np.asarray(_errors(theory, clean, count, jnp.asarray(grid)))
        worse = np.flatnonzero(errors > target)
        if len(worse) == 0:
            return 0.0
        if worse[-1] == len(grid) - 1:
            return float("inf")
        # The root of a difference that stays finite where the error is infinite.
        return scipy.optimize.brentq(
            lambda n: target / float(_error(theory, clean, count, n)) - 1,
            grid[worse[-1]],
            grid[worse[-1] + 1],
            rtol=_PRECISION,
        )


def worth_of_synthetic_sample(theory, params, most=1e15) -> float:
    """Real samples that one synthetic sample replaces, ``(n1' - n1)/n2``; negative if it harms."""
    n2 = params.synthetic_fraction * params.num_samples
    if n2 == 0:
        raise ValueError("synthetic_fraction = 0 is not allowed: there is no synthetic sample")
    return (equivalent_real_samples(theory, params, most) - (params.num_samples - n2)) / n2
