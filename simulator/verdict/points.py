"""Theory and simulation of one output at one size: a mean, its error, and how far to trust it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.engine.moments import Summary
from simulator.study import Output, Study

ROUNDING = 1e3  # units in the last place, of the cell's largest output, that are no discrepancy
HEAVY = 25  # fewer replicates than this carry the variance: the standard error is not believed
SKEWED = 0.05  # skewness of a mean beyond which a known bound serves better than its correction
FEW_ALIKE = 64
UNSEEN = 3.0  # at five standard errors an event seen in no replicate has probability 15/N

Estimate = tuple[np.ndarray, np.ndarray, np.ndarray]  # value, standard error, skewness


@dataclass(frozen=True)
class Point:
    """Theory and simulation of one output at one size, flattened over its entries.

    Attributes
    ----------
    theory, mean, error : array
        ``error`` is the standard error of ``mean``: NaN or inf where it is unknown.
    skewness : array
        Of ``mean`` as an estimate; it falls like ``error``.
    carriers : array
        Replicates that carry the variance: their number over (kurtosis - 1), so that the standard
        error is known up to a share of ``1 / (2 sqrt(carriers))``.
    scale, floor : float
        The cell's largest output, and the deviation that rounding alone explains.
    replicates : int
    controls : int
        Control variates that were regressed out: so many degrees of freedom less.
    note : str
    """

    theory: np.ndarray
    mean: np.ndarray
    error: np.ndarray
    skewness: np.ndarray
    carriers: np.ndarray
    scale: float
    floor: float
    replicates: int
    controls: int = 0
    note: str = ""


def point(
    study: Study,
    output: Output,
    simulated: Output,
    theory: Mapping[str, np.ndarray],
    summary: Mapping[str, Summary],
    dtype: str,
    controls: bool = True,
) -> Point:
    """What the verdict knows of ``output``, whose simulation is that of ``simulated``.

    Without ``controls``, from the plain mean of replicates.
    """
    values = np.atleast_1d(theory[output.name]).ravel()
    scale = _scale(study, theory, values)
    floor = ROUNDING * float(np.finfo(dtype).eps) * scale
    dispersion = simulated.dispersion
    source = summary[simulated.name if dispersion is None else dispersion.of]
    if dispersion is None:
        source = source.best if controls else source
        estimate = _of_mean(source)
    else:
        estimate = estimate_of_spread(source, dispersion.statistic)
    with np.errstate(divide="ignore"):
        carriers = source.count / np.maximum(source.kurtosis - 1, 0.0)
    mean, error, skewness, carriers = (
        np.broadcast_to(np.ravel(a), values.shape).astype(float) for a in (*estimate, carriers)
    )
    within_rounding = error * math.sqrt(source.count) <= floor  # a spread without a shape
    skewness = np.where(within_rounding, 0.0, skewness)
    carriers = np.where(within_rounding, np.inf, carriers)
    note = ""
    if simulated.model_std is not None and source.count > 1:
        model_error = np.ravel(theory[simulated.model_std]) / math.sqrt(source.count)
        expected = np.ravel(theory[simulated.name])
        rare = (carriers < HEAVY) | (np.abs(skewness) > SKEWED) | (error == 0) & (model_error > 0)
        bounded = _bernstein(mean, error, expected, model_error, source.count)
        error, skewness = np.where(rare, bounded, error), np.where(rare, 0.0, skewness)
        carriers = np.where(rare, np.inf, carriers)
        note = "heavy tails: model-based error" if rare.any() else ""
    # Where nothing ever came, or few replicates are all alike, a rare event as large as the largest
    # output may have been missed. Many that are alike in another value are deterministic.
    constant = np.isfinite(mean) & (error <= np.finfo(float).eps * np.abs(mean))
    few = (mean == 0) | (source.count < FEW_ALIKE)
    with np.errstate(invalid="ignore"):  # both may be infinite
        unseen = constant & few & (np.abs(mean - values) > floor)
    error = np.where(unseen, UNSEEN * scale / source.count, error)
    return Point(
        values, mean, error, skewness, carriers, scale, floor, source.count, source.controls, note
    )


def _scale(study: Study, theory: Mapping[str, np.ndarray], values: np.ndarray) -> float:
    comparable = [
        np.ravel(theory[o.name]) for o in study.outputs if o.in_theory and o.in_simulation
    ]
    sizes = np.abs(np.concatenate([*comparable, values]))
    return float(np.max(sizes, initial=0.0, where=np.isfinite(sizes))) or 1.0


def _of_mean(source: Summary) -> Estimate:
    """Mean, standard error, skewness of the mean."""
    return source.mean, source.standard_error, source.skewness / math.sqrt(source.count)


def estimate_of_spread(source: Summary, statistic: str) -> Estimate:
    """Sample spread, its standard error and its skewness.

    The variance has the relative error ``r = sqrt((kurtosis - 1) / N)``, at least that of a
    Gaussian's (the kurtosis of few replicates errs low). Its skewness would take sixth moments:
    ``2r`` is that of a gamma law (``s^2`` of Gaussian replicates), and half as much again is used,
    for laws with heavier tails. A standard deviation has half the relative error and, by the delta
    method, 5/8 of the skewness.
    """
    least = math.sqrt(2 / source.count)
    with np.errstate(invalid="ignore"):
        relative = np.sqrt(np.maximum(source.kurtosis - 1, 0.0) / source.count)
        relative = np.where(source.variance > 0, np.maximum(relative, least), relative)
        if statistic == "variance":
            return source.variance, source.variance * relative, 1.5 * 2.0 * relative
        std = np.sqrt(source.variance)
        return std, std * relative / 2, 1.5 * 1.25 * relative


def _bernstein(mean, error, expected, model_error, count: int) -> np.ndarray:
    """The standard error at which Bernstein's bound has the Gaussian's exponent.

    Rare events are not normal: for values in [0, 1], ``P(deviation > t) <= exp(-t^2 / 2 / (error^2
    + t / 3n))``.
    """
    floor = np.maximum(model_error, error)
    return np.sqrt(floor**2 + np.abs(mean - expected) / (3 * count))
