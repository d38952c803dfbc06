"""What each relation makes of the points along a ladder of sizes: one deviation and its error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np

from simulator.study import Approximate, Asymptotic, Bound, Exact, Exponent
from simulator.verdict.extrapolation import NOTHING, Omitted, extrapolation, possible_orders
from simulator.verdict.points import Point


@dataclass(frozen=True)
class Deviation:
    """Simulation minus theory, entry by entry, as the relation compares them.

    Attributes
    ----------
    value, error, skewness : array
        ``skewness`` is that of ``value`` as an estimate.
    reference : array
        What a relative error refers to.
    allowance : array or float
        The deviation that rounding and the declared accuracy of the theory explain.
    rounding : float
        The part of it that is rounding.
    omitted : Omitted
        The deviation that orders beyond those of an extrapolation may explain.
    misfit : array or float
        What deviations beside the fit of an extrapolation add to its error.
    notes : sequence of str
        One for each entry, or none.
    coarser : Deviation, optional
        The same from a fit with fewer orders, which leaves out more and errs less.
    """

    value: np.ndarray
    error: np.ndarray
    skewness: np.ndarray
    reference: np.ndarray
    allowance: np.ndarray | float
    rounding: float
    omitted: Omitted = NOTHING
    misfit: np.ndarray | float = 0.0
    notes: Sequence[str] = ()
    coarser: "Deviation | None" = None

    @property
    def whole_error(self) -> np.ndarray:
        """Noise, and what lies beside the fit."""
        return np.hypot(self.error, self.misfit)

    def with_replicates(self, growth: float) -> "Deviation":
        """What is expected of so many times the replicates."""
        root = math.sqrt(growth)
        return replace(
            self,
            error=self.error / root,
            skewness=self.skewness / root,
            omitted=self.omitted.with_errors(1 / root),
            coarser=self.coarser and self.coarser.with_replicates(growth),
        )


def either(first: np.ndarray, a: Deviation, b: Deviation) -> Deviation:
    """Entry by entry ``a``, where it is taken ``first``, or ``b``."""

    def chosen(x: Any, y: Any) -> np.ndarray:
        return np.where(first, x, y)

    return Deviation(
        value=chosen(a.value, b.value),
        error=chosen(a.error, b.error),
        skewness=chosen(a.skewness, b.skewness),
        reference=chosen(a.reference, b.reference),
        allowance=chosen(a.allowance, b.allowance),
        rounding=a.rounding,
        omitted=a.omitted.mapped(chosen, b.omitted),
        misfit=chosen(a.misfit, b.misfit),
        notes=[x if take else y for take, x, y in zip(first, a.notes, b.notes, strict=True)],
    )


@singledispatch
def deviation_of(relation: Any, sizes: Sequence[float], points: Sequence[Point]) -> Deviation:
    """What the relation makes of theory and simulation at these sizes, the largest last."""
    raise TypeError(f"a relation of type {type(relation).__name__} cannot be compared")


@deviation_of.register
def _(relation: Exact, sizes: Sequence[float], points: Sequence[Point]) -> Deviation:
    """Means are equal at the largest size."""
    last = points[-1]
    return Deviation(
        value=_difference(last),
        error=last.error,
        skewness=last.skewness,
        reference=np.where(last.theory == 0, last.scale, np.abs(last.theory)),
        allowance=last.floor,
        rounding=last.floor,
    )


@deviation_of.register
def _(relation: Approximate, sizes: Sequence[float], points: Sequence[Point]) -> Deviation:
    """Means are equal up to the declared accuracy."""
    equal = deviation_of(Exact(), sizes, points)
    allowance = equal.allowance + relation.accuracy * np.abs(points[-1].theory)
    return replace(equal, allowance=allowance)


@deviation_of.register
def _(relation: Bound, sizes: Sequence[float], points: Sequence[Point]) -> Deviation:
    """The mean may be on the right side of the bound, and nothing is said about how far."""
    equal = deviation_of(Exact(), sizes, points)
    least, most = (-np.inf, 0.0) if relation.side == "below" else (0.0, np.inf)
    return replace(equal, value=np.clip(equal.value, least, most))  # NaN stays NaN


@deviation_of.register
def _(relation: Asymptotic, sizes: Sequence[float], points: Sequence[Point]) -> Deviation:
    """Intercept of the relative deviation against powers of size^-rate.

    The deviation is taken relative to the theory where that is non-zero at every size.
    """
    found: Deviation | None = None
    for orders in possible_orders(sizes):
        found = replace(_intercept(relation, sizes, points, orders), coarser=found)
    assert found is not None
    return found


def _intercept(
    relation: Asymptotic, sizes: Sequence[float], points: Sequence[Point], orders: int
) -> Deviation:
    last = points[-1]
    theories = np.stack([p.theory for p in points])
    absolute = np.any(theories == 0, axis=0)
    reference = np.where(absolute, last.scale, np.abs(theories))
    deviations = np.stack([_difference(p) for p in points]) / reference
    deviations = np.where(np.isfinite(deviations), deviations, np.nan)  # inf at a size: unknown
    errors = np.stack([p.error for p in points]) / reference
    fit = extrapolation(sizes, relation.rate, orders, errors, min(p.replicates for p in points))
    error, skewness = _combined(fit.intercept, points, 1 / reference)
    rounding = last.floor / last.scale
    return Deviation(
        value=(fit.intercept * deviations).sum(axis=0),
        error=error,
        skewness=skewness,
        reference=np.ones_like(last.theory),
        allowance=rounding,
        rounding=rounding,
        omitted=fit.omitted(deviations, errors),
        misfit=fit.misfit(deviations, errors, error),
        notes=[
            " ".join(
                f"size^-{order * relation.rate:g} x {value:+.3f}"
                for order, value in enumerate(entry, 1)
            )
            for entry in fit.terms(deviations).T
        ],
    )


@deviation_of.register
def _(relation: Exponent, sizes: Sequence[float], points: Sequence[Point]) -> Deviation:
    """Log-log slope of the simulated means along the ladder minus the predicted exponent."""
    predicted = points[-1].theory
    weights = _slope_weights(np.log(sizes))
    means = np.stack([p.mean for p in points])
    with np.errstate(divide="ignore", invalid="ignore"):
        error, skewness = _combined(weights[:, None], points, 1 / means)
        found = np.tensordot(weights, np.log(means), axes=1)
    return Deviation(
        value=found - predicted,
        error=error,
        skewness=skewness,
        reference=np.where(predicted == 0, 1.0, np.abs(predicted)),
        allowance=0.0,
        rounding=0.0,
    )


def _difference(point: Point) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # inf - inf: unknown
        return point.mean - point.theory


def _slope_weights(x: np.ndarray) -> np.ndarray:
    if np.ptp(x) == 0:  # one size alone has no slope
        return np.full_like(x, np.nan)
    centred = x - x.mean()
    return centred / (centred @ centred)


def _combined(
    weights: np.ndarray, points: Sequence[Point], factors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Standard error and skewness of ``sum weight * factor * mean`` over independent points."""
    with np.errstate(invalid="ignore"):
        parts = weights * factors * np.stack([p.error for p in points])
        error = np.sqrt((parts**2).sum(axis=0))
        shares = parts / np.where(error == 0, 1.0, error)
        return error, (shares**3 * np.stack([p.skewness for p in points])).sum(axis=0)
