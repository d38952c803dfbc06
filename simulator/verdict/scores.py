"""How many standard errors lie between an estimate and a value, when tails may be heavy.

Of a skewed law the mean is carried by rare replicates. A sample that misses them has too low a mean
*and* too small a standard error, so that the plain ratio rejects right theories far too often; a
sample that holds them has both too large, and is harmless. Hall's transformation removes the
skewness of the t statistic (P. Hall, J. R. Statist. Soc. B 54, 1992): with ``c`` a third of the
skewness of the mean,

    z = ((1 + c t)^3 - 1) / 3c,    flat where 1 + c t < 0,

applied only where it takes ``|z|`` down. So a sample whose skewness is ``s`` cannot reject beyond
``1 / 3c = 1/s`` standard errors on the side of the replicates that it may have missed, whatever its
standard error says; a law of infinite variance ends there. On the other side the t statistic has a
Gaussian tail for every law. The sample's own skewness errs low together with its mean: twice it is
used (``CAUTION``), and a third of the degrees of freedom (what a variance has where the kurtosis is
7), which matters below some hundred replicates.
"""

from statistics import NormalDist

import numpy as np
import scipy

POWER_QUANTILE = NormalDist().inv_cdf(0.95)  # 95 % power
CAUTION = 2.0
SMALLEST_TAIL = 1e-304  # what the quantile function still takes


def normal_score(ratio: np.ndarray, skewness: np.ndarray, replicates: int) -> np.ndarray:
    """The z of a deviation over its standard error, ``skewness`` being that of the estimate."""
    size = np.abs(ratio)
    short = np.sign(ratio) * skewness < 0  # rare replicates may be missing on this side
    c = np.where(short, CAUTION * np.abs(skewness) / 3, 0.0)
    left = np.maximum(1 - c * np.where(short, size, 0.0), 0.0)
    t = np.where(c > 0, (1 - left**3) / np.where(c > 0, 3 * c, 1.0), size)
    tail = scipy.special.stdtr(_degrees(replicates), -t)
    # Beyond the range of the quantile function the plain ratio is as good: nothing hangs on it.
    inside = tail > SMALLEST_TAIL
    quantile = np.where(inside, -scipy.special.ndtri(np.where(inside, tail, 0.5)), t)
    return np.sign(ratio) * np.where(np.isnan(t), np.nan, quantile)


def critical_ratio(threshold: float, skewness: np.ndarray, replicates: float) -> np.ndarray:
    """The smallest ratio that scores ``threshold`` on both sides; ``inf`` where none does."""
    if replicates < 2:
        return np.full(np.shape(skewness), np.inf)
    t = -scipy.special.stdtrit(_degrees(replicates), scipy.special.ndtr(-threshold))
    c = CAUTION * np.abs(skewness) / 3
    left = np.cbrt(np.maximum(1 - 3 * c * t, 0.0))
    ratio = np.where(c > 0, (1 - left) / np.where(c > 0, c, 1.0), t)
    return np.where(left > 0, ratio, np.inf)


def _degrees(replicates: float) -> float:
    return (replicates - 1) / 3
