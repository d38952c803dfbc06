"""``data-accumulation.gaussian`` and ``.tokens``: chains step by step, and whole laws of counts.

``wrong`` names a mistake, as in the program of the policies. Means of logarithms and roots are sums
over chi-square variables by Gauss's rules; token counts have their whole law by a Fourier transform
of the generating function.
"""

from fractions import Fraction
from math import log, sqrt

import numpy as np
from scipy import special

from tests.references.data_accumulation import POOL, errors_of_means, sizes, weights


# --------------------------------------------------------------------------------------------
# A Gaussian
# --------------------------------------------------------------------------------------------
def _chi_square_mean(function, a, s, freedom, s1):
    """``E function(a + s chi^2_freedom + s1 chi^2_1)``, by Gauss's rules for both variables."""
    if s1 == 0:
        s1, x1, w1 = 0.0, np.zeros(1), np.ones(1)
    else:
        x1, w1 = special.roots_genlaguerre(60, -0.5)
        w1 = w1 / w1.sum()
    if freedom == 0:
        x, w = np.zeros(1), np.ones(1)
    else:  # gamma variables, by quantiles on a fine grid of Gauss-Legendre panels
        x, w = _gamma_rule(freedom / 2)
    value = function(a + 2 * s * x[:, None] + 2 * s1 * x1[None, :])
    return float(w @ value @ w1)


def _gamma_rule(shape):
    """Nodes and weights for ``E g(G)``, ``G ~ Gamma(shape)``, in the logarithm of G."""
    node, weight = np.polynomial.legendre.leggauss(400)
    low = special.gammaincinv(shape, 1e-300 ** min(1, shape)) if shape > 2 else 0
    low = log(max(low, 1e-80))
    high = log(special.gammainccinv(shape, 1e-17) + 1)
    y = low + (high - low) * (node + 1) / 2
    w = weight * np.exp(shape * y - np.exp(y) - special.gammaln(shape))
    return np.exp(y), w / w.sum()


def _chain_parts(p, wrong):
    """``(a, s, T - 1, s1)`` of every generation of the multiplicative chain."""
    t = sizes(p)[0]
    _, newest, squares = weights(p, wrong)
    u = 1 / (1 - squares) if p["estimator"] == "unbiased" else np.ones_like(t)
    before = np.concatenate([u[:1], u[:-1]])
    freedom = t if wrong == "T degrees of freedom" else t - 1
    a, s = u * (1 - newest) / before, u * newest / t
    s1 = s * (1 - newest) * (0 if wrong == "rank-one term dropped" else 1)
    return np.stack([a, s, freedom, s1], axis=1)


def gaussian(wrong=None, **p):
    d, t = p["dim"], sizes(p)[0]
    ml = p["estimator"] == "maximum_likelihood"
    m, c = errors_of_means(p, p["estimator"], wrong)
    conserving = errors_of_means(p, "maximum_likelihood")[0]
    size = 1 / conserving
    first = np.arange(len(t)) == 0
    if p["policy"] in ("replace", "accumulate"):
        steps = _chain_parts(p, wrong)
        k, e = (
            np.array([a + s * f + s1 for a, s, f, s1 in steps]),
            np.array([s**2 * f + s1**2 for a, s, f, s1 in steps]),
        )
        if wrong is not None and wrong != "rows of constant spread":
            c = np.cumprod(k)
        std, big, square, mean = [], float(d * d), float(d), float(d)
        for ki, ei in zip(k, e, strict=True):
            big, square = ki**2 * big + 2 * ei * square, (ki**2 + ei) * square + ei * big
            mean *= ki
            std.append(sqrt(max(big - mean**2, 0)) / d)
        logs, roots = [], []
        for i, (a, s, f, s1) in enumerate(steps):
            if a == 0:  # whole Wishart matrices
                j = np.arange(1, d + 1)
                logs.append(np.sum(special.digamma((f + 1 - j) / 2)) + d * log(2 * s))
                gammas = special.gammaln((f + 1) / 2) - special.gammaln(f / 2)
                roots.append(sqrt(2 * s) * np.exp(gammas))
            elif d == 1:
                logs.append(_chi_square_mean(np.log, a, s, f, s1))
                roots.append(_chi_square_mean(np.sqrt, a, s, f, s1))
            else:
                logs.append(d * log(k[i]) - d * (d + 1) * e[i] / (2 * k[i] ** 2))
                roots.append(1.0)
        log_det, root = np.cumsum(logs), np.cumprod(roots)
        if wrong == "log det of the mean":
            log_det = d * np.log(c)
    else:
        std = (c / (1 - conserving)) * np.sqrt(2 * (size - 1) / d) / size
        j = np.arange(1, d + 1)
        log_det = np.array([
            np.sum(special.digamma((n - j) / 2)) + d * log(2 / n) + d * log(ci / (1 - 1 / n))
            if start or n >= d + 2
            else d * log(ci) - d * (d + 1) / n / 2
            for n, ci, start in zip(size, c, first, strict=True)
        ])  # fmt: skip
        root = np.sqrt(2 / size * c / (1 - conserving)) * np.exp(
            special.gammaln(size / 2) - special.gammaln((size - 1) / 2)
        )
        if wrong == "log det of the mean":
            log_det = d * np.log(c)
    if wrong == "root of the mean":
        root = np.sqrt(c)
    ts = p["num_samples_synthetic"]
    j = np.arange(1, d + 1)
    drift = 0.0
    if p["policy"] == "replace":
        drift = np.mean(special.digamma((ts - j) / 2)) + log(2 / (ts if ml else ts - 1))
    return {
        "mean_error": m,
        "trace_ratio": c,
        "trace_std": np.array(std),
        "log_determinant": log_det,
        "kl_divergence": (d * (c + m - 1) - log_det) / 2,
        "frechet_distance": m + 1 + c - 2 * root if d == 1 else d * (d + 5) * m / 4,
        "num_samples_effective": size,
        "log_variance_drift": drift,
    }


