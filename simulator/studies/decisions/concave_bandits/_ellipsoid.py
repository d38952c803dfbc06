"""Gaussian contexts: the achievable rewards are an ellipsoid, and exploration has a price.

With ``c_K``, ``v_K`` mean and variance of the largest of K standard normals and ``G = theta
theta'``: ``max over policies of <g, s> = c_K sqrt(g' G g)``.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from simulator.studies.decisions.concave_bandits._model import (  # isort: skip
    Optimum, gini_weights, slope, smoothness, value,
)  # fmt: skip
from simulator.maths.concave_ascent import maximise
from simulator.maths.quadrature import panel_table

_EXACT = 64  # terms of sums over rounds that are added one by one
_ZETA_THIRD = -0.9733602483507827  # zeta(1/3)
_MOST_STEPS = 20_000


# --------------------------------------------------------------------------------------------
# The largest of K normals
# --------------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=64)
def _panels(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Nodes on the line, weights, and density and distribution function of a standard normal."""
    x, weight = panel_table(np.linspace(-12, 12, count + 1), 24)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    below = np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in x])
    return x, weight, density, below


def largest_normal(actions: int) -> tuple[float, float]:
    """Mean and variance of the largest of so many standard normals."""
    x, weight, density, below = _panels(48)
    law = weight * actions * density * below ** (actions - 1)
    mean = float(law @ x)
    return mean, float(law @ (x - mean) ** 2)


