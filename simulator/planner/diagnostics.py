"""Other fits of the same rows: thresholds, deletions, profiles, cuts."""

from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.planner.estimation import Box, Estimates, box_of, estimate
from simulator.planner.objective import residuals
from simulator.planner.solver import solve
from simulator.planner.uncertainty import of_draws

if TYPE_CHECKING:
    import pandas as pd

    from simulator.planner.result import Fit

HUBERS: tuple[tuple[str, str | float], ...] = (
    ("auto", "auto"),
    ("1e-3", 1e-3),
    ("inf", float("inf")),
)
MOST_DROPPED = 8
BOUND_GRID = np.linspace(0.0, 1.0, 16) ** 2  # from the estimate to the bound


def at_thresholds(fit: "Fit") -> dict[str, Estimates]:
    """The fit with each of three thresholds; kept with it."""
    if "estimates" not in fit.__dict__:
        squares = float("inf")  # absolute residuals are for them alone
        fit.__dict__["estimates"] = {
            name: estimate(fit.law, fit.rows, huber, fit.box,
                           absolute=fit.options.absolute and huber == squares)
            for name, huber in HUBERS
        }  # fmt: skip
    return fit.__dict__["estimates"]


def sensitivity(fit: "Fit") -> "pd.DataFrame":
    """One row a threshold: parameters, objective, status, and D/N at ten times the budget.

    Of a fit to absolute residuals that of ``inf`` is one, too; the others are of logarithms.
    """
    import pandas as pd

    table = {}
    for name, found in at_thresholds(fit).items():
        theta = found.theta[0]
        table[name] = (
            {"delta": float(found.delta[0])}
            | parameters_of(fit, theta)
            | {"f": float(found.objective[0]), "status": found.status[0]}
            | ratio_of(fit, theta[None])[0]
        )
    return pd.DataFrame.from_dict(table, orient="index")


def influence(fit: "Fit") -> "pd.DataFrame":
    """One row a deletion: the largest losses, up to eight, and each cluster."""
    import pandas as pd

    loss, weight = fit.table.columns["loss"], fit.rows.weight
    names, kept = [], []
    order = np.argsort(-loss, kind="stable")
    for count in range(max(min(MOST_DROPPED, len(loss) - fit.size - 1), 0) + 1):
        names.append(f"{count} largest losses" if count else "nothing")
        kept.append(_without(weight, order[:count]))
    if fit.labels is not None:
        for label in np.unique(fit.labels):
            rows = np.flatnonzero(fit.labels == label)
            if len(loss) - len(rows) > fit.size:
                names.append(f"{fit.cluster} of row {fit.table.row[rows[0]]}")
                kept.append(_without(weight, rows))
    found = estimate(
        fit.law, fit.rows, fit.options.huber, fit.box, weight=np.array(kept),
        absolute=fit.options.absolute,
    )  # fmt: skip
    ratios = ratio_of(fit, found.theta)
    rows_ = [
        parameters_of(fit, theta) | {"f": float(f), "status": status} | ratio
        for theta, f, status, ratio in zip(
            found.theta, found.objective, found.status, ratios, strict=True
        )
    ]
    return pd.DataFrame(rows_, index=pd.Index(names, name="dropped"))


def _without(weight: np.ndarray, rows: np.ndarray) -> np.ndarray:
    left = weight.copy()
    left[rows] = 0.0
    return left


def parameters_of(fit: "Fit", theta: np.ndarray) -> dict[str, float]:
    """Parameters as they are printed, in double precision."""
    from simulator.runtime.compilation import float64_on_cpu

    with float64_on_cpu():
        found = fit.law.raw(np.asarray(theta, float), fit.centre)
        return {name: float(value) for name, value in found.items()}