# --------------------------------------------------------------------------------------------
# Tokens
# --------------------------------------------------------------------------------------------
def _generating(p, n, z, real, synthetic, wrong=None):
    """``theta_n`` as a function of ``z``, the factor of one row in the generating function.

    ``real`` and ``synthetic`` are the powers of ``z`` that rows of the two kinds count.
    """
    t, totals, subset = sizes(p)
    w = weights(p)[0]
    name, b = p["policy"], p["synthetic_weight"]

    def f(factor):  # of E z^Y for Poisson counts
        return 1 - factor

    def thin(share, factor):
        return 1 - share * (1 - factor)

    keep = subset / totals
    if wrong == "subsets never lose a token":
        keep = np.ones_like(keep)
    order = range(n, 1, -1)
    if wrong == "sizes in the wrong order":
        order = range(2, n + 1)
    if name == "replace":
        x = z**real
        for i in order:
            x = np.exp(-t[i - 1] / w[i - 2] * f(x))
        return t[0] * f(x)
    if name == "fresh_mix":
        total, x = 0.0, None
        for i in range(n, 0, -1):
            # x: exponent of the model of generation i in the rows of block i + 1
            mine = z**real if x is None else np.exp(-x)
            block = z**synthetic if x is None else np.exp(-b * x)
            fresh = 0 if wrong == "no immigration" and i < n else 1
            total = total + fresh * t[0] * f(mine)
            if i == 1:
                return total
            x = t[i - 1] / w[i - 2] * f(block)
    if name in ("accumulate", "keep_real"):
        x, y = z**real, z**synthetic
        for i in range(n, 1, -1):
            a = t[i - 1] / w[i - 2] * f(y)
            x = x * np.exp(-a)
            chained = np.exp(-(1 if wrong == "b missing in the exponents" else b) * a)
            y = y * chained if name == "accumulate" else chained
        return t[0] * f(x)
    x = thin(keep[n - 1], z**real)
    for i in range(n, 1, -1):
        drawn = np.exp(-t[i - 1] / w[i - 2] * f(x))
        share = 1.0 if wrong == "thinned only at the end" else keep[i - 2]
        x = x * thin(share, drawn)
    return t[0] * f(x)


def tokens(wrong=None, **p):
    n, v = p["num_generations"], p["num_tokens"]
    law = np.arange(1, v + 1.0) ** -p["zipf_exponent"]
    law = law / law.sum()
    multinomial = p["sampling"] == "multinomial"
    w = weights(p)[0]
    same = np.sum(law**2)
    unit = errors_of_means(p, "unit", wrong)[0]
    conserving = errors_of_means(p, "maximum_likelihood", wrong)[0]
    spread = unit
    if multinomial:
        spread = conserving * (1 if wrong == "no sum of squares" else 1 - same)
    share = Fraction(p["synthetic_weight"]).limit_denominator(400)
    real, synthetic = (1, 1) if p["policy"] in ("replace", POOL) else (
        share.denominator, share.numerator
    )  # fmt: skip
    names = "test_error", "num_distinct_tokens", "entropy", "num_samples_effective"
    found = {name: [] for name in names}
    for i in range(1, n + 1):
        most = w[i - 1] * real
        points = 1 << int(np.ceil(np.log2(3 * most + 60 * sqrt(most * real) + 100 * real)))
        z = np.exp(-2j * np.pi * np.arange(points) / points)
        theta = _generating(p, i, z, real, synthetic, wrong)
        probability = np.fft.ifft(np.exp(-law[:, None] * theta), axis=1).real
        frequency = np.arange(points) / real / w[i - 1]
        plus = np.where(frequency > 0, frequency, 1)
        entropy = -np.sum(probability @ (frequency * np.log(plus)))
        effective = float(np.real(_generating(p, i, np.array(0.0), real, synthetic, wrong)))
        if p["synthetic_weight"] == 0 and p["policy"] not in ("replace", POOL):
            effective = p["num_samples"]
        absent = np.exp(-law * effective)
        certain = p["policy"] in ("accumulate", "keep_real") or i == 1
        if multinomial and certain and wrong != "accumulate loses tokens":
            absent = (1 - law) ** w[0]
        if wrong == "accumulate loses tokens" and i > 1:
            absent = np.exp(-law * p["num_samples"] / i)
        if multinomial:
            entropy += unit[i - 1] / 2
        if wrong == "entropy to first order":
            entropy = -law @ np.log(law) - (v - 1) * unit[i - 1] / 2
        found["test_error"].append(law @ absent)
        found["num_distinct_tokens"].append(np.sum(1 - absent))
        found["entropy"].append(entropy)
        found["num_samples_effective"].append(effective)
    return {
        **{name: np.array(values) for name, values in found.items()},
        "simpson_index": same + spread,
        "squared_error": spread,
    }
