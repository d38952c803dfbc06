"""arXiv 2210.09957: optima by SciPy's minimisers and linear programmes, laws by dense algebra."""

import math

import numpy as np
from scipy.integrate import quad
from scipy.linalg import solve_sylvester
from scipy.optimize import linprog, minimize
from scipy.special import ndtr


def normal_density(x):
    """Of one number: integrands are asked a hundred thousand times."""
    return math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def gini_weights(p, count):
    w = p["ggf_decay"] ** np.arange(count)
    return w / w.sum()


def value(p, s):
    if p["objective"] == "softmin":
        tau = p["temperature"]
        return -np.log(np.mean(np.exp(-tau * s))) / tau
    if p["objective"] == "quadratic":
        return -p["curvature"] / 2 * np.sum((s - p["target"]) ** 2)
    if p["objective"] == "ggf":
        return gini_weights(p, len(s)) @ np.sort(s)
    a, x = p["welfare_exponent"], p["smoothing"] + s
    return np.mean(np.log(x) if a == 0 else np.sign(a) * x**a)


def slope(p, s):
    if p["objective"] == "softmin":
        e = np.exp(-p["temperature"] * (s - s.min()))
        return e / e.sum()
    if p["objective"] == "quadratic":
        return p["curvature"] * (p["target"] - s)
    a, x = p["welfare_exponent"], p["smoothing"] + s
    return (abs(a) if a else 1) * x ** (a - 1) / len(s)


def minus_hessian(p, s, step=1e-5):
    """By differences of the gradient."""
    rows = [(slope(p, s - step * e) - slope(p, s + step * e)) / (2 * step) for e in np.eye(len(s))]
    return np.array(rows)


def means_of(p):
    if "mean_rewards" in p:
        return np.asarray(p["mean_rewards"], float)
    peaks = np.linspace(p["peak_max"], p["peak_min"], p["num_actions"])
    return p["base_reward"] + np.diag(peaks - p["base_reward"])


def best_mixture(p, means):
    """The law of the arm, and g*."""
    arms = means.shape[1]
    if p["objective"] == "ggf":
        return gini_programme(p, means)
    found = minimize(
        lambda law: -value(p, means @ law),
        np.full(arms, 1 / arms),
        jac=lambda law: -means.T @ slope(p, means @ law),
        method="SLSQP",
        bounds=[(0, 1)] * arms,
        constraints=[{"type": "eq", "fun": lambda law: law.sum() - 1,
                      "jac": lambda law: np.ones(arms)}],
        options={"ftol": 1e-16, "maxiter": 1000},
    )  # fmt: skip
    law = np.where(found.x < 1e-8, 0, found.x)
    return law / law.sum(), slope(p, means @ law)


def gini_programme(p, means):
    """``sum_i w_i s_(i) = sum_k (w_k - w_(k+1)) (sum of the k smallest)``, each by its dual."""
    count, arms = means.shape
    w = gini_weights(p, count)
    step = w - np.append(w[1:], 0)
    # Variables: law (arms), t_k, and d_ki >= t_k - s_i; maximise sum step_k (k t_k - sum_i d_ki).
    cost = np.concatenate([np.zeros(arms), -step * np.arange(1, count + 1), np.repeat(step, count)])
    rows = np.zeros((count * count, len(cost)))
    for k in range(count):
        for i in range(count):
            row = rows[k * count + i]
            row[:arms], row[arms + k], row[arms + count + k * count + i] = -means[i], 1, -1
    found = linprog(
        cost,
        A_ub=rows,
        b_ub=np.zeros(len(rows)),
        A_eq=np.concatenate([np.ones(arms), np.zeros(len(cost) - arms)])[None],
        b_eq=[1.0],
        bounds=[(0, 1)] * arms + [(None, None)] * count + [(0, None)] * count**2,
        method="highs",
    )
    dual = -found.ineqlin.marginals.reshape(count, count).sum(axis=0)
    return found.x[:arms], dual


