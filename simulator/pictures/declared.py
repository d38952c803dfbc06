"""The figures that studies declare: one sweep each, drawn in the house style."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure as MatplotlibFigure

from simulator import checks
from simulator.parameters import suggestion
from simulator.pictures import style as plot
from simulator.store.sweep import sweep_study
from simulator.study import Figure, Study

FINE = 8  # theory points per interval between simulated ones


def save_figures(
    study: Study,
    only: str | None,
    folder: str | Path,
    *,
    replicates: int | None = None,
    seed: int = 0,
) -> Iterator[Path]:
    """Draw one declared figure (or all); yield the path of each PNG as it is written.

    Raises
    ------
    ValueError
        If the study has no figure of that name.
    """
    if only is not None:
        checks.text("only", only, "the name of a figure")
    folder = checks.path("folder", folder, "a folder")
    if replicates is not None:
        checks.whole("replicates", replicates, 1)
    checks.seed(seed)
    if only is not None and only not in study.figures:
        raise ValueError(
            f"{study.name} has no figure {only!r}{suggestion(only, list(study.figures))} "
            f"(it has {', '.join(study.figures) or 'none'})"
        )
    names = study.figures if only is None else [only]
    for name in names:
        drawn = draw(study, study.figures[name], replicates=replicates, seed=seed)
        yield plot.save(drawn, folder / f"{study.name.replace('.', '-')}-{name}.png")


def draw(
    study: Study, figure: Figure, *, replicates: int | None = None, seed: int = 0
) -> MatplotlibFigure:
    """Run the figure's sweep and draw it, one panel per output."""
    count = figure.replicates if replicates is None else replicates
    simulated = sweep_study(study, figure.grid, replicates=count, seed=seed, **figure.params)
    fine = simulated
    if figure.x in figure.grid and not study.declarations[figure.x].static and study.theory:
        axis = _finer(study, figure)
        fine = sweep_study(study, {**figure.grid, figure.x: axis}, replicates=0, **figure.params)
    with plot.house_style():
        drawn, panels = plot.panels(len(figure.y), title=figure.title, legend_beside=True)
        for axes, output in zip(panels, figure.y, strict=True):
            _panel(axes, study, figure, output, fine, simulated)
        plot.kinds_legend(panels[-1], beside=True)
        return drawn


def _finer(study: Study, figure: Figure) -> list[Any]:
    """The x axis of the theory: the simulated points and more between them."""
    values = np.asarray(figure.grid[figure.x], dtype=float)
    if not np.all(np.isfinite(values)):
        return list(figure.grid[figure.x])
    warp, back = (np.log, np.exp) if figure.xscale == "log" else (np.asarray, np.asarray)
    position = np.linspace(0, len(values) - 1, FINE * (len(values) - 1) + 1)
    axis = back(np.interp(position, np.arange(len(values)), warp(values)))
    axis[::FINE] = values
    parameter = study.declarations[figure.x]
    if parameter.type == "int" or parameter.integer:
        return list(dict.fromkeys(np.rint(axis).astype(int).tolist()))
    return list(dict.fromkeys(axis.tolist()))


def _panel(
    axes: Any,
    study: Study,
    figure: Figure,
    output: str,
    fine: xr.DataTree,
    simulated: xr.DataTree,
) -> None:
    values: Sequence[Any] = figure.grid[figure.series] if figure.series else [None]
    for value, colour in zip(values, plot.colours(values), strict=True):
        label = None
        if figure.series is not None:
            symbol = study.declarations[figure.series].symbol
            label = f"{symbol} = {value}" if symbol not in ("", "–") else str(value)
        if "theory" in fine.children and output in fine["theory"].data_vars:
            x, y = _line(fine["theory"].to_dataset()[output], figure, value)
            style = {}
            if _is_heuristic(study, figure, output, value):
                label = "heuristic" if label is None else f"{label} (heuristic)"
                style = {"linestyle": "--"}
            plot.theory_line(axes, x, y, colour, label, **style)
            label = None
        if "mean" in simulated.children and output in simulated["mean"].data_vars:
            x, mean = _line(simulated["mean"].to_dataset()[output], figure, value)
            _, error = _line(simulated["standard_error"].to_dataset()[output], figure, value)
            plot.simulation_points(axes, x, mean, error, colour, label)
    declared = study.declarations.get(figure.x)
    axes.set(
        xscale=figure.xscale,
        yscale=figure.yscale,
        xlabel=f"{plot.readable(figure.x)} {declared.symbol}" if declared else figure.x,
        ylabel=plot.readable(output),
    )


def _is_heuristic(study: Study, figure: Figure, output: str, value: Any) -> bool:
    """Does the study state no relation between this theory and the simulation beside it?"""
    declared = study.output(output)
    point = {name: values[0] for name, values in figure.grid.items()} | dict(figure.params)
    if figure.series is not None:
        point[figure.series] = value
    relation = declared.relation_at(study.params(**study.canonical(point)))
    return declared.in_theory and declared.in_simulation and relation.kind == "none"


def _line(array: xr.DataArray, figure: Figure, value: Any) -> tuple[np.ndarray, np.ndarray]:
    chosen = array if figure.series is None else array.sel({figure.series: value})
    chosen = chosen.squeeze(drop=True)
    if chosen.dims != (figure.x,):
        raise ValueError(f"a figure of {array.name} over {figure.x} cannot draw dims {chosen.dims}")
    x = chosen[figure.x].values if figure.x in chosen.coords else np.arange(chosen.size)
    return x, chosen.values
