"""``data-accumulation``: the recursions generation by generation, in plain NumPy and SciPy.

``wrong`` names a mistake, for the mutants; without one the program is right. Equivalents are solved
by bracketing.
"""

from math import floor, inf, log, sqrt

import numpy as np
from scipy import special
from scipy.optimize import brentq

POOL = "accumulate_subsample"


def sizes(p):
    """``T_1 .. T_n``, ``N_i``, ``B_i``."""
    later = [
        floor(p["num_samples_synthetic"] * i ** p["sample_growth"] + 0.5)
        for i in range(1, p["num_generations"])
    ]
    t = np.array([p["num_samples"], *later], float)
    totals = np.cumsum(t)
    return t, totals, np.minimum(p["num_samples_budget"], totals)


def weights(p, wrong=None):
    """``W_i``, the newest block's share, and the sum of squared normalised weights."""
    t, totals, subset = sizes(p)
    b, one = p["synthetic_weight"], t[0]
    if p["policy"] == "replace":
        return t, np.ones_like(t), 1 / t
    if p["policy"] == POOL:
        return subset, t / totals, 1 / subset
    synthetic = (totals if p["policy"] == "accumulate" else one + t) - one
    synthetic[0] = 0
    w = one + b * synthetic
    newest = np.where(np.arange(len(t)) == 0, 1, b * t / w)
    squares = b if wrong == "squared weights with b for b^2" else b**2
    return w, newest, (one + squares * synthetic) / w**2


def errors_of_means(p, mode, wrong=None, real=1.0, synthetic=None):
    """``m_n``, ``c_n`` in the mode "unit", "maximum_likelihood" or "unbiased".

    With ``synthetic`` the rows of the two kinds have these variances (a regression's subset).
    """
    t, totals, subset = sizes(p)
    _, newest, squares = weights(p, wrong)
    name, one = p["policy"], t[0]
    u = 1 / (1 - squares) if mode == "unbiased" else np.ones_like(t)

    def missing(i, q, pool):
        if subset[i] == totals[i]:
            return 0.0
        if mode == "unit" and synthetic is None:
            return 1 / subset[i] - 1 / totals[i]
        if wrong == "no finite-population factor":
            return (q - pool) / subset[i]
        return (totals[i] - subset[i]) / (subset[i] * (totals[i] - 1)) * (q - pool)

    def spread(i, q, m):
        if synthetic is not None:
            return synthetic
        return 1.0 if mode == "unit" or wrong == "rows of constant spread" else u[i] * (q - m)

    pool, q = real / one, real
    m = [pool + missing(0, q, pool) if name == POOL else pool]
    c = [spread(0, q, m[0])]
    for i in range(1, len(t)):
        w, old_m, old_c = newest[i], m[-1], c[-1]
        if name == "replace":
            new = old_m + old_c / t[i]
            q = old_c + old_m
        elif name == "accumulate":
            share = 1 / totals[i] if wrong == "share 1/N" else w**2 / t[i]
            new = old_m + share * old_c
            q = (1 - w) * q + w * (old_c + old_m)
        elif name == "keep_real":
            new = (1 - w**2) / one + w**2 * (old_m + old_c / t[i])
            q = (1 - w) + w * (old_c + old_m)
        elif name == "fresh_mix":
            new = (1 - w) ** 2 / one + w**2 * (old_m + old_c / t[i])
            q = (1 - w) + w * (old_c + old_m)
        else:
            before, now, past = totals[i - 1], totals[i], pool
            pool = (before * (before + 2 * t[i]) * pool + t[i] ** 2 * old_m + t[i] * old_c) / now**2
            if wrong == "pool without its variance":
                pool = past + t[i] * old_c / now**2
            q = (before * q + t[i] * (old_c + old_m)) / now
            new = pool + missing(i, q, pool)
        m.append(new)
        c.append(spread(i, q, new))
    return np.array(m), np.array(c)