def ratio_of(fit: "Fit", thetas: np.ndarray) -> list[dict[str, float]]:
    """Optimal tokens per parameter at ten times the largest budget, where a law has one."""
    from simulator.planner.optima import has_allocation, log_ratio

    if not has_allocation(fit.law):
        return [{} for _ in thetas]
    budget = 10 * float(fit.table.columns["flop"].max())
    values = np.exp(of_draws(lambda t: log_ratio(fit, t, budget), thetas))
    return [{"D/N": float(value)} for value in values]


# --------------------------------------------------------------------------------------------
# Profiles
# --------------------------------------------------------------------------------------------
def profile(fit: "Fit", index: int, values: np.ndarray) -> np.ndarray:
    """Rise of the objective with one variable held at values, in units of F(1, n - p).

    Two passes: from the estimate, and from the neighbours.
    """
    count = len(values)
    low = np.repeat(fit.box.low[None], count, 0)
    high = np.repeat(fit.box.high[None], count, 0)
    low[:, index] = high[:, index] = values
    free = np.repeat(fit.box.free[None], count, 0)
    free[:, index] = False
    box = Box(low, high, free)
    start = np.repeat(fit.theta[None], count, 0)
    best = None
    for shift in (None, 1, -1):
        if shift is not None and best is not None:
            start = np.roll(best[0], shift, axis=0)
        found = solve(fit.law, fit.rows, start, fit.delta, box, absolute=fit.options.absolute)
        if best is None:
            best = found.theta, found.objective
        else:
            better = found.objective < best[1]
            best = (
                np.where(better[:, None], found.theta, best[0]),
                np.where(better, found.objective, best[1]),
            )
    assert best is not None
    return 2 * (best[1] - fit.certificate.f) * fit.spread.kappa / score_variance(fit)


def score_variance(fit: "Fit") -> float:
    """``sum psi^2 / (n - p)``."""
    r = residuals(fit.law, fit.rows, fit.theta, absolute=fit.options.absolute)[0]
    psi = np.clip(r, -fit.delta, fit.delta)
    df = max(len(fit.table) - fit.size, 1)
    return max(float(fit.rows.weight @ psi**2) / df, 1e-300)


def threshold(fit: "Fit", level: float = 0.95) -> float:
    """Above it a value is outside the profile's interval."""
    from scipy.stats import f as fisher

    return float(fisher.ppf(level, 1, max(len(fit.table) - fit.size, 1)))


def bound_of(fit: "Fit", index: int) -> str:
    """In words: which values of a logarithmic variable the rows allow."""
    at, low, high = fit.theta[index], fit.box.low[index], fit.box.high[index]
    coefficient = index < len(fit.law.coefficients)
    limit = threshold(fit)
    shift = _unit(fit, index)
    ends: dict[str, float | None] = {}
    for side, end in (("below", low), ("above", high)):
        grid = at + BOUND_GRID * (end - at)
        outside = profile(fit, index, grid) > limit
        if not outside.any():
            ends[side] = None
            continue
        first = int(np.argmax(outside))
        ends[side] = _crossing(fit, index, grid[max(first - 1, 0)], grid[first], limit)
    below, above = (None if e is None else float(np.exp(e + shift)) for e in ends.values())
    if below is None and above is None:
        return "any value fits"
    if above is None:
        return f"any value above {below:.3g} fits"
    if below is None:
        return f"any value below {above:.3g} fits" + (", also 0" if coefficient else "")
    return f"longer than a factor of 100 (profile: {below:.3g} to {above:.3g})"


def _crossing(fit: "Fit", index: int, inside: float, outside: float, limit: float) -> float:
    """Where the profile crosses its threshold: on a grid, and on the line between two of it."""
    grid = np.linspace(inside, outside, 16)
    rise = profile(fit, index, grid)
    beyond = rise > limit
    first = max(int(np.argmax(beyond)), 1) if beyond.any() else len(grid) - 1
    return float(np.interp(limit, rise[first - 1 : first + 1], grid[first - 1 : first + 1]))


