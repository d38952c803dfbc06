"""What a table cannot tell: variables that are fixed, refused intervals, open ends, notices."""

from typing import TYPE_CHECKING

import numpy as np

from simulator.planner.laws import Law
from simulator.planner.notices import Notice
from simulator.planner.objective import residuals
from simulator.planner.solver import Box
from simulator.planner.table import Table
from simulator.planner.uncertainty import FEW_INSIDE, LACK, LEAST_CLUSTERS, LEAST_DF

if TYPE_CHECKING:
    from simulator.planner.result import Fit

LONG = float(np.log(100.0))  # an interval of the logarithm so long identifies nothing
HIGH_LEVERAGE = 0.5
LEAST_TREND = 6  # rows at large n, without which no trend is looked for


# --------------------------------------------------------------------------------------------
# Before the fit
# --------------------------------------------------------------------------------------------
def without_evidence(law: Law, table: Table, notices: list[Notice]) -> tuple[str, ...]:
    """Variables about which the table says nothing, with a notice; they are fixed."""
    columns = table.columns
    if law.name == "tail-mixture":
        pi = columns["real_fraction"]
        if np.all(pi == 0):
            text = "E and the plateau are not separable: every row has real share 0"
            notices.append(Notice("N-SEPARATE", text))
        return ("ln T_k",) if np.all(pi == 1) else ()
    if not law.name.startswith("synthetic-share"):
        return ()
    q = columns["synthetic_fraction"]
    shares = np.unique(q)
    if np.all(q == 0):
        text = "every row has synthetic share 0: only E, K and theta are fitted"
        notices.append(Notice("N-SEPARATE", text))
        return tuple(name for name in ("rho", "ln m", "ln P") if name in law.variables)
    if len(shares) == 1:
        text = f"E and the plateau are not separable: every row has synthetic share {shares[0]:g}"
        notices.append(Notice("N-SEPARATE", text))
        return ("rho", "ln P") if "ln P" in law.variables else ("rho",)
    if len(shares[shares > 0]) < 2:
        text = "one synthetic share besides 0: its plateau is fitted, rho = 0 is assumed"
        notices.append(Notice("N-SEPARATE", text))
        return ("rho",)
    if shares[0] > 0:
        text = "no row has synthetic share 0: shares alone tell E from the plateau"
        notices.append(Notice("N-SEPARATE", text))
    return ()


def fixed_box(law: Law, box: Box, fixed: tuple[str, ...]) -> Box:
    """The box with fixed variables held where they make no difference."""
    low, high = box.low.copy(), box.high.copy()
    for name in fixed:
        index = law.variables.index(name)
        value = {"rho": 0.0, "ln m": 0.0, "ln T_k": 0.0}.get(name, low[index])
        low[index] = high[index] = value
    return Box(low, high, box.free)


# --------------------------------------------------------------------------------------------
# After the fit
# --------------------------------------------------------------------------------------------
def refusal(fit: "Fit") -> str:
    """Why no interval is given; empty if there are."""
    runs, size = len(fit.table), fit.size
    if fit.status != "converged":
        return fit.status
    if runs - size < LEAST_DF:
        return (
            f"{runs} runs, {size} parameters: point estimate only, an interval needs "
            f"{size + LEAST_DF} runs"
        )
    distinct = len(np.unique(fit.table.points(fit.law)))
    if distinct <= size:
        return f"{distinct} distinct points, {size} parameters: point estimate only"
    if fit.spread.df < 1:
        return f"{fit.spread.clusters} clusters, {size} parameters: point estimate only"
    return ""


