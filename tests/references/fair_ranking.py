"""arXiv 2209.13019: optima over marginals by sequential quadratic programming, chains by
recursion."""

import numpy as np
from scipy.optimize import brentq, linprog, minimize
from scipy.stats import norm


def circle(num_users, num_items, popularity, taste):
    user = 2 * np.pi * (np.arange(num_users) + 0.5) / num_users
    item = 2 * np.pi * 0.6180339887498949 * np.arange(num_items)
    score = popularity * np.linspace(1, -1, num_items) + taste * np.cos(user[:, None] - item)
    return 1 / (1 + np.exp(-score))


def position_weights(slots):
    return 1 / np.log2(1 + np.arange(1, slots + 1))


def welfare(x, exponent):
    return np.log(x) if exponent == 0 else np.sign(exponent) * x**exponent


def merit_of(p, mu):
    quality = mu.mean(axis=0)
    return (
        quality / quality.mean() if p["objective"] == "quality_weighted" else np.ones(len(quality))
    )


def objective(p, mu, a):
    """``f`` of all users' exposures."""
    total = position_weights(p["num_slots"]).sum()
    u, v, m = (mu * a).sum(axis=1), a.mean(axis=0), mu.shape[1]
    beta, eta = p["fairness_weight"], p["smoothing"]
    if p["objective"] == "quadratic":
        return u.mean() - beta / 2 * np.sum((v - total / m) ** 2)
    if p["objective"] == "quality_weighted":
        return u.mean() - beta * np.sqrt(eta + np.mean((m * v / total - merit_of(p, mu)) ** 2))
    if p["objective"] == "welfare":
        users = welfare(eta + u, p["welfare_exponent_user"]).mean()
        return users + beta * welfare(eta + v, p["welfare_exponent_item"]).mean()
    groups = [a[np.arange(len(a)) % 2 == s] for s in (0, 1)]
    spread = sum(
        len(g) / len(a) * (m / total) ** 2 * (g.mean(axis=0) - v) ** 2 for g in groups
    )  # fmt: skip
    return u.mean() - beta * np.mean(np.sqrt(eta + spread))


def rankings_by_relevance(mu, slots):
    b = position_weights(slots)
    a = np.zeros_like(mu)
    for i, row in enumerate(mu):
        a[i, sorted(range(len(row)), key=lambda j: -row[j])[:slots]] = b
    return a


def constraints(n, m, slots):
    """Marginals (user, item, slot): every slot is filled, no item is shown twice."""
    shape = (n, m, slots)
    filled = np.array([[(i, k) == (a, c) for a, b, c in np.ndindex(shape)]
                       for i in range(n) for k in range(slots)], float)  # fmt: skip
    once = np.array([[(i, j) == (a, b) for a, b, c in np.ndindex(shape)]
                     for i in range(n) for j in range(m)], float)  # fmt: skip
    return filled, once


