"""The pictures of a report, as SVG; nothing is fitted here but what a picture shows."""

import io
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import matplotlib as mpl
import numpy as np

from simulator.pictures import KEY, below, colours, house_style, panels, theory_line
from simulator.planner import optima
from simulator.planner.diagnostics import profile, threshold
from simulator.planner.prediction import predict
from simulator.planner.ratio_profile import ratio_profile
from simulator.planner.solver import residuals
from simulator.planner.verdict import held_out

if TYPE_CHECKING:
    from simulator.planner.decisions import Plan
    from simulator.planner.result import Fit

BLUE, ORANGE = "#0072B2", "#D55E00"
LEVELS = ((0.95, 0.18), (0.8, 0.3))


def charts(fit: "Fit", plan: "Plan | None") -> list[dict[str, str]]:
    """Name, caption and SVG of each picture that the law has."""
    found: list[tuple[str, str, Callable[[Any], None]]] = []
    if optima.has_allocation(fit.law):
        found += _of_allocation(fit, plan)
    else:
        found += _of_columns(fit)
    for role, label in (("params", "parameters"), ("tokens", "tokens"), ("flop", "FLOP")):
        if role in fit.table.columns:
            found.append((f"residuals-{role}", f"What the law leaves, against {label}: a trend "
                          "is a misfit.", _residuals(fit, role, label)))  # fmt: skip
    for index, name in enumerate(fit.law.variables):
        if fit.box.free[index] and not name.startswith("ln ") and not fit.refusal:
            found.append((f"profile-{name}", f"Profile of {name}: values below the dashed line are "
                          "not excluded at 95 %.", _profile(fit, index, name)))  # fmt: skip
    if fit.law.name == "chinchilla" and not fit.refusal:
        found.append(("profile-ratio", "Profile of tokens per parameter at ten times the largest "
                      "budget.", _profile_of_ratio(fit)))  # fmt: skip
    return [{"name": n, "caption": c, "svg": _svg(n, draw)} for n, c, draw in found]


def _svg(name: str, draw: Callable[[Any], None]) -> str:
    """A panel as SVG, whose ids are its own on the page and whose text is text."""
    with house_style(), mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure, (axes,) = panels(1)
        draw(axes)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{name}-", text)


