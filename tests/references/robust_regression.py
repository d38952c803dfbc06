"""arXiv 2308.00556 by coordinate descent and scalar searches; every covariance is a full matrix."""

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import gamma
from scipy.stats import t as student

C0 = np.sqrt(2 / np.pi)


def covariance(params):
    d, scale = params["dim"], params["covariance_scale"]
    rank = np.arange(1, d + 1.0)
    if params["spectrum"] == "ar1":
        return scale * params["correlation"] ** np.abs(rank[:, None] - rank[None, :])
    values = {
        "isotropic": lambda: np.ones(d),
        "power_law": lambda: rank ** -params["spectrum_exponent"],
        "custom": lambda: np.asarray(params["eigenvalues"]),
    }
    return scale * np.diag(values[params["spectrum"]]())


def truth(params):
    rank = np.arange(1, params["dim"] + 1.0)
    values = {
        "power_law": lambda: rank ** (-params["signal_exponent"] / 2),
        "sparse": lambda: 1.0 * (rank <= params["sparsity"]),
        "harmonic": lambda: 1 / rank,
        "dense": lambda: np.ones_like(rank),
        "custom": lambda: np.asarray(params["signal_vector"]),
    }
    return params["signal_scale"] * values[params["signal"]]()


def metric(params):
    rank = np.arange(1, params["dim"] + 1.0)
    if params["attack_metric"] == "custom":
        return np.asarray(params["attack_metric_diagonal"])
    return rank ** params["attack_metric_exponent"]


class Problem:
    """Norm, dual norm, and the predictors on the path, by descent in one coordinate at a time."""

    def __init__(self, params):
        self.sigma, self.w0 = covariance(params), truth(params)
        self.kind, self.p = params["attack_norm"], params.get("attack_p", 2.0)
        self.b_metric = metric(params)
        self.q = self.p / (self.p - 1)

    def norm(self, v):
        size = np.abs(v)
        return {
            "l1": lambda: size.sum(),
            "l2": lambda: np.sqrt((v**2).sum()),
            "linf": lambda: size.max(),
            "lp": lambda: size.max() * ((size / size.max()) ** self.p).sum() ** (1 / self.p),
            "mahalanobis": lambda: np.sqrt((self.b_metric * v**2).sum()),
        }[self.kind]()

    def dual(self, w):
        size = np.abs(w)
        if not size.any():
            return 0.0
        return {
            "l1": lambda: size.max(),
            "l2": lambda: np.sqrt((w**2).sum()),
            "linf": lambda: size.sum(),
            "lp": lambda: size.max() * ((size / size.max()) ** self.q).sum() ** (1 / self.q),
            "mahalanobis": lambda: np.sqrt((w**2 / self.b_metric).sum()),
        }[self.kind]()

    def at(self, x):
        """``w`` for ``log`` of: the penalty of w^2 or |w| or |w|^q, or the cap on |w| (l1)."""
        weight = np.exp(x)
        if self.kind in ("l2", "mahalanobis"):
            inverse = 1 / self.b_metric if self.kind == "mahalanobis" else np.ones_like(self.w0)
            matrix = self.sigma + np.diag(weight * inverse)
            return np.linalg.solve(matrix, self.sigma @ self.w0)
        w = self.w0.copy()
        curvature = np.diag(self.sigma)
        for _ in range(100_000):
            before = w.copy()
            for j in range(len(w)):
                pull = self.sigma[j] @ (self.w0 - w) + curvature[j] * w[j]
                w[j] = self._coordinate(pull, curvature[j], weight)
            if np.max(np.abs(w - before)) <= 1e-15 * np.max(np.abs(self.w0)):
                return w
        raise RuntimeError("coordinate descent did not end")

    def _coordinate(self, pull, curvature, weight):
        """``argmin curvature w^2 / 2 - pull w`` with the penalty, or under the cap."""
        if self.kind == "linf":
            return np.sign(pull) * max(abs(pull) - weight, 0) / curvature
        if self.kind == "l1":
            return np.clip(pull / curvature, -weight, weight)
        if pull == 0:
            return 0.0
        size = abs(pull)

        def slope(u):
            return curvature * u + weight * u ** (self.q - 1) - size

        return np.sign(pull) * brentq(slope, 0, size / curvature, xtol=1e-300, rtol=1e-15)

    def measures(self, w):
        """``a``, ``b`` and ``lambda``."""
        gap = self.w0 - w
        a = np.sqrt(max(gap @ self.sigma @ gap, 0))
        return a, self.dual(w), self.norm(self.sigma @ gap) if gap.any() else 0.0


def risk(a, b, r, sigma):
    s = np.sqrt(a**2 + sigma**2)
    return s**2 + 2 * C0 * r * s * b + r**2 * b**2


def on_the_path(problem, rule, low, high):
    """``(a, b)`` where ``rule(a, b, lambda)`` changes its sign."""
    x = brentq(lambda x: rule(*problem.measures(problem.at(x))), low, high, xtol=1e-14, rtol=1e-15)
    return problem.measures(problem.at(x))[:2]


def ends(problem):
    if problem.kind == "l1":
        largest = np.log(np.abs(problem.w0).max())
        return largest - 1e-9, largest - 12
    strongest = problem.norm(problem.sigma @ problem.w0)
    if problem.kind == "linf":
        return np.log(strongest) - 25, np.log(strongest) - 1e-9
    return np.log(strongest) - 25, np.log(strongest) + 25


