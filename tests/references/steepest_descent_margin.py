"""arXiv 2410.22069: Adam step by step, and largest margins by programs of SciPy."""

import numpy as np
from scipy import special
from scipy.integrate import quad
from scipy.optimize import brentq, linprog, nnls


def largest_margins(rows):
    """In the l1, l2 and linf norms: linear programs; the least distance by Lawson and Hanson."""
    n, d = rows.shape
    ones, halves = np.ones((n, 1)), np.hstack([rows, -rows])
    cost = np.append(np.zeros(2 * d), -1)  # maximise g, rows (u - v) >= g
    above = np.hstack([-halves, ones])
    bounds = [(0, None)] * (2 * d) + [(None, None)]
    whole = [np.append(np.ones(2 * d), 0)]
    l1 = linprog(
        cost, A_ub=np.vstack([above, whole]), b_ub=np.append(np.zeros(n), 1), bounds=bounds
    )
    box = [(0, 1)] * (2 * d) + [(None, None)]
    linf = linprog(cost, A_ub=above, b_ub=np.zeros(n), bounds=box)
    system, target = np.vstack([rows.T, np.ones(n)]), np.append(np.zeros(d), 1)
    left = system @ nnls(system, target)[0] - target
    shortest = -left[:-1] / left[-1]  # min |w| with rows w >= 1
    return np.array([-l1.fun, 1 / np.linalg.norm(shortest), -linf.fun])


def theory_of_two_points(angle_degrees, second_label, **others):
    """Half the largest margin of neurons of mass 1: a linear program over their directions."""
    directions = np.deg2rad(np.arange(0, 360, 0.25))  # the best ones are among them
    points = np.deg2rad([0, angle_degrees])
    outputs = np.maximum(np.cos(points[:, None] - directions), 0) * [[1], [second_label]]
    system = np.hstack([-outputs, outputs, np.ones((2, 1))])
    mass = np.append(np.ones(outputs.size), 0)
    bounds = [(0, None)] * outputs.size + [(None, None)]
    cost = np.append(np.zeros(outputs.size), -1)
    found = linprog(cost, np.vstack([system, mass]), [0, 0, 1], bounds=bounds)
    return {"relu_margin_l2": -found.fun / 2}


def adam(inputs, labels, num_steps, step_size, stability_constant):
    """Margin fractions after ``num_steps`` steps on ``log sum_i exp(-y_i w.x_i)``."""
    rows = np.asarray(labels, float)[:, None] * np.asarray(inputs, float)
    w = np.zeros(rows.shape[1])
    first, second = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, num_steps + 1):
        share = np.exp(-(rows @ w - np.min(rows @ w)))
        gradient = -(share / share.sum()) @ rows
        first = 0.9 * first + 0.1 * gradient
        second = 0.95 * second + 0.05 * gradient**2
        corrected = first / (1 - 0.9**t), second / (1 - 0.95**t)
        w = w - step_size / np.sqrt(t) * corrected[0] / (np.sqrt(corrected[1]) + stability_constant)
    reached = np.min(rows @ w) / np.array([np.abs(w).sum(), np.linalg.norm(w), np.abs(w).max()])
    return reached / largest_margins(rows)


def theory_of_random_labels(sample_ratio, label_rule, dim):
    """One bracketed root for each geometry; truncated moments by adaptive quadrature."""
    assert label_rule == "random"
    alpha = sample_ratio

    def density(x):
        return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)

    def second(h):  # alpha E (h + xi)_+^2
        return alpha * quad(lambda x: (h + x) ** 2 * density(x), -h, 12, epsabs=1e-14)[0]

    def share(h):  # X = alpha P(h + xi > 0)
        return alpha * special.ndtr(h)

    def l1(h):
        u = -special.ndtri(share(h) / 2)  # X = P(|xi| > u)
        left = 2 * quad(lambda x: (x - u) ** 2 * density(x), u, u + 12, epsabs=1e-14)[0]
        size = 2 * quad(lambda x: (x - u) * density(x), u, u + 12, epsabs=1e-14)[0]
        return second(h) * left / share(h) ** 2 - 1, h * share(h) / np.sqrt(second(h)) / size

    def linf(h):
        c = special.ndtri((1 + share(h)) / 2)  # X = P(|xi| < c)
        inside = 2 * quad(lambda x: x**2 * density(x), 0, c, epsabs=1e-14)[0]
        left = inside + c**2 * (1 - share(h))
        return second(h) * left / share(h) ** 2 - 1, h * share(h) / np.sqrt(second(h)) / c

    def l2(h):
        return second(h) - 1, h

    top = special.ndtri((1 - 1e-9) / alpha) if alpha >= 1 else 10 / np.sqrt(alpha)  # X < 1
    roots = [brentq(lambda h, f=f: f(h)[0], 1e-6, top, xtol=1e-15) for f in (l1, l2, linf)]
    margins = [f(h)[1] for f, h in zip((l1, l2, linf), roots, strict=True)]
    return {"margin": margins, "generalization_error": [0.5] * 3}
