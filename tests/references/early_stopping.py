"""arXiv 2301.13486: descents by matrix functions, resolvents on an ellipse, sums on a grid."""

import itertools

import numpy as np
from scipy.linalg import expm
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm as normal

from tests.references import robust_regression as shared
from tests.references.robust_regression import C0, Problem, risk


def noiseless(params):
    return params | {"noise_std": 0.0}


def best(problem, r, sigma=0.0):
    """``(a, b)`` of the optimum and of the proxy, and their predictors' positions."""
    rules = {
        "optimal": lambda a, b, lam: (
            r * np.hypot(a, sigma) * (r * b + C0 * np.hypot(a, sigma))
            - lam * (np.hypot(a, sigma) + C0 * r * b)
        ),
        "proxy": lambda a, b, lam: r * np.hypot(a, sigma) - lam,
    }
    return {
        name: shared.on_the_path(problem, rule, *shared.ends(problem))
        for name, rule in rules.items()
    }


def preconditioner(problem, params):
    """``M`` as a diagonal."""
    variances = np.diag(problem.sigma)
    kind = params["preconditioner"]
    if kind == "attack":
        return (
            np.sqrt(problem.b_metric) if problem.kind == "mahalanobis" else np.ones_like(variances)
        )
    if kind == "whiten":
        return variances**-0.5
    if kind == "matched":
        r = params["attack_radius"]

        def rule(x):
            a, _, lam = problem.measures(problem.at(x))
            return r * a - lam

        w = problem.at(brentq(rule, *shared.ends(problem), xtol=1e-14))
        rate = -np.log(np.maximum(1 - np.abs(w) / np.abs(problem.w0), np.exp(-40)))
        return np.sqrt(rate / variances)
    return np.ones_like(variances)


def trained(problem, params, time):
    """``M^T (1 - exp(-t M Sigma M^T)) M^-T w0``, or so many steps of gradient descent."""
    m = preconditioner(problem, params)
    matrix = m[:, None] * problem.sigma * m[None, :]
    learned = m > 0
    start = np.where(learned, problem.w0 / np.where(learned, m, 1), 0)
    step = params["step_size"]
    if step == 0:
        return m * (start - expm(-time * matrix) @ start)
    left = start.copy()
    for _ in range(round(time / step)):  # Python rounds ties to even
        left = left - step * (matrix @ left)
    return m * (start - left)


def population(**params):
    """``early-stopping`` where endless training is not best and neither w0 nor 0 is optimal."""
    problem, r = Problem(noiseless(params)), params["attack_radius"]
    path = [problem.measures(trained(problem, params, t))[:2] for t in params["times"]]
    a, b = np.array(path).T

    def at(time):
        return risk(*problem.measures(trained(problem, params, time))[:2], r, 0.0)

    if params["step_size"] > 0:
        counts = np.arange(400)
        values = [at(params["step_size"] * k) for k in counts]
        least = min(values)
    else:
        nodes = np.geomspace(1e-3, 1e4, 150)
        k = int(np.argmin([at(t) for t in nodes]))
        bracket = nodes[max(k - 1, 0)], nodes[min(k + 1, len(nodes) - 1)]
        found = minimize_scalar(at, bounds=bracket, method="bounded", options={"xatol": 1e-11})
        least = min(found.fun, at(0.0))
    pairs = best(problem, r)
    optimal = risk(*pairs["optimal"], r, 0.0)
    return {
        "risk_path": risk(a, b, r, 0.0),
        "excess_risk_path": a**2,
        "dual_norm_path": b,
        "risk_early_stopped": least,
        "risk_optimal": optimal,
        "risk_proxy_minimizer": risk(*pairs["proxy"], r, 0.0),
        "risk_ground_truth": r**2 * problem.dual(problem.w0) ** 2,
        "suboptimality_ratio": least / optimal,
    }


