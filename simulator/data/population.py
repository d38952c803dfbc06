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

from simulator.data.loading import DataError, Table

#: Directions with less than this share of the largest eigenvalue are rounding, not data.
NULL_EIGENVALUE = 1e-10


@dataclass(frozen=True)
class Population:
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
        return self.eigenvalues * self.teacher**2

    @property
    def noise_std(self) -> float:
        """``sigma``, the root mean square of the residual."""
        return float(np.sqrt(np.mean(self.residual**2)))

    def spikiness(self, ridge: float) -> float:
        """How unevenly rows weigh in a fit: the spread of ``q = x^T (Sigma + ridge)^{-1} x``.

        Standard deviation over mean of ``q`` over the rows, in units of what Gaussian rows of the
        same spectrum would have, ``sqrt(2 df2) / df1``. The deterministic equivalents assume that
        ``q`` is nearly constant: 1 is Gaussian, and the larger the worse.
        """
        shrinkage = self.eigenvalues / (self.eigenvalues + ridge)
        q = (self.rows**2 / self.eigenvalues) @ shrinkage
        gaussian = np.sqrt(2 * np.sum(shrinkage**2)) / np.sum(shrinkage)
        return float(q.std() / q.mean() / gaussian)

    def felt_noise(self, ridge: float) -> float:
        """How much larger the label noise is where a fit feels it than on average.

        ``E[residual^2 q] / (sigma^2 E q)`` with ``q = x^T Sigma (Sigma + ridge)^{-2} x``, the
        weight of a row in the variance of a fit to many samples. 1 if the residual does not depend
        on the features, as the theory assumes.
        """
        weights = self.rows**2 @ (self.eigenvalues / (self.eigenvalues + ridge) ** 2)
        return float(np.average(self.residual**2, weights=weights) / self.noise_std**2)


def population(table: Table) -> Population:
    """The population of a table: spectrum, teacher and residual.

    Raises
    ------
    DataError
        If there are not more rows than independent features: the fit would explain every target,
        and nothing would be left to learn about noise.
    """
    x = table.features - table.features.mean(axis=0)
    x /= np.sqrt(np.mean(np.sum(x**2, axis=1)))
    y = table.targets - table.targets.mean()
    y /= y.std()
    num_rows, num_features = x.shape
    if num_features <= num_rows:
        eigenvalues, basis = np.linalg.eigh(x.T @ x / num_rows)
        eigenvalues, basis = eigenvalues[::-1], basis[:, ::-1]
    else:
        _, singular, transposed = np.linalg.svd(x, full_matrices=False)
        eigenvalues, basis = singular**2 / num_rows, transposed.T
    kept = eigenvalues > NULL_EIGENVALUE * eigenvalues[0]
    dim = int(kept.sum())
    if dim >= num_rows - 1:
        raise DataError(
            f"{table.name}: {num_rows} rows are too few for {dim} independent features; "
            "allowed: more rows than features + 1 (fewer features, or a feature map with fewer)"
        )
    if dim < 2:
        raise DataError(f"{table.name}: only {dim} independent feature; allowed: at least 2")
    rows = x @ basis[:, kept]
    spectrum = np.mean(rows**2, axis=0)
    teacher = rows.T @ y / num_rows / spectrum
    return Population(rows, spectrum, teacher, y - rows @ teacher, table.name)


@dataclass(frozen=True)
class PowerLaw:
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
    spectrum, share = np.asarray(eigenvalues, float), np.asarray(signal, float)
    dim = len(spectrum)
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
