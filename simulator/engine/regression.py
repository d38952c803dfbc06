"""Control variates: statistics of a replicate whose means are known sharpen the mean of an output.

With ``z`` the statistics minus their means and ``b`` the least-squares slope of an output ``y`` on
them, the mean of ``y - b z`` estimates that of ``y`` with the variance of the residuals only. With
``N`` replicates, ``C`` statistics and their sums of products ``S``, the standard error is that of a
regression at a point where the statistics are at their means,

    s^2 (1/N + zbar S^-1 zbar),   s^2 = sum of squared residuals / (N - 1 - C),

unbiased for Gaussian statistics. The error of the slope adds ``C/N`` to the variance, which few
replicates do not repay: `MIN_FREEDOM` degrees of freedom are left, and fewer replicates than that
takes use the first statistics only, in the order of the study, or none. The choice follows from
the number of replicates, never from their values.

Values enter in the blocks of `simulator.engine.moments`. The slope of the first block makes
residuals of all that follow, whose moments up to the fourth are kept; what the final slope adds to
it is worked out at the end from sums of products, so that the estimate is that of one regression on
all replicates. (Only skewness and kurtosis are those of the residuals of the first slope.)
"""

from collections.abc import Mapping

import numpy as np

from simulator.engine.moments import BLOCK, Summary, central_sums, infinite_values, merged

MIN_FREEDOM = 10
INDEPENDENT = 1e-10  # share of the largest eigenvalue of the correlations that is no rounding

#: The names of the arrays of a state, after which the shape of each follows from the output's.
STATE = ("slope", "r_mean", "r_m2", "r_m3", "r_m4", "z_mean", "z_m2", "cross")


def usable(count: int, controls: int) -> int:
    """How many of so many controls are used with so many replicates.

    Beyond the first block its slope is that of all of them: all are used, or none.
    """
    most = max(count - 1 - MIN_FREEDOM, 0)
    return min(controls, most) if count < BLOCK or controls <= most else 0


def state_shapes(shape: tuple[int, ...], controls: int) -> dict[str, tuple[int, ...]]:
    """The shape of each array of a state, for an output of a shape."""
    residuals = dict.fromkeys(STATE[1:5], shape)
    return {
        "slope": (*shape, controls),
        **residuals,
        "z_mean": (controls,),
        "z_m2": (controls, controls),
        "cross": (*shape, controls),
    }


class Regression:
    """Running moments of the residuals of one output, and of the controls of its replicates."""

    def __init__(self) -> None:
        self._sums: _Sums | None = None
        self._slope: np.ndarray | None = None
        self._pending: tuple[np.ndarray, np.ndarray] | None = None

    @infinite_values
    def update(self, values: np.ndarray, controls: np.ndarray) -> None:
        """Add replicates; both have the replicate axis first."""
        new = (np.asarray(values, np.float64), np.asarray(controls, np.float64))
        if self._pending is not None:
            y, z = (np.concatenate(parts) for parts in zip(self._pending, new, strict=True))
        else:
            y, z = new
        full = len(y) // BLOCK * BLOCK
        for start in range(0, full, BLOCK):
            self._merge(y[start : start + BLOCK], z[start : start + BLOCK])
        self._pending = y[full:], z[full:]

    def _merge(self, y: np.ndarray, z: np.ndarray) -> None:
        if self._slope is None:
            self._slope = _first_slope(y, z)
        block = _Sums.of(y, z, self._slope)
        self._sums = block if self._sums is None else self._sums.merged(block)

    def state(self) -> dict[str, np.ndarray]:
        """What another process needs to go on, beside the pending values and controls."""
        assert self._pending is not None
        y, z = self._pending
        if self._sums is None or self._slope is None:
            shapes = state_shapes(y.shape[1:], z.shape[1])
            return {name: np.zeros(shape) for name, shape in shapes.items()}
        sums = self._sums
        arrays = (self._slope, *sums.residuals[1:], sums.z_mean, sums.z_m2, sums.cross)
        return dict(zip(STATE, arrays, strict=True))

    @classmethod
    def from_state(
        cls, state: Mapping[str, np.ndarray], count: int, pending: tuple[np.ndarray, np.ndarray]
    ) -> "Regression":
        """The regression whose :meth:`state` this is."""
        regression = cls()
        regression._pending = pending
        if count:
            residuals = (count, *(state[name] for name in STATE[1:5]))
            regression._slope = state["slope"]
            regression._sums = _Sums(residuals, state["z_mean"], state["z_m2"], state["cross"])
        return regression

    @infinite_values
    def summary(self) -> Summary | None:
        """The regressed mean and its error as moments.

        None for too few replicates, and where one is infinite.
        """
        assert self._pending is not None
        y, z = self._pending
        used = usable((self._sums.residuals[0] if self._sums else 0) + len(y), z.shape[1])
        if not used:
            return None
        z = z[:, :used]
        slope = self._slope if self._slope is not None else _first_slope(y, z)
        sums = self._sums
        if len(y):
            last = _Sums.of(y, z, slope)
            sums = last if sums is None else sums.merged(last)
        assert sums is not None
        count, mean, m2, m3, m4 = sums.residuals
        inverse, rank = _inverse(sums.z_m2)
        change = sums.cross @ inverse
        if not (np.isfinite(mean).all() and np.isfinite(m2).all()):
            return None
        left = np.maximum(m2 - (change * sums.cross).sum(axis=-1), 0.0) / (count - 1 - rank)
        spread = np.sqrt(np.where(m2 > 0, m2 / count, 1.0))
        return Summary(
            count,
            mean - change @ sums.z_mean,
            left * (1 + count * (sums.z_mean @ inverse @ sums.z_mean)),
            np.where(m2 > 0, m3 / count / spread / spread / spread, 0.0),
            np.where(m2 > 0, count * m4 / np.where(m2 > 0, m2, 1.0) ** 2, 0.0),
            controls=used,
        )