# ------------------------------------------------------------------------------------------------
# Finite samples: resolvents on an ellipse
# ------------------------------------------------------------------------------------------------
def stieltjes(nodes, variances, n):
    """``1/m = -z + (1/n) sum lambda / (1 + m lambda)``, continued from the left tip."""

    def off(m, z):
        return 1 / m + z - (variances / (1 + m * variances)).sum() / n

    tip = nodes[0].real
    m = brentq(lambda m: off(m, tip), 1e-14, 1e14, xtol=1e-300, rtol=1e-15, maxiter=1000) + 0j
    found, z = [], tip + 0j
    for node in nodes:
        for part in np.linspace(0, 1, 41)[1:]:
            here = z + part * (node - z)
            for _ in range(6):
                slope = -1 / m**2 + ((variances / (1 + m * variances)) ** 2).sum() / n
                m = m - off(m, here) / slope
        z = node
        found.append(m)
    return np.array(found)


def ellipse(time, top, count=None):
    """Midpoint nodes (upper half first) and ``dz / (2 pi i)`` around 0 and the spectrum."""
    ext = min(top / 2, 3 / time) if time > 0 else top / 2
    rho = 1 + 2 * ext / top + np.sqrt((1 + 2 * ext / top) ** 2 - 1)
    count = count or 2 * int(20 / np.log(rho) + 20)
    angle = np.pi - (np.arange(count) + 0.5) * 2 * np.pi / count  # from the left tip, upper half
    z = top / 2 + top / 4 * (rho * np.exp(1j * angle) + np.exp(-1j * angle) / rho)
    dz = (
        top / 4 * 1j * (rho * np.exp(1j * angle) - np.exp(-1j * angle) / rho) * (-2 * np.pi / count)
    )
    return z, -dz / (2j * np.pi)


def law(variances, c, n, sigma, time, step):
    """``a^2``, means and variances of the coordinates, in the eigenbasis."""
    d = len(variances)
    top = 1.05 * variances.max() * (1 + np.sqrt(d / n)) ** 2
    z, weight = ellipse(time, top)
    half = len(z) // 2
    m_half = stieltjes(z[:half], variances, n)
    m = np.concatenate([m_half, m_half.conj()[::-1]])
    f = np.exp(-time * z) if step == 0 else (1 - step * z) ** round(time / step)
    h = 1 - f
    v = 1 / (1 + m[:, None] * variances[None, :])
    noise = sigma**2 / n * ((weight * h**2 / z**2) @ v).real
    mean = c * ((weight * h / z) @ v).real
    t12 = (v * (variances * c**2)) @ v.T
    d12 = m[:, None] * m[None, :] * ((v * variances**2) @ v.T) / n
    kernel = t12 / (1 - d12)
    first = weight * f / z
    a2 = (first @ kernel @ first).real + (variances * noise).sum()
    left = (weight * h / z * m)[:, None] * v
    var = variances / n * np.einsum("ik,ij,jk->k", left, kernel, left).real + noise
    return a2, mean, np.maximum(var, 0)


def expected_dual(problem, mean, var):
    """``E ||w||_*`` for independent normal coordinates, as the dossier has it for each norm."""
    s = np.sqrt(var)
    if problem.kind in ("l2", "mahalanobis"):
        metric = problem.b_metric if problem.kind == "mahalanobis" else 1.0
        return np.sqrt(((mean**2 + var) / metric).sum())
    if problem.kind == "linf":
        return sum(moment(x, y, 1.0) for x, y in zip(mean, s, strict=True))
    if problem.kind == "lp":
        moments = sum(moment(x, y, problem.q) for x, y in zip(mean, s, strict=True))
        return moments ** (1 / problem.q)
    reach = np.max(np.abs(mean) + 12 * s)
    x = np.linspace(0, reach, 200_001)
    inside = np.ones_like(x)
    for centre, width in zip(mean, s, strict=True):
        if width == 0:
            inside *= x >= abs(centre)
        else:
            inside *= normal.cdf((x - centre) / width) - normal.cdf((-x - centre) / width)
    return np.trapezoid(1 - inside, x)


