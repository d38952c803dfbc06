"""``data-accumulation.resampled``: the two policies on explicit spectra, in plain NumPy."""

import numpy as np
from scipy.optimize import brentq

from tests.references.data_accumulation import sizes, weights


def _kappa(eigen, t, ridge):
    """``kappa (1 - df1/T) = ridge``, by bracketing."""

    def gap(y):
        k = np.exp(y)
        return k * (1 - np.sum(eigen / (eigen + k)) / t) - ridge

    top = np.log(ridge + eigen.sum() / t)
    bottom = -200.0
    for low in np.linspace(top, -60, 400):  # the largest root
        if gap(low) < 0:
            bottom = low
            break
    if bottom == -200.0:
        bottom = np.log(ridge) - 2
    return np.exp(brentq(gap, bottom, top + 1, xtol=1e-15, rtol=1e-15))


def _fit(eigen, t, ridge):
    """What one ridge fit does to a diagonal form: ``S``, and the pair (quadratic, noise)."""
    k = _kappa(eigen, t, ridge)
    s = eigen / (eigen + k)

    def noise(form):
        return np.sum(form * eigen / (eigen + k) ** 2) / (t - np.sum(s**2))

    def quadratic(form):
        return s**2 * form + k**2 * eigen / (eigen + k) ** 2 * noise(form)

    return s, quadratic, noise


def generations(
    rows, eigenvalues, teacher, residuals, law, num_samples, num_samples_synthetic,
    num_samples_budget, sample_growth, synthetic_weight, num_generations, ridge, noise_scale,
    noise_scale_synthetic, policy,
):  # fmt: skip
    given = {
        "num_samples": num_samples,
        "num_samples_synthetic": num_samples_synthetic,
        "num_samples_budget": num_samples_budget,
        "sample_growth": sample_growth,
        "synthetic_weight": synthetic_weight,
        "num_generations": num_generations,
        "policy": policy,
    }
    t, totals, _ = sizes(given)
    eigen, w2 = np.mean(np.asarray(rows) ** 2, axis=0), np.asarray(teacher) ** 2
    one, penalty = t[0], ridge * num_samples
    residual = np.mean(np.asarray(residuals) ** 2)
    real, synthetic = noise_scale**2 * residual, noise_scale_synthetic**2 * residual
    found = []
    for n in range(1, num_generations + 1):
        form, linear, added = eigen.copy(), eigen.copy(), 0.0
        if policy == "replace":
            for i in range(n, 1, -1):
                s, quadratic, noise = _fit(eigen, t[i - 1], penalty / t[i - 1])
                added += synthetic * noise(form)
                form, linear = quadratic(form), s * linear
        s, quadratic, noise = _fit(eigen, one, ridge)
        variance = real * noise(form)
        form, linear = quadratic(form), s * linear
        bias = np.sum(w2 * (eigen - 2 * linear + form))
        if policy == "accumulate":
            added = sum(
                synthetic * _increment(eigen, penalty, one, totals[i] - one, t[i], synthetic_weight)
                for i in range(1, n)
            )
        found.append((bias, variance, added))
    bias, variance, added = np.array(found).T
    error = bias + variance + added
    fraction = np.eye(num_generations)[0] if policy == "replace" else one / weights(given)[0]
    return {
        "test_error": error,
        "bias": bias,
        "variance": variance,
        "synthetic_variance": added,
        "error_ratio": error / error[0],
        "real_fraction": fraction,
    }


def _increment(eigen, penalty, one, earlier, new, b):
    """``theta`` by bracketing, and the trace by a derivative.

    ``Sigma R Sigma R`` is minus the derivative of ``theta`` when the form ``Sigma`` itself is added
    to ``1/R`` in place of the penalty.
    """
    if b == 0:
        return 0.0

    def theta_at(extra, low, high):
        def gap(y):
            theta = np.exp(y)
            tau = one / (1 + theta) + b * earlier / (1 + b * theta)
            return theta / np.sum(eigen / ((tau + extra) * eigen + penalty)) - 1

        return np.exp(brentq(gap, np.log(low), np.log(high), xtol=1e-15, rtol=1e-15))

    top = 2 * eigen.sum() / penalty
    theta, step = theta_at(0.0, 1e-25 * top, top), 1e-3 * one
    around = theta / 1.5, theta * 1.5
    ends = [theta_at(k * step, *around) for k in (-2, -1, 1, 2)]
    slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step)
    finer = [theta_at(k * step / 2, *around) for k in (-2, -1, 1, 2)]
    better = (finer[0] - 8 * finer[1] + 8 * finer[2] - finer[3]) / (6 * step)
    slope = better + (better - slope) / 15
    return new * b**2 / (1 + b * theta) ** 2 * -slope
