"""arXiv 2410.22069: Adam step by step, and largest margins by programs of SciPy."""

import numpy as np
from scipy.optimize import linprog, nnls


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