class _Sums:
    """Central sums of residuals up to the fourth power, and of their products with controls."""

    def __init__(
        self, residuals: tuple, z_mean: np.ndarray, z_m2: np.ndarray, cross: np.ndarray
    ) -> None:
        self.residuals = residuals  # count, mean, m2, m3, m4
        self.z_mean = z_mean
        self.z_m2 = z_m2
        self.cross = cross

    @classmethod
    def of(cls, y: np.ndarray, z: np.ndarray, slope: np.ndarray) -> "_Sums":
        residuals = central_sums(y - np.moveaxis(slope @ z.T, -1, 0))
        z_mean = z.mean(axis=0)
        centred = z - z_mean
        left = y - np.moveaxis(slope @ z.T, -1, 0) - residuals[1]
        cross = np.tensordot(left, centred, axes=(0, 0))
        return cls(residuals, z_mean, centred.T @ centred, cross)

    def merged(self, other: "_Sums") -> "_Sums":
        (n_a, mean_a, *_), (n_b, mean_b, *_) = self.residuals, other.residuals
        share = n_a * n_b / (n_a + n_b)
        delta_z = other.z_mean - self.z_mean
        delta = np.asarray(mean_b - mean_a)
        return _Sums(
            merged(self.residuals, other.residuals),
            self.z_mean + delta_z * (n_b / (n_a + n_b)),
            self.z_m2 + other.z_m2 + share * np.outer(delta_z, delta_z),
            self.cross + other.cross + share * delta[..., None] * delta_z,
        )


def _first_slope(y: np.ndarray, z: np.ndarray) -> np.ndarray:
    plain = _Sums.of(y, z, np.zeros((*y.shape[1:], z.shape[1])))
    slope = plain.cross @ _inverse(plain.z_m2)[0]
    return np.where(np.isfinite(slope), slope, 0.0)


def _inverse(products: np.ndarray) -> tuple[np.ndarray, int]:
    """Inverse of sums of products on the controls that differ, and their number."""
    if not np.isfinite(products).all():
        return np.zeros_like(products), 0
    scale = np.sqrt(np.diag(products))
    per = np.where(scale > 0, 1 / np.where(scale > 0, scale, 1.0), 0.0)
    values, vectors = np.linalg.eigh(products * np.outer(per, per))
    kept = values > INDEPENDENT * max(1.0, float(np.max(values, initial=0.0)))
    inverse = vectors[:, kept] / values[kept] @ vectors[:, kept].T
    return inverse * np.outer(per, per), int(kept.sum())
