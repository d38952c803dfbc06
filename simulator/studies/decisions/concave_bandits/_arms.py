"""Arms without contexts: the optimal mixture, the covariances of rewards, and the bounds."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from simulator.maths.concave_ascent import maximise
from simulator.maths.gini_ascent import maximise_gini
from simulator.studies.decisions.concave_bandits._model import (
    Optimum,
    gini_weights,
    minus_hessian,
    rounds_of,
    settled,
    slope,
    smoothness,
    value,
)


class Mixture(NamedTuple):
    """The best stationary play: the law of its arm, and its optimum."""

    law: Array
    optimum: Optimum


def means_of(params) -> Array:
    """``M``, (objective, arm): the user's table, or a diagonal above a base."""
    table = jnp.asarray(params.mean_rewards, float)
    if table.size:
        return table
    arms, base = params.num_actions, params.base_reward
    share = jnp.arange(arms).astype(float) / (arms - 1)
    peaks = params.peak_max + (params.peak_min - params.peak_max) * share
    return base + jnp.diag(peaks - base)


def best_mixture(params) -> Mixture:
    """The maximum of ``f(M p)`` over the simplex, the permutahedron of (1, 0, ..., 0)."""
    means = means_of(params)
    objectives, arms = means.shape
    corner = (jnp.arange(arms) == 0).astype(float)
    if params.objective == "ggf":
        weights = gini_weights(params, objectives)
        nothing = jnp.zeros((1, arms), float)
        saddle = maximise_gini(
            lambda p, means: means @ p[0], means, nothing, jnp.ones((), float), weights, corner
        )
        reward = means @ saddle.point[0]
        best = Optimum(value(params, reward), reward, saddle.weights, saddle.residual)
        return Mixture(saddle.point[0], best)

    def objective(p, args):
        params, means = args
        return value(params, means @ p[0])

    start = jnp.full((1, arms), 1 / arms)
    found = maximise(objective, corner, start, 1.0, (params, means))
    reward = means @ found.point[0]
    best = Optimum(value(params, reward), reward, slope(params, reward), found.residual)
    return Mixture(found.point[0], best)


def noise_of(params, means, law) -> Array:
    """The mean covariance of a reward given its arm."""
    if params.noise == "bernoulli":
        return jnp.diag((means * (1 - means)) @ law)
    return params.noise_std**2 * jnp.eye(len(means))


def covariance_of(params, means, law) -> Array:
    """The covariance of a reward when arms are drawn by ``law``."""
    centred = means - (means @ law)[:, None]
    return noise_of(params, means, law) + (centred * law) @ centred.T


def loop_curvature(params, means, mixture: Mixture) -> Array:
    """The limit of ``T E bregman`` of the closed loop: the feedback cancels noise along arms."""
    hessian = minus_hessian(params, mixture.optimum.reward)
    law = mixture.law
    eps = 16 * jnp.finfo(law.dtype).eps
    played = (law > 1e-9).astype(law.dtype)
    across = (means - mixture.optimum.reward[:, None]) * played
    metric = across.T @ hessian @ across
    # Nothing moves along the law itself, which weighs the differences to zero, nor unplayed arms.
    still = jnp.outer(law, law) / (law @ law) + jnp.diag(1 - played)
    trace = jnp.trace(metric)
    size = jnp.where(trace > 0, trace, 1)  # a single arm has no directions
    inverse = jnp.linalg.inv(metric + size * (still + eps * jnp.eye(len(metric))))
    left = jnp.eye(len(means)) - across @ inverse @ across.T @ hessian
    noise = noise_of(params, means, law)
    return jnp.trace(hessian @ left @ noise @ left.T) / 2


def nonsmooth_coefficient(params, means, mixture: Mixture) -> Array:
    """The limit of ``sqrt(T) E regret`` for ggf, where all objectives are equal; else infinite."""
    if params.objective != "ggf":
        return jnp.asarray(jnp.inf)
    smoothed, strict = settled(params, mixture.optimum.gradient)
    enough = jnp.sum(mixture.law > 1e-9) >= len(means)
    reward = mixture.optimum.reward
    equal = jnp.max(reward) - jnp.min(reward) <= 1e-6 * jnp.max(jnp.abs(reward))
    return jnp.where(strict & enough & equal, params.moreau_scale * smoothed, jnp.inf)


def learning_bound(params, means) -> Array:
    """The proven bound on the mean regret at the checkpoints; infinite where there is none."""
    objectives, arms = means.shape
    time = jnp.asarray(rounds_of(params), float)
    unproven = jnp.full(time.shape, jnp.inf)
    if params.algorithm not in ("oracle", "ucb") or params.noise != "bernoulli":
        return unproven
    largest = _largest_slope(params, objectives)
    scalar = jnp.zeros(time.shape)
    if params.algorithm == "ucb":
        delta, bonus = params.failure_probability, params.exploration
        log = jnp.log(2 * objectives * arms * params.num_rounds / delta)
        width = 2 * (1 + bonus) * largest * 0.5 * jnp.sqrt(2 * log)
        scalar = arms * largest + width * jnp.sqrt(arms * time) + delta * time * largest
        scalar = jnp.where(bonus >= 1, scalar, jnp.inf)
    if params.objective == "ggf":
        scale, weights = params.moreau_scale, gini_weights(params, objectives)
        smoothed = jnp.sum(weights**2) * scale + objectives / scale
        return scalar / time + smoothed / jnp.sqrt(time)
    curved = smoothness(params, objectives) * objectives / 2
    return (scalar + curved * (1 + jnp.log(time))) / time


def _largest_slope(params, objectives: int) -> Array:
    """``max |g|_1`` over rewards in [0, 1]."""
    if params.objective == "alpha_fair":
        return objectives * slope(params, jnp.zeros(objectives, float))[0]
    if params.objective == "quadratic":
        far = jnp.maximum(jnp.abs(params.target), jnp.abs(1 - params.target))
        return objectives * params.curvature * far
    return jnp.ones((), float)
