"""arXiv 2410.16073: the damped iteration of the saddle point on uniform grids of the fields.

The channel solves the proximal map of every field by Newton's method from its inflection point and
averages on a fine grid; the hinge's kinks are panel ends. The weights are averaged on a grid of
their own.
"""

from math import inf

import numpy as np
from scipy import special

_X, _W = np.polynomial.legendre.leggauss(12)


def _nodes(edges):
    """Composite Gauss-Legendre between sorted edges."""
    width = np.diff(edges)[:, None]
    return (edges[:-1, None] + width * (_X + 1) / 2).ravel(), (width / 2 * _W).ravel()


def _pdf(x):
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def channel(loss, m, q, v, shift, label_variance):
    """``teacher, <g^2>, -<dg>, <g>, <loss>`` and the share of samples with ``prox < c``."""
    v0 = label_variance - m**2 / q
    shape = m / np.sqrt(q * v0)
    ends = np.linspace(-10, 10, 161)
    corners = np.outer([1.0, -1.0], np.linspace(0, 8, 17)).ravel() / shape
    if loss == "logistic":
        turn = np.linspace(-8, 20, 57)  # z - c
        kinks = (turn + shift - v * special.expit(-turn)) / np.sqrt(q)
        wrong = shift - v / 2
    else:
        kinks = np.array([1 + shift, 1 + shift - v]) / np.sqrt(q)
        wrong = shift - v
    wrong = wrong / np.sqrt(q)
    edges = np.sort(np.clip(np.concatenate([ends, corners, kinks, [wrong]]), -10, 10))
    xi, weight = _nodes(edges)
    omega = np.sqrt(q) * xi
    if loss == "logistic":
        z = np.full_like(omega, shift)
        for _ in range(60):
            s = special.expit(shift - z)
            z = z - (z - omega - v * s) / (1 + v * s * (1 - s))
        g = special.expit(shift - z)
        slope = g * (1 - g) / (1 + v * g * (1 - g))
        value = np.logaddexp(0, shift - z)
    else:
        knee = 1 + shift
        z = np.where(omega > knee, omega, np.where(omega > knee - v, knee, omega + v))
        g = (z - omega) / v
        slope = np.where((omega <= knee) & (omega > knee - v), 1 / v, 0.0)
        value = np.maximum(knee - z, 0)
    law = 2 * _pdf(xi) * special.ndtr(shape * xi) * weight
    teacher = np.sum(2 * _pdf(xi) * _pdf(shape * xi) * g * weight) / np.sqrt(v0)
    return (
        teacher, law @ g**2, law @ slope, law @ g, law @ value, np.sum(law[xi < wrong])
    )  # fmt: skip


def weights_of_order(field, curvature, regularization, order):
    """``w`` and ``w'`` for ``min curvature w^2 / 2 - field w + regularization w^order``, w >= 0."""
    if order == 2:
        slope = 1 / (curvature + 2 * regularization)
        return field * slope, np.full_like(field, slope)
    if order == 3:
        root = np.sqrt(curvature**2 + 12 * regularization * field)
        w = 2 * field / (curvature + root)
        return w, 1 / (curvature + 6 * regularization * w)
    if order == 1.5:
        root = 2 * field / (
            1.5 * regularization
            + np.sqrt(2.25 * regularization**2 + 4 * curvature * field)
        )  # fmt: skip
        return root**2, 1 / (curvature + 0.75 * regularization / np.maximum(root, 1e-300))
    raise ValueError(order)


def isotropic_weights(hats, attack_norm, order, regularization, rho):
    m_hat, q_hat, v_hat, p_hat = hats
    scale = np.sqrt(q_hat + rho * m_hat**2)
    threshold, curvature = (p_hat, v_hat) if attack_norm == "linf" else (0, v_hat + 2 * p_hat)
    if order == 1:
        threshold += regularization
    u = threshold / scale
    if order in (1, 2):  # closed forms
        curvature += 2 * regularization if order == 2 else 0
        share, density = special.erfc(u / np.sqrt(2)), 2 * _pdf(u)
        response = share / curvature
        q = (scale / curvature) ** 2 * ((1 + u**2) * share - u * density)
        size = scale / curvature * (density - u * share)
    else:  # in the square of the distance to the threshold, where roots are smooth
        y, weight = _nodes(np.linspace(0, 4, 121))
        x = y**2
        w, slope = weights_of_order(scale * x, curvature, regularization, order)
        density = 2 * _pdf(u + x) * 2 * y * weight
        response, q, size = density @ slope, density @ w**2, density @ w
    return rho * m_hat * response, q, response, size if attack_norm == "linf" else q


