"""What the parts share: concave values of average rewards, and the play of the reduction.

At round t the Frank-Wolfe reduction hands ``g_t``, the gradient of ``f`` at the average reward so
far, to a rule for the scalar reward ``<g_t, r>``. Generalised Gini functions (ggf) go by their
Moreau envelope of scale ``moreau_scale / sqrt(t)``; values and regrets are always those of
``f`` itself.

With ``f*`` the largest value, at ``s*``, and ``g*`` the gradient there: ``regret = f* - f(s_T)``
has the mean of ``regret_controlled = bregman + gap``, ``bregman = f* + <g*, s_T - s*> - f(s_T)``
and ``gap`` the mean optimality gap of the actions at ``g*``, whatever the rule.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from simulator.maths.welfare import (  # isort: skip
    alpha_fair, alpha_fair_curvature, alpha_fair_divergence, alpha_fair_slope, generalised_gini,
    generalised_gini_weights, smoothed_gini_slope, soft_minimum, soft_minimum_divergence,
    soft_minimum_slope,
)  # fmt: skip
from simulator.maths.permutahedron import geometric_weights
from simulator.maths.rounds import check_checkpoints, log_spaced, play
from simulator.parameters import parameters, static, traced
from simulator.study import Figure

BLOCK = 64  # rounds whose random numbers are drawn together


@parameters
class BanditParams:
    """How long is played, and the constants of objectives and rules."""

    num_rounds: int = static(1000, at_least=1, grows=1)
    num_checkpoints: int = static(1, at_least=1)
    temperature: float = traced(4.0, "τ", "of the soft minimum", above=0)
    target: float = traced(1.0, "–", "every objective's target (quadratic)")
    curvature: float = traced(1.0, "c", "of the quadratic objective", above=0)
    ggf_decay: float = traced(0.5, "–", "ratio of consecutive weights (ggf)", above=0, at_most=1)
    moreau_scale: float = traced(1.0, "β₀", "of the smoothing of ggf in round 1", above=0)
    exploration: float = traced(0.2, "c", "bonuses over those of the guarantee (ucb)", at_least=0)
    exploration_probability: float = traced(
        0.5, "ε", "of a random action in round 1, falling like t^(-1/3)", at_least=0
    )
    failure_probability: float = traced(0.05, detail="a bonus, ucb", above=0, below=1)


@parameters
class AlphaFairness:
    """The constants of alpha_fair."""

    welfare_exponent: float = traced(0.5, "α", "concavity (alpha_fair)", at_most=1)
    smoothing: float = traced(0.05, detail="alpha_fair", above=0)


@parameters
class GapWeighting:
    """The constant of squarecb."""

    squarecb_rate: float = traced(5.0, "γ", "of the inverse gap weights in round 1", above=0)


@parameters
class RidgeEstimates:
    """The constant of rules that estimate linear rewards."""

    ridge: float = traced(1.0, detail="of the estimates, as ridge ‖·‖²", above=0)


def check_rounds(params) -> None:
    """So many checkpoints need as many rounds."""
    check_checkpoints(params.num_checkpoints, "num_rounds", params.num_rounds)


def rounds_of(params):
    """The rounds of the checkpoints."""
    return log_spaced(params.num_rounds, params.num_checkpoints)


def kept_rounds(params):
    """These, and half of the last always."""
    kept = max(params.num_checkpoints, min(2, params.num_rounds))
    return log_spaced(params.num_rounds, kept)


class Optimum(NamedTuple):
    """``f*``, ``s*``, ``g*``, and the relative residual of what found them."""

    value: Array
    reward: Array
    gradient: Array
    residual: Array


# --------------------------------------------------------------------------------------------
# Objectives: of a vector, with the constants of the parameters
# --------------------------------------------------------------------------------------------
def gini_weights(params, count: int) -> Array:
    """``w_i ~ ggf_decay^(i - 1)``."""
    return geometric_weights(count, params.ggf_decay)


def value(params, s) -> Array:
    """``f``."""
    if params.objective == "softmin":
        return soft_minimum(s, params.temperature)
    if params.objective == "alpha_fair":
        return jnp.mean(alpha_fair(params.smoothing + s, params.welfare_exponent))
    if params.objective == "quadratic":
        return -params.curvature / 2 * jnp.sum((s - params.target) ** 2)
    return generalised_gini(s, gini_weights(params, len(s)))


def slope(params, s) -> Array:
    """The gradient of a smooth ``f``; of ggf a supergradient."""
    if params.objective == "softmin":
        return soft_minimum_slope(s, params.temperature)
    if params.objective == "alpha_fair":
        return alpha_fair_slope(params.smoothing + s, params.welfare_exponent) / len(s)
    if params.objective == "quadratic":
        return params.curvature * (params.target - s)
    return generalised_gini_weights(s, gini_weights(params, len(s)))


def playing_slope(params, s, now) -> Array:
    """``g_t``: the gradient at the averages of ``now - 1`` rounds."""
    if params.objective != "ggf":
        return slope(params, s)
    scale = params.moreau_scale / jnp.sqrt(now.astype(s.dtype))
    return smoothed_gini_slope(s, gini_weights(params, len(s)), scale)


def minus_hessian(params, s) -> Array:
    """``H``; of ggf 0, away from its kinks."""
    if params.objective == "softmin":
        p = soft_minimum_slope(s, params.temperature)
        return params.temperature * (jnp.diag(p) - jnp.outer(p, p))
    if params.objective == "alpha_fair":
        curved = alpha_fair_curvature(params.smoothing + s, params.welfare_exponent)
        return jnp.diag(curved / len(s))
    return (params.curvature if params.objective == "quadratic" else 0.0) * jnp.eye(len(s))


def divergence(params, best: Array, gradient: Array, s: Array) -> Array:
    """``f(best) + <gradient, s - best> - f(s)``, without cancellation."""
    if params.objective == "softmin":
        return soft_minimum_divergence(best, s, params.temperature)
    if params.objective == "alpha_fair":
        eta = params.smoothing
        return jnp.mean(alpha_fair_divergence(eta + best, eta + s, params.welfare_exponent))
    if params.objective == "quadratic":
        return params.curvature / 2 * jnp.sum((s - best) ** 2)
    # f* = <g*, s*>, and the weights of both have the same sum.
    return (gradient - slope(params, s)) @ (s - jnp.mean(s))


def smoothness(params, count: int) -> Array:
    """The Lipschitz constant of the gradient for rewards >= 0."""
    if params.objective == "softmin":
        return params.temperature / 2
    if params.objective == "alpha_fair":
        return alpha_fair_curvature(params.smoothing, params.welfare_exponent) / count
    return params.curvature


def settled(params, gradient) -> tuple[Array, Array]:
    """``y`` of the smoothed loop of ggf, and whether it settles where all objectives are equal.

    So it does where every partial sum of the weights ``g*``, sorted, but the last stays strictly
    below that of ``w``.
    """
    count = len(gradient)
    weights = gini_weights(params, count)
    excess = jnp.sort(gradient)[::-1] - 1 / count
    room = jnp.cumsum(weights) - jnp.cumsum(excess + 1 / count)
    strict = jnp.all(room[:-1] > 1e-7)
    return excess @ weights - jnp.sum(excess**2), strict


# --------------------------------------------------------------------------------------------
# Play
# --------------------------------------------------------------------------------------------
class Averages(NamedTuple):
    """``s_t``, the mean gap at ``g*``, and the cumulative scalar regret."""

    reward: Array
    gap: Array
    scalar: Array


def record(averages: Averages, now, reward, gap, scalar) -> Averages:
    """The averages after one more round."""
    time = now.astype(averages.reward.dtype)
    return Averages(
        averages.reward + (reward - averages.reward) / time,
        averages.gap + (gap - averages.gap) / time,
        averages.scalar + scalar,
    )


def nothing(count: int) -> Averages:
    """Before the first round."""
    zero = jnp.zeros((), float)
    return Averages(jnp.zeros(count, float), zero, zero)


def played(key, params, state, draw, step, kept=lambda state: state[1]):
    """The averages at the checkpoints; ``step(memory, averages, now, drawn)`` returns both."""

    def one(state, now, drawn):
        return step(*state, now, drawn)

    block = min(BLOCK, params.num_rounds)
    return play(key, state, draw, one, kept, kept_rounds(params), block)


def simulated(params, best: Optimum, averages: Averages, total, apart) -> dict[str, Array]:
    """The outputs of a simulation, with ``total(s)`` for ``f`` and ``apart(s)`` for bregman."""
    rewards = averages.reward
    regret = best.value - jax.vmap(total)(rewards)
    bregman = jax.vmap(apart)(rewards)
    controlled = bregman + averages.gap
    last, count = params.num_rounds, params.num_checkpoints
    half = (last // 2) * controlled[-2] if last > 1 else 0.0
    curves = {
        "regret": regret,
        "regret_controlled": controlled,
        "bregman": bregman,
        "gap": averages.gap,
        "scalar_regret": averages.scalar,
        "average_reward": rewards,
    }
    shown = {name: curve[-count:] for name, curve in curves.items()}
    return shown | {"doubling_increment": last * controlled[-1] - half}


def random_share(params, now) -> Array:
    """``min(1, epsilon t^(-1/3))``."""
    time = now.astype(float)
    return jnp.minimum(1, params.exploration_probability * time ** (-1 / 3))


def by_chance(probabilities, uniform) -> Array:
    """An action of the given law from one uniform number."""
    below = jnp.cumsum(probabilities) < uniform * jnp.sum(probabilities)
    return jnp.minimum(jnp.sum(below), len(probabilities) - 1).astype(jnp.int32)


def squarecb(scores, now, rate) -> Array:
    """Inverse gap weighting: ``1 / (K + gamma_t gap)``, the rest on the best."""
    count = len(scores)
    best = jnp.argmax(scores)
    gaps = scores[best] - scores
    p = 1 / (count + rate * jnp.sqrt(now.astype(scores.dtype)) * gaps)
    p = p.at[best].set(0)
    return p.at[best].set(1 - jnp.sum(p))


def figure_of_rounds(title, algorithms, *, num_rounds, replicates, caption) -> Figure:
    """Regret of several rules against the rounds."""
    return Figure(
        title=title,
        x="round",
        y=("regret_controlled",),
        grid={"algorithm": list(algorithms)},
        series="algorithm",
        params={"num_rounds": num_rounds, "num_checkpoints": 7},
        replicates=replicates,
        caption=caption,
    )
