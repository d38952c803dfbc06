"""arXiv 2502.04270 in NumPy, response by response: loops over prompts and ordered pairs.

Matrices are summed as they stand and inverted; best-of-N by the four cumulative sums; nothing is
shared with the package.
"""

import math

import numpy as np
from scipy import optimize


def instance(num_prompts, num_responses, dim):
    """The reference instance, entry by entry."""
    phi = np.zeros((num_prompts, num_responses, dim))
    reference = np.zeros((num_prompts, num_responses))
    for x in range(num_prompts):
        for y in range(num_responses):
            reference[x, y] = math.exp(0.5 * math.sin(2 * (y + 1) + (x + 1)))
            for j in range(dim):
                angle = 0.7 * (y + 1) * (j + 1) + 1.1 * (x + 1) * (j + 2)
                phi[x, y, j] = math.sqrt(2) * math.cos(angle)
    reference /= reference.sum(axis=1, keepdims=True)
    rho = np.array([1 + x / 2 for x in range(num_prompts)])
    theta = np.array([(-1) ** j / math.sqrt(j + 1) for j in range(dim)])
    return phi, reference, rho / rho.sum(), theta


class Problem:
    """An instance with its parameters."""

    def __init__(
        self,
        num_prompts,
        num_responses,
        dim,
        kl_regularization,
        reward_scale,
        sampler,
        prompt_weighting,
        num_candidates,
        features=None,
        reference_policy=None,
        prompt_distribution=None,
        oracle_parameter=None,
        **_,
    ):
        phi, ref, rho, theta = instance(num_prompts, num_responses, dim)
        self.phi = phi if features is None else np.asarray(features)
        self.ref = ref if reference_policy is None else np.asarray(reference_policy)
        self.rho = rho if prompt_distribution is None else np.asarray(prompt_distribution)
        direction = theta if oracle_parameter is None else np.asarray(oracle_parameter)
        self.oracle = reward_scale * direction
        self.beta, self.sampler, self.weighting = kl_regularization, sampler, prompt_weighting
        self.candidates = num_candidates
        self.sizes = (num_prompts, num_responses, dim)

    def policy(self, theta):
        tilt = self.phi @ theta / self.beta
        weight = self.ref * np.exp(tilt - tilt.max(axis=1, keepdims=True))
        return weight / weight.sum(axis=1, keepdims=True)

    def partition(self, theta):
        """``1 + Z⁺ Z⁻`` of every prompt."""
        policy = self.policy(theta)
        r = self.phi @ theta
        plus, minus = (np.sum(policy * np.exp(sign * r), axis=1) for sign in (1, -1))
        return 1 + plus * minus

    def law(self, x, theta):
        """``μ(a, b | x)``."""
        k = self.sizes[1]
        p, ref, r = self.policy(theta)[x], self.ref[x], self.phi[x] @ theta
        plus, minus = p * np.exp(r), p * np.exp(-r)
        z = plus.sum() * minus.sum()
        apart = np.outer(plus / plus.sum(), minus / minus.sum())
        laws = {
            "vanilla": lambda: np.outer(p, p),
            "reference": lambda: np.outer(ref, ref),
            "hybrid": lambda: np.outer(p, ref),
            "uniform": lambda: np.full((k, k), 1 / k**2),
            "pilaf": lambda: (np.outer(p, p) + z * apart) / (1 + z),
            "pilaf_practical": lambda: (np.outer(p, p) + apart) / 2,
            "best_of_n": lambda: best_of_n(p, r, self.candidates),
        }
        return laws[self.sampler]()

    def labelled(self, theta):
        """Prompt law and weights of labelled pairs, and ``Z̄``."""
        z = self.partition(theta)
        mean = self.rho @ z
        if self.weighting == "tilt":
            return self.rho * z / mean, np.ones_like(z), mean
        return self.rho, z / mean if self.weighting == "importance" else np.ones_like(z), mean


