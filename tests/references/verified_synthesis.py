"""arXiv 2406.07515: selection arithmetic, the sharp limits in their printed form, best of K.

Moments of halfspaces by summing over a polar grid, fits by the displays of the one-dimensional
case, candidates by SciPy's quadrature: nothing is shared with the package.
"""

import math
from itertools import pairwise

import numpy as np
from mpmath import mp
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr


def _density(x):
    """Of a standard normal number; `scipy.stats` takes a hundred times longer for one."""
    return math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def effective_ridge(gamma, ridge):
    """``kappa - gamma kappa / (1 + kappa) = ridge``, in closed form."""
    b = ridge + gamma - 1
    root = np.sqrt(b**2 + 4 * ridge)
    return (b + root) / 2 if b >= 0 else 2 * ridge / (root - b)


def independent(
    num_samples_synthetic,
    dim,
    signal_norm,
    ridge,
    generator_accuracy,
    keep_correct,
    keep_incorrect,
):
    """``verified-synthesis``: the display of the sharp limit."""
    p, phi, psi = generator_accuracy, keep_correct, keep_incorrect
    rate = p * phi + (1 - p) * psi
    alpha = p * phi / rate
    m = 2 * alpha - 1
    gamma = dim / (num_samples_synthetic * rate)
    kappa = effective_ridge(gamma, ridge)
    t1, t2 = signal_norm**2 / (1 + kappa), signal_norm**2 / (1 + kappa) ** 2
    d = gamma / (1 + kappa) ** 2
    accuracy = 0.5
    if d < 1:
        spread = (m**2 * (t2 + d) / (1 + t1) ** 2 + (1 - m**2) * d) / (1 - d)
        accuracy = ndtr(m * t1 / (1 + t1) / np.sqrt(spread))
    return {
        "keep_rate": rate,
        "kept_label_accuracy": alpha,
        "breakdown_error": phi / (phi + psi),
        "effective_sample_fraction": (p * phi - (1 - p) * psi) ** 2 / rate,
        "test_accuracy": accuracy,
        "test_accuracy_infinite_data": ndtr(np.sign(round(m, 13)) * signal_norm),
        "bayes_accuracy": ndtr(signal_norm),
    }


def _grid():
    """Points and weights of the standard normal law on the plane and on the line."""
    r, wr = np.polynomial.legendre.leggauss(160)
    r, wr = 5.5 * (r + 1), 5.5 * wr
    x, wx = np.polynomial.hermite_e.hermegauss(40)
    return r, wr * r * np.exp(-(r**2) / 2) / (2 * np.pi), x, wx / np.sqrt(2 * np.pi)


def kept_moments(generator, verifier, signal_norm, keep_agree, keep_disagree):
    """Rate and moments by angles of the plane of the two vectors, with exact edges."""
    across = verifier - (verifier @ generator) * generator
    if np.linalg.norm(across) < 1e-12:
        across = np.eye(3)[np.argmin(np.abs(generator))]
        across = across - (across @ generator) * generator
    across = across / np.linalg.norm(across)
    third = np.cross(generator, across)
    frame = np.stack([generator, across, third])
    mean = frame @ np.array([signal_norm, 0, 0])
    radius, weight_r, x, weight_x = _grid()
    turn = np.arctan2(verifier @ across, verifier @ generator)
    edges = np.sort(np.mod([np.pi / 2, -np.pi / 2, turn + np.pi / 2, turn - np.pi / 2], 2 * np.pi))
    edges = np.append(edges, edges[0] + 2 * np.pi)
    node, weight = np.polynomial.legendre.leggauss(160)
    rate, first, second = 0.0, np.zeros(3), np.zeros((3, 3))
    for low, high in pairwise(edges):
        theta = low + (high - low) * (node + 1) / 2
        wt = weight * (high - low) / 2
        middle = (low + high) / 2
        label = 1 if np.cos(middle) > 0 else -1
        agree = label * np.cos(middle - turn) > 0
        chance = keep_agree if agree else keep_disagree
        g = np.stack(np.broadcast_arrays(
            radius[:, None] * np.cos(theta), radius[:, None] * np.sin(theta)
        ))  # fmt: skip
        # N(mean, I) relative to N(0, I) on the plane; the third coordinate is independent.
        tilt = np.exp(g[0] * mean[0] + g[1] * mean[1] - (mean[0] ** 2 + mean[1] ** 2) / 2)
        w = chance * weight_r[:, None] * wt * tilt
        h = x + mean[2]
        rate += w.sum()
        plane = (w * g).sum((1, 2))
        line = weight_x @ h
        first += label * np.array([*plane, w.sum() * line])
        block = np.einsum("rt,irt,jrt->ij", w, g, g)
        cross = plane * line
        second += np.block([
            [block, cross[:, None]],
            [cross[None], np.array([[w.sum() * (weight_x @ h**2)]])],
        ])  # fmt: skip
    return rate, frame.T @ first / rate, frame.T @ second @ frame / rate


