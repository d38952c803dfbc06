"""The estimate: Huber's threshold, all starts, and whether to trust the minimum.

Everything works on a batch of problems, which are weights and targets on the same rows: one table,
its bootstrap draws, the tables of a simulation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.planner.laws import Law
from simulator.planner.objective import Rows, many_residuals
from simulator.planner.solver import EXACT, Box, solve
from simulator.planner.starts import starts

HUBER = 1.345  # in units of the scale: 95 % as efficient as least squares on a normal law
MAD = 1.4826
MOST_ROUNDS = 100
SETTLED = 1e-10
CONVERGED = 1e-8
AGREEING = 3  # starts that must end in the minimum
#: The smallest threshold: tables have fewer digits.
LEAST_DELTA = 1e-8
DIRECT = 0.02  # thresholds that are reached without others on the way
APPROACH = 4.0  # factor from one to the next


@dataclass(frozen=True)
class Estimates:
    """The minima of a batch of problems.

    Attributes
    ----------
    theta : (problems, variables)
    delta, objective, certificate : (problems,)
    agreeing : (problems,)
        Starts that end in the minimum.
    starts : int
    status : list of str
        ``converged``, ``starts disagree``, ``at bound: ...`` or ``not converged``.
    """

    theta: np.ndarray
    delta: np.ndarray
    objective: np.ndarray
    certificate: np.ndarray
    agreeing: np.ndarray
    starts: int
    status: list[str]


def scale(law: Law, rows: Rows, theta: Any, *, target: Any, weight: Any, size: int) -> np.ndarray:
    """``1.4826 median |r| sqrt(n / (n - p))`` of each problem, on rows that have a weight."""
    r = np.abs(many_residuals(law, rows, theta, target=target))
    used = weight > 0
    median = np.array([np.median(one[u]) for one, u in zip(r, used, strict=True)])
    count = used.sum(-1)
    return MAD * median * np.sqrt(count / np.maximum(count - size, 1))


def estimate(
    law: Law, rows: Rows, huber: float | str, box: Box, *, target: Any = None, weight: Any = None,
    absolute: bool = False,
) -> Estimates:  # fmt: skip
    """Fit a batch of problems from all starts.

    Parameters
    ----------
    law : Law
    rows : Rows
    huber : "auto" or float
        Huber's threshold; infinite for least squares.
    box : Box
    target, weight : (problems, padded), optional
        Instead of those of the rows.
    absolute : bool
        Residuals of the loss, not of its logarithm.
    """
    full = np.broadcast_shapes(
        *(np.atleast_2d(v).shape for v in (rows.target, target, weight) if v is not None)
    )
    target = np.broadcast_to(rows.target if target is None else target, full)
    weight = np.broadcast_to(rows.weight if weight is None else weight, full)
    given = {"target": target, "weight": weight}
    first = starts(law, rows, **given)
    if huber == "auto":
        delta = _automatic(law, rows, first, box, **given)
    else:
        delta = np.full(len(target), float(huber))
    return _from_all(law, rows, first, delta, box, absolute=absolute, **given)


def _from_all(
    law: Law, rows: Rows, first: np.ndarray, delta: np.ndarray, box: Box, *, target: Any,
    weight: Any, absolute: bool = False,
) -> Estimates:  # fmt: skip
    """The best minimum from all starts of each problem."""
    problems, count, size = first.shape

    def each(values: np.ndarray) -> np.ndarray:
        return np.repeat(values, count, axis=0)

    given: dict[str, Any] = {"target": each(target), "weight": each(weight)}
    theta = first.reshape(-1, size)
    for threshold in _approach(law, rows, theta, each(delta), box, absolute, **given):
        found = solve(law, rows, theta, threshold, box, absolute=absolute, **given)
        theta = found.theta
    objective = found.objective.reshape(problems, count)
    certificate = found.certificate.reshape(problems, count)
    best = np.nanargmin(objective, axis=1)
    lane = np.arange(problems), best
    least = objective[lane]
    rounding = 0.5 * EXACT**2 * weight.sum(-1)
    same = objective - least[:, None] <= np.maximum(1e-9 * least, rounding)[:, None]
    # Of starts that end in one minimum the one whose certificate is smallest.
    best = np.argmin(np.where(same, certificate, np.inf), axis=1)
    lane = np.arange(problems), best
    theta = found.theta.reshape(problems, count, size)[lane]
    agreeing = same.sum(-1)
    status = [
        _status(law, *values)
        for values in zip(certificate[lane], agreeing, box.at_bound(theta), strict=True)
    ]
    return Estimates(theta, delta, least, certificate[lane], agreeing, count, status)


def _approach(
    law: Law, rows: Rows, theta: np.ndarray, delta: np.ndarray, box: Box, absolute: bool, *,
    target: Any, weight: Any,
) -> list[np.ndarray]:  # fmt: skip
    """Thresholds on the way to small ones, where few rows are inside and steps are short."""
    if np.all(delta >= DIRECT):
        return [delta]
    wide = solve(law, rows, theta, np.inf, box, target=target, weight=weight, absolute=absolute)
    s = scale(law, rows, wide.theta, target=target, weight=weight, size=int(box.free.sum()))
    widest = float(np.max(np.where(np.isfinite(s), s, 0) / delta, initial=1.0))
    count = math.ceil(math.log(max(widest, 1.0)) / math.log(APPROACH))
    return [delta * APPROACH**step for step in range(count, -1, -1)]


def _status(law: Law, certificate: float, agreeing: int, stuck: np.ndarray) -> str:
    if not certificate < CONVERGED:
        return "not converged"
    if agreeing < AGREEING:
        return "starts disagree"
    if stuck.any():
        names = [name for name, at in zip(law.variables, stuck, strict=True) if at]
        return "at bound: " + ", ".join(map(_bound_name, names))
    return "converged"


def _bound_name(variable: str) -> str:
    """``ln E`` at its bound is E = 0."""
    name = variable.removeprefix("ln ")
    return f"{name} = 0" if name in ("E", "A", "B", "K", "P", "H") else name


def _automatic(
    law: Law, rows: Rows, first: np.ndarray, box: Box, *, target: Any, weight: Any
) -> np.ndarray:
    """Huber's threshold as a multiple of the scale that it leads to, from least squares on."""
    given = {"target": target, "weight": weight}
    size = int(box.free.sum())
    infinite = np.full(len(first), np.inf)
    squares = _from_all(law, rows, first, infinite, box, **given)
    theta = squares.theta
    delta = infinite
    history = []
    exact = squares.objective <= 0.5 * EXACT**2 * weight.sum(-1)  # nothing to be robust against
    open_ = np.flatnonzero(~exact)
    if not len(open_):
        return delta
    for _ in range(MOST_ROUNDS):
        part = {name: values[open_] for name, values in given.items()}
        s = scale(law, rows, theta[open_], size=size, **part)
        new = np.maximum(HUBER * s, LEAST_DELTA)
        moved = np.abs(new - delta[open_]) > SETTLED * new
        delta = delta.copy()
        delta[open_] = new
        history.append(delta)
        open_ = open_[moved]
        if not len(open_):
            return delta
        part = {name: values[open_] for name, values in given.items()}
        theta = theta.copy()
        theta[open_] = solve(law, rows, theta[open_], delta[open_], box, **part).theta
    delta = delta.copy()  # what cycles takes the smallest
    delta[open_] = np.min(np.array(history[MOST_ROUNDS // 2 :])[:, open_], axis=0)
    return delta


def box_of(law: Law, target: Sequence[float], fixed: Sequence[str] = ()) -> Box:
    """The bounds of a law on a table, and which variables are fitted."""
    low, high = law.bounds(float(np.mean(target)))
    return Box(low, high, np.array([name not in fixed for name in law.variables]))
