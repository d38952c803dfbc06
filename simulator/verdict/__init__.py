"""Does the simulation agree with the theory? A falsification test that could fail.

Every comparison is a test of a mean against one threshold that covers the whole family of
comparisons of a run: 5 standard errors serve some 1,700 comparisons at a family-wise error rate of
1e-3, and more comparisons raise it. A test that cannot see a small error proves nothing, so each
one states its *resolution*: the smallest relative error of the theory that this many replicates
would have caught with 95 % power. Coarser than the tolerance is *inconclusive*, never *agrees*,
and so is what has no standard error.

- ``scores``: from an estimate and its standard error to a z that few replicates and heavy tails
  do not exaggerate.
- ``points``: theory and simulation of one output at one size.
- ``relations``: what each relation makes of the points along a ladder of sizes.
- ``report``: comparisons and what they amount to.
- ``check``: gathering the evidence and judging it.
"""

from simulator.verdict.check import Evidence, check_study, gather, judge
from simulator.verdict.report import Comparison, Verdict
from simulator.verdict.scores import POWER_QUANTILE

__all__ = [
    "POWER_QUANTILE",
    "Comparison",
    "Evidence",
    "Verdict",
    "check_study",
    "gather",
    "judge",
]
