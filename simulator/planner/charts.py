"""The pictures of a report, as SVG, drawn from the numbers of `curves` alone."""

import io
import math
import re
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from simulator.pictures import KEY, below, colours, few_log_ticks, house_style, panels, theory_line

BLUE, ORANGE = "#0072B2", "#D55E00"
SHADES = {"0.95": 0.18, "0.8": 0.3}
LABELS = {"params": "parameters", "tokens": "tokens", "flop": "FLOP"}
CAPTIONS = {
    "frontier": "Loss against compute: runs, held-out ones ringed, and the loss of compute-optimal "
    "models with its 95 % band.",
    "isoflop": "Loss against the size of the model at fixed budgets, thick where it is within a "
    "thousandth of the optimum; the best size with its 95 % interval.",
    "ratio": "Optimal tokens per parameter with 80 and 95 % bands; what the table covers is "
    "shaded.",
    "influence": "Tokens per parameter at ten times the largest budget, without the largest "
    "losses.",
    "drift": "The exponent a of the optimal size, from the runs up to each budget: a slope is a "
    "drift.",
    "loss": "Loss against its first column: runs, the law with its 95 % band, and its floors "
    "(dotted).",
    "exchange-rate": "What one more synthetic token is worth, in real ones, with its 95 % band.",
    "residuals": "What the law leaves, against {}: a trend is a misfit.",
    "profile": "Profile of {}: values below the dashed line are not excluded at 95 %.",
    "profile-ratio": "Profile of tokens per parameter at ten times the largest budget.",
}


def charts(numbers: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    """Name, caption and SVG of each picture."""
    return [
        {"name": name, "caption": _caption(name), "svg": _svg(name, given)}
        for name, given in numbers.items()
    ]


def _kind(name: str) -> str:
    return name if name in DRAWN else name.partition("-")[0]


def _caption(name: str) -> str:
    subject = name.partition("-")[2]
    return CAPTIONS.get(name, CAPTIONS[_kind(name)]).format(LABELS.get(subject, subject))


def _svg(name: str, given: dict[str, Any]) -> str:
    """A panel as SVG, whose ids are its own on the page and whose text is text."""
    with house_style(), mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure, (axes,) = panels(1)
        DRAWN[_kind(name)](axes, given, name.partition("-")[2])
        for axis in (axes.xaxis, axes.yaxis):
            _plain_ticks(axis)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{name}-", text)


def _plain_ticks(axis: Any) -> None:
    """Plain numbers on logarithmic axes of less than two decades, in even steps below one."""
    low, high = sorted(axis.get_view_interval())
    if axis.get_scale() != "log" or high > 100 * low:
        return
    few_log_ticks(axis)
    if high < 10 * low:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))


