"""The numbers of a report's pictures: runs, curves, bands. The page's artefact holds them all.

`charts` draws from them alone, so that no picture shows what the artefact does not say.
"""

import math
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator.planner import optima
from simulator.planner.diagnostics import profile, threshold
from simulator.planner.objective import residuals
from simulator.planner.prediction import predict
from simulator.planner.ratio_profile import ratio_profile
from simulator.planner.uncertainty import of_draws
from simulator.planner.verdict import held_out

if TYPE_CHECKING:
    from simulator.planner.decisions import Plan
    from simulator.planner.result import Fit

POINTS = 41
LEVELS = (0.95, 0.8)
MOST_SERIES = 6
PROFILE = 16  # values of a profile
Curves = dict[str, dict[str, Any]]


def curves(fit: "Fit", plan: "Plan | None") -> Curves:
    """The numbers of each picture that the law has, by its name, in order."""
    found: Curves = {}
    if optima.has_allocation(fit.law):
        found |= _of_allocation(fit, plan)
    else:
        found["loss"] = _by_series(fit)
        if "synthetic_fraction" in fit.law.needs and fit.status == "converged":
            found["exchange-rate"] = _exchange_rate(fit)
    r = -residuals(fit.law, fit.rows, fit.theta)[0][: len(fit.table)]
    labels = np.zeros(len(r)) if fit.labels is None else fit.labels
    cluster = np.unique(labels, return_inverse=True)[1]
    for role in ("params", "tokens", "flop"):
        if role in fit.table.columns:
            runs = {"x": fit.table.columns[role], "percent": 100 * r, "cluster": cluster}
            found[f"residuals-{role}"] = {"runs": runs}
    for index, name in enumerate(fit.law.variables):
        if fit.box.free[index] and not name.startswith("ln ") and not fit.refusal:
            found[f"profile-{name}"] = _profile(fit, index)
    if fit.law.name == "chinchilla" and not fit.refusal:
        found["profile-ratio"] = _profile_of_ratio(fit)
    return found


def _band(x: Any, values: Any) -> dict[str, Any]:
    """A curve with the ends of its interval; NaN where there is none."""
    low, high = zip(*(v.interval for v in values), strict=True)
    return {"x": x, "value": [float(v) for v in values], "low": low, "high": high}


# --------------------------------------------------------------------------------------------
# Budgets
# --------------------------------------------------------------------------------------------
def _of_allocation(fit: "Fit", plan: "Plan | None") -> Curves:
    return {
        "frontier": _frontier(fit),
        "isoflop": _isoflop(fit),
        "ratio": _ratio(fit, plan),
        "influence": _influence(fit),
        "drift": {"points": fit.extra["drift"]},
    }


def _flops(fit: "Fit", beyond: float) -> np.ndarray:
    flop = fit.table.columns["flop"]
    return np.geomspace(flop.min(), beyond * flop.max(), POINTS)


def _frontier(fit: "Fit") -> dict[str, Any]:
    columns, flops, held = fit.table.columns, _flops(fit, 10.0), held_out(fit)[1]
    values = fit.values_of(lambda t: optima.optimal_loss(fit, t, flops))
    runs = {name: columns[name] for name in ("flop", "loss", "params")}
    runs["held_out"] = np.zeros(len(fit.table), bool) if held is None else held
    return {"runs": runs, "optimal": _band(flops, values)}


def _isoflop(fit: "Fit") -> dict[str, Any]:
    flop, budgets = fit.table.columns["flop"], []
    for budget in np.geomspace(flop.min(), 10 * flop.max(), 5):

        def size(theta: Any, budget: float = budget) -> Any:
            return jnp.exp(optima.log_params(fit, theta, budget))

        best = fit.value_of(size)
        params = float(best) * np.exp(np.linspace(-2.5, 2.5, 101))

        def losses(theta: Any, params: Any = params, budget: float = budget) -> Any:
            return optima.fresh_loss(fit, theta, params, budget / fit.table.k / params)

        loss = of_draws(losses, fit.theta[None])[0]
        budgets.append({
            "flop": budget, "params": params, "loss": loss, "flat": loss <= loss.min() * 1.001,
            "best": _band([float(loss.min())], [best]),
        })  # fmt: skip
    return {"budgets": budgets}


