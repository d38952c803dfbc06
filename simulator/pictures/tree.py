"""What a sweep has found, drawn: theory as lines, simulation as points."""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from simulator import checks
from simulator.pictures import style
from simulator.spelling import suggestion

if TYPE_CHECKING:
    import xarray as xr

MOST_SERIES = 12
SIDES = ("theory", "mean", "standard_error")


def draw_tree(
    tree: "xr.DataTree", output: str | None, *, x: str | None, xscale: Any, yscale: Any
) -> Figure:
    """One panel: an output against ``x``, a line for every combination of its other dims."""
    groups = {side: tree[side].data_vars for side in SIDES if side in tree.children}
    names = list(dict.fromkeys(str(name) for members in groups.values() for name in members))
    if not names:
        raise ValueError("the tree holds no sweep: it has no theory, mean or standard_error")
    name = _one_of("output", names[0] if output is None else output, names)
    arrays = {side: members[name] for side, members in groups.items() if name in members}
    shape = next(iter(arrays.values()))
    dims = [str(dim) for dim in shape.dims]
    if not dims:
        raise ValueError(f"{name} is a single number: sweep over a parameter to draw it")
    numeric = [dim for dim in dims if np.issubdtype(shape[dim].dtype, np.number)]
    longest = max(numeric or dims, key=lambda dim: shape.sizes[dim])
    along = _one_of("x", longest if x is None else x, dims)
    others = [dim for dim in dims if dim != along]
    series = list(itertools.product(*(range(shape.sizes[dim]) for dim in others)))
    if len(series) > MOST_SERIES:
        raise ValueError(
            f"{name} against {along} would be {len(series)} lines, one for every combination of "
            f"{', '.join(others)}: select some, as in tree.sel({others[0]}=...), or give another x"
        )
    with style.house_style():
        figure, (axes,) = style.panels(1, title=str(tree.attrs.get("study", "")))
        numbers = [shape[others[0]].values[i].item() for (i,) in series] if len(others) == 1 else []
        colours = style.colours(numbers or [str(s) for s in series])
        for order, (position, colour) in enumerate(zip(series, colours, strict=True)):
            at = dict(zip(others, position, strict=True))
            mine = {side: array[at] for side, array in arrays.items()}
            label = ", ".join(_label(shape, dim, i) for dim, i in at.items()) or None
            places = shape[along].values
            if "theory" in mine:
                style.theory_line(axes, places, mine["theory"], colour, label, order=order)
                label = None
            if "mean" in mine:
                error = mine.get("standard_error", np.nan * mine["mean"])
                style.simulation_points(
                    axes, places, mine["mean"], error, colour, label, order=order
                )
        values = np.concatenate([np.ravel(arrays[s]) for s in ("theory", "mean") if s in arrays])
        axes.set(
            xlabel=_title(shape[along], along),
            ylabel=style.readable(name),
            xscale=_scale("xscale", xscale, shape[along].values),
            yscale=_scale("yscale", yscale, values),
        )
        style.log_ticks(axes)
        style.kinds_legend(figure, simulated="mean" in arrays, theory="theory" in arrays)
    return figure


def _one_of(argument: str, value: str, allowed: list[str]) -> str:
    if value not in allowed:
        words = checks.refusal(argument, value, f"one of {', '.join(allowed)}")
        raise ValueError(words + (suggestion(value, allowed) if isinstance(value, str) else ""))
    return value


def _label(array: Any, dim: str, position: int) -> str:
    value = array[dim].values[position].item()
    symbol = array[dim].attrs.get("symbol", dim)
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return shown if symbol == "–" else f"{symbol} = {shown}"


def _title(coordinate: Any, name: str) -> str:
    return f"{style.readable(name)} {coordinate.attrs.get('symbol', '')}".rstrip(" –")


def _scale(argument: str, given: Any, values: np.ndarray) -> str:
    """Logarithmic where values are positive and span more than a decade."""
    if given is not None:
        return _one_of(argument, given, ["linear", "log"])
    if not np.issubdtype(np.asarray(values).dtype, np.number):
        return "linear"
    finite = np.asarray(values, float)[np.isfinite(np.asarray(values, float))]
    wide = finite.size > 0 and finite.min() > 0 and finite.max() > 10 * finite.min()
    return "log" if wide else "linear"
