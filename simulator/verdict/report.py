"""Comparisons, and what they amount to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from simulator import html
from simulator.equality import ByValue

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["agrees", "disagrees", "inconclusive", "not tested"]

COLUMNS = ("output", "theory", "simulation ± error", "z", "detectable", "verdict (relation)")
#: What a table has of each comparison, besides its output and its parameters.
NUMBERS = ("relation", "theory", "mean", "standard_error", "z", "resolution", "status") + (
    "replicates",
    "missing",
    "note",
)
VERBS = {
    "agrees": "AGREES with",
    "disagrees": "DISAGREES with",
    "inconclusive": "is INCONCLUSIVE against",
}


@dataclass(frozen=True, eq=False)
class Comparison(ByValue):
    """One output in one cell (for an array output: its worst entry).

    Attributes
    ----------
    output, relation : str
    cell : mapping of parameters
    theory, mean, standard_error : float
        At the largest size of the ladder, for asymptotic relations.
    z : float
        Standard errors between theory and simulation; signed, one-sided for bounds, corrected
        for few replicates and skewness. NaN where no standard error is known.
    resolution : float
        Smallest relative error caught with 95 % power; ``inf`` where none would be.
    status : {"agrees", "disagrees", "inconclusive", "not tested"}
    replicates, missing : int
        Replicates used, and how many more would reach the tolerance.
    note : str
    """

    output: str
    relation: str
    cell: Mapping[str, Any]
    theory: float
    mean: float
    standard_error: float
    z: float
    resolution: float
    status: Status
    replicates: int
    missing: int = 0
    note: str = ""

    @property
    def rank(self) -> tuple[int, float]:
        """By status, then by |z|: the largest decides."""
        order = ("not tested", "agrees", "inconclusive", "disagrees")
        return order.index(self.status), math.inf if math.isnan(self.z) else abs(self.z)


@dataclass(frozen=True, eq=False)
class Verdict(ByValue):
    """All comparisons of a run and what they amount to.

    Attributes
    ----------
    status : {"agrees", "disagrees", "inconclusive"}
    comparisons : tuple of Comparison
    threshold : float
        Standard errors beyond which a comparison disagrees.
    family_wise_error : float
        Bound on the probability that a right theory is rejected anywhere in the run.
    tolerance : float
        Resolution that was asked for.
    remarks : tuple of str
        What else there is to know, such as replicates whose solver stalled.
    """

    study: str
    method: str
    seed: int
    status: Literal["agrees", "disagrees", "inconclusive"]
    comparisons: tuple[Comparison, ...]
    threshold: float
    family_wise_error: float
    tolerance: float
    remarks: tuple[str, ...] = ()

    def worst(self, output: str) -> Comparison:
        """The comparison of ``output`` that decides: by status, then by |z|."""
        return max((c for c in self.comparisons if c.output == output), key=lambda c: c.rank)

    def __repr__(self) -> str:
        return f"<Verdict {self.study}: {self.status}, {len(self.comparisons)} comparisons>"

    def _repr_html_(self) -> str:
        """The deciding comparison of each output, for a notebook."""
        names = dict.fromkeys(c.output for c in self.comparisons)
        rows = [_cells(self.worst(name)) for name in names]
        return html.heading(self._conclusion, *self.remarks) + html.table(COLUMNS, rows)

    def to_dataframe(self) -> "pd.DataFrame":
        """One row for each comparison: its parameters, both sides, and what came of it."""
        import pandas as pd

        rows = []
        for c in self.comparisons:
            cell = {name: value for name, value in c.cell.items() if np.ndim(value) == 0}
            rows.append({"output": c.output} | cell | {name: getattr(c, name) for name in NUMBERS})
        return pd.DataFrame(rows)

    @property
    def _conclusion(self) -> str:
        tested = sum(c.status != "not tested" for c in self.comparisons)
        return (
            f"{self.study}: theory {VERBS[self.status]} the {self.method} simulation "
            f"({tested} comparisons, threshold {self.threshold:.2f} standard errors, family-wise "
            f"error rate {self.family_wise_error:.1g}, tolerance {self.tolerance:.1%}, "
            f"seed {self.seed})"
        )

    def __str__(self) -> str:
        names = list(dict.fromkeys(c.output for c in self.comparisons))
        width = max((len(name) for name in names), default=6)
        lines = [_line(COLUMNS, width)]
        lines += [_line(_cells(self.worst(name)), width) for name in names]
        lines += [f"note: {remark}" for remark in self.remarks]
        lines.append(self._conclusion)
        return "\n".join(lines)


def _cells(c: Comparison) -> tuple[str, ...]:
    """What a line of the report says, in pieces (`COLUMNS`)."""
    error = "unknown" if math.isnan(c.standard_error) else f"{c.standard_error:.1g}"
    z = "-" if math.isnan(c.z) else f"{c.z:+.1f}"
    resolution = f"{c.resolution:.2%}" if c.resolution < 10 else "> 1000%"
    if math.isinf(c.resolution):
        resolution = "nothing"
    note = f": {c.note}" if c.note else ""
    more = f", {c.missing} replicates missing" if c.missing else ""
    return (
        c.output,
        f"{c.theory:.6g}",
        f"{c.mean:.5g} ± {error}",
        z,
        resolution,
        f"{c.status}{more} ({c.relation}{note})",
    )


def _line(cells: tuple[str, ...], width: int) -> str:
    output, theory, simulation, z, resolution, verdict = cells
    return f"{output:<{width}}  {theory:>11}  {simulation:>22}  {z:>6}  {resolution:>10}  {verdict}"
