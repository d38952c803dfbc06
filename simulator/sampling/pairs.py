"""Pairs of responses to label, drawn one by one as an annotation pipeline would.

Whoever has a policy and a reward model calls `draw_pairs` with one row per prompt: the
log-probabilities of its candidate responses under the policy and under the reference, and the
rewards of the candidates. The exact laws of what is drawn are in `simulator.maths.preferences`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from simulator.maths.preferences import SAMPLERS, extrapolated, ranks
from simulator.runtime.shapes import RandomKey, Scalar


def draw_pairs(
    key: RandomKey,
    sampler: str,
    log_policy: Float[Array, "pairs responses"],
    log_reference: Float[Array, "pairs responses"],
    kl_regularization: Scalar,
    scores: Float[Array, "pairs responses"],
    num_candidates: int = 8,
) -> tuple[Int[Array, " pairs"], Int[Array, " pairs"]]:
    """One pair ``(a, b)`` for every row, as indices of its responses; ``a = b`` may happen.

    Parameters
    ----------
    sampler : one of `SAMPLERS`
    log_policy, log_reference : array (pairs, responses)
        Normalised log-probabilities.
    kl_regularization : float
        ``β``: the weight with which the pilaf samplers extrapolate and interpolate logits.
    scores : array (pairs, responses)
        Rewards by which best_of_n takes the best and the worst of ``num_candidates`` draws.
    """
    first, second, coin = jax.random.split(key, 3)
    if sampler == "best_of_n":
        return _best_and_worst(first, log_policy, ranks(scores), num_candidates)
    if sampler in ("pilaf", "pilaf_practical"):
        plus, minus, odds = extrapolated(log_policy, log_reference, kl_regularization)
        apart = jax.nn.sigmoid(odds) if sampler == "pilaf" else 0.5
        is_apart = (jax.random.uniform(coin, odds.shape, odds.dtype) < apart)[:, None]
        one, other = (jnp.where(is_apart, x, log_policy) for x in (plus, minus))
    elif sampler in SAMPLERS:
        uniform = jnp.zeros_like(log_policy)
        one, other = {
            "vanilla": (log_policy, log_policy),
            "reference": (log_reference, log_reference),
            "hybrid": (log_policy, log_reference),
            "uniform": (uniform, uniform),
        }[sampler]
    else:
        raise ValueError(f"sampler = {sampler!r} is not allowed: one of {', '.join(SAMPLERS)}")
    return jax.random.categorical(first, one), jax.random.categorical(second, other)


def _best_and_worst(key, log_policy, rank, num_candidates):
    """Draws of equal rank are exchangeable: the first of the best, the last of the worst."""
    shape = (num_candidates, len(log_policy))
    drawn = jax.random.categorical(key, log_policy, shape=shape).T
    reached = jnp.take_along_axis(rank, drawn, axis=1)
    best = jnp.argmax(reached, axis=1)
    worst = num_candidates - 1 - jnp.argmin(reached[:, ::-1], axis=1)
    return tuple(jnp.take_along_axis(drawn, i[:, None], axis=1)[:, 0] for i in (best, worst))
