"""The search over one parameter: extrema and solutions on an interval, for many cells at once.

The interval is sampled, with exact slopes. Where the slope changes its sign between neighbours
there is an extremum, and SciPy's bracketing root finder takes it from there, in all brackets of all
cells together; between extrema the function is monotone, and the root finder applied to the
function itself finds every value it takes. An output may be infinite in places (interpolation
thresholds).
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from simulator.search.box import descent
from simulator.search.objective import Objective
from simulator.search.ranges import inside

#: An extremum this many times further away than all samples are from each other is a pole.
_POLE = 1e6
#: How far a solution may be from the value asked for, in units of that value or of the distances
#: around it: at a jump it is further.
_MET = 1e-6
_TOUCHES = 1e-12


@dataclass(frozen=True)
class Samples:
    """Points on the line, ordered by cell and coordinate within it."""

    cell: np.ndarray
    u: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    refined: np.ndarray  # found by its slope, rather than a point of the start

    def at(self, index: np.ndarray | slice) -> "Samples":
        return Samples(*(column[index] for column in self._columns()))

    def and_also(self, other: "Samples") -> "Samples":
        pairs = zip(self._columns(), other._columns(), strict=True)
        joined = Samples(*(np.concatenate(pair) for pair in pairs))
        return joined.at(np.lexsort((joined.u, joined.cell)))

    def neighbours(self) -> np.ndarray:
        """Positions whose successor belongs to the same cell."""
        return np.flatnonzero(self.cell[:-1] == self.cell[1:])

    def by_cell(self, count: int) -> Iterator["Samples"]:
        edges = np.searchsorted(self.cell, np.arange(count + 1))
        for first, last in itertools.pairwise(edges):
            yield self.at(slice(first, last))

    def _columns(self) -> tuple[np.ndarray, ...]:
        return self.cell, self.u, self.value, self.slope, self.refined


def evaluated(objective: Objective, cell: np.ndarray, u: np.ndarray, refined: bool) -> Samples:
    """The objective at coordinates ``u`` of ``cell``."""
    (free,) = objective.ranges
    value, slope = objective(cell, free.values(u)[:, None])
    return Samples(cell, u, value, slope[:, 0], np.full(len(u), refined))


def sampled(objective: Objective, points: int) -> Samples:
    """The points to start from, in every cell."""
    u = objective.ranges[0].grid(points)
    cells = np.repeat(np.arange(objective.count), len(u))
    return evaluated(objective, cells, np.tile(u, objective.count), refined=False)


def lowest(
    objective: Objective, points: int, sign: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates, values and slopes of the lowest point of ``sign * objective`` in every cell."""
    start = sampled(objective, points)
    left = start.neighbours()
    valley = (sign * start.slope[left] < 0) & (sign * start.slope[left + 1] > 0)
    every = start.and_also(_extrema(objective, start, left[valley]))
    best = [_lowest_of(objective, mine, sign) for mine in every.by_cell(objective.count)]
    u = np.array([[sample.u[0]] for sample in best])
    slope = np.array([[sample.slope[0]] for sample in best])
    # A valley narrower than the grid shows no change of sign: follow the slope into it.
    steep = inside(objective.ranges, u, sign * slope)[:, 0]
    falls = ~np.isnan(steep) & (steep != 0) & ~np.array([sample.refined[0] for sample in best])
    for cell in np.flatnonzero(falls):
        scale = abs(float(best[cell].value[0])) or 1.0
        u[cell], _ = descent(objective, int(cell), u[cell], sign, scale)
    final = evaluated(objective, np.arange(objective.count), u[:, 0], refined=True)
    return u, final.value, final.slope[:, None]


