"""Questions asked backwards: where an output of a theory is smallest, or takes a value.

Both searches sample the ranges on a grid, so that no valley is missed which the grid shows; SciPy's
solvers refine what it shows, with the exact derivatives of the theory. One compiled program serves
a whole grid of the other parameters.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator import checks
from simulator.checks import plain_array
from simulator.engine import sizes
from simulator.engine.theory import NotConverged
from simulator.search import box, line
from simulator.search.labels import grids_of, labelled
from simulator.search.objective import Objective, selected
from simulator.search.ranges import Range, at_ends, checked_ranges, inside
from simulator.study import Study

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NoSolution", "optimise_study", "solve_study"]

#: Points of the grid per parameter, by the number of parameters.
_POINTS = {1: 65, 2: 11, 3: 6}
_FEWEST = 4
WHICH = ("smallest", "largest", "all")


class NoSolution(ValueError):
    """The output does not take the value asked for within the range."""


def optimise_study(
    study: Study,
    output: str,
    over: Mapping[str, Any],
    *,
    maximise: bool = False,
    at: Mapping[str, Any] | None = None,
    points: int | None = None,
    allow_large: bool = False,
    **params: Any,
) -> "xr.Dataset":
    """Where ``output`` of the theory is smallest.

    Parameters
    ----------
    study : str or Study
    output : str
    over : mapping parameter -> (low, high) or (low, high, scale)
        Traced parameters and their ranges. The scale of the search is ``"log"`` or ``"linear"``:
        unless given, log if both ends are positive and a factor of 100 or more apart. Sample sizes
        and other counts are real numbers to a theory. ``"name[i, j]"`` is one entry of an array
        parameter.
    maximise : bool
        Where it is largest, instead.
    at : mapping dim -> coordinate, optional
        The entry of an output that is an array, as in ``{"step": 3}``.
    points : int >= 2, optional
        Points per parameter of the grid from which the search starts (one parameter: 65; two: 11;
        three: 6; more: 4). More of them find narrower valleys.
    allow_large : bool
        Compute also what is estimated to take more than a minute, or more memory than is free.
    **params
        The other parameters, as in :func:`simulator.sweep.predict_study`; arrays are a grid.

    Returns
    -------
    xarray.Dataset
        Over the grid of the other parameters: the best value of each free parameter; the output
        there; ``at_boundary``, whether a free parameter ended on an end of its range (where it
        equals that end exactly); and ``gradient_norm``, the length of the output's gradient by the
        coordinates of the search (logarithms on a log scale) without the directions that lead out
        of the range: 0 up to rounding, except at a kink or a jump.

    Raises
    ------
    TypeError, ValueError
        For a bad argument, or if the output has no smallest value: it is infinite or undefined.
    NotConverged
        If a solver of the theory did not converge within the range.
    """
    sign, goal = (-1.0, "largest") if checks.flag("maximise", maximise) else (1.0, "smallest")
    with sizes.allowing(allow_large):
        objective, grids, fixed = _prepared(study, output, over, at, params)
        search = line if len(objective.ranges) == 1 else box
        u, value, slope = search.lowest(objective, _checked_points(points, objective), sign)
    variables = {
        free.label: (free.values(u[:, i]), (), _meaning(free))
        for i, free in enumerate(objective.ranges)
    }
    on_end = np.logical_or(*at_ends(objective.ranges, u)).any(axis=1)
    steepness = np.linalg.norm(inside(objective.ranges, u, sign * slope), axis=1)
    if np.isnan(steepness).any():
        cell = int(np.argmax(np.isnan(steepness)))
        place = np.array(
            [free.values(c) for free, c in zip(objective.ranges, u[cell], strict=True)]
        )
        raise NotConverged(
            f"{study.name}: the derivative of {objective.name} came out as not-a-number at "
            f"{objective.describe(cell, place)}, where it is {goal}"
        )
    variables |= {
        output: (value, (), {"meaning": objective.output.meaning}),
        "at_boundary": (on_end, (), {"meaning": "a free parameter is at an end of its range"}),
        "gradient_norm": (steepness, (), {"meaning": "slope by the coordinates of the search"}),
    }
    return labelled(study, grids, variables, _attributes(objective, fixed) | {"goal": goal})


def solve_study(
    study: Study,
    output: str,
    *,
    equals: Any,
    over: Mapping[str, Any],
    which: str = "smallest",
    at: Mapping[str, Any] | None = None,
    points: int | None = None,
    allow_large: bool = False,
    **params: Any,
) -> "xr.Dataset":
    """The value of one parameter at which ``output`` of the theory equals a number.

    Parameters
    ----------
    study : str or Study
    output : str
    equals : float or array
        An array is a grid, as those in ``params``, and broadcasts with them.
    over : mapping with one entry, parameter -> (low, high) or (low, high, scale)
        As in :func:`optimise_study`.
    which : {"smallest", "largest", "all"}
        Which solution, where there are several. With ``"all"`` they lie along the dim ``solution``
        in increasing order, filled up with NaN, and none at all is an answer, too.
    at, points, allow_large, **params
        As in :func:`optimise_study`.

    Returns
    -------
    xarray.Dataset
        Over the grid: the parameter's value, the output there, ``residual``, the output minus
        ``equals``, and ``num_solutions``.

    Raises
    ------
    NoSolution
        If there is none; the message says between which values the output lies.
    TypeError, ValueError
        For a bad argument.
    NotConverged
        If a solver of the theory did not converge within the range.
    """
    if not isinstance(which, str) or which not in WHICH:
        raise ValueError(checks.refusal("which", which, f"one of {', '.join(WHICH)}"))
    target = _checked_target(equals)
    with sizes.allowing(allow_large):
        objective, grids, fixed = _prepared(study, output, over, at, params, target)
        if len(objective.ranges) != 1:
            raise ValueError(
                f"over = {checks.shown(over)} is not allowed: one equation settles one parameter; "
                "fix the others"
            )
        targets = np.broadcast_to(target, _shape(grids)).ravel()
        points = _checked_points(points, objective)
        found, samples = line.solutions(objective, points, targets)
    per_cell = list(found.by_cell(objective.count))
    if which != "all":
        every = samples.by_cell(objective.count)
        for cell, (mine, seen) in enumerate(zip(per_cell, every, strict=True)):
            if len(mine.u) == 0:
                raise NoSolution(_no_solution(objective, cell, float(targets[cell]), seen))
    number = np.array([len(mine.u) for mine in per_cell])
    kept = number.max(initial=0) if which == "all" else 1
    u, value = np.full((2, objective.count, kept), np.nan)
    for cell, mine in enumerate(per_cell):
        chosen = {"all": slice(None), "smallest": slice(0, 1), "largest": slice(-1, None)}[which]
        u[cell, : len(mine.u[chosen])] = mine.u[chosen]
        value[cell, : len(mine.u[chosen])] = mine.value[chosen]
    further: tuple[str, ...] = ("solution",)
    residual = value - targets[:, None]
    (free,) = objective.ranges
    root = np.where(np.isnan(u), np.nan, free.values(u))
    if which != "all":
        further, root, value, residual = (), root[:, 0], value[:, 0], residual[:, 0]
    variables: dict[str, Any] = {
        free.label: (root, further, _meaning(free)),
        output: (value, further, {"meaning": objective.output.meaning}),
        "residual": (residual, further, {"meaning": f"{output} - equals"}),
        "num_solutions": (number, (), {"meaning": f"solutions with {free}"}),
    }
    attributes = _attributes(objective, fixed) | {"which": which}
    if target.ndim == 0:
        attributes["equals"] = float(target)
    return labelled(study, grids, variables, attributes)


# --------------------------------------------------------------------------------------------
# Arguments
# --------------------------------------------------------------------------------------------
def _prepared(
    study: Study,
    output: Any,
    over: Any,
    at: Any,
    params: Mapping[str, Any],
    target: np.ndarray | None = None,
) -> tuple[Objective, dict[str, np.ndarray], dict[str, Any]]:
    """The objective, the grids by name (that of ``equals`` too), and the single values."""
    if study.theory is None:
        raise ValueError(f"{study.name} has a simulation only: there is no theory to search")
    declared = study.output(checks.text("output", output, "the name of an output"))
    if not declared.in_theory:
        raise ValueError(f"output = {output!r} is not allowed: it is only simulated")
    ranges, shape, values = checked_ranges(study, over, params)
    grids = grids_of(study, params)
    if target is not None and target.ndim:
        grids["equals"] = target
        try:
            shape = np.broadcast_shapes(shape, target.shape)
        except ValueError as error:
            raise ValueError(
                f"equals of shape {target.shape} does not broadcast with the grid {shape}"
            ) from error
    values = {n: np.broadcast_to(v, shape) if n in grids else v for n, v in values.items()}
    position = selected(study, declared, at, values)
    objective = Objective(study, declared, position, ranges, shape, values)
    free = {r.parameter.name for r in ranges}
    fixed = {n: v for n, v in values.items() if n not in grids and n not in free}
    return objective, grids, fixed


def _checked_points(points: Any, objective: Objective) -> int:
    free = len(objective.ranges)
    count = checks.whole("points", _POINTS.get(free, _FEWEST) if points is None else points, 2)
    sizes.check_points(objective.study, objective.count * count**free)
    return count


def _checked_target(equals: Any) -> np.ndarray:
    refusal = checks.refusal("equals", equals, "a finite number, or an array of them")
    try:
        target = plain_array(equals)
    except (TypeError, ValueError) as error:
        raise TypeError(refusal) from error
    if target.dtype.kind not in "iuf" or target.size == 0:
        raise TypeError(refusal)
    if not np.isfinite(target).all():
        raise ValueError(refusal)
    return target.astype(float)


# --------------------------------------------------------------------------------------------
# What is found
# --------------------------------------------------------------------------------------------
def _shape(grids: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    return np.broadcast_shapes(*(grid.shape for grid in grids.values()))


def _meaning(free: Range) -> dict[str, str]:
    return {"meaning": free.parameter.meaning, "symbol": free.parameter.symbol}


def _attributes(objective: Objective, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """What was searched: plain values, which NetCDF can hold."""
    over = "; ".join(f"{free}, {free.scale}" for free in objective.ranges)
    plain = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in fixed.items()
        if np.size(value) and np.ndim(value) < 2
    }
    return {"study": objective.study.name, "output": objective.name, "over": over} | plain


def _no_solution(objective: Objective, cell: int, target: float, seen: line.Samples) -> str:
    (free,) = objective.ranges
    at = f" at {objective.describe(cell)}" if objective.describe(cell) else ""
    what = f"{objective.name} = {target:g} has no solution for {free}{at}: "
    values = seen.value[~np.isnan(seen.value)]
    if len(values) == 0:
        return what + "it is not defined there"
    if values.min() > target or values.max() < target:
        return (
            what + f"the values found there lie between {values.min():.6g} and {values.max():.6g}"
        )
    above = seen.value > target
    jump = int(np.argmax(above[:-1] != above[1:]))
    left, right = free.values(seen.u[jump : jump + 2])
    return what + (
        f"it jumps from {seen.value[jump]:.6g} to {seen.value[jump + 1]:.6g} between "
        f"{left:.6g} and {right:.6g}"
    )
