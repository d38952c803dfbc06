"""May a fit be believed? The largest budgets are held out, and must lie where the others say.

Two tests: does the *loss* extrapolate, and does the *allocation* (tokens per parameter)? Each
raises a false alarm with probability `FALSE_ALARM` and states its resolution, the smallest error
that it would have caught with 95 % power; coarser than the tolerance is *inconclusive*.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np

from simulator.planner import uncertainty
from simulator.planner.identify import LEAST_DF
from simulator.planner.notices import Notice, TableError
from simulator.planner.optima import has_allocation, log_ratio

if TYPE_CHECKING:
    from simulator.planner.laws import Law
    from simulator.planner.result import Fit
    from simulator.planner.table import Table

FALSE_ALARM = 0.01
POWER = 0.95
LOSS_TOLERANCE = 0.01
RATIO_TOLERANCE = math.log(1.5)
LEAST_HELD = 4
DRAWS = 500
Status = Literal["agrees", "disagrees", "inconclusive", "not tested"]
RANK = ("not tested", "agrees", "inconclusive", "disagrees")


@dataclass(frozen=True)
class Test:
    """One of the two tests.

    Attributes
    ----------
    status : {"agrees", "disagrees", "inconclusive", "not tested"}
    error : float
        Mean error of ln L, or change of ln D/N.
    statistic, threshold : float
    resolution, tolerance : float
        Of the error.
    note : str
        Why it is not tested, or what is missing.
    """

    status: Status
    error: float = math.nan
    statistic: float = math.nan
    threshold: float = math.nan
    resolution: float = math.nan
    tolerance: float = math.nan
    note: str = ""


@dataclass(frozen=True)
class FitVerdict:
    """What the held-out budgets say.

    Attributes
    ----------
    loss, allocation : Test
    cut : float
        Budget above which runs were held out.
    below, above : int
        Runs that were fitted, and held out.
    exponent : float
        ``a = beta / (alpha + beta)`` of the fit below; NaN for laws without.
    """

    loss: Test
    allocation: Test
    cut: float = math.nan
    below: int = 0
    above: int = 0
    exponent: float = math.nan

    @property
    def status(self) -> Status:
        """The worse of the two."""
        return max(self.loss.status, self.allocation.status, key=RANK.index)

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"status": self.status}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> "FitVerdict":
        rest = {name: given[name] for name in ("cut", "below", "above", "exponent")}
        return cls(Test(**given["loss"]), Test(**given["allocation"]), **rest)

    def __str__(self) -> str:
        from simulator.planner.text import verdict_lines

        return "\n".join(verdict_lines(self))


def verdict(fit: "Fit") -> FitVerdict:
    """Both tests of a fit."""
    budget, held = held_out(fit)
    if held is None:
        none = Test("not tested", note=budget)
        return FitVerdict(none, none)
    cut, below = float(budget), ~held
    counts = int(below.sum()), int(held.sum())
    try:
        lower = _fit_below(fit, below)
    except TableError as error:
        none = Test("inconclusive", note=f"the runs below {cut:.3g}: {error}")
        return FitVerdict(none, none, cut, *counts)
    reason = lower.status if lower.status != "converged" else ""
    if not reason and lower.spread.df < LEAST_DF:
        reason = f"{lower.spread.df} degrees of freedom"
    if reason:
        none = Test("inconclusive", note=f"the fit below {cut:.3g}: {reason}")
        return FitVerdict(none, none, cut, *counts)
    exponent = math.nan
    if has_allocation(fit.law):
        p = lower.constants
        exponent = float(p["beta"] / (p["alpha"] + p["beta"]))
    tests = _loss_test(fit, lower, held), _allocation_test(fit, lower, below)
    return FitVerdict(*tests, cut, *counts, exponent)


def budgets(fit: "Fit") -> np.ndarray | None:
    """What orders the rows: FLOP, or tokens; None where neither is there."""
    columns = fit.table.columns
    return next((columns[n] for n in ("flop", "tokens", *fit.law.needs) if n in columns), None)


def held_out(fit: "Fit") -> tuple[Any, np.ndarray | None]:
    """The cut and the rows above it; or why there are none, and None."""
    rule, budget = fit.options.holdout, budgets(fit)
    if rule == "none" or budget is None:
        return "no runs are held out", None
    if isinstance(rule, float):
        cut, held = rule, budget > rule
    else:
        count = len(budget)
        cut = budget.max() / math.sqrt(10)
        held = budget > cut
        if held.sum() < LEAST_HELD:
            held = _largest(budget, LEAST_HELD)
        elif held.sum() > count / 3:
            held = _largest(budget, max(count // 3, LEAST_HELD))
        if not held.all():
            cut = min(max(cut, budget[~held].max()), budget[held].min())
    if not held.any() or held.all():
        return f"{'no' if not held.any() else 'all'} runs are above {cut:.3g}", None
    return cut, held


def _largest(budget: np.ndarray, count: int) -> np.ndarray:
    """So many of the largest; those that tie with one of them are held out too."""
    return budget >= np.sort(budget)[-min(count, len(budget))] * (1 - 1e-9)


def log_score(fit: "Fit", law: "Law") -> float:
    """How well a law foretells the held-out losses: the mean logarithm of their density.

    It is Student's law with the variance of a new run, from the fit to the other runs; NaN where
    there is none.
    """
    from scipy.stats import t as student

    held = held_out(fit)[1]
    if held is None:
        return math.nan
    try:
        lower = _fit_below(fit, ~held, law)
    except TableError:
        return math.nan
    if lower.refusal:
        return math.nan
    errors, value, gradient = _errors(lower, fit.table.where(held))
    noise = lower.spread.s_new / (np.exp(value) if lower.options.absolute else 1.0)
    variance = np.einsum("ni,ij,nj->n", gradient, lower.covariance, gradient) + noise**2
    scaled = student.logpdf(errors / np.sqrt(variance), lower.spread.df)
    return float(np.mean(scaled - 0.5 * np.log(variance)))


def _errors(lower: "Fit", table: "Table") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors of ln L of some rows, what is predicted of it, and its gradients."""
    features = lower.law.prepare(table.columns, dict(lower.centre))

    def logs(theta: Any) -> Any:
        return jax.vmap(lower.law.log_loss, in_axes=(None, 0))(theta, features)

    value, gradient = uncertainty.with_gradient(logs, lower.theta)
    return np.log(table.columns["loss"]) - value, value, gradient


