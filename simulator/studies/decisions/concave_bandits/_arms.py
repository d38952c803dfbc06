"""Arms without contexts: the optimal mixture, the covariances of rewards, and the bounds."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from simulator.maths.concave_ascent import maximise
from simulator.maths.gini_ascent import maximise_gini
from simulator.maths.permutahedron import project
from simulator.sampling.counts import binomial, multinomial
from simulator.studies.decisions.concave_bandits import _model as bandit


class Mixture(NamedTuple):
    """The best stationary play: the law of its arm, and its optimum."""

    law: Array
    optimum: bandit.Optimum


def means_of(params) -> Array:
    """``M``, (objective, arm): the user's table, or a diagonal above a base."""
    table = jnp.asarray(params.mean_rewards, float)
    return table if table.size else params.base_reward + jnp.diag(_heights(params))


def _heights(params) -> Array:
    """``d_a = peak_a - base``, decreasing."""
    share = jnp.arange(params.num_actions).astype(float) / (params.num_actions - 1)
    return params.peak_max + (params.peak_min - params.peak_max) * share - params.base_reward


def best_mixture(params) -> Mixture:
    """The best law of the arm, in closed form where arm ``a`` pays in objective ``a``."""
    means = means_of(params)
    if np.size(params.mean_rewards):
        return _of_a_table(params, means)
    law, gradient = _water_filling(params, _heights(params))
    reward = means @ law
    if gradient is None:
        gradient = bandit.slope(params, reward)
    scores = lax.stop_gradient(gradient @ means)
    short = jnp.max(scores) - scores @ lax.stop_gradient(law)
    off = short / jnp.max(jnp.abs(scores)) - 1000 * float(jnp.finfo(short.dtype).eps)
    return Mixture(
        law, bandit.Optimum(bandit.value(params, reward), reward, gradient, jnp.maximum(off, 0))
    )


def _water_filling(params, height) -> tuple[Array, Array | None]:
    """The law, and for ggf the saddle weights: the first ``k`` arms are played.

    Where ``d_a g_a`` is equal on these, their law has a closed form for every ``k``; the right
    ``k`` is the largest that leaves its last arm something.
    """
    arms = len(height)
    first = jnp.tri(arms, dtype=height.dtype)  # (k, arm)
    inverse = 1 / height
    total = (first @ inverse)[:, None]
    if params.objective == "ggf":
        weights = bandit.gini_weights(params, arms)
        levels = (first @ weights[::-1])[:, None] / total
        best = jnp.argmax(levels)
        return first[best] * inverse / total[best], project(levels[best] * inverse, weights)
    if params.objective == "softmin":
        log = jnp.log(height)
        centre = (first @ (log * inverse))[:, None] / total
        above = (log - centre) / params.temperature + 1 / total
    elif params.objective == "quadratic":
        room = params.target - params.base_reward
        above = room - (room * total - 1) * inverse / (first @ inverse**2)[:, None]
    else:
        power = 1 / jnp.maximum(1 - params.welfare_exponent, 1e-12)
        shape = jnp.exp(power * jnp.log(height / height[0]))
        floor = params.base_reward + params.smoothing
        above = (1 + floor * total) * shape / (first @ (shape * inverse))[:, None] - floor
    shares = above * inverse
    count = jnp.sum(jnp.diag(shares) > 0)  # once an arm gets nothing, none after it does
    return first[count - 1] * shares[count - 1], None


def _of_a_table(params, means) -> Mixture:
    """The maximum of ``f(M p)`` over the simplex, the permutahedron of (1, 0, ..., 0)."""
    objectives, arms = means.shape
    corner = (jnp.arange(arms) == 0).astype(float)
    if params.objective == "ggf":
        weights = bandit.gini_weights(params, objectives)
        nothing = jnp.zeros((1, arms), float)
        saddle = maximise_gini(
            lambda p, means: means @ p[0], means, nothing, jnp.ones((), float), weights, corner
        )
        reward = means @ saddle.point[0]
        best = bandit.Optimum(bandit.value(params, reward), reward, saddle.weights, saddle.residual)
        return Mixture(saddle.point[0], best)

    def objective(p, args):
        params, means = args
        return bandit.value(params, means @ p[0])

    start = jnp.full((1, arms), 1 / arms)
    found = maximise(objective, corner, start, 1.0, (params, means))
    reward = means @ found.point[0]
    best = bandit.Optimum(
        bandit.value(params, reward), reward, bandit.slope(params, reward), found.residual
    )
    return Mixture(found.point[0], best)