def _legend(axes: Any) -> None:
    """Below the panel, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    below(axes.figure, dict(zip(labels, handles, strict=True)))


def _banded(axes: Any, band: dict[str, Any], colour: str, shade: float) -> None:
    if not math.isnan(band["low"][0]):
        axes.fill_between(band["x"], band["low"], band["high"], color=colour, alpha=shade,
                          linewidth=0)  # fmt: skip


def _frontier(axes: Any, given: dict[str, Any], _: str) -> None:
    runs = {name: np.asarray(values) for name, values in given["runs"].items()}
    points = axes.scatter(runs["flop"], runs["loss"], c=np.log10(runs["params"]), s=14,
                          cmap="viridis", zorder=3)  # fmt: skip
    axes.figure.colorbar(points, ax=axes, label="log10 parameters")
    held = runs["held_out"].astype(bool)
    if held.any():
        axes.scatter(runs["flop"][held], runs["loss"][held], s=60, facecolors="none",
                     edgecolors=ORANGE, linewidths=1.0, zorder=4, label="held out")  # fmt: skip
        axes.legend(loc="upper right")
    _banded(axes, given["optimal"], KEY, SHADES["0.95"])
    theory_line(axes, given["optimal"]["x"], given["optimal"]["value"], KEY)
    axes.set(xscale="log", yscale="log", xlabel="FLOP", ylabel="loss")


def _isoflop(axes: Any, given: dict[str, Any], _: str) -> None:
    budgets = given["budgets"]
    for one, colour in zip(budgets, colours([float(b["flop"]) for b in budgets]), strict=True):
        params, loss = np.asarray(one["params"]), np.asarray(one["loss"])
        flat, best = np.asarray(one["flat"]), one["best"]
        theory_line(axes, params, loss, colour, f"{one['flop']:.1g} FLOP")
        axes.plot(params[flat], loss[flat], color=colour, linewidth=4.5, solid_capstyle="round")
        axes.plot(best["value"], best["x"], "D", color=KEY, markersize=4, zorder=4)
        if not math.isnan(best["low"][0]):
            axes.hlines(best["x"], best["low"], best["high"], color=KEY, linewidth=1.2, zorder=4)
    axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="loss")
    _legend(axes)


def _ratio(axes: Any, given: dict[str, Any], _: str) -> None:
    axes.axhspan(*given["table"]["ratio"], color="#56B4E9", alpha=0.12, linewidth=0)
    axes.axvspan(*given["table"]["flop"], color="#56B4E9", alpha=0.12)
    for level, shade in SHADES.items():
        _banded(axes, given["bands"][level], KEY, shade)
    band = given["bands"]["0.95"]
    theory_line(axes, band["x"], band["value"], KEY)
    if "decision" in given:
        axes.plot(given["decision"]["x"], given["decision"]["value"], "D", color=ORANGE)
    axes.set(xscale="log", yscale="log", xlabel="FLOP", ylabel="tokens per parameter")


def _influence(axes: Any, given: dict[str, Any], _: str) -> None:
    worst, rest = given["largest"], given["clusters"]
    axes.plot(range(len(worst)), worst, "o-", color=BLUE, label="largest losses")
    if len(rest):
        x = np.linspace(0, len(worst) - 1, len(rest))
        axes.plot(x, rest, ".", color=ORANGE, label=f"each of {len(rest)} clusters")
    axes.set(xlabel="largest losses left out", ylabel="tokens per parameter")
    _legend(axes)


def _drift(axes: Any, given: dict[str, Any], _: str) -> None:
    points = given["points"]
    axes.plot([p["flop"] for p in points], [p["a"] for p in points], "o-", color=BLUE)
    axes.set(xlabel="largest budget that is fitted", ylabel="a")
    if len(points) > 1:
        axes.set_xscale("log")


def _by_series(axes: Any, given: dict[str, Any], _: str) -> None:
    series, by = given["series"], given["by"]
    for one, colour in zip(series, colours([float(s["value"]) for s in series]), strict=True):
        label = f"{by.replace('_', ' ')} {one['value']:g}" if by else None
        axes.plot(one["runs"]["x"], one["runs"]["loss"], "o", color=colour, label=label)
        _banded(axes, one["law"], colour, SHADES["0.95"])
        theory_line(axes, one["law"]["x"], one["law"]["value"], colour)
        if "floor" in one:
            axes.axhline(one["floor"], color=colour, linestyle=":", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel=given["x"], ylabel="loss")
    if by:
        _legend(axes)


def _exchange_rate(axes: Any, given: dict[str, Any], _: str) -> None:
    rate = given["rate"]
    _banded(axes, rate, KEY, SHADES["0.95"])
    theory_line(axes, rate["x"], rate["value"], KEY)
    axes.axhline(0, color=ORANGE, linestyle="--", linewidth=1)
    label = f"synthetic tokens beside {given['real_tokens']:.3g} real ones"
    axes.set(xscale="log", xlabel=label, ylabel="real tokens per synthetic one")


def _residuals(axes: Any, given: dict[str, Any], role: str) -> None:
    runs = given["runs"]
    axes.axhline(0, color=KEY, linewidth=1)
    axes.scatter(runs["x"], runs["percent"], c=runs["cluster"], cmap="viridis", s=14)
    axes.set(xscale="log", xlabel=LABELS[role], ylabel="loss above the law, %")


def _profile(axes: Any, given: dict[str, Any], name: str) -> None:
    axes.plot(given["x"], given["F"], "o-", color=BLUE)
    axes.axhline(given["threshold"], color=ORANGE, linestyle="--")
    axes.set(ylabel="F", ylim=(0, 4 * given["threshold"]))
    if name == "ratio":
        axes.set(xscale="log", xlabel="tokens per parameter")
    else:
        axes.set(xlabel=name)


DRAWN = {
    "frontier": _frontier,
    "isoflop": _isoflop,
    "ratio": _ratio,
    "influence": _influence,
    "drift": _drift,
    "loss": _by_series,
    "exchange-rate": _exchange_rate,
    "residuals": _residuals,
    "profile": _profile,
}