def policy_factor_limit(p):
    t1, ts, b = p["num_samples"], p["num_samples_synthetic"], p["synthetic_weight"]
    rho, budget = t1 / ts, p["num_samples_budget"]
    w = b * ts / (t1 + b * ts)

    def trigamma(x):
        return special.polygamma(1, x)

    if p["policy"] == "replace":
        return inf
    if p["policy"] == "accumulate":
        return 1 + rho * trigamma(1 + rho / b) if b else 1.0
    if p["policy"] == "keep_real":
        return 1 + rho * w**2 / (1 - w**2)
    if p["policy"] == "fresh_mix":
        return ((1 - w) ** 2 + rho * w**2) / (1 - w**2)
    if budget <= t1:
        return t1 * (1 / budget + trigamma(1 + rho) * (1 / budget + 2 / ts))
    x = rho + floor((budget - t1) / ts) + 2
    return t1 * (
        1 / t1 + trigamma(1 + rho) / ts + trigamma(x) / budget
        - (1 / (x - 1) - trigamma(x)) / ts + 1 / budget
    )  # fmt: skip


# --------------------------------------------------------------------------------------------
# Linear regression
# --------------------------------------------------------------------------------------------
def trace(n, d, wrong=None):
    if n >= d + 2:
        return d / (n - d if wrong == "N - d" else n - d - 1)
    return n / (d - n - 1) if n <= d - 2 else inf


def _times(x, y):
    return 0.0 if x == 0 or y == 0 else x * y


def theta_of(d, penalty, groups):
    """``theta`` and ``f``; ``groups`` are pairs (rows, weight)."""
    groups = [(t, c) for t, c in groups if c > 0 and t > 0]

    def excess(y):
        x = np.exp(y)
        return penalty * x + sum(t * c * x / (1 + c * x) for t, c in groups) - d

    x = np.exp(brentq(excess, -60, 90, xtol=1e-15, rtol=1e-15))
    return x, penalty + sum(t * c / (1 + c * x) ** 2 for t, c in groups)


def gram_law(t, d, points=20_000):
    """Eigenvalues of a Gram matrix and how many directions have them, by Marchenko and Pastur."""
    phi = d / t
    angle = (np.arange(points) + 0.5) * np.pi / points  # midpoints: periodic and smooth
    x = 1 + phi + 2 * sqrt(phi) * np.cos(angle)
    weight = d * 2 * np.sin(angle) ** 2 / x / points
    return np.append(t * x, 0.0), np.append(weight, max(d - t, 0))


def _first(p, d, one, penalty, wrong):
    v = p["signal_variance"]
    if penalty == 0:
        return v * max(1 - one / d, 0), trace(one, d, wrong), 0.0
    th, f = theta_of(d, penalty, [(one, 1)])
    return v * penalty**2 * th / (f * d), th * one / ((1 + th) ** 2 * f), penalty * th / d


