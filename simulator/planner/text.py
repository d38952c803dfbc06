"""A fit and its verdict in lines of text, as the command line prints them."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.planner.decisions import Plan
    from simulator.planner.result import Fit
    from simulator.planner.values import Value
    from simulator.planner.verdict import FitVerdict, Test


def constant(value: float) -> str:
    """A constant, eight digits."""
    return f"{value:.8g}"


def decision(value: float) -> str:
    """A decision, four digits."""
    return f"{value:.4g}"


def with_interval(value: "Value") -> str:
    """Its interval, with a word where it is not the sandwich's; or why there is none."""
    if math.isnan(value.low) and math.isnan(value.high):
        return f"({value.reason})" if value.reason else ""
    note = f", {value.reason.partition(':')[0]}" if value.reason else ""
    return f"({decision(value.low)}, {decision(value.high)}{note})"


def _loud(status: str) -> str:
    """``AT BOUND: beta``; the name of a parameter stays as it is."""
    kind, colon, what = status.partition(":")
    return status if status == "converged" else kind.upper() + colon + what


def summary(fit: "Fit") -> str:
    """Everything that `simulator fit` prints."""
    c, table = fit.certificate, fit.table
    first = f"{fit.law.name}: L = {fit.law.formula}"
    status = _loud(fit.status)
    used = f"{len(table)} of {table.read} runs"
    shared = "" if fit.cluster == "none" else f", noise shared by {fit.cluster}"
    huber = "least squares" if math.isinf(fit.delta) else f"Huber's threshold {fit.delta:.8g}"
    lines = [
        f"{first} [{fit.law.status}]",
        f"{status}: {used}{shared}; {huber}, f = {constant(c.f)}, certificate {c.c:.1e}, "
        f"{c.agreeing} of {c.starts} starts agree",
    ]
    if fit.status != "converged":
        lines.reverse()  # what is wrong comes first
    width = max(len(name) for name in fit.parameters)
    for name, value in fit.parameters.items():
        lines.append(f"  {name:<{width}} = {constant(value):<14} {with_interval(value)}".rstrip())
    noise = f"noise of one run {100 * fit.spread.s_new:.2f} %"
    if not math.isnan(fit.replicates.s_pure):
        noise += f" ({100 * fit.replicates.s_pure:.2f} % between replicates)"
    lines.append(noise)
    lines += verdict_lines(fit.verdict)
    lines += [f"{notice.code}: {notice.text}" for notice in fit.notices]
    return "\n".join(lines)


def verdict_lines(found: "FitVerdict") -> list[str]:
    """One line a test."""
    return [_line("loss", found.loss, found), _line("allocation", found.allocation, found)]


def _line(name: str, test: "Test", found: "FitVerdict") -> str:
    verbs = {
        "agrees": "AGREES with",
        "disagrees": "DISAGREES with",
        "inconclusive": "is INCONCLUSIVE against",
        "not tested": "is NOT TESTED against",
    }
    head = f"{name} {verbs[test.status]} the largest budgets"
    if math.isnan(test.statistic):
        return f"{head} ({test.note})"
    what, letter = ("mean error", "t") if name == "loss" else ("change of ln D/N", "z")
    shown = f"{100 * test.error:+.2f} %" if name == "loss" else f"{test.error:+.3f}"
    detectable = f"{100 * test.resolution:.2f} %" if name == "loss" else f"{test.resolution:.2f}"
    note = f"; {test.note}" if test.note else ""
    return (
        f"{head} ({found.above} runs above {found.cut:.3g} held out, {what} {shown}, "
        f"{letter} = {test.statistic:+.2f}, threshold {test.threshold:.2f}, "
        f"detectable {detectable}{note})"
    )


def plan_lines(plan: "Plan") -> list[str]:
    """Everything that `simulator plan` prints."""
    lines = [f"{_loud(plan.status)}: no interval is given"] if plan.status != "converged" else []
    lines += plan.lines
    if not math.isnan(plan.distance):
        beyond = "beyond" if plan.distance > 0 else "within"
        far = f"{abs(plan.distance):.2f} decades {beyond} the largest run"
        if not math.isnan(plan.leverage):
            far += f", {plan.leverage:.3g} times the largest leverage of a run"
        lines.append(far)
    if plan.sensitivity:
        shown = ", ".join(f"{name} {decision(v)}" for name, v in plan.sensitivity.items())
        lines.append(f"{plan.sensitivity_of} by Huber's threshold: {shown}")
    lines += verdict_lines(plan.verdict)
    return lines + [f"{notice.code}: {notice.text}" for notice in plan.notices]
