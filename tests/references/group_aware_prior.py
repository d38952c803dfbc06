"""arXiv 2403.09869: the Gaussian counterpart, by bracketing, direct minimisation and quadrature."""

import math

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq, fsolve, minimize
from scipy.stats import norm


def group_errors(w, norm_of_w, core, spurious, minority):
    """Errors of ``w`` from its two coordinates and its norm."""
    majority_error = norm.cdf(-(w[0] * core + w[1] * spurious) / norm_of_w)
    minority_error = norm.cdf(-(w[0] * core - w[1] * spurious) / norm_of_w)
    return {
        "majority_error": majority_error,
        "minority_error": minority_error,
        "worst_group_error": max(majority_error, minority_error),
        "average_error": (1 - minority) * majority_error + minority * minority_error,
        "minimax_error": norm.cdf(-core),
    }


def moments(core, spurious, delta):
    cross = delta * core * spurious
    return (
        np.array([[1 + core**2, cross], [cross, 1 + spurious**2]]),
        np.array([core, delta * spurious]),
    )


def proportional(
    num_samples,
    num_group_samples,
    dim,
    core_strength,
    spurious_strength,
    minority_fraction,
    group_prior_weight,
    ridge,
):
    """The equation for ``chi``, bracketed by doubling; inactive components dropped."""
    train, group, k = num_samples, num_group_samples, group_prior_weight
    delta = 1 - 2 * minority_fraction
    parts = [(train, 1 / train, delta)]
    if k > 0:
        parts.append((group, k / group, 0.0))
    total = sum(rows for rows, _, _ in parts)
    gamma = dim / total
    parts = [(rows / total, total * weight, correlation) for rows, weight, correlation in parts]

    def excess(chi):
        return chi * (ridge + sum(s * w / (1 + w * chi) for s, w, _ in parts)) - gamma

    high = 1.0
    while excess(high) < 0:
        high *= 2
    chi = brentq(excess, 0, high, xtol=1e-15, rtol=1e-15)
    matrix, vector = ridge * np.eye(2), np.zeros(2)
    for s, w, correlation in parts:
        c, v = moments(core_strength, spurious_strength, correlation)
        matrix = matrix + s * w / (1 + w * chi) * c
        vector = vector + s * w / (1 + w * chi) * v
    a = np.linalg.solve(matrix, vector)
    noise = 0.0
    for s, w, correlation in parts:
        c, v = moments(core_strength, spurious_strength, correlation)
        noise += s * (w / (1 + w * chi)) ** 2 * (1 - 2 * a @ v + a @ c @ a)
    noise *= chi / (ridge + sum(s * w / (1 + w * chi) ** 2 for s, w, _ in parts))
    return {
        **group_errors(
            a, np.sqrt(a @ a + noise), core_strength, spurious_strength, minority_fraction
        ),
        "core_weight": a[0],
        "spurious_weight": a[1],
        "noise_norm": np.sqrt(noise),
    }


def population(
    num_samples,
    num_group_samples,
    dim,
    core_strength,
    spurious_strength,
    minority_fraction,
    group_prior_weight,
    ridge,
    perturbation_radius,
    loss,
    perturbation_gradient,
):
    """Squared loss: the convex objective with ``rho |grad|``; logistic: the root of ``F``."""
    c, s, k, rho = core_strength, spurious_strength, group_prior_weight, perturbation_radius
    delta = 1 - 2 * minority_fraction
    if loss == "squared":
        (ct, vt), (cb, vb) = moments(c, s, delta), moments(c, s, 0.0)
        balanced = np.linalg.solve(cb, vb)

        def objective(w):
            slope = 2 * (cb @ w - vb)
            train = w @ ct @ w - 2 * vt @ w
            group = w @ cb @ w - 2 * vb @ w + rho * np.linalg.norm(slope)
            return train + k * group + ridge * w @ w

        critical = np.inf
        if k > 0:
            first = ridge * c / (1 + c**2) ** 2
            second = delta * s / ((1 + c**2) * (1 + s**2))
            critical = np.hypot(first, second) / k
        w = balanced
        if rho < critical:
            start = np.linalg.solve(ct + k * cb + ridge * np.eye(2), vt + k * vb)
            w = minimize(
                objective,
                start,
                method="Nelder-Mead",
                options={"xatol": 1e-13, "fatol": 1e-15, "maxiter": 4000},
            ).x
    else:
        w, critical = _logistic(c, s, delta, k, ridge, rho)
    return {
        **group_errors(w, np.linalg.norm(w), c, s, minority_fraction),
        "core_weight": w[0],
        "spurious_weight": w[1],
        "critical_radius": critical,
    }


def _logistic(c, s, delta, k, ridge, rho):
    """By SciPy's adaptive quadrature along ``w`` and its root finder."""

    def gradient(w, correlation):
        size = np.linalg.norm(w)
        unit = w / size
        total = np.zeros(2)
        for sign in (1, -1):
            share = (1 + sign * correlation) / 2
            mean = np.array([c, sign * s])
            drift = w @ mean

            def slope(z, drift=drift):
                density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
                return -density / (1 + math.exp(drift + size * z))

            whole = quad(slope, -12, 12, epsabs=1e-13, epsrel=1e-12)[0]
            along = quad(lambda z: z * slope(z), -12, 12, epsabs=1e-13, epsrel=1e-12)[0]
            total = total + share * (whole * mean + along * unit)
        return total

    balanced = np.array([2 * c, 0.0])
    pull = gradient(balanced, delta) + 2 * ridge * balanced
    shift = fsolve(lambda v: k * gradient(balanced + v, 0.0) + pull, np.full(2, 0.1), xtol=1e-13)
    critical = np.linalg.norm(shift)
    if rho >= critical:
        return balanced, critical

    def equation(w, radius):
        slope = gradient(w, 0.0)
        moved = w + radius * slope / np.linalg.norm(slope)
        return gradient(w, delta) + k * gradient(moved, 0.0) + 2 * ridge * w

    w = fsolve(equation, balanced + 0.1, args=(0.0,), xtol=1e-13)
    for step in range(1, 11):
        w = fsolve(equation, w, args=(rho * step / 10,), xtol=1e-13)
    return w, critical


def last_layer(num_samples, dim, core_strength, minority_fraction, spurious_strength):
    """The point of smallest norm of the projected segment, by its limiting Gram matrix."""
    c, s, delta = core_strength, spurious_strength, 1 - 2 * minority_fraction
    eta = dim / (num_samples * (1 - delta**2))
    # Signal of the two contrasts along e1, e2, and their Gram matrix with the noise d/N.
    signal = np.array([[c, delta * s], [delta * c, s]])
    noise = dim / num_samples * np.array([[1, delta], [delta, 1]])
    projected = signal.T @ np.linalg.solve(signal @ signal.T + noise, signal)
    t = np.linspace(-1, 1, 200_001)
    points = np.stack([np.full_like(t, c), t * s])
    norms = np.einsum("it,ij,jt->t", points, projected, points)
    best = np.clip(-c * projected[0, 1] / (s * projected[1, 1]), -1, 1)
    point = np.array([c, best * s])
    smallest = min(norms.min(), point @ projected @ point)
    assert eta > 0
    return {"worst_group_error": norm.cdf(-np.sqrt(smallest)), "minimax_error": norm.cdf(-c)}