def best_of_n(p, r, n):
    """The law by cumulative sums, ties exact to rounding."""
    k = len(p)
    near = 1e-13 * np.max(np.abs(r), initial=0)
    at_most = np.array([sum(p[j] for j in range(k) if r[j] <= r[y] + near) for y in range(k)])
    below = np.array([sum(p[j] for j in range(k) if r[j] < r[y] - near) for y in range(k)])
    group = at_most - below
    law = np.zeros((k, k))
    for a in range(k):
        for b in range(k):
            if r[a] > r[b] + near:
                chance = (at_most[a] - below[b]) ** n - (at_most[a] - at_most[b]) ** n
                chance -= (below[a] - below[b]) ** n
                chance += max(below[a] - at_most[b], 0) ** n
            elif r[a] < r[b] - near:
                chance = 0.0
            else:
                chance = group[a] ** n
            law[a, b] = chance * p[a] / group[a] * p[b] / group[b]
    return law


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def information(problem, theta):
    """``Σ`` and ``V`` where pairs are sampled at ``theta``; ``σ'`` at ``θ*``."""
    d = problem.sizes[2]
    prompts, weights, _ = problem.labelled(theta)
    sigma, spread = np.zeros((d, d)), np.zeros((d, d))
    for x in range(problem.sizes[0]):
        law, r = problem.law(x, theta), problem.phi[x] @ problem.oracle
        for a in range(problem.sizes[1]):
            for b in range(problem.sizes[1]):
                g = problem.phi[x, a] - problem.phi[x, b]
                s = sigmoid(r[a] - r[b])
                term = prompts[x] * law[a, b] * s * (1 - s) * np.outer(g, g)
                sigma += weights[x] * term
                spread += weights[x] ** 2 * term
    return sigma, spread


def hessian(problem):
    """``(1/β) E Cov_π*(φ)``."""
    policy = problem.policy(problem.oracle)
    total = np.zeros((problem.sizes[2],) * 2)
    for x in range(problem.sizes[0]):
        mean = policy[x] @ problem.phi[x]
        second = sum(p * np.outer(f, f) for p, f in zip(policy[x], problem.phi[x], strict=True))
        total += problem.rho[x] * (second - np.outer(mean, mean)) / problem.beta
    return total


def informative(problem, theta):
    prompts = problem.labelled(theta)[0]
    same = [np.trace(problem.law(x, theta)) for x in range(problem.sizes[0])]
    return 1 - prompts @ np.array(same)


def estimation(behavior_scale, num_preferences, **given):
    """Study ``pilaf``."""
    problem = Problem(**given)
    theta = behavior_scale * problem.oracle
    sigma, spread = information(problem, theta)
    inverse = np.linalg.inv(sigma)
    product = hessian(problem) @ inverse @ spread @ inverse
    mean = np.trace(product) / 2
    fraction = informative(problem, theta)
    return {
        "regret_coefficient": mean,
        "regret_variance_coefficient": np.trace(product @ product) / 2,
        "kl_coefficient": mean / problem.beta,
        "worst_direction_coefficient": np.max(np.linalg.eigvals(product).real),
        "mean_partition": problem.labelled(theta)[2],
        "informative_fraction": fraction,
        "regret_coefficient_per_informative_pair": mean * fraction,
    }


def loss_gradient(problem, theta):
    prompts, weights, _ = problem.labelled(theta)
    gradient = np.zeros(problem.sizes[2])
    for x in range(problem.sizes[0]):
        law = problem.law(x, theta)
        here, oracle = problem.phi[x] @ theta, problem.phi[x] @ problem.oracle
        for a in range(problem.sizes[1]):
            for b in range(problem.sizes[1]):
                gap = sigmoid(oracle[a] - oracle[b]) - sigmoid(here[a] - here[b])
                g = problem.phi[x, a] - problem.phi[x, b]
                gradient -= prompts[x] * weights[x] * law[a, b] * gap * g
    return gradient


def value(problem, theta):
    """``J(π_θ)``."""
    policy = problem.policy(theta)
    reward = np.sum(policy * (problem.phi @ problem.oracle), axis=1)
    penalty = np.sum(policy * np.log(policy / problem.ref), axis=1)
    return problem.rho @ (reward - problem.beta * penalty)