def linear(wrong=None, **p):
    d, v, b, n = p["dim"], p["signal_variance"], p["synthetic_weight"], p["num_generations"]
    t, totals, subset = sizes(p)
    one, s2, r2 = t[0], p["noise_std_synthetic"] ** 2, p["noise_std"] ** 2
    if wrong == "noises exchanged":
        s2, r2 = r2, s2
    penalty = p["ridge"] * one
    bias, variance, lost = _first(p, d, one, penalty, wrong)
    name = p["policy"]
    parts = [(bias, variance, 0.0)]
    mean = -lost * v
    if name == POOL:
        first, second = (
            errors_of_means(p, "unit", wrong, real=x, synthetic=y)[0] for x, y in ((1, 0), (0, 1))
        )
        scale = d / (1 - (d + 1) / subset)
        parts = np.stack([np.zeros(n), scale * first, scale * second], axis=1)
    elif p["design"] == "same":
        parts = _same(p, d, one, penalty, b, n, bias, variance, wrong)
    else:
        squares = None
        if name == "keep_real" and b > 0:
            s, count = gram_law(one, d)
            squares = np.zeros_like(s)
        for i in range(1, n):
            old_bias, old_variance, old = parts[-1]
            ti = t[i]
            if wrong == "penalty per row":
                penalty = p["ridge"] * totals[i]
            if name == "accumulate":
                new = 0.0
                if b > 0:
                    rows = totals[i]
                    if penalty > 0 or (rows >= d + 2 and b != 1):
                        th, f = theta_of(d, penalty, [(one, 1), (rows - one, b)])
                        power = 1 if wrong == "b for b^2" else 2
                        new = b**power * ti * th / ((1 + b * th) ** 2 * f)
                    else:
                        share = 1 if wrong == "share dropped" else ti / rows
                        share = 1 / (i + 1) ** 2 if wrong == "sum of 1/i^2" else share
                        new = share * trace(one if wrong == "sum of 1/i^2" else rows, d, wrong)
                parts.append((old_bias, old_variance, old + new))
            elif name == "keep_real":
                if b == 0:
                    parts.append((bias, variance, 0.0))
                    continue
                rows = one + ti
                if penalty == 0 and rows <= d - 2:
                    free = d - one
                    e = ti / free * old + ti / (free - ti - 1)
                    squares = np.where(s == 0, e / free, 0.0)
                    new = e
                elif (penalty == 0 and rows < d + 2) or old == inf:
                    new = inf
                else:
                    scaled = (s + penalty) / b
                    h = np.exp(
                        brentq(
                            lambda y, k=scaled, r=ti: np.exp(y)
                            + np.sum(count * np.exp(y) / (np.exp(y) + k)) - r,
                            -80, log(ti) + 1, xtol=1e-15, rtol=1e-15,
                        )
                    )  # fmt: skip
                    keep = h / (h + scaled)
                    g = (np.sum(count * (1 - keep) ** 2 * squares) + 1) / (ti - count @ keep**2)
                    squares = keep**2 * (squares + g)
                    new = count @ squares
                parts.append((bias, variance, new))
            else:
                step = _step(p, d, one, ti, b, penalty, wrong)
                kept, q, source, forgets, cross, real, synthetic = step
                new_bias = _times(kept, old_bias) + v * source - 2 * cross * mean
                mean = q * mean - v * forgets
                parts.append((
                    new_bias,
                    _times(kept, old_variance) + real,
                    _times(kept, old) + synthetic,
                ))  # fmt: skip
    parts = np.array(parts, float)
    if name != "replace" and name != POOL and b == 0:
        parts[:] = parts[0]
    bias = parts[:, 0]
    variance = np.array([_times(r2, x) for x in parts[:, 1]])
    synthetic = np.array([_times(s2, x) for x in parts[:, 2]])
    error = bias + variance + synthetic
    return {
        "test_error": error,
        "bias": bias,
        "variance": variance,
        "synthetic_variance": synthetic,
        "error_ratio": np.array([_over(e, error[0]) for e in error]),
        "num_samples_equivalent": np.array([
            inf if e == 0 else d + 1 + (0 if e == inf else r2 * d / e) for e in error
        ]),
        "real_fraction": _real_fraction(p),
        "policy_factor": one * errors_of_means(p, "unit")[0],
        "policy_factor_limit": policy_factor_limit(p),
        "optimal_synthetic_weight": _best_weight(p),
    }  # fmt: skip


def _over(x, y):
    if x == y:
        return 1.0
    return inf if y == 0 else 0.0 if y == inf else x / y


def _real_fraction(p):
    t, totals, _ = sizes(p)
    if p["policy"] == "replace":
        return np.eye(len(t))[0]
    return t[0] / (totals if p["policy"] == POOL else weights(p)[0])