def _accuracy(signal_norm, cosine):
    if signal_norm > 0:
        return ndtr(signal_norm * cosine)
    return 1 - np.arccos(np.clip(cosine, -1, 1)) / np.pi


def _fit(first, second, gamma, ridge):
    kappa = effective_ridge(gamma, ridge)
    d = gamma / (1 + kappa) ** 2
    a = np.linalg.solve(second + kappa * np.eye(3), first)
    residual = 1 - 2 * a @ first + a @ second @ a
    return a, residual * d / (1 - d)


def _vectors(generator_angle, verifier_angle, azimuth):
    sin = np.sin(verifier_angle)
    return (
        np.array([np.cos(generator_angle), np.sin(generator_angle), 0]),
        np.array([np.cos(verifier_angle), sin * np.cos(azimuth), sin * np.sin(azimuth)]),
    )


def halfspace(
    num_samples_synthetic,
    dim,
    signal_norm,
    ridge,
    generator_angle,
    verifier_angle,
    azimuth,
    keep_agree,
    keep_disagree,
):
    """``verified-synthesis.halfspace``; rates of right and wrong labels by the same sums."""
    u, v = _vectors(generator_angle, verifier_angle, azimuth)
    rate, first, second = kept_moments(u, v, signal_norm, keep_agree, keep_disagree)
    a, noise = _fit(first, second, dim / (num_samples_synthetic * rate), ridge)
    limit = np.linalg.solve(second, first)
    t = np.arccos(u @ v)
    if signal_norm > 0:
        p = ndtr(signal_norm * u[0])
        right_kept = _right_kept(u, v, signal_norm, keep_agree, keep_disagree)
    else:
        p = 1 - generator_angle / np.pi
        both = (2 * np.pi - generator_angle - verifier_angle - t) / (2 * np.pi)
        right_kept = keep_agree * both + keep_disagree * (p - both)
    phi, psi = right_kept / p, (rate - right_kept) / (1 - p)
    return {
        "generator_accuracy": p,
        "verifier_accuracy": _accuracy(signal_norm, np.cos(verifier_angle)),
        "keep_correct": phi,
        "keep_incorrect": psi,
        "breakdown_error": phi / (phi + psi),
        "keep_rate": rate,
        "kept_label_accuracy": right_kept / rate,
        "test_accuracy": _accuracy(signal_norm, a[0] / np.sqrt(a @ a + noise)),
        "test_accuracy_infinite_data": _accuracy(signal_norm, limit[0] / np.linalg.norm(limit)),
        "bayes_accuracy": ndtr(signal_norm) if signal_norm > 0 else 1.0,
    }


