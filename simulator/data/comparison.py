"""How far experiments on data are from the Gaussian prediction, with error bars.

A theory that replaces data by Gaussian vectors is an approximation: the question is not whether it
is exactly right but where it is wrong, and by how much. A point counts as a *failure* if it
deviates by more than the tolerance **and** by more than five standard errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from simulator.data.experiment import Estimate
from simulator.equality import ByValue

SIGMAS = 5.0


@dataclass(frozen=True, eq=False)
class Comparison(ByValue):
    """Predicted and measured values of one quantity at several points.

    Attributes
    ----------
    label : str
    theory, mean, standard_error : array of any common shape
    points : array of str, same shape
        What distinguishes the points, for the report.
    tolerance : float
        Relative deviation that one is willing to overlook.
    """

    label: str
    theory: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    points: np.ndarray
    tolerance: float = 0.05

    @property
    def deviation(self) -> np.ndarray:
        """``mean / theory - 1``."""
        return self.mean / self.theory - 1

    @property
    def z(self) -> np.ndarray:
        """Deviation in standard errors."""
        with np.errstate(divide="ignore", invalid="ignore"):  # no error bar: not finite
            return (self.mean - self.theory) / self.standard_error

    @property
    def fails(self) -> np.ndarray:
        """Points that deviate by more than the tolerance and by more than five standard errors."""
        return (np.abs(self.deviation) > self.tolerance) & (np.abs(self.z) > SIGMAS)

    @property
    def resolution(self) -> float:
        """Relative deviation that would have been noticed at every point: five standard errors."""
        return float(np.max(SIGMAS * self.standard_error / self.theory))

    @property
    def outcome(self) -> Literal["agrees", "fails", "inconclusive"]:
        """``agrees`` needs that a deviation of three times the tolerance would have been seen.

        What is not a number agrees with nothing: without an error bar at every point the outcome
        is ``inconclusive``.
        """
        if self.fails.any():
            return "fails"
        seen = bool(np.all(np.isfinite(self.z))) and self.resolution <= 3 * self.tolerance
        return "agrees" if seen else "inconclusive"

    def __str__(self) -> str:
        worst = np.unravel_index(np.argmax(np.abs(self.deviation)), self.deviation.shape)
        error = self.standard_error[worst] / self.theory[worst]
        return (
            f"{self.label}: {self.outcome} (tolerance {self.tolerance:.0%}, {self.theory.size} "
            f"points, {int(self.fails.sum())} beyond it); median deviation "
            f"{np.median(self.deviation):+.1%}, largest {self.deviation[worst]:+.1%} "
            f"± {error:.1%} (z = {self.z[worst]:+.1f}) at {self.points[worst]}"
        )


def compare(
    label: str,
    theory: Any,
    estimate: Estimate,
    rows: Sequence[str],
    columns: Sequence[str],
    tolerance: float = 0.05,
) -> Comparison:
    """Compare a prediction with an experiment, entry by entry.

    Both are tables; ``rows`` and ``columns`` say in words what varies along them.

    Raises
    ------
    ValueError
        If shapes differ, or the theory is not positive and finite somewhere.
    """
    predicted = np.asarray(theory, float)
    points = np.array([[f"{row}, {column}" for column in columns] for row in rows])
    if not predicted.shape == estimate.mean.shape == points.shape:
        raise ValueError(
            f"{label}: theory {predicted.shape}, experiment {estimate.mean.shape}, "
            f"labels {points.shape}; allowed: one shape"
        )
    if not np.all(np.isfinite(predicted) & (predicted > 0)):
        raise ValueError(f"{label}: relative deviations need a positive, finite theory")
    return Comparison(label, predicted, estimate.mean, estimate.standard_error, points, tolerance)