def moment(mean, std, order):
    """``E |N(mean, std^2)|^order`` on a fine grid."""
    if std == 0:
        return abs(mean) ** order
    edges = np.sort([-12.0, np.clip(-mean / std, -12, 12), 12.0])
    total = 0.0
    for low, high in itertools.pairwise(edges):
        node, weight = np.polynomial.legendre.leggauss(200)
        x = low + (high - low) * (node + 1) / 2
        total += (high - low) / 2 * weight @ (np.abs(mean + std * x) ** order * normal.pdf(x))
    return total


def finite_sample(**params):
    """``early-stopping.finite-sample``."""
    problem, r = Problem(noiseless(params)), params["attack_radius"]
    m = preconditioner(problem, params)
    variances = np.diag(problem.sigma) * m**2
    rows = []
    for time in params["times"]:
        a2, mean, var = law(
            variances, problem.w0 / m, params["num_samples"], params["noise_std"], time,
            params["step_size"],
        )  # fmt: skip
        rows.append((a2, expected_dual(problem, mean * m, var * m**2)))
    a2, b = np.array(rows).T
    return {
        "excess_risk_path": a2,
        "dual_norm_path": b,
        "risk_path": a2 + 2 * C0 * r * np.sqrt(a2) * b + r**2 * b**2,
        "risk_optimal": risk(*best(problem, r)["optimal"], r, 0.0) if problem.w0.any() else 0.0,
    }


# ------------------------------------------------------------------------------------------------
# Two stages
# ------------------------------------------------------------------------------------------------
def two_stage(**params):
    """``early-stopping.two-stage`` with label noise, the optimum being inside of its path."""
    problem, r = Problem(noiseless(params)), params["attack_radius"]
    return second_stages(**params) | {"risk_optimal": risk(*best(problem, r)["optimal"], r, 0.0)}


def second_stages(**params):
    """Where the second stage stops, if it moves at all: expectations on a grid."""
    problem, r = Problem(noiseless(params)), params["attack_radius"]
    d, n, sigma = params["dim"], params["num_samples"], params["noise_std"]
    variances = np.diag(problem.sigma)
    metric = problem.b_metric if problem.kind == "mahalanobis" else np.ones(d)
    grid = np.linspace(-8.5, 8.5, 20_001)
    weight = np.exp(-(grid**2) / 2)
    weight /= weight.sum()
    g = problem.w0[:, None] + sigma / np.sqrt((n - d - 1) * variances)[:, None] * grid[None, :]

    def measures(log_theta):
        theta = np.exp(log_theta)
        lam = variances[:, None]
        if problem.kind == "linf":
            v = np.sign(g) * np.maximum(np.abs(g) - theta / lam, 0)
            b = (np.abs(v) @ weight).sum()
        else:
            v = lam * g / (lam + theta / metric[:, None])
            b = np.sqrt(((v**2 @ weight) / metric).sum())
        s = np.sqrt((variances * ((v - g) ** 2 @ weight)).sum())
        a = np.sqrt((variances * ((v - problem.w0[:, None]) ** 2 @ weight)).sum())
        return a, b, s, theta if problem.kind == "linf" else theta * b

    def stopped(rule):
        def value(x):
            return rule(*measures(x)[1:])

        if value(-30) <= 0:  # least squares is robust enough
            x = -30
        elif value(12) >= 0:  # nothing is
            x = 60
        else:
            x = brentq(value, -30, 12, xtol=1e-13)
        return risk(*measures(x)[:2], r, 0.0)

    return {
        "risk_two_stage": stopped(lambda b, s, lam: r * s - lam),
        "risk_two_stage_exact": stopped(
            lambda b, s, lam: r * s * (r * b + C0 * s) - lam * (s + C0 * r * b)
        ),
    }