def block_weights(hats, spectrum, regularization):
    m_hat, q_hat, v_hat, p_hat = hats
    mu, sx, st, sd, sw = np.asarray(spectrum, float).T
    d = v_hat * sx + regularization * sw + 2 * p_hat * sd
    square = m_hat**2 * sx**2 * st + q_hat * sx
    return (
        mu @ (m_hat * sx**2 * st / d), mu @ (sx * square / d**2), mu @ (sx / d),
        mu @ (sd * square / d**2),
    )  # fmt: skip


def solution(weights, loss, alpha, radius, radius_test, label_variance, euclidean):
    """Damped steps in the logarithms until nothing moves; all outputs there."""
    root = np.sqrt if euclidean else (lambda size: size)
    x = np.array([0.1 * np.sqrt(label_variance), 1.0, 1.0, 1.0])

    def hats_at(x):
        m, q, v, size = x
        found = channel(loss, m, q, v, radius * root(size), label_variance)
        pull = alpha * radius * found[3]
        p_hat = pull / (2 * np.sqrt(size)) if euclidean else pull
        return (alpha * found[0], alpha * found[1], alpha * found[2], p_hat), found

    for _ in range(5000):
        new = np.array(weights(hats_at(x)[0]))
        change = np.max(np.abs(np.log(new / x)))
        x = x**0.4 * new**0.6
        if change < 1e-13:
            break
    hats, found = hats_at(x)
    m, q, v, size = x
    t = m / np.sqrt(label_variance * q)
    k = radius_test * root(size) / np.sqrt(q)
    clean = np.arccos(t) / np.pi
    robust = special.ndtr(k) - 2 * special.owens_t(k, t / np.sqrt(1 - t**2))
    return {
        "generalization_error": clean,
        "adversarial_error": robust,
        "boundary_error": robust - clean,
        "robust_train_loss": found[4],
        "robust_train_error": found[5],
        "m": m, "q": q, "P": size, "V": v,
        "m_hat": hats[0], "q_hat": hats[1], "V_hat": hats[2], "P_hat": hats[3],
    }  # fmt: skip


def without_weights(loss, alpha, radius, label_variance, euclidean):
    """The conventional limits at ``w = 0``."""
    slope = 0.5 if loss == "logistic" else 1.0
    pull = alpha * radius * slope
    return {
        "generalization_error": 0.5, "adversarial_error": 0.5, "boundary_error": 0.0,
        "robust_train_loss": np.log(2) if loss == "logistic" else 1.0,
        "robust_train_error": 0.5, "m": 0.0, "q": 0.0, "P": 0.0, "V": 0.0,
        "m_hat": alpha * slope * np.sqrt(2 / np.pi / label_variance),
        "q_hat": alpha * slope**2,
        "V_hat": alpha / 4 if loss == "logistic" else 0.0,
        "P_hat": inf if euclidean else pull,
    }  # fmt: skip


def theory(
    sample_ratio, attack_norm, attack_radius_train, attack_radius_test, penalty_order,
    regularization, loss, teacher_variance, noise_std, dim,
):  # fmt: skip
    rho, label_variance = teacher_variance, teacher_variance + noise_std**2
    euclidean = attack_norm == "l2"
    if euclidean:
        drift = 2 / np.pi * rho / label_variance
        vanishes = attack_radius_train**2 >= 1 / sample_ratio + drift
        if penalty_order == 1:
            slope = 0.5 if loss == "logistic" else 1.0
            s = slope * np.sqrt(sample_ratio + sample_ratio**2 * drift)
            u = regularization / s
            square = s**2 * ((1 + u**2) * special.erfc(u / np.sqrt(2)) - 2 * u * _pdf(u))
            vanishes = square <= (slope * attack_radius_train * sample_ratio) ** 2
        if vanishes:
            return without_weights(
                loss, sample_ratio, attack_radius_train, label_variance, euclidean
            )
    return solution(
        lambda hats: isotropic_weights(hats, attack_norm, penalty_order, regularization, rho),
        loss, sample_ratio, attack_radius_train, attack_radius_test, label_variance, euclidean,
    )  # fmt: skip


def theory_of_blocks(
    sample_ratio, attack_radius_train, attack_radius_test, regularization, noise_std, dim, loss,
    spectrum,
):  # fmt: skip
    mu, sx, st, sd, _ = np.asarray(spectrum, float).T
    label_variance = mu @ (sx * st) + noise_std**2
    drift = 2 / np.pi * (mu @ (sx**2 * st / sd)) / label_variance
    if attack_radius_train**2 >= mu @ (sx / sd) / sample_ratio + drift:
        return without_weights(loss, sample_ratio, attack_radius_train, label_variance, True)
    return solution(
        lambda hats: block_weights(hats, spectrum, regularization),
        loss, sample_ratio, attack_radius_train, attack_radius_test, label_variance, True,
    )  # fmt: skip
