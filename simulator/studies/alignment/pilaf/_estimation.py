"""What labelled pairs say of θ: information, limits of the regret, counts, and the fit.

Triangles stand for the matrices (`bradley_terry.triangle`): at small β the weights of the pairs
span many decades, and a matrix would keep no digit of the small ones.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import solve_triangular

from simulator.studies.alignment.pilaf._model import (  # isort: skip
    Given, Sampling, feature_gaps, log_policy, pairs_of, policy_pairs, scores, unordered,
)  # fmt: skip
from simulator.maths import bradley_terry
from simulator.maths.centred import centred_products
from simulator.maths.preferences import divergence, reverse_divergence
from simulator.maths.slopes import square_root
from simulator.sampling.counts import categorical, multinomial, uniform
from simulator.sampling.pairs import draw_pairs
from simulator.study import CONTROLS

#: Penalty on θ as a Gaussian prior of standard deviation 100: without it there is no estimate where
#: one response won all its comparisons; where there is one it moves it by nothing that shows.
_PRIOR_PRECISION = 1e-4
MOST_CONTROLS = 64  # control variates of a replicate: beyond, it is left without


# --------------------------------------------------------------------------------------------
# Limits
# --------------------------------------------------------------------------------------------
class Spread(NamedTuple):
    """``HΩ`` by its mean, squares and largest value; ``residual`` is what rounding leaves."""

    trace: Array
    square_trace: Array
    largest: Array
    residual: Array


def hessian_rows(instance: Given) -> Array:
    """Rows of a root of ``H = -∇²J(θ*) = (1/β) E_ρ Cov_π*(φ)``."""
    weight = policy_pairs(instance, instance.oracle) / instance.beta
    return _rows(weight, feature_gaps(instance))


def information_rows(instance: Given, sampling: Sampling) -> tuple[Array, Array]:
    """Rows of roots of ``Σ = E[w σ' g gᵀ]`` and ``V = E[w² σ' g gᵀ]``, with ``σ'`` at θ*."""
    first, second = pairs_of(instance.features.shape[1])
    reward = scores(instance, instance.oracle)
    slope = bradley_terry.sigmoid_slope(reward[:, first] - reward[:, second])
    weight = sampling.prompts[:, None] * unordered(sampling.pairs) * slope
    gaps = feature_gaps(instance)
    w = sampling.weights[:, None]
    return _rows(weight * w, gaps), _rows(weight * w**2, gaps)


def _rows(weight, gaps):
    return (square_root(weight)[..., None] * gaps).reshape(-1, gaps.shape[-1])


def spread(hessian: Array, information: Array, variance: Array) -> Spread:
    """Of ``HΩ``, ``Ω = Σ^-1 V Σ^-1``, from the triangles of ``H``, ``Σ`` and ``V``."""
    solved = solve_triangular(information, hessian.T, trans=1)
    root = variance @ solve_triangular(information, solved)
    square = root.T @ root
    return Spread(
        jnp.sum(root**2),
        jnp.sum(square**2),
        jnp.linalg.eigvalsh(square)[-1],
        bradley_terry.rounding(information),
    )


# --------------------------------------------------------------------------------------------
# Data and fit
# --------------------------------------------------------------------------------------------
def draw_counts(key: Array, instance: Given, sampling: Sampling, count) -> Array:
    """``wins[x, a, b]``: how often ``a`` was preferred to ``b``; ``count`` costs nothing.

    One multinomial draw over prompt, pair and label; pairs of equal responses, on the diagonal, say
    nothing.
    """
    chance = bradley_terry.win_probabilities(scores(instance, instance.oracle))
    both = sampling.pairs + jnp.swapaxes(sampling.pairs, -1, -2)
    cells = sampling.prompts[:, None, None] * both * chance
    law = cells.ravel() / jnp.sum(cells)
    return multinomial(key, count, law).reshape(cells.shape)


def draw_labels(
    key: Array, params, instance: Given, theta: Array, sampling: Sampling, count: int
) -> Array:
    """The same wins, pair by pair: prompts, responses by the sampler's own recipe, labels."""
    key_prompts, key_pairs, key_labels = jax.random.split(key, 3)
    x = categorical(uniform(key_prompts, (count,)), sampling.prompts)
    a, b = draw_pairs(
        key_pairs,
        params.sampler,
        log_policy(instance, theta),
        instance.log_reference,
        instance.beta,
        scores(instance, theta),
        params.num_candidates,
        prompts=x,
    )
    chance = bradley_terry.win_probabilities(scores(instance, instance.oracle))
    won = uniform(key_labels, (count,)) <= chance[x, a, b]
    winner, loser = jnp.where(won, a, b), jnp.where(won, b, a)
    return jnp.zeros(sampling.pairs.shape).at[x, winner, loser].add(1.0)


def estimate(instance: Given, weighted_wins: Array, start: Array) -> tuple[Array, Array]:
    """``θ̂ - θ*`` of maximum likelihood, and what is left of Newton's steps."""
    total = jnp.maximum(jnp.sum(weighted_wins), 1)
    return bradley_terry.fit(
        weighted_wins,
        instance.features,
        scores(instance, instance.oracle),
        instance.oracle,
        start,
        _PRIOR_PRECISION / total,
    )


def with_score(outputs: dict, score: Array, second: Array, count) -> dict:
    """The outputs, beside the control variates that the gradient at θ* makes.

    To leading order the fit moves linearly in the score of the labels, the gradient of their log
    likelihood at θ*, and regret with its square. Both means are known at any number of labels.

    Parameters
    ----------
    score : array (..., dim)
        Of mean 0.
    second : array (..., dim, dim)
        The mean of ``score score'``, or what has the same mean.
    count : number of labels
    """
    controls = {
        "score": score / jnp.sqrt(1.0 * count),
        "square": centred_products(score, second) / count,
    }
    if sum(x.size for x in controls.values()) > MOST_CONTROLS:
        return outputs
    return outputs | {CONTROLS: controls}


def controls_of(params) -> dict[str, Array]:
    """The means of `with_score`."""
    return dict.fromkeys(("score", "square"), jnp.zeros(()))


def score_of(instance: Given, weighted_wins: Array) -> Array:
    """The gradient of the log likelihood at θ*."""
    oracle = scores(instance, instance.oracle)
    return -bradley_terry.mean_gradient(weighted_wins, oracle, instance.features)


def score_covariance(instance: Given, sampling: Sampling) -> Array:
    """``V``, the covariance of the score of one label."""
    rows = information_rows(instance, sampling)[1]
    return rows.T @ rows


def regret(instance: Given, error: Array) -> Array:
    """``J(π*) - J(π) = β E_ρ KL(π | π*)`` at ``θ* + error``."""
    return instance.beta * divergence_from_best(instance, error)


def divergence_from_best(instance: Given, error: Array) -> Array:
    """``E_ρ KL(π | π*)``."""
    return _over_prompts(divergence, instance, instance.oracle, error)


def divergence_of_best(instance: Given, error: Array) -> Array:
    """``E_ρ KL(π* | π)``."""
    return _over_prompts(reverse_divergence, instance, instance.oracle, error)


def divergence_from_reference(instance: Given, theta: Array) -> Array:
    """``E_ρ KL(π_θ | π_ref)``."""
    return _over_prompts(divergence, instance, jnp.zeros_like(theta), theta)


def _over_prompts(measure, instance, base, change):
    moved = scores(instance, change) / instance.beta
    return jnp.exp(instance.log_prompts) @ measure(log_policy(instance, base), moved)
