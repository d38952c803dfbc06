"""Policies that know the means, by what they see of the actions: the largest of K normals.

The best action for a gradient ``g`` has the features ``xi + (M - q'xi) q``, ``q`` the unit vector
along ``theta' g``, ``xi ~ N(0, I_D)`` and ``M`` the largest of K normals: D + 1 numbers where the
features of all actions are K d. Its mean gap at another gradient, whose unit vector is ``u`` and
width ``n = |theta' g|``, is ``c_K n (1 - u'q) = c_K n |u - q|²/2``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from simulator.studies.decisions.concave_bandits._model import (  # isort: skip
    Optimum, nothing, played, playing_slope, record,
)  # fmt: skip
from simulator.maths.gaussian import largest_of_normals
from simulator.sampling import short_rows
from simulator.sampling.counts import uniform
from simulator.studies.decisions.concave_bandits._ellipsoid import gram_of, largest_normal


class LinearAverages(NamedTuple):
    """Averages with gaps in the mean.

    Attributes
    ----------
    reward, gap, scalar : arrays
        As in every play.
    noise : array
        With the law that ``regret_controlled - regret`` has with gaps as they are.
    """

    reward: Array
    gap: Array
    scalar: Array
    noise: Array


def linear_averages(key, params, best: Optimum) -> LinearAverages:
    """The averages of the oracle, or of a fixed policy, at the checkpoints."""
    count, actions = params.num_objectives, params.num_actions
    factor = jnp.linalg.cholesky(gram_of(params))
    mean, _ = largest_normal(actions)

    def sized(gradient):
        along = factor.T @ gradient
        width = jnp.linalg.norm(along)
        return width, along / jnp.maximum(width, jnp.finfo(width.dtype).tiny)

    width, at_best = sized(best.gradient)
    fixed = {"stationary": at_best, "scalarized": sized(jnp.full(count, 1 / count))[1]}

    def draw(key, length):
        key_features, key_noise, key_top = jax.random.split(key, 3)
        return (
            short_rows.normal(key_features, (length, count)),
            short_rows.normal(key_noise, (length, count)),
            largest_of_normals(uniform(key_top, (length,)), float(actions)),
        )

    def step(noise, averages, now, drawn):
        features, error, top = drawn
        size, wanted = sized(playing_slope(params, averages.reward, now))
        misses = [jnp.ones((), width.dtype)] * 2
        if params.algorithm != "uniform":
            rule = fixed.get(params.algorithm, wanted)
            features = features + (top - rule @ features) * rule
            misses = [jnp.sum((unit - rule) ** 2) / 2 for unit in (at_best, wanted)]
        reward = factor @ features + params.noise_std * error
        # The best action at g* is the largest of K normals, whatever is played.
        luck = width * (top - mean) + params.noise_std * (best.gradient @ error)
        after = record(averages, now, reward, mean * width * misses[0], mean * size * misses[1])
        time = now.astype(noise.dtype)
        return noise + (luck - noise) / time, after

    zero = jnp.zeros((), float)
    noise, averages = played(
        key, params, (zero, nothing(count)), draw, step, kept=lambda state: state
    )
    return LinearAverages(averages.reward, averages.gap, averages.scalar, noise)
