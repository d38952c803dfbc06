"""arXiv 2404.05579: thresholds by search, quotas by bisection on the common factor."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm


def class_risks(means, stds, t):
    return np.array([ndtr((means[0] - t) / stds[0]), ndtr((t - means[1]) / stds[1])])


def search(risk, low, high, edges=()):
    """The global minimiser of a smooth-between-edges function, ±inf included."""
    grid = np.unique(np.concatenate([np.linspace(low, high, 40_001), edges]))
    values = risk(grid)
    best = np.argmin(values)
    found = [(risk(-np.inf), -np.inf), (risk(np.inf), np.inf), (values[best], grid[best])]
    if not any(abs(grid[best] - e) < 1e-12 for e in edges):
        a, b = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        step = 1e-6

        def slope(t):
            return risk(t + step) - risk(t - step)

        if slope(a) < 0 < slope(b):
            t = brentq(slope, a, b, xtol=1e-14)
            found.append((risk(t), t))
    return min(found)[1]


def best_threshold(means, stds, priors):
    """Where ``q_0 f_0`` falls below ``q_1 f_1``, or a constant rule."""
    means, stds, priors = (np.asarray(x, float) for x in (means, stds, priors))

    def difference(t):
        first, second = (
            np.log(max(priors[k], 1e-300) / stds[k]) - ((t - means[k]) / stds[k]) ** 2 / 2
            for k in range(2)
        )
        return first - second

    reach = 60 * stds.max() + abs(means).max()
    grid = np.linspace(-reach, reach, 20_001)
    values = difference(grid)
    candidates = [(priors[0], -np.inf), (priors[1], np.inf)]
    for i in np.flatnonzero((values[:-1] > 0) & (values[1:] <= 0)):
        t = brentq(difference, grid[i], grid[i + 1], xtol=1e-15)
        candidates.append((priors @ class_risks(means, stds, t), t))
    return min(candidates)[1]


def saturated(density, sizes, weights):
    """``min(1, w_k / Z)`` with the common factor bisected; equal shares among zero weights."""
    sizes, weights = np.asarray(sizes, float), np.asarray(weights, float)
    budget = density * sizes.sum()

    def kept(factor):
        return np.minimum(1, weights * factor)

    if sizes @ (weights > 0) < budget:  # the rest goes to weights of zero
        left = budget - sizes @ (weights > 0)
        empty = weights <= 0
        return np.where(empty, left / (sizes @ empty), 1.0)
    high = 1.0
    while sizes @ kept(high) < budget * (1 - 1e-15) and high < 1e300:
        high *= 2
    factor = brentq(lambda f: sizes @ kept(f) - budget, 0, high, xtol=1e-300, rtol=1e-15)
    return kept(factor)


def shares(pruner, density, means, stds, priors, full_risks):
    weights = {
        "full": np.ones(2),
        "random": np.ones(2),
        "balanced": 1 / np.asarray(priors),
        "optimal": np.asarray(stds) / np.asarray(priors),
        "drop": np.asarray(full_risks),
        "drop_equal_base": np.asarray(full_risks) / np.asarray(priors),
    }[pruner]
    return saturated(density, priors, weights)


def pruned(means, stds, priors, density, pruner):
    """Shares, radius, threshold."""
    means, stds, priors = (np.asarray(x, float) for x in (means, stds, priors))
    if pruner == "full":
        density = 1.0
    if pruner == "ssp":
        radius = 0.0
        if density < 1:
            radius = brentq(
                lambda m: priors @ (2 * norm.cdf(-m / stds)) - density,
                0,
                40 * stds.max(),
                xtol=1e-15,
            )
        share = 2 * norm.cdf(-radius / stds)

        def above(k, t):
            """Mass of class ``k`` above ``t`` outside its core."""
            upper = ndtr((means[k] - np.maximum(t, means[k] + radius)) / stds[k])
            lower = ndtr(-radius / stds[k]) - ndtr((t - means[k]) / stds[k])
            return upper + np.maximum(lower, 0)

        def risk(t):
            return priors[0] * above(0, t) + priors[1] * (share[1] - above(1, t))

        edges = np.concatenate([means - radius, means + radius])
        full = best_threshold(means, stds, priors)
        reach = means[0] - 9 * stds.max(), means[1] + 9 * stds.max()
        t = search(risk, *reach, edges)
        if risk(full) <= risk(t) + 1e-13:
            t = full
        return density, share, radius, t
    full = class_risks(means, stds, best_threshold(means, stds, priors))
    share = shares(pruner, density, means, stds, priors, full)
    return density, share, 0.0, best_threshold(means, stds, priors * share / density)


def population(means, stds, priors, density, pruner):
    """``robust-pruning``."""
    _, share, radius, t = pruned(means, stds, priors, density, pruner)
    risks = class_risks(means, stds, t)
    return {
        "threshold": t,
        "class_density": share,
        "class_risk": risks,
        "average_risk": np.asarray(priors) @ risks,
        "worst_class_risk": risks.max(),
        "risk_gap": abs(risks[0] - risks[1]),
        "prune_radius": radius,
        "minimax_risk": norm.cdf(-(means[1] - means[0]) / sum(stds)),
    }


def finite_sample(means, stds, priors, density, pruner, num_samples, estimator):
    """``robust-pruning.finite-sample`` where the threshold is finite and has not jumped."""
    means, stds, priors = (np.asarray(x, float) for x in (means, stds, priors))
    density, share, _, t = pruned(means, stds, priors, density, pruner)
    weight = priors / density if pruner == "ssp" else priors * share / density
    f = norm.pdf(t, means, stds)
    pull = np.array([t - means[0], means[1] - t]) / stds**2
    curvature = weight @ (f * pull)
    if estimator == "erm":
        n = density * num_samples
        spread = (2 * np.sqrt(weight @ f) / curvature) ** (2 / 3)
        variance = 0.26355964 * n ** (-2 / 3) * spread**2
    else:
        variance, count = 0.0, num_samples * priors * share
        for k in range(2):
            for which, factor in ((means, 1.0), (stds, 0.5)):
                step = 1e-5
                moved = []
                for sign in (1, -1):
                    changed = which.copy()
                    changed[k] += sign * step
                    pair = (changed, stds) if which is means else (means, changed)
                    moved.append(best_threshold(*pair, weight))
                slope = (moved[0] - moved[1]) / (2 * step)
                variance += slope**2 * factor * stds[k] ** 2 / count[k]
    risks = class_risks(means, stds, t) + f * pull * variance / 2
    return {
        "threshold": t,
        "threshold_sd": np.sqrt(variance),
        "class_risk": risks,
        "average_risk": priors @ risks,
        "excess_risk": curvature * variance / 2,
    }


def high_dim(means, stds, priors, density, pruner, num_samples, dim):
    """``robust-pruning.high-dim``."""
    stds, priors = np.asarray(stds, float), np.asarray(priors, float)
    gap = means[1] - means[0]
    density = 1.0 if pruner == "full" else density

    def effective(counts):
        if np.any(counts <= 0):
            return 0.0
        return gap**2 / np.sqrt(gap**2 + dim * np.sum(stds**2 / counts))

    line = [0.0, effective(num_samples * priors)]
    full = class_risks(line, stds, best_threshold(line, stds, priors))
    share = shares(pruner, density, means, stds, priors, full)
    line = [0.0, effective(num_samples * priors * share)]
    t = best_threshold(line, stds, priors * share / density)
    risks = class_risks(line, stds, t)
    return {
        "effective_mean_gap": line[1],
        "threshold": t,
        "class_density": share,
        "class_risk": risks,
        "average_risk": priors @ risks,
        "worst_class_risk": risks.max(),
        "risk_gap": abs(risks[0] - risks[1]),
    }
