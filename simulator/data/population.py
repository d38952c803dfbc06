"""A data set as a population: spectrum, teacher and label noise.

The population *is* the data set: an experiment draws its rows with replacement, and every mean
below is a mean over its rows. Features and targets are centred and scaled to

    E||x||^2 = 1,    E y^2 = 1,

so that ridge penalties mean the same on every data set. In the eigenbasis of the covariance
``Sigma = E x x^T = diag(lambda)`` the best linear fit of the targets is the teacher, and what no
linear function of the features explains is label noise, uncorrelated with the features:

    w_k = E[x_k y] / lambda_k,    y = x.w + residual,    E[x residual] = 0,
    s_k = lambda_k w_k^2,    sum_k s_k = R^2,    sigma^2 = E residual^2 = 1 - R^2.

What the Gaussian theory is told of the data is ``(lambda_k, s_k, sigma)``. It is not told that
rows are not Gaussian, nor that the residual may depend on the features: `Population.spikiness` and
`Population.felt_noise` measure the two.

`power_law` fits the two exponents that scaling laws are written in (arXiv 2402.07712):
``lambda_k ~ k^-beta`` (capacity) and ``sum_{j > k} s_j ~ k^{-2 beta r}`` (source).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from simulator.data.checks import number, numbers, whole_number
from simulator.data.loading import DataError, Table
from simulator.data.units import unit_columns
from simulator.equality import ByValue
from simulator.large_array import LargeArray

#: A feature (of unit variance) that is closer than this to a combination of others is one of them.
NULL_DIRECTION = 1e-5
#: Standard deviation of a direction, over that of the rows, whose square float64 still holds.
SMALLEST_DEVIATION = 1e-157


@dataclass(frozen=True, eq=False, repr=False)
class Population(ByValue):
    """The rows of a data set in the eigenbasis of their covariance.

    Attributes
    ----------
    rows : (num_rows, dim) float64
        Centred features, column ``k`` of variance ``lambda_k``, columns uncorrelated.
    eigenvalues : (dim,) float64
        ``lambda_k``, decreasing; they sum to 1.
    teacher : (dim,) float64
        ``w_k``, the best linear fit of the targets.
    residual : (num_rows,) float64
        What it leaves: mean 0, uncorrelated with the rows.
    name : str
    """

    rows: np.ndarray
    eigenvalues: np.ndarray
    teacher: np.ndarray
    residual: np.ndarray
    name: str

    @property
    def num_rows(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        return len(self.eigenvalues)

    @property
    def signal(self) -> np.ndarray:
        """``s_k = lambda_k w_k^2``; sums to the share of variance that is linear, R^2."""
        return (np.sqrt(self.eigenvalues) * self.teacher) ** 2

    @property
    def noise_std(self) -> float:
        """``sigma``, the root mean square of the residual."""
        return float(np.sqrt(np.mean(self.residual**2)))

    def parameters(self) -> dict[str, LargeArray]:
        """Arrays by name, as the studies on a data set take them (``ridge-collapse.resampled``).

        Raises
        ------
        DataError
            If the smallest variance is so small that computing with it would lose it.
        """
        smallest, least = self.eigenvalues[-1], 1e4 * np.finfo(float).tiny  # room for its rows
        if smallest < least:
            raise DataError(
                f"{self.name}: the smallest variance is {smallest:.0e} of the total, which float64 "
                f"cannot hold; allowed: at least {least:.0e} (other units, or apply_feature_map "
                "with columnwise=True)"
            )
        arrays = (self.rows, self.eigenvalues, self.teacher, self.residual)
        names = ("rows", "eigenvalues", "teacher", "residuals")
        return {name: LargeArray.of(array) for name, array in zip(names, arrays, strict=True)}

    def spikiness(self, ridge: float) -> float:
        """How unevenly rows weigh in a fit: the spread of ``q = x^T (Sigma + ridge)^{-1} x``.

        Standard deviation over mean of ``q`` over the rows, in units of what Gaussian rows of the
        same spectrum would have, ``sqrt(2 df2) / df1``. The deterministic equivalents assume that
        ``q`` is nearly constant: 1 is Gaussian, and the larger the worse.
        """
        shrinkage = self.eigenvalues / (self.eigenvalues + ridge)
        q = (self.rows / np.sqrt(self.eigenvalues)) ** 2 @ shrinkage
        gaussian = np.sqrt(2 * np.sum(shrinkage**2)) / np.sum(shrinkage)
        return float(q.std() / q.mean() / gaussian)

    def felt_noise(self, ridge: float) -> float:
        """How much larger the label noise is where a fit feels it than on average.

        ``E[residual^2 q] / (sigma^2 E q)`` with ``q = x^T Sigma (Sigma + ridge)^{-2} x``, the
        weight of a row in the variance of a fit to many samples. 1 if the residual does not depend
        on the features, as the theory assumes.
        """
        shrinkage = self.eigenvalues / (self.eigenvalues + ridge)
        weights = (self.rows / np.sqrt(self.eigenvalues)) ** 2 @ shrinkage**2
        return float(np.average(self.residual**2, weights=weights) / self.noise_std**2)


def population(table: Table, *, standardise: bool | None = None) -> Population:
    """The population of a table: spectrum, teacher and residual.

    Parameters
    ----------
    table : Table
    standardise : bool, optional
        Divide each column by its standard deviation. Unless given, where columns have units of
        their own (`Table.own_units`: those of a text table or a data frame): else the one in the
        smallest units would hold nearly all of the variance, and a penalty would see it alone.

    Raises
    ------
    DataError
        If there are not more rows than independent features: the fit would explain every target,
        and nothing would be left to learn about noise.
    """
    columns, spreads = unit_columns(table.features)
    y = unit_columns(table.targets[:, None])[0][:, 0]
    if not spreads.any() or not y.any():
        what = "targets" if spreads.any() else "features"
        raise DataError(f"{table.name}: {what} vary by no more than rounding; allowed: more")
    num_rows, varying = len(y), spreads > 0
    basis, coordinates = _independent(columns[:, varying] / np.sqrt(num_rows))
    dim = len(coordinates)
    if dim >= num_rows - 1:
        raise DataError(
            f"{table.name}: {num_rows} rows are too few for {dim} independent features; "
            "allowed: more rows than features + 1 (fewer features, or a feature map with fewer)"
        )
    if dim < 2:
        raise DataError(f"{table.name}: only {dim} independent feature; allowed: at least 2")
    if table.own_units if standardise is None else standardise:
        spreads = varying / np.sqrt(np.count_nonzero(varying))
    rotation, deviations = _principal(coordinates * spreads[varying])
    if deviations[-1] < SMALLEST_DEVIATION:
        raise DataError(
            f"{table.name}: standard deviations of features differ by more than a factor of "
            f"{1 / SMALLEST_DEVIATION:.0e}; allowed: less (other units, or a feature map with "
            "columnwise=True)"
        )
    directions = np.sqrt(num_rows) * (basis @ rotation)  # each of mean square 1
    explained = directions.T @ y / num_rows
    return Population(
        directions * deviations,
        deviations**2,
        explained / deviations,
        y - directions @ explained,
        table.name,
    )


def labeller_shift(data: Population, num_samples: int, ridge: float, seed: int = 0) -> np.ndarray:
    """Weights of a synthetic labeller minus the teacher's: the shift of ``strong-collapse``.

    The labeller is the ridge fit to a few rows with their real targets, one fixed by ``seed``:
    experiments and theory that use it are conditional on it.
    """
    count = whole_number("num_samples", num_samples, 1)
    if number("ridge", ridge, 0) == 0:
        raise DataError("ridge = 0; allowed: a positive penalty, for few rows have no unique fit")
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    chosen = rng.integers(0, data.num_rows, count)
    rows = data.rows[chosen]
    gram = rows.T @ rows / count + ridge * np.eye(data.dim)
    # Of its own labels the teacher's part is known: only the difference is solved for.
    wrong = rows.T @ data.residual[chosen] / count - ridge * data.teacher
    return np.linalg.solve(gram, wrong)


def _independent(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``columns = basis @ coordinates`` with an orthonormal basis of the directions that count.

    The rank is that of columns of length 1, so that it does not depend on their units.
    """
    wide, small = np.linalg.qr(columns)
    turn, triangle, order = linalg.qr(small, mode="economic", pivoting=True)
    distance = np.abs(np.diag(triangle))  # of a column to the span of those before it
    dim = np.count_nonzero(distance > NULL_DIRECTION * distance[0])
    coordinates = np.empty((dim, columns.shape[1]))
    coordinates[:, order] = triangle[:dim]
    return wide @ turn[:, :dim], coordinates