def _right_kept(u, v, signal_norm, keep_agree, keep_disagree):
    """``P(u.t > 0, kept)``, one dimension by quadrature: on the line along ``u``."""
    r = u @ v
    s = np.sqrt(max(1 - r**2, 0))
    along = signal_norm * u[0]
    if s < 1e-9:
        return (keep_agree if r > 0 else keep_disagree) * ndtr(along)
    across = signal_norm * (v[0] - r * u[0]) / s

    def integrand(x):
        agrees = ndtr(r * x / s + across)
        return _density(x - along) * (keep_agree * agrees + keep_disagree * (1 - agrees))

    return quad(integrand, 0, along + 12, epsabs=1e-13, epsrel=1e-13, limit=200)[0]


def retraining(
    num_samples_synthetic,
    dim,
    ridge,
    generator_angle,
    verifier_angle,
    azimuth,
    num_generations,
):
    """The map in its cosines."""
    accuracies = [1 - generator_angle / np.pi]
    for _ in range(num_generations):
        u, v = _vectors(generator_angle, verifier_angle, azimuth)
        rate, first, second = kept_moments(u, v, 0.0, 1.0, 0.0)
        a, noise = _fit(first, second, dim / (num_samples_synthetic * rate), ridge)
        size = np.sqrt(a @ a + noise)
        generator_angle = np.arccos(a[0] / size)
        cosine = (v @ a / size - np.cos(generator_angle) * np.cos(verifier_angle)) / (
            np.sin(generator_angle) * np.sin(verifier_angle)
        )
        azimuth = np.arccos(np.clip(cosine, -1, 1))
        accuracies.append(1 - generator_angle / np.pi)
    return {"test_accuracy": accuracies, "verifier_accuracy": 1 - verifier_angle / np.pi}


def best_of_k(generator_accuracy, num_candidates, score_gap, num_prompts):
    """The integral, by SciPy; the number of prompts does not matter."""
    p, k, g = generator_accuracy, num_candidates, score_gap

    def integrand(x):
        below = p * ndtr(x - g) + (1 - p) * ndtr(x)
        return k * p * _density(x - g) * below ** (k - 1)

    value = quad(integrand, g - 12, g + 12, points=[g], epsabs=1e-13, epsrel=1e-13, limit=400)[0]
    return {"kept_label_accuracy": value}


def coloured(eigenvalues, mean, m, num_samples, ridge):
    """Two classes ``N(±mean, diag(eigenvalues))``, labels of correlation ``m``."""

    def lacking(kappa):
        return kappa - ridge - kappa * np.sum(eigenvalues / (eigenvalues + kappa)) / num_samples

    kappa = 0.0
    if ridge > 0 or num_samples < len(eigenvalues):
        high = ridge + eigenvalues.sum() / num_samples
        kappa = brentq(lacking, max(ridge, 1e-9), high, xtol=1e-15, rtol=1e-15)
    resolvent = np.diag(1 / (eigenvalues + kappa))
    covariance = np.diag(eigenvalues)
    t1 = mean @ resolvent @ mean
    t2 = mean @ resolvent @ covariance @ resolvent @ mean
    d = np.trace(covariance @ resolvent @ covariance @ resolvent) / num_samples
    spread = (m**2 * (t2 + d) / (1 + t1) ** 2 + (1 - m**2) * d) / (1 - d)
    return ndtr(m * t1 / (1 + t1) / np.sqrt(spread))


def best_of_many(generator_accuracy, num_candidates, score_gap, num_prompts):
    """The same integral in forty digits: many candidates count the last digits near 1."""
    with mp.workdps(40):
        p, g = mp.mpf(generator_accuracy), mp.mpf(score_gap)

        def integrand(z):
            above = p * mp.erfc(z / mp.sqrt(2)) + (1 - p) * mp.erfc((z + g) / mp.sqrt(2))
            best = mp.exp((num_candidates - 1) * mp.log1p(-above / 2))
            return num_candidates * p * mp.npdf(z) * best

        edges = [mp.mpf(i) / 2 for i in range(-28, 29)]
        return {"kept_label_accuracy": float(mp.quad(integrand, edges))}