def alignment(policy_scale, offset, num_preferences, **given):
    """Study ``pilaf.alignment``; ``∇J`` as the gradient of `value` by its covariance form."""
    problem = Problem(**given)
    theta = policy_scale * problem.oracle + offset / math.sqrt(problem.sizes[2])
    loss = loss_gradient(problem, theta)
    policy = problem.policy(theta)
    objective = np.zeros_like(loss)
    for x in range(problem.sizes[0]):
        advantage = problem.phi[x] @ (problem.oracle - theta)
        advantage = advantage - policy[x] @ advantage
        objective += problem.rho[x] / problem.beta * (policy[x] * advantage) @ problem.phi[x]
    mean = problem.labelled(theta)[2]
    size, length = np.linalg.norm(loss), np.linalg.norm(objective)
    scaled = problem.beta / mean * objective
    return {
        "gradient_projection": -loss @ objective / length,
        "gradient_cosine": -loss @ objective / (length * size),
        "alignment_residual": np.linalg.norm(loss + scaled) / np.linalg.norm(scaled),
        "gradient_norm": size,
        "objective_gradient_norm": length,
        "mean_partition": mean,
    }


def online(num_steps, learning_rate, batch_size, **given):
    """Study ``pilaf.online``."""
    problem = Problem(**given)
    theta = np.zeros(problem.sizes[2])
    for _ in range(num_steps):
        theta = theta - learning_rate * loss_gradient(problem, theta)
    return {"online_regret": value(problem, problem.oracle) - value(problem, theta)}


def iterated(num_rounds, num_preferences, replay, **given):
    """Study ``pilaf.iterated``."""
    problem = Problem(**given)
    first, later = (information(problem, t) for t in (0 * problem.oracle, problem.oracle))
    h, regret = hessian(problem), []
    for t in range(1, num_rounds + 1):
        sigma, spread = (a + (t - 1) * b for a, b in zip(first, later, strict=True))
        if replay == "new":
            sigma, spread = first if t == 1 else later
        inverse = np.linalg.inv(sigma)
        regret.append(np.trace(h @ inverse @ spread @ inverse) / (2 * num_preferences))
    policy = problem.policy(problem.oracle)
    kl = problem.rho @ np.sum(policy * np.log(policy / problem.ref), axis=1)
    return {"regret": np.array(regret), "kl_to_reference": np.full(num_rounds, kl)}


def best_design(problem, rounds=20_000):
    """The smallest mean regret over all laws of prompts and pairs: the convex L-optimal design."""
    slope, g = told(problem)
    h = hessian(problem)
    q = np.full(len(slope), 1 / len(slope))
    for _ in range(rounds):
        inverse = np.linalg.inv(np.einsum("c,ci,cj->ij", q * slope, g, g))
        score = slope * np.einsum("ci,ij,cj->c", g, inverse @ h @ inverse, g)
        trace = np.trace(h @ inverse)
        if score.max() <= trace * (1 + 1e-9):
            break
        q = q * np.sqrt(score)
        q = q / q.sum()
    return trace / 2


def best_worst_direction(problem):
    """The smallest worst direction over all laws of prompts and pairs, by cutting planes.

    The smallest eigenvalue of ``Σ`` in units of ``H`` is the least of linear functions of the law,
    one for each direction.
    """
    slope, g = told(problem)
    g = np.sqrt(slope)[:, None] * g @ np.linalg.inv(np.linalg.cholesky(hessian(problem))).T
    cells, dim = g.shape
    cuts = list(np.eye(dim))
    while True:
        rows = np.array([np.append(-((g @ v) ** 2), 1.0) for v in cuts])
        found = optimize.linprog(
            np.append(np.zeros(cells), -1.0), rows, np.zeros(len(rows)),
            np.append(np.ones(cells), 0.0)[None], [1.0],
        )  # fmt: skip
        values, vectors = np.linalg.eigh(g.T * found.x[:-1] @ g)
        if values[0] >= found.x[-1] * (1 - 1e-6):
            return 1 / values[0]
        cuts.extend(vectors.T)


def told(problem):
    """``σ'`` and ``g`` of every unordered pair of different responses."""
    _, k, d = problem.sizes
    a, b = np.triu_indices(k, 1)
    r = problem.phi @ problem.oracle
    slope = sigmoid(r[:, a] - r[:, b]) * sigmoid(r[:, b] - r[:, a])
    return slope.ravel(), (problem.phi[:, a] - problem.phi[:, b]).reshape(-1, d)