def _best_weight(p):
    real, synthetic = p["noise_std"] ** 2, p["noise_std_synthetic"] ** 2
    if p["policy"] in ("accumulate", "keep_real"):
        return 0.0
    if p["policy"] != "fresh_mix":
        return 1.0
    if real == 0 or synthetic == 0:
        return inf if real > 0 else 0.0
    k = p["num_samples_synthetic"] / p["num_samples"] * real / synthetic
    w = (np.sqrt(1 + 4 * k) - 1) / (2 * k)
    return w * real / synthetic


def _step(p, d, one, ti, b, penalty, wrong):
    """``replace`` and ``fresh_mix``: what survives, what is forgotten, what noise comes in."""
    replace = p["policy"] == "replace"
    real, weight = (0.0, 1.0) if replace else (one, b)
    rows = real + ti
    if not replace and b == 0 and penalty == 0:
        return 0, 0, max(1 - one / d, 0), 0, 0, trace(one, d), 0
    if penalty == 0 and replace:
        m = min(1, ti / d)
        return m, m, 1 - m, 0, 0, 0, trace(ti, d, wrong)
    if penalty == 0 and d - 2 < rows < d + 2:
        return inf, 0, 0, 0, 0, inf, inf
    if penalty == 0 and rows <= d - 2:
        hole = d - rows - 1
        return ti / d * (1 + one / hole), 0, 1 - rows / d, 0, 0, one / hole, ti / hole
    if penalty == 0 and b == 1:
        beta = ti * one / (rows * (rows - 1) * (rows + 2))
        alpha = (ti**2 - 2 * rows * beta) / rows**2
        m = alpha + beta + beta * (rows * d - 2) / (rows - d - 1)
        if wrong == "multiplier is a squared share":
            m = (ti / rows) ** 2
        noise = trace(rows, d, wrong) / rows
        return m, 0, 0, 0, 0, one * noise, ti * noise
    th, f = theta_of(d, penalty, [(real, 1), (ti, weight)])
    h, slope = ti * weight * th / (1 + weight * th), ti * weight / (1 + weight * th) ** 2
    both = real * ti * weight * (1 - weight * th**2) / ((1 + th) * (1 + weight * th)) ** 2
    m = (h - (both + penalty * slope) * th / f) / d
    if wrong == "multiplier is a squared share":
        m = (h / d) ** 2
    u_real = th * real / ((1 + th) ** 2 * f)
    power = 1 if wrong == "b for b^2" else 2
    u_new = th * weight**power * ti / ((1 + weight * th) ** 2 * f)
    return (
        m, h / d, penalty**2 * th / (f * d), penalty * th / d, penalty * slope * th / (f * d),
        u_real, u_new,
    )  # fmt: skip


def _same(p, d, one, penalty, b, n, bias, variance, wrong):
    """One design: eigenvalue by eigenvalue."""
    name = p["policy"]
    s, count = gram_law(one, d) if penalty > 0 else (np.ones(1), np.ones(1))
    b_n, r_n, y_n = penalty / (s + penalty), s / (s + penalty) ** 2, np.zeros_like(s)
    parts = []
    for i in range(n):
        if i > 0:
            if name == "replace":
                a = s / (s + penalty)
                b_n, r_n = 1 - a * (1 - b_n), a**2 * r_n
                y_n = a**2 * y_n + s / (s + penalty) ** 2
            elif name == "accumulate":
                power = 1 if wrong == "b for b^2" else 2
                y_n = y_n + b**power * s / ((1 + b * i) * s + penalty) ** 2
            else:
                total = (1 + b) * s + penalty
                a = b * s / total
                y_n = a**2 * y_n + b**2 * s / total**2
                if name == "fresh_mix":
                    b_n, r_n = a * b_n + penalty / total, a**2 * r_n + s / total**2
        if penalty == 0:
            scale = trace(one, d)
            parts.append((bias, _times(r_n[0], scale), _times(y_n[0], scale)))
        else:
            v = p["signal_variance"] / d
            constant = name in ("accumulate", "keep_real")
            parts.append((
                bias if constant else v * count @ b_n**2,
                variance if constant else count @ r_n,
                count @ y_n,
            ))  # fmt: skip
    return parts