def _lowest_of(objective: Objective, mine: Samples, sign: float) -> Samples:
    """The lowest sample of one cell; ``ValueError`` if there is none, or no bound."""
    (free,) = objective.ranges
    cell = objective.describe(int(mine.cell[0]))
    at = f" at {cell}" if cell else ""
    heights = sign * mine.value
    if np.isnan(heights).all():
        raise ValueError(f"{objective.name} is not defined for {free}{at}")
    best = int(np.nanargmin(heights))
    start = heights[
        ~mine.refined & np.isfinite(heights)
    ]  # none, and no valley, if all are infinite
    pole = mine.refined[best] and start.min() - heights[best] > _POLE * np.ptp(start) > 0
    if pole or np.isneginf(heights[best]):
        where = free.values(mine.u[best : best + 1])[0]
        raise ValueError(
            f"{objective.name} has no {'smallest' if sign > 0 else 'largest'} value: it is "
            f"infinite at {free.label} = {where:.6g}{at}; give a range on one side of it"
        )
    return mine.at(slice(best, best + 1))


def solutions(objective: Objective, points: int, target: np.ndarray) -> tuple[Samples, Samples]:
    """All points at which the objective takes the value ``target`` of its cell, and all samples."""
    start = sampled(objective, points)
    left = start.neighbours()
    side = np.sign(start.value - target[start.cell])
    # On one side of the target at both ends, but towards it at first and away from it at last.
    turns = (side[left] == side[left + 1]) & (side[left] != 0)
    turns &= ((side * start.slope)[left] < 0) & ((side * start.slope)[left + 1] > 0)
    every = start.and_also(_extrema(objective, start, left[turns]))

    distance = every.value - target[every.cell]
    scale = _scale(start, target)
    touches = every.refined & (np.abs(distance) <= _TOUCHES * scale[every.cell])
    distance = np.where(touches, 0.0, distance)
    left = every.neighbours()
    left = left[np.sign(distance[left]) * np.sign(distance[left + 1]) < 0]

    found = _roots(objective, every, left, lambda points: points.value - target[points.cell])
    around = np.minimum(np.abs(distance[left]), np.abs(distance[left + 1]))
    wanted = target[found.cell]
    met = np.abs(found.value - wanted) <= _MET * np.maximum(around, np.abs(wanted))
    return every.at(distance == 0).and_also(found.at(met)), every


def _extrema(objective: Objective, samples: Samples, left: np.ndarray) -> Samples:
    """Where the slope vanishes between the samples ``left`` and their successors."""
    return _roots(objective, samples, left, lambda points: points.slope)


def _roots(
    objective: Objective,
    samples: Samples,
    left: np.ndarray,
    function: Callable[[Samples], np.ndarray],
) -> Samples:
    """Where a function of the samples changes sign between ``left`` and their successors."""
    from scipy.optimize.elementwise import find_root  # here: importing the package stays fast

    first, last = samples.at(left), samples.at(left + 1)
    if len(left) == 0:
        return first

    def at(u: np.ndarray, cell: np.ndarray) -> np.ndarray:
        points = evaluated(objective, cell.ravel().astype(int), u.ravel(), refined=True)
        return function(points).reshape(u.shape)

    width = np.ptp(objective.ranges[0].coordinates(2))
    found = find_root(
        at,
        (first.u, last.u),
        args=(first.cell,),
        # The best value may be tiny: relative precision, except around zero.
        tolerances={"xatol": 1e-20 * width, "xrtol": 4e-16, "fatol": 0.0, "frtol": 0.0},
        maxiter=200,
    )
    # No bracket after all: an end is a root up to rounding (or the function has no values between).
    nearer = np.abs(function(first)) <= np.abs(function(last))
    root = np.where(np.isfinite(found.x), found.x, np.where(nearer, first.u, last.u))
    return evaluated(objective, first.cell, root, refined=True)


def _scale(start: Samples, target: np.ndarray) -> np.ndarray:
    """Per cell: the size of the target, or the smallest distance to it where that is larger."""
    size = np.abs(start.value - target[start.cell])
    usable = np.isfinite(size) & (size > 0)
    nearest = np.full(len(target), np.inf)
    np.minimum.at(nearest, start.cell[usable], size[usable])
    return np.maximum(np.abs(target), np.where(np.isfinite(nearest), nearest, 0.0))
