"""arXiv 2406.04981: the proportional limit of both geometries by damped steps.

The channel integrals are taken on a fine grid of the field, not in closed form; the teacher's
components are averaged over one by one.
"""

import numpy as np
from scipy import special


def _pdf(x):
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def channel(alpha, epsilon, m, q, v, size):
    """Conjugates of a hard margin: ``g = (1 + c - omega)_+ / V``; and the share at the margin."""
    v0 = 1 - m**2 / q
    shape = m / np.sqrt(q * v0)
    knee = (1 + epsilon * size) / np.sqrt(q)
    x, w = np.polynomial.legendre.leggauss(400)
    low = min(-9.0, knee - 9)
    xi = low + (knee - low) * (x + 1) / 2
    weight = (knee - low) / 2 * w
    g = np.sqrt(q) * (knee - xi) / v
    law = 2 * _pdf(xi) * special.ndtr(shape * xi) * weight
    teacher = np.sum(2 * _pdf(xi) * _pdf(shape * xi) * g * weight) / np.sqrt(v0)
    share = law.sum()
    return (
        alpha * teacher,
        alpha * law @ g**2,
        alpha * share / v,
        alpha * epsilon * law @ g,
    ), share


def weights(hats, order, teacher, density):
    """Averages of ``sign(b) (|b| - threshold)_+ / D`` over field and teacher."""
    m_hat, q_hat, v_hat, p_hat = hats
    curvature, threshold = (v_hat + 1, p_hat) if order == 2 else (v_hat, p_hat + 1)
    found = np.zeros(4)
    for share, zero in ((1 - density, True), (density, False)):
        if share == 0:
            continue
        entry = 0.0 if zero else 1 / np.sqrt(density)
        if teacher == "signs":  # one sign will do, by symmetry
            s, mean = np.sqrt(q_hat), m_hat * entry
            for side in (1, -1):
                p = (side * mean - threshold) / s
                first = s * (p * special.ndtr(p) + _pdf(p))
                second = s**2 * ((1 + p**2) * special.ndtr(p) + p * _pdf(p))
                found += share * np.array([
                    entry * side * first / curvature, second / curvature**2,
                    special.ndtr(p) / curvature, first / curvature,
                ])  # fmt: skip
        else:
            s = np.sqrt(q_hat + m_hat**2 * entry**2)
            u = threshold / s
            tail, density_at = special.erfc(u / np.sqrt(2)), 2 * _pdf(u)
            found += share * np.array([
                entry**2 * m_hat * tail / curvature,
                (s / curvature) ** 2 * ((1 + u**2) * tail - u * density_at),
                tail / curvature, s / curvature * (density_at - u * tail),
            ])  # fmt: skip
    return found


def fixed_point(order, alpha, epsilon, teacher, density):
    x = np.array([0.5, 1.0, 1.0, 0.5])
    for _ in range(20_000):
        hats, share = channel(alpha, epsilon, *x)
        new = weights(hats, order, teacher, density)
        step = np.sqrt(new / x)
        while (x[0] * step[0]) ** 2 >= x[1] * step[1]:
            step = np.sqrt(step)
        x = x * step
        if np.max(np.abs(step - 1)) < 1e-13:
            break
    return x, share


def theory(sample_ratio, attack_radius_fraction, teacher_density, teacher, dim):
    l1, _ = fixed_point(1, sample_ratio, 0.0, teacher, teacher_density)
    largest = 1 / l1[3]
    epsilon = attack_radius_fraction * largest
    l2, share = fixed_point(2, sample_ratio, epsilon, teacher, teacher_density)
    m, q, _, size = np.stack([l1, l2]).T
    t, k = m / np.sqrt(q), epsilon * size / np.sqrt(q)
    robust = special.ndtr(k) - 2 * special.owens_t(k, t / np.sqrt(1 - t**2))
    return {
        "attack_radius_max": largest,
        "attack_radius": epsilon,
        "generalization_error": np.arccos(t) / np.pi,
        "adversarial_error": robust,
        "price": robust[1] - robust[0],
        "cosine": t,
        "norm_ratio": size / np.sqrt(q),
        "robust_margin_l2": 1 / np.sqrt(q[1]),
        "support_fraction_l2": share,
    }
