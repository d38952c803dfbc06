"""Damped semi-smooth Newton in a box, with certificate, for many problems side by side.

The compiled part is the objective with its derivatives; the steps are NumPy on all problems that
are not done yet, so that none waits for the slowest of its neighbours.
"""

from typing import Any, NamedTuple

import numpy as np

from simulator.planner.laws import Law
from simulator.planner.objective import Point, Problems, Rows, evaluate

STEPS = 600  # a safeguard: where few rows are inside a small threshold they are short
DRAW_STEPS = 100  # of a bootstrap draw, which starts at the estimate
LONGEST_STEP = 1.5
FIRST_DAMPING = 0.1
MOST_DAMPING = 1e9
#: Residuals of this root mean square are rounding: the law fits exactly.
EXACT = 1e-12
#: A problem is done when its certificate is below; *converged* asks for 1e-8.
DONE = 1e-11
#: Changes in which an objective has no more digits: relative, and from rounded losses.
LEVEL, ROUNDED = 1e-14, 2e-15


class Box(NamedTuple):
    """Bounds of the variables, and whether each is fitted at all: (variables,), or a row each."""

    low: np.ndarray
    high: np.ndarray
    free: np.ndarray

    def at_bound(self, theta: np.ndarray) -> np.ndarray:
        """Which fitted variables are at a bound, (problems, variables)."""
        near = 1e-7 * (self.high - self.low)
        return self.free & ((theta <= self.low + near) | (theta >= self.high - near))


class Solutions(NamedTuple):
    """Minima of a batch of problems.

    Attributes
    ----------
    theta : (problems, variables)
    objective, certificate : (problems,)
    steps : (problems,)
        How often the objective was evaluated.
    """

    theta: np.ndarray
    objective: np.ndarray
    certificate: np.ndarray
    steps: np.ndarray


def solve(
    law: Law,
    rows: Rows,
    theta: Any,
    delta: Any,
    box: tuple[Any, Any, Any],
    *,
    target: Any = None,
    weight: Any = None,
    absolute: bool = False,
    steps: int = STEPS,
    first_damping: float = FIRST_DAMPING,
    done: float = DONE,
) -> Solutions:
    """Minima from given starts.

    Parameters
    ----------
    law : Law
    rows : Rows
    theta : (problems, variables)
        Starts.
    delta : float or (problems,)
        Huber's threshold; infinite for least squares.
    box : (low, high, free), each (variables,) or (problems, variables)
        Bounds of the variables, and whether each is fitted at all.
    target, weight : (problems, padded), optional
        Instead of those of the rows.
    absolute : bool
        Residuals of the loss, not of its logarithm.
    steps : int
        At most so many.
    first_damping : float
        None from starts that are near.
    done : float
        The certificate below which a problem is done.
    """
    theta = np.atleast_2d(np.asarray(theta, float))
    count = len(theta)
    full = (count, len(rows.target))
    bounds = Box(*(np.broadcast_to(side, theta.shape) for side in box))
    problems = Problems(
        rows.target if target is None else np.broadcast_to(target, full),
        np.broadcast_to(rows.weight if weight is None else weight, full),
        np.broadcast_to(np.asarray(delta, float), (count,)),
    )
    total = problems.weight.sum(axis=1)
    rounding = 0.5 * EXACT**2 * total
    theta = np.clip(theta, bounds.low, bounds.high)
    point = evaluate(law, absolute, rows, problems, theta, np.arange(count))
    certificate = _certificate(point, _moving(theta, point.gradient, bounds), rounding)
    damping = np.full(count, float(first_damping))
    used = np.ones(count, int)
    lost = (rounding == 0) | ~np.isfinite(point.objective)  # nothing to fit, or nowhere
    certificate[lost] = np.inf
    point.objective[lost] = np.inf
    open_ = np.flatnonzero(~lost & (certificate >= done))

    for _ in range(1, steps):
        if not len(open_):
            break
        here = Point(*(values[open_] for values in point))
        edges = Box(*(side[open_] for side in bounds))
        moving = _moving(theta[open_], here.gradient, edges)
        step = _step(here, damping[open_], moving)
        new = np.clip(theta[open_] + step, edges.low, edges.high)
        there = evaluate(law, absolute, rows, problems, new, open_)
        found = _certificate(there, _moving(new, there.gradient, edges), rounding[open_])
        change = there.objective - here.objective
        digits = ROUNDED * np.sqrt(2 * here.objective * total[open_])
        level = np.abs(change) <= LEVEL * here.objective + digits
        accept = np.where(level, found < certificate[open_], change <= 0)

        taken = open_[accept]
        theta[taken], certificate[taken] = new[accept], found[accept]
        for values, latest in zip(point, there, strict=True):
            values[taken] = latest[accept]
        longer = 6 * np.maximum(damping[open_], 1e-5)
        damping[open_] = np.where(accept, 0.15 * damping[open_], longer)
        used[open_] += 1
        open_ = open_[(certificate[open_] >= done) & (damping[open_] <= MOST_DAMPING)]
    return Solutions(theta, point.objective, certificate, used)


def _moving(theta: np.ndarray, gradient: np.ndarray, box: Box) -> np.ndarray:
    """Variables that are free, and not at a bound across which the objective falls."""
    low = (theta <= box.low) & (gradient > 0)
    high = (theta >= box.high) & (gradient < 0)
    return box.free & ~(low | high)


def _diagonal(point: Point) -> np.ndarray:
    return np.maximum(np.einsum("...ii->...i", point.metric), 1e-300)


def _certificate(point: Point, moving: np.ndarray, rounding: np.ndarray) -> np.ndarray:
    """``sqrt(sum_j g_j^2 / (M_jj f))`` over what moves; 0 where residuals are rounding."""
    scaled = np.sum(np.where(moving, point.gradient**2 / _diagonal(point), 0.0), axis=1)
    exact = point.objective <= rounding
    return np.where(exact, 0.0, np.sqrt(scaled / np.where(exact, 1.0, point.objective)))


def _step(point: Point, damping: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """The damped Newton step in what moves.

    Where it does not descend the step is that of the metric, the minimum of a quadratic function
    that is nowhere below Huber's loss of the linearised residuals; and where even that is not
    defined, a tenth of it down the gradient.
    """
    gradient = np.where(moving, point.gradient, 0.0)
    scale = np.where(moving, 1 / np.sqrt(_diagonal(point)), 1.0)
    both = moving[:, :, None] & moving[:, None, :]

    def direction(matrix: np.ndarray, of: Any) -> np.ndarray:
        scaled = matrix * (scale[of, :, None] * scale[of, None, :])
        scaled = np.where(both[of], scaled, np.eye(moving.shape[1]))
        return -scale[of] * solved(scaled, (scale * gradient)[of])

    def descends(step: np.ndarray) -> np.ndarray:
        return np.isfinite(step).all(axis=1) & (np.einsum("ni,ni->n", step, gradient) < 0)

    step = direction(point.hessian + damping[:, None, None] * point.metric, slice(None))
    bad = ~descends(step)
    if bad.any():
        step[bad] = direction(point.metric[bad], bad)
        step = np.where(descends(step)[:, None], step, -0.1 * gradient * scale**2)
    return np.clip(step, -LONGEST_STEP, LONGEST_STEP)


def solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions of many systems; NaN for those that are singular."""
    try:
        return np.linalg.solve(matrix, right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        if len(matrix) == 1:
            return np.full(right.shape, np.nan)
        half = len(matrix) // 2
        halves = (slice(None, half), slice(half, None))
        return np.concatenate([solved(matrix[part], right[part]) for part in halves])