def arms(**p):
    """What `concave-bandits` says."""
    means = means_of(p)
    count, number = means.shape
    law, gradient = best_mixture(p, means)
    best = means @ law
    total = p["num_rounds"]
    time = np.array([total // 2**j for j in range(p["num_checkpoints"])][::-1])
    uniform = np.full(number, 1 / number)
    top = np.eye(number)[np.argmax(means.mean(axis=0))]

    def given(a):
        m = means[:, a]
        return (
            np.diag(m * (1 - m))
            if p["noise"] == "bernoulli"
            else p["noise_std"] ** 2 * np.eye(count)
        )

    def covariance(law):
        mean = means @ law
        return sum(q * (given(a) + np.outer(means[:, a] - mean, means[:, a] - mean))
                   for a, q in enumerate(law))  # fmt: skip

    found = {
        "optimal_value": value(p, best),
        "optimal_reward": best,
        "optimal_gradient": gradient,
        "uniform_value": value(p, means @ uniform),
        "scalarized_value": value(p, means @ top),
        "regret_std": np.sqrt(gradient @ covariance(law) @ gradient / total),
    }
    ggf = p["objective"] == "ggf"

    def cost(law):
        return 0.0 if ggf else np.trace(minus_hessian(p, means @ law) @ covariance(law)) / 2

    found["stationary_regret"] = np.inf if ggf else cost(law) / total
    policy = {"stationary": law, "uniform": uniform, "scalarized": top}.get(p["algorithm"])
    if policy is not None:
        short = found["optimal_value"] - value(p, means @ policy)
        found["regret"] = found["regret_controlled"] = short + cost(policy) / time
    if ggf:
        w, w_star = gini_weights(p, count), np.sort(gradient)[::-1]
        inside = np.all(np.cumsum(w_star)[:-1] < np.cumsum(w)[:-1] - 1e-7)
        y = np.sum((w_star - 1 / count) * w) - np.sum((w_star - 1 / count) ** 2)
        found["nonsmooth_coefficient"] = p["moreau_scale"] * y if inside else np.inf
        found["bregman"] = found["nonsmooth_coefficient"] / np.sqrt(time)
        return found
    h = minus_hessian(p, best)
    support = np.flatnonzero(law > 1e-8)
    v = (means[:, support] - means[:, support[:1]])[:, 1:]
    project = v @ np.linalg.pinv(v.T @ h @ v, rcond=1e-9) @ v.T @ h if v.size else 0 * h
    left = np.eye(count) - project
    noise = sum(q * given(a) for a, q in enumerate(law))
    found["bregman"] = np.trace(h @ left @ noise @ left.T) / 2 / time
    return found


def gini_bound(**p):
    """Of `concave-bandits`: the proven bound on the regret of the oracle's smoothed loop."""
    count = p["num_actions"]
    w = gini_weights(p, count)
    time = np.array([p["num_rounds"]])
    return {"regret": (p["moreau_scale"] * (w @ w) + count / p["moreau_scale"]) / np.sqrt(time)}


def largest_normal(actions):
    def moment(power):
        return quad(lambda x: x**power * actions * normal_density(x) * ndtr(x) ** (actions - 1),
                    -12, 12, epsabs=1e-13, limit=400)[0]  # fmt: skip

    return moment(1), moment(2) - moment(1) ** 2


def gram_of(p):
    count = p["num_objectives"]
    scale = p["scale_ratio"] ** (np.arange(count) / (count - 1))
    return np.outer(scale, scale) * (p["correlation"] + (1 - p["correlation"]) * np.eye(count))


def gaussian(**p):
    """What `concave-bandits.gaussian-contexts` says."""
    count, actions, total = p["num_objectives"], p["num_actions"], p["num_rounds"]
    gram = gram_of(p)
    mean, variance = largest_normal(actions)
    factor = mean * np.linalg.cholesky(gram)
    time = np.array([total // 2**j for j in range(p["num_checkpoints"])][::-1])
    found = minimize(
        lambda u: -value(p, factor @ u),
        np.full(count, 0.5 / np.sqrt(count)),
        jac=lambda u: -factor.T @ slope(p, factor @ u),
        method="SLSQP",
        constraints=[{"type": "ineq", "fun": lambda u: 1 - u @ u, "jac": lambda u: -2 * u}],
        options={"ftol": 1e-16, "maxiter": 1000},
    )
    best = factor @ found.x
    gradient = slope(p, best)

    def rule(g):
        width = np.sqrt(g @ gram @ g)
        spread = gram - (1 - variance) * np.outer(gram @ g, gram @ g) / width**2
        return mean * gram @ g / width, spread + p["noise_std"] ** 2 * np.eye(count)

    covariance = rule(gradient)[1]
    policies = {
        "uniform": (np.zeros(count), gram + p["noise_std"] ** 2 * np.eye(count)),
        "scalarized": rule(np.full(count, 1 / count)),
        "stationary": (best, covariance),
    }
    h = minus_hessian(p, best)
    width = np.sqrt(gradient @ gram @ gradient)
    bent = mean * (gram / width - np.outer(gram @ gradient, gram @ gradient) / width**3)
    drift = np.eye(count) / 2 + bent @ h
    spread = solve_sylvester(drift, drift.T, covariance)
    kappa = np.trace(h @ bent @ h @ spread) / 2
    noise = np.sqrt(gradient @ covariance @ gradient / total)
    result = {
        "optimal_value": value(p, best),
        "optimal_reward": best,
        "optimal_gradient": gradient,
        "uniform_value": value(p, np.zeros(count)),
        "scalarized_value": value(p, policies["scalarized"][0]),
        "stationary_regret": np.trace(h @ covariance) / 2 / total,
        "oracle_log_coefficient": kappa,
        "doubling_increment": kappa * np.log(2),
        "bregman": np.trace(h @ spread) / 2 / time,
        "regret_noise_std": noise,
        "regret_std": noise,
        "exploration_regret": exploration(p, width, mean),
    }
    if p["algorithm"] in policies:
        reward, cov = policies[p["algorithm"]]
        short = value(p, best) - value(p, reward)
        cost = np.trace(minus_hessian(p, reward) @ cov) / 2
        result["regret"] = result["regret_controlled"] = short + cost / time
    return result


def gini_exploration(**p):
    """Of `concave-bandits.gaussian-contexts` whose gradient is the weights themselves."""
    count = p["num_objectives"]
    w = gini_weights(p, count)
    width = np.sqrt(w @ gram_of(p) @ w)
    return {"exploration_regret": exploration(p, width, largest_normal(p["num_actions"])[0])}


def exploration(p, width, mean):
    """The price of random actions, round by round."""
    t, actions = np.arange(1, p["num_rounds"] + 1), p["num_actions"]
    if p["algorithm"] == "epsilon_greedy":
        return np.minimum(1, p["exploration_probability"] * t ** (-1 / 3)).mean() * mean * width
    if p["algorithm"] != "squarecb":
        return 0.0
    rate = p["squarecb_rate"] * np.sqrt(t)

    def at(gap):
        def pair(y):
            return normal_density(y) * ndtr(y) ** (actions - 2) * normal_density(y - gap)

        chance = quad(pair, -10, 12, limit=200)[0]
        return (
            actions * (actions - 1) * chance * np.mean(width * gap / (actions + rate * width * gap))
        )

    return quad(at, 0, 14, limit=200, epsrel=1e-9)[0]


def ranking(**p):
    """What `concave-bandits.ranking` says of few types and items."""
    types, items, slots = p["num_user_types"], p["num_items"], p["num_slots"]
    quality = np.linspace(1, -1, items)
    angle = (
        2
        * np.pi
        * ((np.arange(types)[:, None] + 0.5) / types - 0.6180339887498949 * np.arange(items))
    )
    clicks = 0.5 + p["popularity"] / 2 * quality + p["taste"] / 2 * np.cos(angle)
    b = 1 / np.log2(1 + np.arange(1, slots + 1))
    shape = (types, items, slots)

    def total(exposure, users):
        return users + p["item_weight"] * value(p, exposure)

    def both(x):
        a = x.reshape(shape) @ b
        return a.mean(axis=0), (a * clicks).sum(axis=1).mean()

    filled = np.array([[(c, k) == (i, l) for i, j, l in np.ndindex(shape)]
                       for c in range(types) for k in range(slots)], float)  # fmt: skip
    once = np.array([[(c, j) == (i, n) for i, n, l in np.ndindex(shape)]
                     for c in range(types) for j in range(items)], float)  # fmt: skip
    found = minimize(
        lambda x: -total(*both(x)),
        np.full(np.prod(shape), 1 / items),
        method="SLSQP",
        bounds=[(0, 1)] * int(np.prod(shape)),
        constraints=[
            {"type": "eq", "fun": lambda x: filled @ x - 1, "jac": lambda x: filled},
            {"type": "ineq", "fun": lambda x: 1 - once @ x, "jac": lambda x: -once},
        ],
        options={"ftol": 1e-15, "maxiter": 500},
    )
    exposure, users = both(found.x)
    weights = np.append(b, np.zeros(items - slots))
    greedy = np.zeros((types, items))
    for c in range(types):
        greedy[c, np.argsort(-clicks[c], kind="stable")] = weights
    equal = np.full(items, weights.mean())
    result = {
        "optimal_value": total(exposure, users),
        "optimal_reward": np.append(exposure, users),
        "optimal_gradient": np.append(p["item_weight"] * slope(p, exposure), 1),
        "uniform_value": total(equal, (clicks * equal).sum(axis=1).mean()),
        "scalarized_value": total(greedy.mean(axis=0), (clicks * greedy).sum(axis=1).mean()),
    }
    time = np.array([p["num_rounds"] // 2**j for j in range(p["num_checkpoints"])][::-1])
    spread = np.sum(b**2) / items - (b.sum() / items) ** 2
    laws = {
        "scalarized": (greedy.mean(axis=0), np.cov(greedy.T, bias=True)),
        "uniform": (equal, spread * (items * np.eye(items) - 1) / (items - 1)),
    }
    if p["algorithm"] in laws:
        mean, covariance = laws[p["algorithm"]]
        cost = p["item_weight"] * np.trace(minus_hessian(p, mean) @ covariance) / 2
        short = result["optimal_value"] - result[p["algorithm"] + "_value"]
        result["regret"] = result["regret_controlled"] = short + cost / time
    return result
