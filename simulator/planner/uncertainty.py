"""How uncertain a fit is: the sandwich, bootstrap draws, replicates, profiles."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from simulator.planner.estimation import CONVERGED
from simulator.planner.laws import Law
from simulator.planner.objective import Rows, residuals
from simulator.planner.solver import DRAW_STEPS, Box, solve, solved
from simulator.planner.values import Value
from simulator.runtime.compilation import float64_on_cpu

LEAST_CLUSTERS = 8
SAME_SIZE = 0.02  # of the logarithm: models within it are of one size
LEAST_DF = 3
LACK = 0.01  # p-value of a lack of fit that is said, and widens intervals
ASYMMETRIC = 1.5  # lengths of bootstrap and sandwich that differ by more are said to
FEW_INSIDE = 0.5  # share of rows within Huber's threshold below which draws take over
ROUNDS, TOGETHER = 4, 128  # of reweighting, of draws whose arrays stay in the processor's cache
LONGEST = 1.5  # step of a variable from the estimate to the start of a draw


@dataclass(frozen=True)
class Spread:
    """The sandwich of a fit and what it is made of.

    Attributes
    ----------
    covariance : (variables, variables)
        Of the fit variables; rows of variables that are not fitted vanish.
    df : int
        Of the quantile of Student's law: rows or clusters, less the parameters.
    clusters : int
        0 where every row stands for itself.
    kappa : float
        Share of rows within Huber's threshold.
    s, s_new : float
        Noise of a row: of the robust scale, and of a new run, outliers included.
    leverage : (rows,)
    """

    covariance: np.ndarray
    df: int
    clusters: int
    kappa: float
    s: float
    s_new: float
    leverage: np.ndarray


def spread(
    law: Law, rows: Rows, count: int, theta: np.ndarray, delta: float, free: np.ndarray,
    labels: np.ndarray | None, *, absolute: bool = False,
) -> Spread:  # fmt: skip
    """The sandwich: Huber's scores with leverages, summed over rows or clusters.

    Parameters
    ----------
    law, rows, theta, delta
        The fit.
    count : int
        Rows that are no padding.
    free : (variables,)
        Which variables are fitted.
    labels : (rows,) or None
        Clusters whose rows share noise.
    absolute : bool
        Residuals of the loss, not of its logarithm.
    """
    r, slope = residuals(law, rows, theta, absolute=absolute)
    w = rows.weight[:count]
    r, slope = r[:count], slope[:count][:, free]
    size = slope.shape[1]
    q, triangle = np.linalg.qr(np.sqrt(w)[:, None] * slope)
    leverage = np.minimum(np.sum(q**2, axis=1), 1 - 1e-9)
    kappa = float(np.average(np.abs(r) <= delta, weights=w))
    inverse = np.linalg.pinv(triangle)
    bread = inverse @ inverse.T / max(kappa, 1 / count)
    scores = (w * np.clip(r, -delta, delta) / (1 - leverage))[:, None] * slope
    df, clusters = count - size, 0
    if labels is not None:
        codes = np.unique(labels, return_inverse=True)[1]
        clusters = int(codes.max()) + 1
        sums = np.zeros((clusters, size))
        np.add.at(sums, codes, scores)
        scores = sums * math.sqrt(clusters / max(clusters - 1, 1))
        df = clusters - size
    covariance = np.zeros((len(theta), len(theta)))
    covariance[np.ix_(free, free)] = bread @ (scores.T @ scores) @ bread
    s = 1.4826 * float(np.median(np.abs(r[w > 0]))) * math.sqrt(count / max(count - size, 1))
    s_new = math.sqrt(float(np.average(r**2 / (1 - leverage), weights=w)))
    return Spread(covariance, df, clusters, kappa, s, s_new, leverage)


# --------------------------------------------------------------------------------------------
# Clusters and replicates
# --------------------------------------------------------------------------------------------
def sizes(params: np.ndarray) -> np.ndarray:
    """Labels of model sizes, those within two per cent merged."""
    logs = np.log(params)
    order = np.argsort(logs, kind="stable")
    label = np.zeros(len(logs), int)
    label[order[1:]] = np.cumsum(np.diff(logs[order]) > SAME_SIZE)
    return label


def clusters(
    rule: str, columns: Mapping[str, np.ndarray], run: np.ndarray | None
) -> tuple[np.ndarray | None, str, str]:
    """Labels of clusters, what they are, and what must be said if there are none."""
    count = len(columns["loss"])
    if rule == "none":
        return None, "none", ""
    if rule == "run" or (rule == "auto" and run is not None and len(np.unique(run)) < count):
        if run is None:
            raise ValueError("cluster = 'run' is not allowed: the table has no run column")
        return run, "run", ""
    if "params" not in columns:
        if rule == "params":
            raise ValueError("cluster = 'params' is not allowed: the table has no params column")
        return None, "none", ""
    label = sizes(columns["params"])
    groups = int(label.max()) + 1
    if rule == "params" or LEAST_CLUSTERS <= groups < count / 2:
        return label, "params", ""
    few = "noise shared within a size cannot be estimated; intervals may be short"
    return None, "none", few if groups < LEAST_CLUSTERS else ""


@dataclass(frozen=True)
class Replicates:
    """Rows that repeat a point of the law: what noise is, and whether the law fits.

    Attributes
    ----------
    s_pure : float
        Standard deviation within points; NaN without replicates.
    df : int
    lack : float
        F of the means of the points about the fit, relative to the noise.
    p_value : float
    groups : int
        Points that have replicates.
    """

    s_pure: float = math.nan
    df: int = 0
    lack: float = math.nan
    p_value: float = math.nan
    groups: int = 0

    @property
    def factor(self) -> float:
        """By which half-lengths grow where the law does not fit."""
        return math.sqrt(max(self.lack, 1.0)) if self.p_value < LACK else 1.0


def replicates(point: np.ndarray, residual: np.ndarray, size: int) -> Replicates:
    """Pure error and lack of fit from the residuals of rows with equal ``point``."""
    from scipy.stats import f as fisher

    count = np.bincount(point)
    mean = np.bincount(point, residual) / np.maximum(count, 1)
    within = float(np.sum((residual - mean[point]) ** 2))
    df = len(residual) - int(np.sum(count > 0))
    if df == 0 or within == 0:
        return Replicates()
    pure = within / df
    between = int(np.sum(count > 0)) - size
    lack = float(np.sum(count * mean**2)) / between / pure if between > 0 else math.nan
    p = float(fisher.sf(lack, between, df)) if between > 0 else math.nan
    return Replicates(math.sqrt(pure), df, lack, p, int(np.sum(count > 1)))


# --------------------------------------------------------------------------------------------
# Draws
# --------------------------------------------------------------------------------------------
def resampled(weight: np.ndarray, labels: np.ndarray | None, draws: int, seed: int) -> np.ndarray:
    """Weights of a case bootstrap of rows, or of clusters where there are labels, (draws, rows)."""
    rng = np.random.default_rng(seed)
    codes = np.arange(len(weight)) if labels is None else np.unique(labels, return_inverse=True)[1]
    groups = int(codes.max()) + 1
    picked = rng.integers(0, groups, (draws, groups))
    counts = np.zeros((draws, groups))
    np.add.at(counts, (np.arange(draws)[:, None], picked), 1.0)
    return counts[:, codes] * weight


def bootstrap(
    law: Law, rows: Rows, theta: np.ndarray, delta: float, box: Box, weight: np.ndarray,
    *, absolute: bool = False, every: bool = False,
) -> np.ndarray:  # fmt: skip
    """Refits with given weights, from close to the estimate, (draws, variables).

    Those that fail are left out, or NaN if ``every`` draw shall have its place.
    """
    padding = np.zeros((len(weight), len(rows.target) - weight.shape[1]))
    weight = np.concatenate([weight, padding], axis=1)
    r, slope = residuals(law, rows, theta, absolute=absolute)
    start = theta + reweighted(r, slope * box.free, weight, delta)
    found = solve(
        law, rows, start, delta, box, weight=weight, absolute=absolute, steps=DRAW_STEPS,
        first_damping=0.0, done=CONVERGED,
    )  # fmt: skip
    good = found.certificate < 1e-6
    return np.where(good[:, None], found.theta, np.nan) if every else found.theta[good]


def reweighted(
    residual: np.ndarray, slope: np.ndarray, weight: np.ndarray, delta: float
) -> np.ndarray:
    """Steps to the minima for given weights of the linearised law, nearly, (draws, variables).

    Least squares, reweighted for Huber's loss a few times: products of small matrices, by which a
    draw is spared half of the law's evaluations.
    """
    rows, size = slope.shape
    products = (slope[:, :, None] * slope[:, None, :]).reshape(rows, -1)
    step = np.zeros((len(weight), size))
    for first in range(0, len(weight), TOGETHER):
        part = slice(first, first + TOGETHER)
        for _ in range(ROUNDS):
            r = residual + step[part] @ slope.T
            w = weight[part] * np.minimum(1.0, delta / np.maximum(np.abs(r), 1e-300))
            metric = (w @ products).reshape(-1, size, size)
            least = 1e-12 * np.einsum("nii->n", metric)[:, None, None] * np.eye(size)
            step[part] -= solved(metric + least, (w * r) @ slope)
    return np.clip(np.nan_to_num(step), -LONGEST, LONGEST)


# --------------------------------------------------------------------------------------------
# Quantities
# --------------------------------------------------------------------------------------------
def with_gradient(function: Callable[[Any], Any], theta: np.ndarray) -> tuple[Any, Any]:
    """Values of a function of the fit variables, a number or 1-D, and its Jacobian."""
    with float64_on_cpu():
        at = np.asarray(theta, float)
        return np.asarray(function(at)), np.asarray(jax.jacfwd(function)(at))


def of_draws(function: Callable[[Any], Any], draws: np.ndarray) -> np.ndarray:
    """Values of a function at many thetas."""
    with float64_on_cpu():
        return np.asarray(jax.vmap(function)(np.asarray(draws, float)))


def wider(values: list[Value], drawn: np.ndarray, level: float) -> list[Value]:
    """Values with the span of draws instead of an interval that is much shorter.

    Parameters
    ----------
    values : list of Value
        Positive, with intervals on the scale of logarithms.
    drawn : (draws, values)
    level : float
    """
    found = []
    ends = np.quantile(np.log(drawn), [0.5 - level / 2, 0.5 + level / 2], axis=0)
    for value, low, high in zip(values, *ends, strict=True):
        ratio = (high - low) / math.log(value.high / value.low) if value.high > value.low else 0.0
        if ratio > ASYMMETRIC:
            reason = f"asymmetric: draws span {ratio:.2f} times the sandwich's interval"
            value = Value(
                float(value), min(math.exp(low), value), max(math.exp(min(high, 700.0)), value),
                level=level, se=value.se, log=True, reason=reason,
            )  # fmt: skip
        found.append(value)
    return found


def delta_interval(
    value: float, gradient: np.ndarray, found: Spread, level: float, *, log: bool,
    factor: float = 1.0, extra: float = 0.0,
) -> Value:  # fmt: skip
    """``value ± t sqrt(gradient V gradient')``, on the scale of logarithms where ``log``.

    Parameters
    ----------
    value : float
    gradient : (variables,)
        Of the value, or of its logarithm.
    found : Spread
    level : float
    log : bool
    factor : float
        Half-lengths grow by it.
    extra : float
        Variance that is added: that of a new run.
    """
    from scipy.stats import t as student

    variance = float(gradient @ found.covariance @ gradient) * factor**2 + extra
    se = math.sqrt(max(variance, 0.0))
    half = float(student.ppf(0.5 + level / 2, found.df)) * se
    if log:
        low, high = value * math.exp(-half), value * math.exp(min(half, 700.0))
    else:
        low, high = value - half, value + half
    return Value(value, low, high, level=level, se=se, log=log)
