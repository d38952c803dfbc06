"""One house style: theory is a line, simulation is points with error bars.

Pictures are functions of results only: nothing is computed here. Colours are safe for the
colour-blind (Okabe-Ito for categories, a truncated viridis for ordered values), markers and dashes
tell series apart without any colour, and sizes are chosen for a README column.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
DASHES: tuple[Any, ...] = ("-", (0, (7, 1.5)), (0, (4, 1.2)), (0, (6, 1.2, 1.5, 1.2)), (0, (2, 1)))
PANEL = (4.3, 3.4)  # inches
LEGEND_WIDTH = 2.3
DPI = 130
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "savefig.dpi": DPI,
    "figure.dpi": DPI,
}


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """The style, for the duration of a ``with`` block."""
    with mpl.rc_context(STYLE):
        yield


def panels(
    columns: int, rows: int = 1, title: str = "", legend_beside: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels and its axes, row by row; call it inside :func:`house_style`.

    ``legend_beside`` leaves room for a legend right of the last panel.
    """
    width = PANEL[0] * columns + (LEGEND_WIDTH if legend_beside else 0.0)
    figure = Figure(figsize=(width, PANEL[1] * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    if title:
        figure.suptitle(title, fontsize=11.5)
    return figure, axes


def colours(values: Sequence[Any], first: int = 0) -> list[Any]:
    """One colour per series: ordered for more than two numbers, categorical otherwise.

    ``first`` skips so many of the categorical ones.
    """
    numeric = all(isinstance(v, (int, float, np.number)) for v in values)
    if numeric and len(values) > 2:
        ramp = mpl.colormaps["viridis"]
        return [ramp(0.85 * i / (len(values) - 1)) for i in range(len(values))]
    return [OKABE_ITO[(first + i) % len(OKABE_ITO)] for i in range(len(values))]


def theory_line(
    axes: Axes,
    x: Any,
    y: Any,
    colour: Any,
    label: str | None = None,
    *,
    order: int = 0,
    **style: Any,
) -> Line2D:
    """Theory: a line, broken where it is infinite; ``order`` chooses its dashes."""
    y = np.where(np.isfinite(y), y, np.nan)
    options = {"linestyle": DASHES[order % len(DASHES)], "zorder": 2} | style
    return axes.plot(x, y, color=colour, label=label, **options)[0]


def simulation_points(
    axes: Axes,
    x: Any,
    mean: Any,
    standard_error: Any,
    colour: Any,
    label: str | None = None,
    *,
    order: int = 0,
) -> Any:
    """Simulation: points with error bars of two standard errors; ``order`` chooses the marker."""
    mean, error = np.asarray(mean), np.asarray(standard_error)
    return axes.errorbar(
        x,
        mean,
        yerr=2 * error,
        fmt=MARKERS[order % len(MARKERS)],
        color=colour,
        markeredgecolor="white",
        markeredgewidth=0.5,
        elinewidth=1.2,
        capsize=2,
        label=label,
        zorder=3,
    )


class Guide(NamedTuple):
    """A power law to compare with: from ``x[0]`` to ``x[1]``, starting at ``y``."""

    x: tuple[float, float]
    y: float
    slope: float
    text: str


def slope_guide(axes: Axes, guide: Guide) -> None:
    """A dotted power law with its predicted exponent written below it: guides lie under curves."""
    ends = np.array(guide.x, dtype=float)
    y = guide.y * (ends / ends[0]) ** guide.slope
    axes.plot(ends, y, color="#444444", linestyle=":", linewidth=1.4, zorder=1)
    middle = math.sqrt(ends[0] * ends[1])
    axes.annotate(
        guide.text,
        (middle, guide.y * (middle / ends[0]) ** guide.slope),
        textcoords="offset points",
        xytext=(-2, -3),
        ha="right" if guide.slope < 0 else "left",
        va="top",
        fontsize=8.5,
        color="#444444",
    )


def mark_minimum(axes: Axes, x: Any, y: Any, colour: Any) -> None:
    """A hollow diamond at the minimum of a theory curve."""
    best = int(np.nanargmin(y))
    axes.plot(
        np.asarray(x)[best],
        np.asarray(y)[best],
        marker="D",
        markersize=6,
        markerfacecolor="white",
        markeredgecolor=colour,
        markeredgewidth=1.5,
        linestyle="none",
        zorder=4,
    )


def kinds_legend(axes: Axes, beside: bool = False, **options: Any) -> None:
    """The axes' legend, with what lines and points mean; ``beside`` puts it right of the axes."""
    if beside:
        options |= {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
    handles, labels = axes.get_legend_handles_labels()
    handles += [
        Line2D([], [], color="black"),
        Line2D([], [], color="black", marker="o", linestyle="none", markeredgecolor="white"),
    ]
    axes.legend(handles, labels + ["theory", "simulation ± 2 s.e."], **options)


def few_log_ticks(axis: Any) -> None:
    """Label 1, 2 and 5 of every decade as plain numbers: for axes of less than two decades."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def readable(name: str) -> str:
    """``test_error`` -> ``test error``."""
    return name.replace("_", " ")


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, making its folder if needed; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