def _ratio(fit: "Fit", plan: "Plan | None") -> dict[str, Any]:
    columns, flops = fit.table.columns, _flops(fit, 100.0)
    given = columns["tokens"] / columns["params"]

    def ratio(theta: Any) -> Any:
        return jnp.exp(optima.log_ratio(fit, theta, flops))

    found = {
        "table": {"ratio": [given.min(), given.max()],
                  "flop": [columns["flop"].min(), columns["flop"].max()]},
        "bands": {str(level): _band(flops, fit.values_of(ratio, level=level)) for level in LEVELS},
    }  # fmt: skip
    if plan is not None and "flop" in plan.question and "tokens_per_param" in plan.answers:
        value = plan.answers["tokens_per_param"]
        found["decision"] = {"x": [plan.question["flop"]], "value": [float(value)]}
    return found


def _influence(fit: "Fit") -> dict[str, Any]:
    table = fit.influence
    worst = [name for name in table.index if "largest" in str(name) or name == "nothing"]
    return {"largest": table.loc[worst, "D/N"].tolist(),
            "clusters": table.drop(index=worst)["D/N"].tolist()}  # fmt: skip


# --------------------------------------------------------------------------------------------
# Other laws, and all
# --------------------------------------------------------------------------------------------
def _by_series(fit: "Fit") -> dict[str, Any]:
    """Loss against the first column, for each of up to six values of the second one."""
    columns, (first, *others) = fit.table.columns, fit.law.needs
    second = columns[others[0]] if others else np.zeros(len(fit.table))
    shown = np.unique(second)
    shown = shown[np.unique(np.linspace(0, len(shown) - 1, MOST_SERIES).round().astype(int))]
    x = np.geomspace(columns[first].min(), columns[first].max(), POINTS)
    series = []
    for value in shown:
        rows = second == value
        where = {first: x} | ({others[0]: value} if others else {})
        one = {"value": value, "runs": {"x": columns[first][rows], "loss": columns["loss"][rows]},
               "law": _band(x, predict(fit, "mean", 0.95, where))}  # fmt: skip
        if "synthetic_fraction" in others:
            one["floor"] = _floor(fit, float(value))
        series.append(one)
    return {"x": first, "by": others[0] if others else None, "series": series}


def _floor(fit: "Fit", q: float) -> float:
    """The loss of infinitely many tokens of which a share is synthetic."""
    row = {"x": math.inf, "q": q, "log_q": math.log(q) if q > 0 else -math.inf}
    return float(np.exp(of_draws(lambda t: fit.law.log_loss(t, row), fit.theta[None])[0]))


def _exchange_rate(fit: "Fit") -> dict[str, Any]:
    """What one more synthetic token is worth, beside as many real ones as a typical run has."""
    from simulator.planner.mixtures import exchange_rate

    columns = fit.table.columns
    real = float(np.exp(np.mean(np.log(columns["tokens"]))))
    shares = np.geomspace(0.01, 1.0, POINTS)

    def rates(theta: Any) -> Any:
        return jax.vmap(lambda share: exchange_rate(fit, theta, real, share * real))(shares)

    values = fit.values_of(rates, log=False)
    return {"real_tokens": real, "rate": _band(shares * real, values)}


# --------------------------------------------------------------------------------------------
# Profiles
# --------------------------------------------------------------------------------------------
def _profile_of_ratio(fit: "Fit") -> dict[str, Any]:
    budget = 10 * float(fit.table.columns["flop"].max())
    value = fit.value_of(lambda t: jnp.exp(optima.log_ratio(fit, t, budget)))
    reach = 2 * math.log(value.high / value.low)
    ratios = float(value) * np.exp(np.linspace(-reach, reach, PROFILE))
    rise = ratio_profile(fit, budget, ratios)
    return {"x": ratios, "F": rise, "threshold": threshold(fit), "flop": budget}


def _profile(fit: "Fit", index: int) -> dict[str, Any]:
    half = 4 * math.sqrt(fit.spread.covariance[index, index]) + 1e-12
    values = np.clip(fit.theta[index] + np.linspace(-half, half, PROFILE),
                     fit.box.low[index], fit.box.high[index])  # fmt: skip
    return {"x": values, "F": profile(fit, index, values), "threshold": threshold(fit)}