def _fit_below(fit: "Fit", below: np.ndarray, law: "Law | None" = None) -> "Fit":
    from simulator.planner.checking import check_identified
    from simulator.planner.fit import fit_table

    table = fit.table.where(below)
    table.notices = []
    law = fit.law if law is None else law
    check_identified(table.columns, law, table.names)
    labels = None if fit.labels is None else fit.labels[below]
    rule = "none" if labels is None else fit.cluster
    options = dataclasses.replace(fit.options, cluster=rule)
    return fit_table(table, law, options, labels)


def _loss_test(fit: "Fit", lower: "Fit", held: np.ndarray) -> Test:
    from scipy.stats import t as student

    table = fit.table.where(held)
    errors, value, gradient = _errors(lower, table)
    count, mean = len(errors), float(np.mean(errors))
    slope = gradient.mean(axis=0)
    noise = lower.spread.s_new**2
    if lower.options.absolute:
        noise = float(np.mean((lower.spread.s_new / np.exp(value)) ** 2))
    if count >= LEAST_HELD:
        noise = max(noise, float(np.var(errors, ddof=1)))
    shared = float(slope @ lower.covariance @ slope)
    root = math.sqrt(shared + noise / count)
    df = lower.spread.df
    threshold = float(student.ppf(1 - FALSE_ALARM / 2, df))
    power = threshold + float(student.ppf(POWER, df))
    statistic, resolution = mean / root, power * root
    note = ""
    if abs(statistic) > threshold:
        status: Status = "disagrees"
    elif resolution <= LOSS_TOLERANCE:
        status = "agrees"
    else:
        status = "inconclusive"
        room = (LOSS_TOLERANCE / power) ** 2 - shared
        if room > 0:
            note = f"{math.ceil(noise / room) - count} more runs above the cut would settle it"
        else:
            more = math.ceil(len(lower.table) * (2 * shared * (power / LOSS_TOLERANCE) ** 2 - 1))
            note = f"about {max(more, 1)} more runs below the cut would settle it"
    return Test(status, mean, statistic, threshold, resolution, LOSS_TOLERANCE, note)


def _allocation_test(fit: "Fit", lower: "Fit", below: np.ndarray) -> Test:
    from scipy.stats import norm

    if not has_allocation(fit.law) or fit.law.name == "tied":
        why = "the law fixes it" if fit.law.name == "tied" else "the law has none"
        return Test("not tested", note=why)
    if fit.status != "converged":
        return Test("inconclusive", note=fit.status)
    budget = float(fit.table.columns["flop"].max())
    weight = uncertainty.resampled(fit.table.columns["weight"], fit.labels, DRAWS, fit.options.seed)
    both = []
    for one, rows in ((fit, slice(None)), (lower, below)):
        found = uncertainty.bootstrap(
            one.law, one.rows, one.theta, one.delta, one.box, weight[:, rows],
            absolute=one.options.absolute, every=True,
        )  # fmt: skip

        def ratio(theta: Any, one: Any = one) -> Any:
            return log_ratio(one, theta, budget)

        both.append(uncertainty.of_draws(ratio, found))
        both.append(uncertainty.of_draws(ratio, one.theta[None]))
    change = float(both[1][0] - both[3][0])
    difference = both[0] - both[2]
    difference = difference[np.isfinite(difference)]
    if len(difference) < DRAWS / 2:
        return Test("inconclusive", change, note="most bootstrap draws cannot be fitted")
    error = float(np.std(difference, ddof=1))
    threshold = float(norm.ppf(1 - FALSE_ALARM / 2))
    resolution = (threshold + float(norm.ppf(POWER))) * error
    statistic = change / error
    if abs(statistic) > threshold:
        status: Status = "disagrees"
    else:
        status = "agrees" if resolution <= RATIO_TOLERANCE else "inconclusive"
    note = ""
    if status == "inconclusive":  # errors fall as the root of the number of runs
        more = math.ceil(len(fit.table) * ((resolution / RATIO_TOLERANCE) ** 2 - 1))
        note = f"about {max(more, 1)} more runs like these would settle it"
    return Test(status, change, statistic, threshold, resolution, RATIO_TOLERANCE, note)


def drift_notice(found: FitVerdict) -> list[Notice]:
    """What a plan must say where the allocation does not extrapolate."""
    if found.allocation.status != "disagrees":
        return []
    factor = math.exp(abs(found.allocation.error))
    return [Notice("N-DRIFT", f"the optimal ratio moves by a factor {factor:.2f} when the largest "
                   "budget is added: do not extrapolate the allocation")]  # fmt: skip
