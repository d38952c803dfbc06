"""Small HTML tables for notebooks; whatever is shown is escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

LONGEST = 40  # rows; the rest is counted


def table(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """A table of texts; of a long one the beginning, and how many rows are left out."""
    rows = list(rows)
    lines = [_row("th", header), *(_row("td", row) for row in rows[:LONGEST])]
    if len(rows) > LONGEST:
        words = f"… and {len(rows) - LONGEST} more"
        lines.append(f'<tr><td colspan="{len(header)}">{words}</td></tr>')
    return "<table>" + "".join(lines) + "</table>"


def heading(title: Any, *lines: Any) -> str:
    """A title, and what stands below it."""
    below = "".join(f"<div>{escape(str(line))}</div>" for line in lines if str(line))
    return f"<div><strong>{escape(str(title))}</strong></div>{below}"


def _row(kind: str, cells: Sequence[Any]) -> str:
    style = ' style="text-align:left"'
    return "<tr>" + "".join(f"<{kind}{style}>{escape(str(c))}</{kind}>" for c in cells) + "</tr>"