def _legend(axes: Any) -> None:
    """Below the panel, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    below(axes.figure, dict(zip(labels, handles, strict=True)))


# --------------------------------------------------------------------------------------------
# Budgets
# --------------------------------------------------------------------------------------------
def _of_allocation(fit: "Fit", plan: "Plan | None") -> list[Any]:
    return [
        ("frontier", "Loss against compute: runs, held-out ones ringed, and the loss of "
         "compute-optimal models with its 95 % band.", lambda axes: _frontier(fit, axes)),
        ("isoflop", "Loss against the size of the model at fixed budgets; thick where it is within "
         "a thousandth of the optimum.", lambda axes: _isoflop(fit, axes)),
        ("ratio", "Optimal tokens per parameter with 80 and 95 % bands; what the table covers is "
         "shaded.", lambda axes: _ratio(fit, plan, axes)),
        ("influence", "Tokens per parameter at ten times the largest budget, without the largest "
         "losses.", lambda axes: _influence(fit, axes)),
        ("drift", "The exponent a of the optimal size, from the runs up to each budget: a slope is "
         "a drift.", lambda axes: _drift(fit, axes)),
    ]  # fmt: skip


def _flops(fit: "Fit", beyond: float = 10.0) -> np.ndarray:
    flop = fit.table.columns["flop"]
    return np.geomspace(flop.min(), beyond * flop.max(), 41)


def _frontier(fit: "Fit", axes: Any) -> None:
    columns, flops = fit.table.columns, _flops(fit)
    points = axes.scatter(columns["flop"], columns["loss"], c=np.log10(columns["params"]), s=14,
                          cmap="viridis", zorder=3)  # fmt: skip
    axes.figure.colorbar(points, ax=axes, label="log10 parameters")
    held = held_out(fit)[1]
    if held is not None:
        axes.scatter(columns["flop"][held], columns["loss"][held], s=60, facecolors="none",
                     edgecolors=ORANGE, linewidths=1.0, zorder=4, label="held out")  # fmt: skip
        axes.legend(loc="upper right")
    values = fit.values_of(lambda t: optima.optimal_loss(fit, t, flops))
    _banded(axes, flops, {0.95: values})
    axes.set(xscale="log", yscale="log", xlabel="FLOP", ylabel="loss")


def _banded(axes: Any, x: np.ndarray, by_level: dict[float, list[Any]]) -> None:
    for level, alpha in LEVELS:
        values = by_level.get(level)
        if values is not None and not math.isnan(values[0].low):
            low, high = zip(*(v.interval for v in values), strict=True)
            axes.fill_between(x, low, high, color=KEY, alpha=alpha, linewidth=0)
    values = next(iter(by_level.values()))
    theory_line(axes, x, [float(v) for v in values], KEY)


def _isoflop(fit: "Fit", axes: Any) -> None:
    flop = fit.table.columns["flop"]
    budgets = np.geomspace(flop.min(), 10 * flop.max(), 5)
    for budget, colour in zip(budgets, colours(list(map(float, budgets))), strict=True):
        best = float(optima.log_params(fit, fit.theta, budget))
        params = np.exp(np.linspace(best - 2.5, best + 2.5, 101))
        loss = np.asarray(optima.fresh_loss(fit, fit.theta, params, budget / fit.table.k / params))
        theory_line(axes, params, loss, colour, f"{budget:.1g} FLOP")
        flat = loss <= loss.min() * 1.001
        axes.plot(params[flat], loss[flat], color=colour, linewidth=4.5, solid_capstyle="round")
    axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="loss")
    _legend(axes)


def _ratio(fit: "Fit", plan: "Plan | None", axes: Any) -> None:
    columns, flops = fit.table.columns, _flops(fit, 100.0)
    given = columns["tokens"] / columns["params"]
    axes.axhspan(given.min(), given.max(), color="#56B4E9", alpha=0.12, linewidth=0)
    axes.axvspan(columns["flop"].min(), columns["flop"].max(), color="#56B4E9", alpha=0.12)

    def ratio(theta: Any) -> Any:
        return jnp.exp(optima.log_ratio(fit, theta, flops))

    _banded(axes, flops, {level: fit.values_of(ratio, level=level) for level, _ in LEVELS})
    if plan is not None and "flop" in plan.question and "tokens_per_param" in plan.answers:
        value = plan.answers["tokens_per_param"]
        axes.plot(plan.question["flop"], float(value), "D", color=ORANGE)
    axes.set(xscale="log", yscale="log", xlabel="FLOP", ylabel="tokens per parameter")


def _influence(fit: "Fit", axes: Any) -> None:
    table = fit.influence
    worst = [name for name in table.index if "largest" in str(name) or name == "nothing"]
    axes.plot(range(len(worst)), table.loc[worst, "D/N"], "o-", color=BLUE, label="largest losses")
    rest = table.drop(index=worst)
    if len(rest):
        x = np.linspace(0, len(worst) - 1, len(rest))
        axes.plot(x, rest["D/N"], ".", color=ORANGE, label=f"each of {len(rest)} clusters")
    axes.set(xlabel="largest losses left out", ylabel="tokens per parameter")
    _legend(axes)


def _drift(fit: "Fit", axes: Any) -> None:
    points = fit.extra["drift"]
    axes.plot([p["flop"] for p in points], [p["a"] for p in points], "o-", color=BLUE)
    axes.set(xlabel="largest budget that is fitted", ylabel="a")
    if len(points) > 1:
        axes.set_xscale("log")


# --------------------------------------------------------------------------------------------
# Other laws, and all
# --------------------------------------------------------------------------------------------
def _of_columns(fit: "Fit") -> list[Any]:
    return [("loss", "Loss against its first column: runs, and the law with its 95 % band.",
             lambda axes: _by_series(fit, axes))]  # fmt: skip


def _by_series(fit: "Fit", axes: Any) -> None:
    """Loss against tokens, a colour for each of up to six values of the second column."""
    columns, (first, *others) = fit.table.columns, fit.law.needs
    second = columns[others[0]] if others else np.zeros(len(fit.table))
    shown = np.unique(second)
    shown = shown[np.unique(np.linspace(0, len(shown) - 1, 6).round().astype(int))]
    x = np.geomspace(columns[first].min(), columns[first].max(), 41)
    for value, colour in zip(shown, colours(list(map(float, shown))), strict=True):
        rows = second == value
        label = f"{others[0].replace('_', ' ')} {value:g}" if others else None
        axes.plot(columns[first][rows], columns["loss"][rows], "o", color=colour, label=label)
        where = {first: x} | ({others[0]: value} if others else {})
        values = predict(fit, "mean", 0.95, where)
        if not math.isnan(values[0].low):
            low, high = zip(*(v.interval for v in values), strict=True)
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        theory_line(axes, x, [float(v) for v in values], colour)
    axes.set(xscale="log", yscale="log", xlabel=first, ylabel="loss")
    if others:
        _legend(axes)


def _residuals(fit: "Fit", role: str, label: str) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        r = -residuals(fit.law, fit.rows, fit.theta)[0][: len(fit.table)]
        code = (
            np.zeros(len(r))
            if fit.labels is None
            else np.unique(fit.labels, return_inverse=True)[1]
        )
        axes.axhline(0, color=KEY, linewidth=1)
        axes.scatter(fit.table.columns[role], 100 * r, c=code, cmap="viridis", s=14)
        axes.set(xscale="log", xlabel=label, ylabel="loss above the law, %")

    return draw


def _profile_of_ratio(fit: "Fit") -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        budget = 10 * float(fit.table.columns["flop"].max())
        value = fit.value_of(lambda t: jnp.exp(optima.log_ratio(fit, t, budget)))
        reach = 2 * math.log(value.high / value.low)
        ratios = float(value) * np.exp(np.linspace(-reach, reach, 16))
        axes.plot(ratios, ratio_profile(fit, budget, ratios), "o-", color=BLUE)
        axes.axhline(threshold(fit), color=ORANGE, linestyle="--")
        axes.set(xscale="log", xlabel="tokens per parameter", ylabel="F",
                 ylim=(0, 4 * threshold(fit)))  # fmt: skip

    return draw


def _profile(fit: "Fit", index: int, name: str) -> Callable[[Any], None]:
    def draw(axes: Any) -> None:
        half = 4 * math.sqrt(fit.spread.covariance[index, index]) + 1e-12
        low, high = fit.box.low[index], fit.box.high[index]
        values = np.clip(fit.theta[index] + np.linspace(-half, half, 16), low, high)
        axes.plot(values, profile(fit, index, values), "o-", color=BLUE)
        axes.axhline(threshold(fit), color=ORANGE, linestyle="--")
        axes.set(xlabel=name, ylabel="F", ylim=(0, 4 * threshold(fit)))

    return draw