def laws_of_arms(params, means, mixture: Mixture) -> dict[str, Array]:
    """Of the arm that a fixed policy plays."""
    arms = means.shape[1]
    favourite = jnp.argmax(jnp.mean(means, axis=0))
    return {
        "stationary": mixture.law,
        "uniform": jnp.full(arms, 1 / arms),
        "scalarized": (jnp.arange(arms) == favourite).astype(float),
    }


def counted(key, params, means, law, gaps) -> bandit.Averages:
    """The averages of a fixed policy: how often it played each arm, and what that arm paid.

    The cost does not grow with the rounds. Counts know no path: the scalar regret is NaN.
    """
    rounds = bandit.kept_rounds(params)
    lengths = jnp.asarray(np.diff(rounds, prepend=0), float)

    def total(key, length):
        key_counts, key_rewards = jax.random.split(key)
        counts = multinomial(key_counts, length, law)
        if params.noise == "bernoulli":
            each = binomial(key_rewards, jnp.broadcast_to(counts, means.shape), means)
            return jnp.sum(each, axis=1), counts @ gaps
        noise = params.noise_std * jax.random.normal(key_rewards, (len(means),), float)
        return means @ counts + jnp.sqrt(length) * noise, counts @ gaps

    keys = jax.random.split(key, len(rounds))
    rewards, lost = lax.map(lambda both: total(*both), (keys, lengths))
    time = jnp.asarray(rounds, float)
    reward = jnp.cumsum(rewards, axis=0) / time[:, None]
    return bandit.Averages(reward, jnp.cumsum(lost) / time, jnp.full(len(rounds), jnp.nan))


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
    hessian = bandit.minus_hessian(params, mixture.optimum.reward)
    law = mixture.law
    eps = 16 * jnp.finfo(law.dtype).eps
    played = (law > 1e-9).astype(law.dtype)
    across = (means - mixture.optimum.reward[:, None]) * played
    metric = across.T @ hessian @ across
    # Nothing moves along the law itself, which weighs the differences to zero, nor unplayed arms.
    still = jnp.outer(law, law) / (law @ law) + jnp.diag(1 - played)
    trace = jnp.trace(metric)
    rounding = eps**2 * jnp.trace(hessian) * jnp.max(means**2)
    size = jnp.where(trace > rounding, trace, 1)  # a single arm has no directions
    inverse = jnp.linalg.inv(metric + size * (still + eps * jnp.eye(len(metric))))
    left = jnp.eye(len(means)) - across @ inverse @ across.T @ hessian
    noise = noise_of(params, means, law)
    cost = jnp.trace(hessian @ left @ noise @ left.T) / 2
    return jnp.where(cost > eps * jnp.trace(hessian @ noise), cost, 0)  # else it is rounding


def nonsmooth_coefficient(params, means, mixture: Mixture) -> Array:
    """The limit of ``sqrt(T) E regret`` for ggf, where all objectives are equal; else infinite."""
    if params.objective != "ggf":
        return jnp.asarray(jnp.inf)
    smoothed, strict = bandit.settled(params, mixture.optimum.gradient)
    enough = jnp.sum(mixture.law > 1e-9) >= len(means)
    reward = mixture.optimum.reward
    equal = jnp.max(reward) - jnp.min(reward) <= 1e-6 * jnp.max(jnp.abs(reward))
    return jnp.where(strict & enough & equal, params.moreau_scale * smoothed, jnp.inf)


def learning_bound(params, means) -> Array:
    """The proven bound on the mean regret at the checkpoints; infinite where there is none."""
    objectives, arms = means.shape
    time = jnp.asarray(bandit.rounds_of(params), float)
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
        scale, weights = params.moreau_scale, bandit.gini_weights(params, objectives)
        smoothed = jnp.sum(weights**2) * scale + objectives / scale
        return scalar / time + smoothed / jnp.sqrt(time)
    curved = bandit.smoothness(params, objectives) * objectives / 2
    return (scalar + curved * (1 + jnp.log(time))) / time


def _largest_slope(params, objectives: int) -> Array:
    """``max |g|_1`` over rewards in [0, 1]."""
    if params.objective == "alpha_fair":
        return objectives * bandit.slope(params, jnp.zeros(objectives, float))[0]
    if params.objective == "quadratic":
        far = jnp.maximum(jnp.abs(params.target), jnp.abs(1 - params.target))
        return objectives * params.curvature * far
    return jnp.ones((), float)
