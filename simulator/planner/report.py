"""The report of a fit: one HTML page that opens offline, reads on a phone and prints.

The page is a Jinja template; its charts are the house's, drawn by Matplotlib as SVG inside the
page, so that there is no script and nothing to load. All numbers, those of the charts' curves
included, are those of the artefact, which the page carries along.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator import checks
from simulator.planner.artefact import contents, text
from simulator.planner.text import constant, decision, verdict_lines, with_interval

if TYPE_CHECKING:
    from simulator.planner.decisions import Plan
    from simulator.planner.design import NextRuns
    from simulator.planner.result import Fit

TEMPLATE = "report.html"
BADGES = {"agrees": "#009E73", "disagrees": "#D55E00", "inconclusive": "#8a6d00"}


def write(fit: "Fit", path: str | Path, question: Mapping[str, Any]) -> None:
    """See :meth:`simulator.planner.result.Fit.report`."""
    found = checks.path("path", path, "a file to write")
    found.write_text(page(fit, question), encoding="utf-8")


def page(fit: "Fit", question: Mapping[str, Any]) -> str:
    """The page as text."""
    try:
        import jinja2
    except ImportError as error:
        raise RuntimeError(
            "a report needs jinja2: pip install 'theory-simulator[report]'"
        ) from error
    from simulator.planner.charts import charts
    from simulator.planner.curves import curves

    loader = jinja2.PackageLoader("simulator.planner", "")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )
    asked = dict(question) or default_question(fit)
    plan = fit.plan(**asked) if asked else None
    runs = _next_runs(fit)
    numbers = curves(fit, plan)
    known = {
        "curves": numbers,
        "plan": plan.as_dict() if plan else None,
        "next_runs": runs.as_dict() if runs else None,
    }
    return environment.get_template(TEMPLATE).render(
        title=f"{fit.law.name} fitted to {fit.table.source or 'a table of runs'}",
        formula=fit.law.formula,
        status=fit.status,
        answer=plan.lines[0] if plan else f"L = {fit.law.formula}",
        more=plan.lines[1:] if plan else [],
        distance=plan.distance if plan else None,
        badges=_badges(fit),
        charts=charts(numbers),
        tables=_tables(fit, plan, runs),
        notices=plan.notices if plan else fit.notices,
        artefact=text(contents(fit) | known),
    )


def default_question(fit: "Fit") -> dict[str, float]:
    """Ten times the largest budget, where the law has one."""
    from simulator.planner.optima import has_allocation

    return {"flop": 10 * float(fit.table.columns["flop"].max())} if has_allocation(fit.law) else {}


def _badges(fit: "Fit") -> list[dict[str, str]]:
    lines = verdict_lines(fit.verdict)
    return [
        {
            "name": name,
            "status": test.status,
            "colour": BADGES.get(test.status, "#555555"),
            "line": line,
        }
        for name, test, line in zip(
            ("loss", "allocation"), (fit.verdict.loss, fit.verdict.allocation), lines, strict=True
        )
    ]


def _tables(fit: "Fit", plan: "Plan | None", runs: "NextRuns | None") -> list[dict[str, Any]]:
    """Title, header and rows of every table."""
    tables = [
        {
            "title": "Parameters",
            "header": ["parameter", "value", "95 %"],
            "rows": [[n, constant(v), with_interval(v)] for n, v in fit.parameters.items()],
        }
    ]
    if plan is not None:
        tables.append({
            "title": "The plan",
            "header": ["decision", "value", "95 %"],
            "rows": [[n, decision(v), with_interval(v)] for n, v in plan.answers.items()],
        })  # fmt: skip
    sensitivity = fit.sensitivity
    tables.append({
        "title": "Sensitivity to Huber's threshold",
        "header": ["threshold", *map(str, sensitivity.columns)],
        "rows": [[str(name), *map(_cell, row)] for name, row in
                 zip(sensitivity.index, sensitivity.to_numpy().tolist(), strict=True)],
    })  # fmt: skip
    c = fit.certificate
    tables.append({
        "title": "Optimiser",
        "header": ["objective", "certificate", "starts", "that agree", "status"],
        "rows": [[constant(c.f), f"{c.c:.1e}", str(c.starts), str(c.agreeing), c.status]],
    })  # fmt: skip
    if fit.extra["laws"]:
        laws = fit.extra["laws"]
        tables.append({
            "title": "Laws compared (descriptions, not decisions)",
            "header": list(laws[0]),
            "rows": [[_cell(v) for v in law.values()] for law in laws],
        })  # fmt: skip
    ledger = {"read": fit.table.read} | fit.table.dropped | {"used": len(fit.table)}
    rows = [[name, str(count)] for name, count in ledger.items()]
    tables.append({"title": "Rows", "header": ["", "rows"], "rows": rows})
    if runs is not None:
        tables.append(_runs_table(runs))
    return tables


def _next_runs(fit: "Fit") -> "NextRuns | None":
    """What ten times the largest budget would teach most, where the law has an answer."""
    if fit.status != "converged" or fit.law.name not in ("chinchilla", "tied"):
        return None
    return fit.next_runs(10 * float(fit.table.columns["flop"].max()))


def _runs_table(runs: "NextRuns") -> dict[str, Any]:
    each = zip(runs.params, runs.tokens, runs.flop, runs.tokens_per_param, strict=True)
    return {
        "title": f"Next runs for {decision(float(runs.flop.sum()))} FLOP: the ratio's interval "
        f"shrinks to {runs.shrinkage:.2f}",
        "header": ["params", "tokens", "FLOP", "tokens per param"],
        "rows": [[decision(float(value)) for value in run] for run in each],
    }


def _cell(value: Any) -> str:
    return decision(value) if isinstance(value, float) else json.dumps(value).strip('"')
