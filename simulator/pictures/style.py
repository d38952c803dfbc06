"""One house style: theory is a line, simulation is points with error bars.

Pictures are functions of results only: nothing is computed here. Colours are safe for the
colour-blind (Okabe-Ito for categories, a truncated viridis for ordered values), and dashes and
markers tell series apart without any colour. A single panel is as wide as a column of a table of
two, several panels are as wide as the page (`COLUMN`, `PAGE`): text keeps one size, and legends
stand below, where they take no width.
"""

import contextlib
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
KEY = "#333333"  # what belongs to no series: the keys of the legend, guides, notes
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
DASHES: tuple[Any, ...] = ("-", (0, (7, 1.5)), (0, (4, 1.2)), (0, (6, 1.2, 1.5, 1.2)), (0, (2, 1)))
COLUMN, PAGE = 4.6, 9.4  # inches
HEIGHT = 3.3  # of a panel
SMALL = 9.0  # points, the smallest text
DPI = 180
#: Written into each PNG: the size in points of its smallest text.
SMALLEST_TEXT = "Smallest text"
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "figure.titlesize": 11,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.4,
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
    columns: int, rows: int = 1, title: str = "", *, wide: bool = False, height: float = HEIGHT
) -> tuple[Figure, list[Axes]]:
    """A figure of equal panels and its axes, row by row; call it inside :func:`house_style`.

    A single panel is a column wide, unless it is ``wide`` as the page, as several are.
    """
    width = PAGE if wide or columns > 1 else COLUMN
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    if title:
        figure.suptitle(_wrapped(title, width, 11))
    return figure, axes


def _wrapped(text: str, width: float, size: float) -> str:
    """Text in lines that fit: a letter is about half as wide as it is high."""
    return textwrap.fill(text, int(0.95 * width * 72 / (0.52 * size)))


def colours(values: Sequence[Any], first: int = 0) -> list[Any]:
    """One colour per series: ordered for more than two numbers, categorical otherwise.

    ``first`` skips so many of the categorical ones.
    """
    numeric = all(isinstance(v, (int, float, np.number)) for v in values)
    if numeric and len(values) > 2:
        ramp = mpl.colormaps["viridis"]
        return [ramp(0.02 + 0.84 * i / (len(values) - 1)) for i in range(len(values))]
    hues = OKABE_ITO[:-1]  # black is nobody's: it looks like the keys of a legend
    return [hues[(first + i) % len(hues)] for i in range(len(values))]


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
    axes.plot(ends, y, color=KEY, linestyle=":", linewidth=1.4, zorder=1)
    middle = math.sqrt(ends[0] * ends[1])
    axes.annotate(
        guide.text,
        (middle, guide.y * (middle / ends[0]) ** guide.slope),
        textcoords="offset points",
        xytext=(-2, -3),
        ha="right" if guide.slope < 0 else "left",
        va="top",
        fontsize=SMALL,
        color=KEY,
    )


def note(axes: Axes, text: str, place: tuple[float, float] = (0.02, 0.03), **options: Any) -> None:
    """A remark inside a panel, at a place given as shares of its width and height."""
    style: dict[str, Any] = {"xycoords": "axes fraction", "fontsize": SMALL, "color": KEY}
    axes.annotate(text, place, **style | options)


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


def kinds_legend(
    where: Figure | Axes,
    *,
    theory: bool = True,
    simulated: bool = True,
    caption: str = "",
    **options: Any,
) -> None:
    """The series, and what lines and points mean: one legend below all panels, or in one panel.

    ``caption`` is what else there is to say, below the panels and above the keys.
    """
    entries: dict[str, Any] = {}
    for axes in where.axes if isinstance(where, Figure) else [where]:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if theory:
        entries["theory"] = Line2D([], [], color=KEY)
    if simulated:
        points: dict[str, Any] = {"marker": MARKERS[0], "linestyle": "none"}
        entries["simulation ± 2 s.e."] = Line2D(
            [], [], color=KEY, markeredgecolor="white", **points
        )
    if isinstance(where, Figure):
        below(where, entries, caption)
    else:
        where.legend(list(entries.values()), list(entries), **options)


def below(figure: Figure, entries: Mapping[str, Any], caption: str = "") -> None:
    """A legend below the panels, in as many columns as fit, under a caption."""
    if not entries:
        return
    longest = max(len(label.replace("$", "")) for label in entries)
    column = 0.55 + 0.062 * longest  # inches: the handle, and SMALL letters
    columns = max(1, min(len(entries), int(figure.get_figwidth() / column)))
    rows = math.ceil(len(entries) / columns)
    columns = math.ceil(len(entries) / rows)  # as even as can be
    text = _wrapped(caption, figure.get_figwidth(), SMALL)
    figure.legend(
        list(entries.values()),
        list(entries),
        title=text or None,
        title_fontsize=SMALL,
        loc="outside lower center",
        ncols=columns,
    )
    lines = rows + len(text.splitlines())
    figure.set_figheight(figure.get_figheight() + 0.2 * lines)


def log_ticks(axes: Axes) -> None:
    """Readable ticks on logarithmic axes: plain numbers where there are less than two decades."""
    for axis, scale in ((axes.xaxis, axes.get_xscale()), (axes.yaxis, axes.get_yscale())):
        low, high = sorted(axis.get_view_interval())
        if scale != "log":
            continue
        if high < 100 * low:
            few_log_ticks(axis)
        else:
            axis.set_minor_formatter(NullFormatter())


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
    figure.savefig(path, metadata={SMALLEST_TEXT: f"{smallest_text(figure):g}"})
    return path


def smallest_text(figure: Figure) -> float:
    """The size in points of the smallest text that is drawn (superscripts aside)."""
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    return min((float(text.get_fontsize()) for text in texts), default=math.inf)
