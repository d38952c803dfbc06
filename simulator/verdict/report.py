"""Comparisons, and what they amount to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from simulator.equality import ByValue

Status = Literal["agrees", "disagrees", "inconclusive", "not tested"]

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

    def __str__(self) -> str:
        names = list(dict.fromkeys(c.output for c in self.comparisons))
        width = max((len(name) for name in names), default=6)
        lines = [
            f"{'output':<{width}}  {'theory':>11}  {'simulation ± error':>22}  {'z':>6}  "
            f"{'detectable':>10}  verdict (relation)"
        ]
        lines += [_line(self.worst(name), width) for name in names]
        lines += [f"note: {remark}" for remark in self.remarks]
        tested = sum(c.status != "not tested" for c in self.comparisons)
        lines.append(
            f"{self.study}: theory {VERBS[self.status]} the {self.method} simulation "
            f"({tested} comparisons, threshold {self.threshold:.2f} standard errors, family-wise "
            f"error rate {self.family_wise_error:.1g}, tolerance {self.tolerance:.1%}, "
            f"seed {self.seed})"
        )
        return "\n".join(lines)


def _line(c: Comparison, width: int) -> str:
    error = "unknown" if math.isnan(c.standard_error) else f"{c.standard_error:.1g}"
    z = "-" if math.isnan(c.z) else f"{c.z:+.1f}"
    resolution = f"{c.resolution:.2%}" if c.resolution < 10 else "> 1000%"
    if math.isinf(c.resolution):
        resolution = "nothing"
    note = f": {c.note}" if c.note else ""
    more = f", {c.missing} replicates missing" if c.missing else ""
    return (
        f"{c.output:<{width}}  {c.theory:>11.6g}  {f'{c.mean:.5g} ± {error}':>22}  {z:>6}  "
        f"{resolution:>10}  {c.status}{more} ({c.relation}{note})"
    )
