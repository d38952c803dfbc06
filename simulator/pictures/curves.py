"""Theory as lines, simulation as points: the one road from a study to a picture.

A curve is a list of cells along one parameter. All curves of a call are computed together, so that
they share programs and batches, whatever varies between them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from simulator.engine.progress import reported
from simulator.engine.results import estimates
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.theory import theory_of_cells
from simulator.pictures import style
from simulator.registry import get
from simulator.study import Output, Study, Unrelated

SMOOTH = 120  # points of a theory line, at least: bends and peaks show no corners
FINE = 8  # and at least so many per interval between simulated points
Along = Mapping[str, Callable[[Any], Any]]


@dataclass(frozen=True)
class Curve:
    """What was drawn of one output for one series; None where there is no such side.

    Attributes
    ----------
    line, theory : x and y of the line
    points, mean, standard_error : x, y and error of the points
    """

    label: str | None
    colour: Any
    line: np.ndarray
    theory: np.ndarray | None
    points: np.ndarray
    mean: np.ndarray | None
    standard_error: np.ndarray | None


def against(
    axes: Axes | Sequence[Axes],
    study: str | Study,
    *,
    x: Mapping[str, Sequence[Any]] | str,
    y: str | Sequence[str],
    series: Mapping[str, Any] | None = None,
    along: Along | None = None,
    at: Mapping[str, int] | None = None,
    guides: Sequence[style.Guide] = (),
    mark: str | None = None,
    first: int = 0,
    smooth: int = SMOOTH,
    xscale: str = "log",
    yscale: str = "log",
    replicates: int = 100,
    seed: int = 0,
    method: str | None = None,
    **params: Any,
) -> list[list[Curve]]:
    """Draw outputs of a study against a parameter, or along a dim that the outputs have.

    Parameters
    ----------
    axes : one for each output of ``y``
    study : str or Study
    x : {parameter: simulated values}, or the name of an output dim
        Theory is drawn on a finer grid of the parameter.
    y : output, or several
    series : optional
        What distinguishes the curves: ``{parameter: [values]}``, labelled by the parameter's
        symbol, or ``{label: {parameter: value}}``.
    along : {parameter: function of x}, optional
        Parameters that move with ``x``.
    at : {dim: position}, optional
        The entry of other output dims.
    guides : power laws drawn under the curves, each a `Guide`
    mark : "minimum", optional
        Mark the minimum of every theory curve.
    first : int
        Colours, dashes and markers start with this one: for curves drawn call by call.
    smooth : int
        Points of a theory line, at least.
    replicates : int
        0 draws the theory alone.
    **params : other parameters

    Returns
    -------
    list (outputs) of lists (series) of Curve
    """
    study = get(study)
    outputs = [y] if isinstance(y, str) else list(y)
    panels = [axes] if isinstance(axes, Axes) else list(axes)
    named = _named_series(study, series)
    curves = _curves(
        study, outputs, x, named, along or {}, at or {}, xscale, first, smooth, params,
        replicates=replicates, seed=seed, method=method,
    )  # fmt: skip
    for panel, output, mine in zip(panels, outputs, curves, strict=True):
        for order, curve in enumerate(mine, start=first):
            _draw(panel, curve, order, mark)
        for guide in guides:
            style.slope_guide(panel, guide)
        panel.set(
            xscale=xscale,
            yscale=yscale,
            xlabel=_axis_label(study, x),
            ylabel=style.readable(output),
        )
        style.log_ticks(panel)
    return curves


def _named_series(study: Study, series: Mapping[str, Any] | None) -> dict[str | None, dict]:
    if series is None:
        return {None: {}}
    if len(series) == 1:
        ((name, values),) = series.items()
        if name in study.declarations and not isinstance(values, Mapping):
            symbol = study.declarations[name].symbol
            return {
                (f"{symbol} = {_shown(v)}" if symbol not in ("", "–") else str(v)): {name: v}
                for v in values
            }
    return {label: dict(mine) for label, mine in series.items()}


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float, np.number)) else str(value)


def _axis_label(study: Study, x: Mapping[str, Any] | str) -> str:
    name = x if isinstance(x, str) else next(iter(x))
    declared = study.declarations.get(name)
    return f"{style.readable(name)} {declared.symbol}" if declared else style.readable(name)


# --------------------------------------------------------------------------------------------
# Computing
# --------------------------------------------------------------------------------------------
def _curves(
    study: Study,
    outputs: Sequence[str],
    x: Mapping[str, Sequence[Any]] | str,
    named: Mapping[str | None, Mapping[str, Any]],
    along: Along,
    at: Mapping[str, int],
    xscale: str,
    first: int,
    smooth: int,
    params: Mapping[str, Any],
    *,
    replicates: int,
    seed: int,
    method: str | None,
) -> list[list[Curve]]:
    dim = x if isinstance(x, str) else None
    name, values = (None, [None]) if isinstance(x, str) else next(iter(x.items()))
    fine = [None] if name is None else _finer(study, name, values, xscale, smooth)

    def cells(grid: Sequence[Any]) -> list[list[dict[str, Any]]]:
        return [
            [
                study.canonical(
                    {**params, **mine}
                    | ({} if name is None else {name: value})
                    | {other: rule(value) for other, rule in along.items()}
                )
                for value in grid
            ]
            for mine in named.values()
        ]

    theory = _theory(study, cells(fine)) if study.theory is not None else None
    found = None
    if replicates and study.methods():
        found = _simulated(study, cells(values), replicates, seed, method)
    colours = style.colours(_ordered_values(named), first)
    result = []
    for output in outputs:
        declared = study.output(output)
        pick = tuple(slice(None) if d == dim else at.get(d, 0) for d in declared.dims)
        mine = []
        for position, (label, colour) in enumerate(zip(named, colours, strict=True)):
            line, drawn = _read(theory, position, output, pick, fine, dim, declared.in_theory)
            points, mean = _read(found and found[0], position, output, pick, values, dim,
                                 declared.in_simulation)  # fmt: skip
            _, error = _read(found and found[1], position, output, pick, values, dim,
                             declared.in_simulation)  # fmt: skip
            if dim is not None and dim in study.coordinates:
                cell = study.params(**cells(values)[position][0])
                places = np.asarray(study.coordinates[dim](cell))
                line, points = places[: len(line)], places[: len(points)]
            if (
                drawn is not None
                and declared.in_simulation
                and _is_heuristic(study, declared, cells(values)[position][0])
            ):
                label = "heuristic" if label is None else f"{label} (heuristic)"
            mine.append(Curve(label, colour, line, drawn, points, mean, error))
        result.append(mine)
    return result


def _is_heuristic(study: Study, output: Output, cell: Mapping[str, Any]) -> bool:
    """Does the study state no relation between this theory and the simulation beside it?"""
    return isinstance(output.relation_at(study.params(**cell)), Unrelated)


def _theory(study: Study, cells: list[list[dict]]) -> list[list[Mapping[str, np.ndarray]]]:
    flat = theory_of_cells(study, [cell for row in cells for cell in row])
    return _rows(flat, cells)


def _simulated(
    study: Study, cells: list[list[dict]], replicates: int, seed: int, method: str | None
) -> tuple[list, list]:
    setting = checked_setting(study, method=method, seed=seed)
    flat = [cell for row in cells for cell in row]
    run = Run(study, flat, setting)
    with reported(study.name, run.work(replicates)) as progress:
        run.extend(replicates, progress=progress)
    every = [estimates(study, run.summary(i)) for i in range(len(flat))]
    return tuple(  # type: ignore[return-value]  # of two
        _rows([{name: e[part] for name, e in cell.items()} for cell in every], cells)
        for part in (0, 1)
    )


def _rows(flat: Sequence[Any], cells: list[list[dict]]) -> list[list[Any]]:
    ends = np.cumsum([len(row) for row in cells])
    return [list(flat[end - len(row) : end]) for row, end in zip(cells, ends, strict=True)]


def _read(
    rows: Any, position: int, output: str, pick: tuple, grid: Sequence[Any], dim: str | None,
    there: bool,
) -> tuple[np.ndarray, np.ndarray | None]:  # fmt: skip
    """x and y of one curve."""
    if rows is None or not there:
        return np.asarray(grid), None
    values = [np.asarray(cell[output])[pick] for cell in rows[position]]
    if dim is None:
        return np.asarray(grid), np.asarray(values)
    return np.arange(len(values[0])), values[0]


def _finer(study: Study, name: str, values: Sequence[Any], scale: str, smooth: int) -> list[Any]:
    """The simulated points and more between them."""
    parameter = study.declarations[name]
    points = np.asarray(values, dtype=float)
    if not np.all(np.isfinite(points)) or len(points) < 2:
        return list(values)
    warp, back = (np.log, np.exp) if scale == "log" and points.min() > 0 else (np.array, np.array)
    fine = max(FINE, math.ceil(smooth / (len(points) - 1)))
    position = np.linspace(0, len(points) - 1, fine * (len(points) - 1) + 1)
    axis = back(np.interp(position, np.arange(len(points)), warp(points)))
    axis[::fine] = points
    if parameter.type == "int" or parameter.integer:
        axis = np.rint(axis).astype(int)
    return list(dict.fromkeys(axis.tolist()))


def _ordered_values(named: Mapping[str | None, Mapping[str, Any]]) -> list[Any]:
    """Numbers if the series are values of one number, their labels otherwise."""
    first = [next(iter(mine.values()), None) for mine in named.values()]
    numeric = all(len(mine) == 1 for mine in named.values()) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) for v in first
    )
    return first if numeric else list(named)


# --------------------------------------------------------------------------------------------
# Drawing
# --------------------------------------------------------------------------------------------
def _draw(axes: Axes, curve: Curve, order: int, mark: str | None) -> None:
    label = curve.label
    if curve.theory is not None:
        style.theory_line(axes, curve.line, curve.theory, curve.colour, label, order=order)
        label = None
        if mark == "minimum":
            style.mark_minimum(axes, curve.line, curve.theory, curve.colour)
    if curve.mean is not None:
        style.simulation_points(
            axes, curve.points, curve.mean, curve.standard_error, curve.colour, label, order=order
        )