def optimum(p, mu):
    """Exposures of all users at the maximum."""
    n, m = mu.shape
    slots = p["num_slots"]
    b = position_weights(slots)
    filled, once = constraints(n, m, slots)

    def exposures(x):
        return x.reshape(n, m, slots) @ b

    found = minimize(
        lambda x: -objective(p, mu, exposures(x)),
        np.full(n * m * slots, 1 / m),
        method="SLSQP",
        bounds=[(0, 1)] * (n * m * slots),
        constraints=[
            {"type": "eq", "fun": lambda x: filled @ x - 1, "jac": lambda x: filled},
            {"type": "ineq", "fun": lambda x: 1 - once @ x, "jac": lambda x: -once},
        ],
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return exposures(found.x)


def constrained_utility(p, mu):
    """The linear programme, -inf where it is infeasible."""
    n, m = mu.shape
    slots = p["num_slots"]
    b = position_weights(slots)
    filled, once = constraints(n, m, slots)
    cost = (mu[:, :, None] * b / n).ravel()
    exposure = np.array([np.broadcast_to((np.arange(m) == j)[None, :, None] * b / n,
                                         (n, m, slots)).ravel() for j in range(m)])  # fmt: skip
    target = b.sum() / m * merit_of(p, mu)
    found = linprog(
        -cost,
        A_ub=once,
        b_ub=np.ones(len(once)),
        A_eq=np.vstack([filled, exposure]),
        b_eq=np.concatenate([np.ones(len(filled)), target]),
        method="highs",
    )
    return -found.fun if found.status == 0 else -np.inf


def table_of(p):
    if "preference_table" in p:
        return np.asarray(p["preference_table"], float)
    return circle(p["num_users"], p["num_items"], p["popularity"], p["taste"])


def ranking(**p):
    """What `fair-ranking` says of a small market."""
    mu = table_of(p)
    n, m = mu.shape
    b = np.zeros(m)
    b[: p["num_slots"]] = position_weights(p["num_slots"])
    a = optimum(p, mu)
    exposure = a.mean(axis=0)
    found = {
        "optimal_value": objective(p, mu, a),
        "optimal_utility": (mu * a).sum(axis=1).mean(),
        "optimal_exposure": exposure,
        "optimal_unfairness": np.sqrt(np.mean((m * exposure / b.sum() - merit_of(p, mu)) ** 2)),
        "relevance_value": objective(p, mu, rankings_by_relevance(mu, p["num_slots"])),
        "uniform_value": objective(p, mu, np.full((n, m), b.sum() / m)),
    }
    linear = p["objective"] != "balanced" and (
        p["objective"] != "welfare" or p["welfare_exponent_user"] == 1
    )
    if not (linear and p["arrivals"] == "uniform"):
        return found
    step = 1e-6  # scores by differences of the objective

    def score(i, j):
        up, down = a.copy(), a.copy()
        up[i, j] += step
        down[i, j] -= step
        return n * (objective(p, mu, up) - objective(p, mu, down)) / (2 * step)

    best = [np.sort([score(i, j) for j in range(m)])[::-1] @ b for i in range(n)]
    beta, eta = p["fairness_weight"], p["smoothing"]
    alpha = p["welfare_exponent_item"]
    smoothness = {
        "quadratic": beta,
        "quality_weighted": beta * m / (b.sum() ** 2 * np.sqrt(eta)),
        "welfare": beta / m * (abs(alpha) * (1 - alpha) if alpha else 1) * eta ** (alpha - 2),
    }[p["objective"]]
    count = n * np.array([p["num_epochs"] // 2**j for j in range(p["num_checkpoints"])][::-1])
    bound = smoothness * np.sum((b - b[::-1]) ** 2) * np.log(np.e * count) / (2 * count)
    noise = np.std(best) / np.sqrt(count[-1])
    return found | {
        "regret": bound,
        "regret_controlled": bound,
        "regret_noise_std": noise,
        "regret_std": noise,
    }


def baselines(**p):
    """What `fair-ranking.baselines` says of a small market."""
    mu = table_of(p)
    n, m = mu.shape
    slots, beta = p["num_slots"], p["fairness_weight"]
    b = position_weights(slots)
    found = {
        name: value
        for name, value in ranking(**(p | {"arrivals": "shuffled"})).items()
        if not name.startswith("regret")
    }
    found["constrained_utility"] = constrained_utility(p, mu)
    epochs = [p["num_epochs"] // 2**j for j in range(p["num_checkpoints"])][::-1]
    count = n * np.array(epochs)
    best = found["optimal_value"]
    if p["algorithm"] == "relevance":
        spread = 0.0
        if p["objective"] == "quadratic" and p["arrivals"] == "uniform":
            spread = rankings_by_relevance(mu, slots).var(axis=0).sum()
        found["regret"] = best - found["relevance_value"] + beta / 2 * spread / count
    elif p["algorithm"] == "random":
        spread = np.sum(b**2) - b.sum() ** 2 / m if p["objective"] == "quadratic" else 0.0
        found["regret"] = best - found["uniform_value"] + beta / 2 * spread / count
    elif p["algorithm"] == "fairco":
        exposure = np.broadcast_to(b.sum() / m * merit_of(p, mu), (n, m))
        only_items = objective(p, mu, exposure) - (mu * exposure).sum(axis=1).mean()
        found["regret"] = np.full(len(count), best - found["constrained_utility"] - only_items)
    else:
        a, values = np.full((n, m), b.sum() / m), {}
        for k in range(p["num_epochs"]):
            slopes = np.array([[_slope(p, mu, a, i, j) for j in range(m)] for i in range(n)])
            a = a + 2 / (k + 2) * (rankings_by_relevance(slopes, slots) - a)
            values[k + 1] = best - objective(p, mu, a)
        found["regret"] = np.array([values[k] for k in epochs])
    return found


def _slope(p, mu, a, i, j, step=1e-6):
    up, down = a.copy(), a.copy()
    up[i, j] += step
    down[i, j] -= step
    return objective(p, mu, up) - objective(p, mu, down)


def two_items(**p):
    """The law of the count, round by round, without any shortcut."""
    beta, delta, tau = p["fairness_weight"], p["relevance_gap_mean"], p["relevance_gap_std"]
    total = p["num_rounds"]

    def utility(c):
        z = (c - delta) / tau
        return 0.5 + delta / 2 - delta * norm.cdf(z) + tau * norm.pdf(z)

    def shown(c):
        return norm.cdf(c, delta, tau)

    best = brentq(lambda c: c - beta * (1 - 2 * shown(c)), -beta - 1e-9, beta + 1e-9, xtol=1e-15)
    v = shown(best)
    value = utility(best) - beta * (v - 0.5) ** 2
    law, means = {0: 1.0}, {"utility": 0.0, "gap": 0.0}
    rounds = [total // 2**j for j in range(p["num_checkpoints"])][::-1]
    curves = {name: [] for name in ("regret", "bregman", "gap", "utility", "exposure")}
    for t in range(1, total + 1):
        after = {}
        for k, chance in law.items():
            c = beta * (1 - 2 * k / (t - 1)) if t > 1 else 0.0
            q = shown(c)
            means["utility"] += chance * utility(c)
            means["gap"] += chance * (utility(best) + best * v - utility(c) - best * q)
            after[k] = after.get(k, 0.0) + chance * (1 - q)
            after[k + 1] = after.get(k + 1, 0.0) + chance * q
        law = {k: chance for k, chance in after.items() if chance > 1e-25}
        if t in rounds:
            square = sum(chance * (k / t - 0.5) ** 2 for k, chance in law.items())
            curves["utility"].append(means["utility"] / t)
            curves["gap"].append(means["gap"] / t)
            curves["exposure"].append(sum(chance * k / t for k, chance in law.items()))
            curves["bregman"].append(beta * sum(q * (k / t - v) ** 2 for k, q in law.items()))
            curves["regret"].append(value - means["utility"] / t + beta * square)
    density = norm.pdf(best, delta, tau)
    spread = v * (1 - v) / (1 + 4 * beta * density)
    lead = norm.expect(lambda d: abs(d - best), loc=delta, scale=tau)
    noise = np.sqrt((tau**2 + (delta - best) ** 2 - lead**2) / total) / 2
    return {
        "optimal_value": value,
        "optimal_threshold": best,
        "optimal_exposure": v,
        "optimal_utility": utility(best),
        "relevance_value": utility(0) - beta * (shown(0) - 0.5) ** 2,
        "log_coefficient": 2 * beta**2 * density * spread,
        "bregman_limit": beta * spread,
        "regret_controlled": np.array(curves["regret"]),
        **{name: np.array(values) for name, values in curves.items()},
        "regret_noise_std": noise,
        "regret_std": noise,
    }
