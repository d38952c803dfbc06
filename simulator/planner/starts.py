"""Stage one: for many values of the outer variables, the best coefficients in closed form.

Given the outer variables a law is linear in its coefficients, which are not negative; with so few
of them non-negative least squares is exact by enumeration of their supports.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator.planner.laws import Law
from simulator.planner.solver import Rows
from simulator.runtime.compilation import float64_on_cpu, jit_on_cpu

STARTS = 8
SIDE = 12  # of the grid of one or two exponents
POINTS = 256  # of a Sobol sequence, where there is more
SMALLEST_SHARE = 1e-3  # of a coefficient that stage one finds to vanish


@functools.cache
def outer_points(law: Law) -> np.ndarray:
    """Values of the outer variables to start from, (points, outers)."""
    ranges = [outer.start or (outer.low, outer.high) for outer in law.outers]
    if len(ranges) <= 2 and not any(outer.log for outer in law.outers):
        axes = [np.geomspace(low, high, SIDE) if low > 0 else np.linspace(low, high, SIDE)
                for low, high in ranges]  # fmt: skip
        return np.array(list(itertools.product(*axes)))
    from scipy.stats import qmc

    unit = qmc.Sobol(len(ranges), seed=0).random(POINTS)
    low, high = np.array(ranges).T
    return low + unit * (high - low)


def starts(law: Law, rows: Rows, *, target: Any = None, weight: Any = None) -> np.ndarray:
    """The best starts of a batch of problems, (problems, starts, variables), the best first.

    Parameters
    ----------
    law : Law
    rows : Rows
    target, weight : (problems, padded), optional
        Instead of those of the rows.
    """
    target = rows.target if target is None else target
    weight = rows.weight if weight is None else weight
    target, weight = np.broadcast_arrays(np.atleast_2d(target), np.atleast_2d(weight))
    points = outer_points(law)
    program = _program(law)
    found = []
    with float64_on_cpu():
        for one_target, one_weight in zip(target, weight, strict=True):
            theta, misfit = program(points, dict(rows.features), one_target, one_weight)
            found.append(_best(np.asarray(theta), np.asarray(misfit), points))
    return np.array(found)


def _best(theta: np.ndarray, misfit: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The starts of least misfit of which no two are neighbours, filled up with those that are."""
    span = np.ptp(points, axis=0)
    order = np.argsort(misfit, kind="stable")
    chosen: list[int] = []
    for index in order:
        apart = [np.max(np.abs(points[index] - points[i]) / span) for i in chosen]
        if len(chosen) < STARTS and (not apart or min(apart) > 0.05):
            chosen.append(index)
    chosen += [index for index in order if index not in chosen][: STARTS - len(chosen)]
    return theta[chosen]


@functools.lru_cache(maxsize=64)
def _program(law: Law) -> Callable[..., Any]:
    """``(points, features, target, weight) -> theta, misfit`` of each point."""
    count = len(law.coefficients)
    owner = np.array(law.owner)
    supports = np.array(list(itertools.product((0.0, 1.0), repeat=count))[1:])

    def one(outer: Any, features: Any, target: Any, weight: Any) -> Any:
        zero = jnp.concatenate([jnp.zeros(count), outer])
        logs = jax.vmap(law.log_terms, in_axes=(None, 0))(zero, features)
        terms = jnp.exp(logs - target[:, None])  # of the loss, each with coefficient 1
        columns = jnp.stack([jnp.sum(terms * (owner == k), -1) for k in range(count)], -1)
        size = jnp.sqrt(jnp.maximum(weight @ columns**2, 1e-300))
        columns = columns / size
        gram = (columns.T * weight) @ columns
        right = columns.T @ weight

        def restricted(support: Any) -> Any:
            matrix = gram * jnp.outer(support, support) + jnp.diag(1 - support)
            matrix = matrix + 1e-14 * jnp.diag(support)
            found = jnp.linalg.solve(matrix, right * support)
            misfit = jnp.sum(weight) - 2 * found @ right + found @ gram @ found
            allowed = jnp.all(found >= 0) & jnp.all(jnp.isfinite(found))
            return found, jnp.where(allowed, misfit, jnp.inf)

        found, misfit = jax.vmap(restricted)(supports)
        best = jnp.argmin(misfit)
        level = jnp.exp(weight @ target / jnp.sum(weight))
        least = SMALLEST_SHARE * level
        coefficients = jnp.log(jnp.maximum(found[best] / size, least))
        return jnp.concatenate([coefficients, outer]), misfit[best]

    return jit_on_cpu(jax.vmap(one, in_axes=(0, None, None, None)))