def add_notices(fit: "Fit") -> None:
    """Everything that a reader of this fit must know."""

    def say(code: str, text: str) -> None:
        fit.said.append(Notice(code, text))

    if fit.status != "converged":
        say("N-BOUND" if fit.status.startswith("at bound") else "N-STARTS",
            f"{fit.status}: no interval is given")  # fmt: skip
    elif fit.refusal:
        say("E-FEW", fit.refusal)
    agreeing, starts = fit.certificate.agreeing, fit.certificate.starts
    if fit.status == "converged" and agreeing < starts / 2:
        say("N-STARTS", f"only {agreeing} of {starts} starts end in the minimum")
    floor = np.exp(fit.theta[0])
    below = fit.table.columns["loss"] <= floor
    if below.any():
        row = fit.table.row[below][0]
        say(
            "N-FLOOR",
            f"{int(below.sum())} losses are below the fitted floor {floor:.4g} (row {row})",
        )
    high = fit.spread.leverage > HIGH_LEVERAGE
    if high.any():
        listed = ", ".join(map(str, fit.table.row[high][:5]))
        say(
            "N-LEVERAGE",
            f"{int(high.sum())} rows decide by themselves (leverage > .5): rows {listed}",
        )
    if 0 < fit.spread.clusters < LEAST_CLUSTERS:
        say("N-CLUSTERS", f"{fit.spread.clusters} clusters: intervals are rough")
    if fit.spread.kappa < FEW_INSIDE and not fit.refusal:
        say(
            "N-BOOTSTRAP",
            f"{100 * fit.spread.kappa:.0f} % of the rows are inside Huber's threshold: intervals "
            "are those of bootstrap draws",
        )
    found = fit.replicates
    if found.p_value < LACK:
        say("N-LACK", f"the law does not fit these rows: F = {found.lack:.3g} against the noise of "
            f"{found.groups} repeated points; half-lengths times {found.factor:.3g}")  # fmt: skip
    _add_open_ends(fit)
    for notice in (_trend(fit), _short(fit)):
        if notice:
            fit.said.append(notice)


def _trend(fit: "Fit") -> Notice | None:
    """A shift that correlates with the teacher adds a term linear in q, seen at large n."""
    from scipy.stats import linregress

    columns = fit.table.columns
    if not fit.law.name.startswith("synthetic-share") or fit.status != "converged":
        return None
    large = columns["tokens"] >= np.median(columns["tokens"])
    q = columns["synthetic_fraction"][large]
    r = -residuals(fit.law, fit.rows, fit.theta)[0][: len(fit.table)][large]
    if len(q) < LEAST_TREND or np.ptp(q) == 0 or np.ptp(r) <= 1e-9:
        return None
    found = linregress(q, r)
    if not found.pvalue < LACK:
        return None
    return Notice("N-TREND", f"at large n the loss is {100 * found.slope:+.2g} % per unit of q off "
                  "the law: a shift that correlates with the teacher would do that")  # fmt: skip


def _short(fit: "Fit") -> Notice | None:
    """Tables of a tail mixture that end before the cut shows."""
    if fit.law.name != "tail-mixture":
        return None
    most, size = fit.table.columns["tokens"].max(), fit.constants["T_k"]
    if not fit.box.free[fit.law.variables.index("ln T_k")] or most >= size:
        return None
    return Notice("N-FLAT", f"T_k: every row has fewer tokens ({most:.3g}) than T_k = {size:.3g}: "
                  "its upper end is open")  # fmt: skip


def _add_open_ends(fit: "Fit") -> None:
    """Parameters of which the table gives one end alone, or none."""
    from scipy.stats import t as student

    from simulator.planner.diagnostics import bound_of

    quantile = float(student.ppf(0.975, max(fit.spread.df, 1)))

    variance = np.diag(fit.spread.covariance)
    stuck = fit.box.at_bound(fit.theta[None])[0]
    for index, variable in enumerate(fit.law.variables):
        name = variable.removeprefix("ln ")
        if not fit.box.free[index] or name == variable or name not in fit.constants:
            continue
        long = 2 * quantile * np.sqrt(variance[index]) * fit.replicates.factor > LONG
        if long or stuck[index]:
            fit.said.append(Notice("N-FLAT", f"{name}: {bound_of(fit, index)}; not identified"))
