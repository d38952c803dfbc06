"""Running moments of replicate values, in float64.

Values enter in the order of their replicate index and are merged in fixed blocks, so that the
result does not depend on how a run was cut into chunks or extended later.
"""

from collections.abc import Mapping

import numpy as np

BLOCK = 64
#: One infinite replicate makes the mean infinite: a result, not an accident.
infinite_values = np.errstate(over="ignore", invalid="ignore", divide="ignore")


class Moments:
    """Count, mean and central moments up to the fourth of a stream of arrays."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: np.ndarray = np.zeros(())
        self._m2: np.ndarray = np.zeros(())
        self._m3: np.ndarray = np.zeros(())
        self._m4: np.ndarray = np.zeros(())
        self._pending: list[np.ndarray] = []

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the output, once a replicate was seen."""
        return self._pending[0].shape[1:]

    @infinite_values
    def update(self, values: np.ndarray) -> None:
        """Add replicates; ``values`` has the replicate axis first."""
        pending = np.concatenate([*self._pending, np.asarray(values, dtype=np.float64)])
        full = len(pending) // BLOCK * BLOCK
        for start in range(0, full, BLOCK):
            block = pending[start : start + BLOCK]
            self._merge(block)
        self._pending = [pending[full:]]

    def _merge(self, block: np.ndarray) -> None:
        self.count, self.mean, self._m2, self._m3, self._m4 = merged(
            (self.count, self.mean, self._m2, self._m3, self._m4), central_sums(block)
        )

    def _total(self) -> tuple:
        own = (self.count, self.mean, self._m2, self._m3, self._m4)
        pending = self._pending[0] if self._pending else np.zeros((0,))
        return merged(own, central_sums(pending)) if len(pending) else own

    def state(self) -> dict[str, np.ndarray]:
        """What another process needs to go on."""
        names = ("count", "mean", "m2", "m3", "m4")
        own = (self.count, self.mean, self._m2, self._m3, self._m4)
        pending = self._pending[0] if self._pending else np.zeros((0, *np.shape(self.mean)))
        if self.count == 0:  # before the first full block, only what waits for it has a shape
            nothing = np.zeros(pending.shape[1:])
            own = (0, nothing, nothing, nothing, nothing)
        return dict(zip(names, map(np.asarray, own), strict=True)) | {"pending": pending}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> "Moments":
        """The moments whose :meth:`state` this is."""
        moments = cls()
        moments.count = int(state["count"])
        moments.mean = state["mean"]
        moments._m2, moments._m3, moments._m4 = state["m2"], state["m3"], state["m4"]
        moments._pending = [state["pending"]]
        return moments

    @infinite_values
    def summary(self) -> "Summary":
        """Moments of everything seen so far (``count`` must be at least 1)."""
        count, mean, m2, m3, m4 = self._total()
        variance = m2 / (count - 1) if count > 1 else np.full_like(mean, np.nan)
        spread = np.sqrt(np.where(m2 > 0, m2 / count, 1.0))
        # Divided one by one: the powers of a small spread underflow before the sums do.
        skewness = np.where(m2 > 0, m3 / count / spread / spread / spread, 0.0)
        kurtosis = np.where(m2 > 0, count * m4 / np.where(m2 > 0, m2, 1.0) ** 2, 0.0)
        infinite = np.isinf(mean) & (count > 1)
        variance, kurtosis = (np.where(infinite, np.inf, x) for x in (variance, kurtosis))
        return Summary(count, mean, variance, skewness, kurtosis)


class Summary:
    """Moments of one output in one cell.

    With control variates it may be that of a mean from which they are regressed out, for which see
    `simulator.engine.regression`: ``variance`` is then that of as many independent values with the
    mean's error, skewness and kurtosis are those of the residuals.

    Attributes
    ----------
    count : int
    mean, variance, skewness, kurtosis : float64 arrays with the output's shape
        ``variance`` is unbiased; ``skewness`` is m3 / m2^(3/2) and ``kurtosis`` m4 / m2^2
        (0 and 3 for a Gaussian; 0 for constant values).
    controls : int
        Control variates that were regressed out.
    regressed : Summary, optional
        The same replicates with control variates regressed out.
    """

    regressed: "Summary | None" = None

    def __init__(self, count, mean, variance, skewness, kurtosis, controls: int = 0) -> None:
        self.count = count
        self.mean = mean
        self.variance = variance
        self.skewness = skewness
        self.kurtosis = kurtosis
        self.controls = controls

    @property
    def best(self) -> "Summary":
        """What says most of the mean."""
        return self if self.regressed is None else self.regressed

    @property
    def standard_error(self) -> np.ndarray:
        """Standard error of the mean (NaN for a single replicate: it is unknown)."""
        return np.sqrt(self.variance / self.count)

    @infinite_values
    def dispersion(self, statistic: str) -> tuple[np.ndarray, np.ndarray]:
        """Sample std or variance and its standard error (delta method on the fourth moment)."""
        variance = self.variance
        variance_error = variance * np.sqrt(np.maximum(self.kurtosis - 1.0, 0.0) / self.count)
        if statistic == "variance":
            return variance, variance_error
        std = np.sqrt(variance)
        error = variance_error / np.where(std == 0, 1.0, 2 * std)  # NaN for a single replicate
        return std, np.where(np.isinf(std), np.inf, error)


def central_sums(values: np.ndarray) -> tuple:
    """Count, mean and sums of central powers."""
    mean = values.mean(axis=0)
    centred = values - mean
    return (
        len(values),
        mean,
        (centred**2).sum(axis=0),
        (centred**3).sum(axis=0),
        (centred**4).sum(axis=0),
    )


def merged(a: tuple, b: tuple) -> tuple:
    """Pairwise combination of central moment sums (Chan et al. 1979; Pébay 2008)."""
    if a[0] == 0:
        return b
    n_a, mean_a, m2_a, m3_a, m4_a = a
    n_b, mean_b, m2_b, m3_b, m4_b = b
    n = n_a + n_b
    delta = mean_b - mean_a
    mean = np.where(np.isfinite(delta), mean_a + delta * (n_b / n), mean_a + mean_b)
    m2 = m2_a + m2_b + delta**2 * (n_a * n_b / n)
    m3 = (
        m3_a
        + m3_b
        + delta**3 * (n_a * n_b * (n_a - n_b) / n**2)
        + 3 * delta * (n_a * m2_b - n_b * m2_a) / n
    )
    m4 = (
        m4_a
        + m4_b
        + delta**4 * (n_a * n_b * (n_a**2 - n_a * n_b + n_b**2) / n**3)
        + 6 * delta**2 * (n_a**2 * m2_b + n_b**2 * m2_a) / n**2
        + 4 * delta * (n_a * m3_b - n_b * m3_a) / n
    )
    return n, mean, m2, m3, m4