def _principal(coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal directions (columns) of a matrix of columns, and their lengths, decreasing.

    Columns may differ by hundreds of orders of magnitude: Jacobi rotations find the short
    directions as exactly as the long ones, which no method does that forms ``A A^T``.
    """
    # Householder's method is exact row by row where long rows come first (dgejsv's own sorting of
    # rows loses the short ones); of the triangle dgejsv takes care.
    rows = coordinates.T
    longest = np.argsort(-np.max(np.abs(rows), axis=1))
    turn, triangle, order = linalg.qr(rows[longest], mode="economic", pivoting=True)
    lengths, left, right, scale, _, failed = linalg.lapack.dgejsv(
        triangle, joba=0, jobu=0, jobv=0, jobr=0, jobt=1
    )
    if failed:
        raise FloatingPointError(f"principal directions: LAPACK's dgejsv returned {failed}")
    features, directions = np.empty_like(turn), np.empty_like(right)
    features[longest], directions[order] = turn @ left, right
    # A direction's sign is free: its largest weight on the features is positive.
    largest = np.argmax(np.abs(features), axis=0)
    signs = np.sign(features[largest, np.arange(len(largest))])
    return directions * signs, lengths * (scale[0] / scale[1])


@dataclass(frozen=True, eq=False, repr=False)
class PowerLaw(ByValue):
    """Fitted exponents of a spectrum, with the local slopes they summarise.

    Attributes
    ----------
    capacity, source : float
        ``beta`` and ``r``: least-squares slopes between ranks ``first`` and ``last``.
    first, last : int
        Range of the fit.
    ranks : (points,) int
        Log-spaced ranks ``k``; the local slope of a point is taken from ``k / 2`` to ``2 k``.
    local_capacity, local_source : (points,) float
        How far from a power law the spectrum is: constant for a true one.
    """

    capacity: float
    source: float
    first: int
    last: int
    ranks: np.ndarray
    local_capacity: np.ndarray
    local_source: np.ndarray

    def __str__(self) -> str:
        def span(values: np.ndarray) -> str:
            return f"local slopes {values.min():.2f} to {values.max():.2f}"

        return (
            f"capacity beta = {self.capacity:.2f} ({span(self.local_capacity)}), "
            f"source r = {self.source:.2f} ({span(self.local_source)}), "
            f"ranks {self.first} to {self.last}"
        )


def power_law(
    eigenvalues: Any, signal: Any, first: int | None = None, last: int | None = None
) -> PowerLaw:
    """Capacity and source exponents of a spectrum by regression on logarithms.

    Parameters
    ----------
    eigenvalues, signal : (dim,) array
        Decreasing ``lambda_k``, and ``s_k``.
    first, last : int, optional
        Ranks between which to fit, from 1. By default ``dim / 50`` (at least 2) to ``dim / 2``:
        the head holds few points, and the tail of a finite spectrum bends down.

    Raises
    ------
    DataError
        If the range holds fewer than four ranks.
    """
    spectrum, share = numbers("eigenvalues", eigenvalues, 0), numbers("signal", signal, 0)
    if spectrum.ndim != 1 or np.any(spectrum == 0) or np.any(np.diff(spectrum) > 0):
        raise DataError("power law: eigenvalues; allowed: one decreasing row of numbers above 0")
    dim = len(spectrum)
    if share.shape != (dim,) or not np.any(share[-1:]):
        raise DataError(f"power law: signal; allowed: one row of {dim} numbers, the last above 0")
    first = max(2, dim // 50) if first is None else first
    last = dim // 2 if last is None else last
    if not (first >= 1 and first + 3 <= last < dim):
        raise DataError(
            f"power law: ranks {first} to {last} of {dim} eigenvalues; "
            f"allowed: at least four ranks between 1 and {dim - 1}"
        )
    log_rank = np.log(np.arange(1, dim))
    log_eigenvalue = np.log(spectrum[:-1])
    log_tail = np.log(np.cumsum(share[::-1])[::-1][1:])  # sum_{j > k} s_j

    def slopes(low: int, high: int) -> tuple[float, float]:
        # Even weight per octave: the ranks of the fit are log-spaced.
        picked = np.unique(np.geomspace(low, high, 64).round().astype(int)) - 1
        capacity = -np.polyfit(log_rank[picked], log_eigenvalue[picked], 1)[0]
        tail = -np.polyfit(log_rank[picked], log_tail[picked], 1)[0]
        return float(capacity), float(tail / (2 * capacity))

    ranks = np.unique(np.geomspace(first, last, 9).round().astype(int))
    local = np.array([slopes(max(1, k // 2), min(2 * k, dim - 1)) for k in ranks])
    capacity, source = slopes(first, last)
    return PowerLaw(capacity, source, first, last, ranks, local[:, 0], local[:, 1])
