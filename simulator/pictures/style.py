"""One house style: theory is a line, simulation is points with error bars.

Pictures are functions of results only: nothing is computed here. Colours are safe for the
colour-blind (Okabe-Ito for categories, a truncated cividis for ordered values), and sizes are
chosen for a README column.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
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


def colours(values: Sequence[Any]) -> list[Any]:
    """One colour per series: ordered for more than two numbers, categorical otherwise."""
    numeric = all(isinstance(v, (int, float, np.number)) for v in values)
    if numeric and len(values) > 2:
        ramp = mpl.colormaps["cividis"]
        return [ramp(0.92 * i / (len(values) - 1)) for i in range(len(values))]
    return [OKABE_ITO[i % len(OKABE_ITO)] for i in range(len(values))]


def theory_line(axes: Axes, x: Any, y: Any, colour: Any, label: str | None = None, **style: Any):
    """Theory: a solid line, broken where it is infinite."""
    y = np.where(np.isfinite(y), y, np.nan)
    return axes.plot(x, y, color=colour, label=label, zorder=2, **style)[0]


def simulation_points(
    axes: Axes, x: Any, mean: Any, standard_error: Any, colour: Any, label: str | None = None
):
    """Simulation: points with error bars of two standard errors."""
    mean, error = np.asarray(mean), np.asarray(standard_error)
    return axes.errorbar(
        x,
        mean,
        yerr=2 * error,
        fmt="o",
        color=colour,
        markeredgecolor="white",
        markeredgewidth=0.5,
        elinewidth=1.2,
        capsize=2,
        label=label,
        zorder=3,
    )


def slope_guide(
    axes: Axes, x: tuple[float, float], y_start: float, slope: float, text: str
) -> None:
    """A dotted power law with its predicted exponent written below it: guides lie under curves."""
    ends = np.array(x, dtype=float)
    y = y_start * (ends / ends[0]) ** slope
    axes.plot(ends, y, color="#444444", linestyle=":", linewidth=1.4, zorder=1)
    middle = math.sqrt(ends[0] * ends[1])
    axes.annotate(
        text,
        (middle, y_start * (middle / ends[0]) ** slope),
        textcoords="offset points",
        xytext=(-2, -3),
        ha="right" if slope < 0 else "left",
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
        Line2D([], [], color="#555555"),
        Line2D([], [], color="#555555", marker="o", linestyle="none", markeredgecolor="white"),
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
