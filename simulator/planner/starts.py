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
from simulator.planner.objective import Rows
from simulator.planner.solver import solved
from simulator.runtime.compilation import ONCE_OPTIONS, float64_on_cpu

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
            size, gram, right = map(
                np.asarray, program(points, dict(rows.features), one_target, one_weight)
            )
            coefficients, misfit = _non_negative(gram, right)
            level = np.exp(one_weight @ one_target / one_weight.sum())
            logs = np.log(np.maximum(coefficients / size, SMALLEST_SHARE * level))
            found.append(_best(np.concatenate([logs, points], axis=1), misfit, points))
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
    """``(points, features, target, weight) -> size, gram, right``: the normal equations.

    ``size`` (points, coefficients) is what the columns are scaled by.
    """
    count = len(law.coefficients)
    owner = np.array(law.owner)

    def one(outer: Any, features: Any, target: Any, weight: Any) -> Any:
        zero = jnp.concatenate([jnp.zeros(count), outer])
        logs = jax.vmap(law.log_terms, in_axes=(None, 0))(zero, features)
        terms = jnp.exp(logs - target[:, None])  # of the loss, each with coefficient 1
        columns = jnp.stack([jnp.sum(terms * (owner == k), -1) for k in range(count)], -1)
        size = jnp.sqrt(jnp.maximum(weight @ columns**2, 1e-300))
        columns = columns / size
        return size, (columns.T * weight) @ columns, columns.T @ weight

    lanes = jax.vmap(one, in_axes=(0, None, None, None))
    return jax.jit(lanes, compiler_options=ONCE_OPTIONS)


def _non_negative(gram: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Non-negative least squares of each point, and by how much they lower the sum of squares."""
    count = right.shape[1]
    best = np.zeros_like(right)
    least = np.full(len(right), np.inf)
    for support in itertools.product((False, True), repeat=count):
        chosen = np.flatnonzero(support)
        if not len(chosen):
            continue
        matrix = gram[:, chosen[:, None], chosen] + 1e-14 * np.eye(len(chosen))
        found = np.zeros_like(right)
        found[:, chosen] = solved(matrix, right[:, chosen])
        misfit = np.einsum("ni,nij,nj->n", found, gram, found) - 2 * np.sum(found * right, axis=1)
        allowed = np.isfinite(found).all(axis=1) & (found >= 0).all(axis=1)
        better = allowed & (misfit < least)
        best[better], least[better] = found[better], misfit[better]
    return best, least