@functools.lru_cache(maxsize=64)
def _gap_law(actions: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaps to the best of K normals and how many actions are expected there: nodes, weights."""
    x, weight, density, below = _panels(48)
    gap, rule = panel_table(np.concatenate([[0.0], np.geomspace(1e-6, 16, 30)]), 24)
    top = weight * density * below ** (actions - 2)
    beside = np.exp(-((x[None, :] - gap[:, None]) ** 2) / 2) / math.sqrt(2 * math.pi)
    return gap, actions * (actions - 1) * rule * (beside @ top)


# --------------------------------------------------------------------------------------------
# The ellipsoid
# --------------------------------------------------------------------------------------------
def gram_of(params) -> Array:
    """``G_ij = s_i s_j (rho + (1 - rho) 1{i = j})``."""
    count = params.num_objectives
    share = jnp.arange(count).astype(float) / (count - 1)
    scale = params.scale_ratio**share
    likeness = params.correlation + (1 - params.correlation) * jnp.eye(count)
    return scale[:, None] * scale[None, :] * likeness


def optimum(params) -> Optimum:
    """The best reward of the ellipsoid."""
    gram, count = gram_of(params), params.num_objectives
    mean, _ = largest_normal(params.num_actions)
    if params.objective == "ggf":

        def minus_width(w, gram):
            return -jnp.sqrt(w[0] @ gram @ w[0])

        weights = gini_weights(params, count)
        start = jnp.full((1, count), jnp.mean(weights))
        found = maximise(minus_width, weights, start, 1.0, gram)
        chosen = found.point[0]
        reward = mean * gram @ chosen / jnp.sqrt(chosen @ gram @ chosen)
        return Optimum(chosen @ reward, reward, chosen, found.residual)
    factor = mean * jnp.linalg.cholesky(gram)
    unit, tension = _on_sphere(params, factor)
    reward = factor @ unit
    pull = factor.T @ slope(params, reward)
    eps = float(jnp.finfo(pull.dtype).eps)
    off = jnp.linalg.norm(pull - tension * unit) / jnp.linalg.norm(pull)
    residual = jnp.maximum(off - 1000 * eps, 0)
    return Optimum(value(params, reward), reward, slope(params, reward), residual)


def _on_sphere(params, factor):
    """``u`` on the unit sphere with ``factor' grad f(factor u) = nu u``, and ``nu``."""
    count = len(factor)

    def pull(unit, factor, params):
        return factor.T @ slope(params, factor @ unit)

    fixed, held = lax.stop_gradient((factor, params))
    step = 1 / (jnp.linalg.norm(fixed) ** 2 * smoothness(held, count))

    def unfinished(carry):
        taken, unit, before = carry
        moved = jnp.max(jnp.abs(unit - before))
        return (taken < _MOST_STEPS) & (moved > 4 * jnp.finfo(unit.dtype).eps)

    def ascend(carry):
        taken, unit, _ = carry
        ahead = unit + step * pull(unit, fixed, held)
        return taken + 1, ahead / jnp.maximum(jnp.linalg.norm(ahead), 1), unit

    zero = jnp.zeros(count, factor.dtype)
    first = pull(zero, fixed, held)
    start = first / jnp.linalg.norm(first)
    unit = lax.while_loop(unfinished, ascend, (jnp.int32(0), start, zero))[1]
    point = jnp.append(unit, unit @ pull(unit, fixed, held))

    def conditions(point, factor, params):
        unit, tension = point[:-1], point[-1]
        return jnp.append(pull(unit, factor, params) - tension * unit, (1 - unit @ unit) / 2)

    def newton(point, *args):
        jacobian = jax.jacfwd(conditions)(lax.stop_gradient(point), fixed, held)
        return point - jnp.linalg.solve(jacobian, conditions(point, *args))

    point = lax.fori_loop(0, 3, lambda _, point: newton(point, fixed, held), point)
    point = newton(lax.stop_gradient(point), factor, params)
    return point[:-1], point[-1]


def linear_rule(params, gradient) -> tuple[Array, Array]:
    """Mean and covariance of the reward when the best action for a gradient is taken."""
    gram = gram_of(params)
    mean, variance = largest_normal(params.num_actions)
    width = jnp.sqrt(gradient @ gram @ gradient)
    along = gram @ gradient / width
    noise = params.noise_std**2 * jnp.eye(len(gram))
    return mean * along, gram - (1 - variance) * jnp.outer(along, along) + noise


def loop(params, best: Optimum, hessian) -> tuple[Array, Array]:
    """``J``, the curvature of the support function, and ``Q``, the covariance of the loop."""
    gram, gradient = gram_of(params), best.gradient
    mean, _ = largest_normal(params.num_actions)
    width = jnp.sqrt(gradient @ gram @ gradient)
    along = gram @ gradient / width
    curved = mean * (gram - jnp.outer(along, along)) / width
    unit = jnp.eye(len(gram))
    drift = unit / 2 + curved @ hessian
    both = jnp.kron(drift, unit) + jnp.kron(unit, drift)
    _, covariance = linear_rule(params, gradient)
    return curved, jnp.linalg.solve(both, covariance.ravel()).reshape(gram.shape)


# --------------------------------------------------------------------------------------------
# The price of exploration
# --------------------------------------------------------------------------------------------
def exploration_regret(params, gradient) -> Array:
    """Mean over the rounds of what random actions cost, at leading order."""
    gram, actions, rounds = gram_of(params), params.num_actions, params.num_rounds
    width = jnp.sqrt(gradient @ gram @ gradient)
    if params.algorithm == "epsilon_greedy":
        return _mean_share(params.exploration_probability, rounds) * (
            largest_normal(actions)[0] * width
        )
    if params.algorithm != "squarecb":
        return jnp.zeros((), float)
    unit, expected = _gap_law(actions)
    gap = jnp.asarray(unit, float) * width
    inverse = _mean_inverse(float(actions), params.squarecb_rate * gap, rounds)
    return jnp.asarray(expected, float) @ (gap * inverse)


def _mean_share(probability, rounds: int) -> Array:
    """Mean of ``min(1, epsilon t^(-1/3))`` over the rounds."""
    certain = jnp.clip(jnp.floor(probability**3), 0, rounds)
    rest = _harmonic_third(jnp.asarray(float(rounds))) - _harmonic_third(certain)
    return (certain + probability * rest) / rounds


def _harmonic_third(count) -> Array:
    """``sum t^(-1/3)`` for t up to ``count``: added up, or by Euler and Maclaurin."""
    terms = np.arange(1, _EXACT + 1) ** (-1 / 3)
    table = jnp.asarray(np.concatenate([[0.0], np.cumsum(terms)]), float)
    x = jnp.maximum(count, _EXACT)
    far = _ZETA_THIRD + 1.5 * x ** (2 / 3) + x ** (-1 / 3) / 2 - x ** (-4 / 3) / 36
    near = table[jnp.minimum(count, _EXACT).astype(jnp.int32)]
    return jnp.where(count <= _EXACT, near, far)


def _mean_inverse(level: float, rate, rounds: int) -> Array:
    """Mean of ``1 / (level + rate sqrt(t))`` over the rounds, for an array of rates."""

    def term(t):
        return 1 / (level + rate[..., None] * jnp.sqrt(t))

    first = min(rounds, _EXACT)
    total = jnp.sum(term(jnp.arange(1, first + 1).astype(float)), axis=-1)
    if rounds == first:
        return total / rounds
    log_t, weight = panel_table(np.linspace(math.log(first), math.log(rounds), 9), 16)
    t = np.exp(log_t)
    rule = jnp.asarray(weight * t, float)
    ends = jnp.asarray([float(first), float(rounds)])
    value_at = term(ends)
    slope_at = -rate[..., None] / (2 * jnp.sqrt(ends)) * value_at**2
    integral = term(jnp.asarray(t, float)) @ rule
    edge = (value_at[..., 1] - value_at[..., 0]) / 2
    bend = (slope_at[..., 1] - slope_at[..., 0]) / 12
    return (total + integral + edge + bend) / rounds