def population(**params):
    """``robust-regression`` inside: neither w0 nor 0 is optimal."""
    problem, r, sigma = Problem(params), params["attack_radius"], params["noise_std"]
    zero, b0 = problem.measures(0 * problem.w0), problem.dual(problem.w0)

    def s(a):
        return np.sqrt(a**2 + sigma**2)

    rules = {
        "optimal": lambda a, b, lam: r * s(a) * (r * b + C0 * s(a)) - lam * (s(a) + C0 * r * b),
        "proxy_minimizer": lambda a, b, lam: r * s(a) - lam,
        "proximal": lambda a, b, lam: r**2 * b - lam,
    }
    found = {name: on_the_path(problem, rule, *ends(problem)) for name, rule in rules.items()}
    found["constrained"] = found["optimal"]
    budget = params["excess_error_budget"]
    if budget < found["optimal"][0]:
        found["constrained"] = on_the_path(problem, lambda a, b, lam: budget - a, *ends(problem))
    shrunk = minimize_scalar(
        lambda g: risk((1 - g) * zero[0], g * b0, r, sigma),
        bounds=(0, 1),
        method="bounded",
        options={"xatol": 1e-12},
    ).fun
    return {
        **{f"risk_{name}": risk(*pair, r, sigma) for name, pair in found.items()},
        "risk_ground_truth": risk(0, b0, r, sigma),
        "risk_null": risk(zero[0], 0, r, sigma),
        "risk_shrinkage": min(shrunk, risk(0, b0, r, sigma), risk(zero[0], 0, r, sigma)),
        "free_lunch_threshold": found["optimal"][0],
        "dual_norm_optimal": found["optimal"][1],
        "radius_high": zero[2] / (C0 * s(zero[0])),
    }


# ------------------------------------------------------------------------------------------------
# Least squares
# ------------------------------------------------------------------------------------------------
def moment(mean, scale, freedom, order):
    """``E |mean + scale T|^order`` for Student's T, split where the argument is 0."""
    if order == 2:
        return mean**2 + scale**2 * freedom / (freedom - 2)
    from scipy.integrate import quad

    def part(t):
        return np.abs(mean + scale * t) ** order * student.pdf(t, freedom)

    cut = -mean / scale
    return quad(part, -np.inf, cut, epsabs=1e-14)[0] + quad(part, cut, np.inf, epsabs=1e-14)[0]


def sizes_of_least_squares(params):
    """``s`` and ``b`` that the risk is made of."""
    problem, sigma = Problem(params), params["noise_std"]
    d, n = params["dim"], params["num_samples"]
    inverse = np.diag(np.linalg.inv(problem.sigma))
    s = np.sqrt(sigma**2 * (n - 1) / (n - d - 1))
    freedom = n - d + 1
    if problem.kind in ("l2", "mahalanobis"):
        b_inverse = 1 / problem.b_metric if problem.kind == "mahalanobis" else np.ones(d)
        spread = sigma**2 * inverse / (n - d - 1)
        return s, np.sqrt(((problem.w0**2 + spread) * b_inverse).sum())
    q = 1.0 if problem.kind == "linf" else problem.q
    scales = sigma * np.sqrt(inverse / freedom)
    pairs = zip(problem.w0, scales, strict=True)
    return s, sum(moment(mean, scale, freedom, q) for mean, scale in pairs) ** (1 / q)


def least_squares(**params):
    """``robust-regression.least-squares``."""
    problem, r, sigma = Problem(params), params["attack_radius"], params["noise_std"]
    s, b = sizes_of_least_squares(params)
    return {
        "risk_least_squares": s**2 + 2 * C0 * r * s * b + r**2 * b**2,
        "standard_risk_least_squares": s**2,
        "risk_ground_truth": risk(0, problem.dual(problem.w0), r, sigma),
    }


# ------------------------------------------------------------------------------------------------
# Power laws, Euclidean attacks
# ------------------------------------------------------------------------------------------------
def sharp_constants(beta, delta):
    """``C`` and ``vartheta`` of ``E_opt ~ C r^(2(1-e))`` at ``kappa = vartheta r^2``, no noise."""
    e = (1 - delta) / beta
    P = np.pi / (beta * np.sin(np.pi * e))
    q = np.roots([1 - e, C0 * (1 - 2 * e), -e]).max()
    theta = q**2 * (1 - e) / e
    C = (
        P * e * theta ** (1 - e)
        + 2 * C0 * P * np.sqrt(e * (1 - e)) * theta ** (0.5 - e)
        + P * (1 - e) * theta ** (-e)
    )
    return C, theta


def flow_constants(beta, delta):
    """The same for gradient flow stopped at ``vartheta / r^2`` (arXiv 2301.13486)."""
    e = (1 - delta) / beta
    G1 = gamma(1 - e) * 2 ** (e - 1) / beta
    G2 = gamma(-e) * (2**e - 2) / beta

    def level(log_t):
        t = np.exp(log_t)
        a, b = np.sqrt(G1 * t ** (e - 1)), np.sqrt(G2 * t**e)
        return a**2 + 2 * C0 * a * b + b**2

    found = minimize_scalar(level, bounds=(-8, 8), method="bounded", options={"xatol": 1e-12})
    return found.fun, np.exp(found.x)