def _unit(fit: "Fit", index: int) -> float:
    """From a centred variable to the logarithm of what is printed."""
    name = fit.law.variables[index].removeprefix("ln ")
    printed = fit.constants.get(name)
    return 0.0 if printed is None else float(np.log(printed) - fit.theta[index])


# --------------------------------------------------------------------------------------------
# Cuts
# --------------------------------------------------------------------------------------------
def drift(fit: "Fit") -> list[dict[str, float]]:
    """The exponent of the optimal size, from the rows below each of some budgets."""
    from simulator.planner.optima import has_allocation

    if not has_allocation(fit.law):
        return []
    flop = fit.table.columns["flop"]
    cuts = np.unique(np.quantile(flop, np.linspace(0.4, 1.0, 9)))
    kept = [flop <= cut * 1.000001 for cut in cuts]
    padding = np.zeros(len(fit.rows.weight) - len(flop))
    weight = [np.r_[keep * fit.table.columns["weight"], padding]
              for keep in kept if keep.sum() > fit.size + 2]  # fmt: skip
    if not weight:
        return []
    found = estimate(
        fit.law, fit.rows, fit.options.huber, fit.box, weight=np.array(weight),
        absolute=fit.options.absolute,
    )  # fmt: skip
    points: list[dict[str, Any]] = []
    for cut, theta, status in zip(cuts[-len(weight) :], found.theta, found.status, strict=True):
        p = parameters_of(fit, theta)
        if status == "converged":
            points.append({"flop": float(cut), "a": p["beta"] / (p["alpha"] + p["beta"])})
    return points


def laws_compared(fit: "Fit") -> list[dict[str, Any]]:
    """AICc and held-out score of laws of the same columns: of descriptions, not of decisions."""
    from simulator.planner.laws import law_named
    from simulator.planner.verdict import log_score

    pairs = {"chinchilla": ("tied",), "tied": ("chinchilla",),
             "synthetic-share": ("synthetic-share-additive",),
             "synthetic-share-additive": ("synthetic-share",),
             "generations": ("generations-tail",),
             "generations-tail": ("generations",)}  # fmt: skip
    others = [law_named(name) for name in pairs.get(fit.law.name, ())]
    entries = [(fit.law, fit.rows, fit.box)]
    target = np.log(fit.table.columns["loss"])
    from simulator.planner.objective import padded

    for law in others:
        rows = padded(law.prepare(fit.table.columns, {}), target, fit.table.columns["weight"])
        entries.append((law, rows, box_of(law, target)))
    if len(entries) == 1:
        return []
    absolute = fit.options.absolute
    found = [(law, rows, box, estimate(law, rows, fit.delta, box, absolute=absolute))
             for law, rows, box in entries]  # fmt: skip
    largest = max(found, key=lambda entry: entry[0].size)
    scale = _scale_of(largest, fit.delta, len(target), absolute)
    n = len(target)
    result = []
    for law, _, box, one in found:
        size = int(box.free.sum()) + 1
        penalty = 2 * size + 2 * size * (size + 1) / max(n - size - 1, 1)
        aicc = 2 * float(one.objective[0]) * scale + penalty
        result.append({"law": law.name, "parameters": size - 1, "f": float(one.objective[0]),
                       "AICc": aicc, "held-out log score": log_score(fit, law),
                       "status": one.status[0]})  # fmt: skip
    return result


def _scale_of(entry: Any, delta: float, n: int, absolute: bool) -> float:
    """``kappa / (sum psi^2 / (n - p))`` of the largest law."""
    law, rows, box, one = entry
    r = residuals(law, rows, one.theta[0], absolute=absolute)[0][:n]
    psi = np.clip(r, -delta, delta)
    inside = float(np.mean(np.abs(r) <= delta))
    return inside / max(float(rows.weight[:n] @ psi**2) / max(n - int(box.free.sum()), 1), 1e-300)
