"""Pairs of responses to label, drawn one by one as an annotation pipeline would.

Whoever has a policy and a reward model calls `draw_pairs` with one row per prompt: the
log-probabilities of its candidate responses under the policy and under the reference, and the
rewards of the candidates. Many pairs for few prompts name the prompt of each. The exact laws of
what is drawn are in `simulator.maths.preferences`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from simulator.maths.preferences import SAMPLERS, extrapolated, ranks
from simulator.runtime.shapes import RandomKey, Scalar
from simulator.sampling.counts import cells_beyond, uniform


def draw_pairs(
    key: RandomKey,
    sampler: str,
    log_policy: Float[Array, "prompts responses"],
    log_reference: Float[Array, "prompts responses"],
    kl_regularization: Scalar,
    scores: Float[Array, "prompts responses"],
    num_candidates: int = 8,
    prompts: Int[Array, " pairs"] | None = None,
) -> tuple[Int[Array, " pairs"], Int[Array, " pairs"]]:
    """One pair ``(a, b)`` for every prompt, as indices of its responses; ``a = b`` may happen.

    Parameters
    ----------
    sampler : one of `SAMPLERS`
    log_policy, log_reference : array (prompts, responses)
        Normalised log-probabilities.
    kl_regularization : float
        ``β``: the weight with which the pilaf samplers extrapolate and interpolate logits.
    scores : array (prompts, responses)
        Rewards by which best_of_n takes the best and the worst of ``num_candidates`` draws.
    prompts : array (pairs,), optional
        The prompt that each pair is for; one pair for each prompt unless given.
    """
    first, second, coin = jax.random.split(key, 3)
    rows = jnp.arange(len(log_policy)) if prompts is None else prompts
    if sampler == "best_of_n":
        return _best_and_worst(first, log_policy, ranks(scores), num_candidates, rows)
    if sampler in ("pilaf", "pilaf_practical"):
        plus, minus, odds = extrapolated(log_policy, log_reference, kl_regularization)
        apart = jax.nn.sigmoid(odds if sampler == "pilaf" else jnp.zeros_like(odds))
        is_apart = uniform(coin, rows.shape) <= apart[rows]
        one, other = (jnp.concatenate([log_policy, moved]) for moved in (plus, minus))
        rows = rows + len(log_policy) * is_apart
    elif sampler in SAMPLERS:
        flat = jnp.zeros_like(log_policy)
        one, other = {
            "vanilla": (log_policy, log_policy),
            "reference": (log_reference, log_reference),
            "hybrid": (log_policy, log_reference),
            "uniform": (flat, flat),
        }[sampler]
    else:
        raise ValueError(f"sampler = {sampler!r} is not allowed: one of {', '.join(SAMPLERS)}")
    return _drawn(first, one, rows), _drawn(second, other, rows)


def _drawn(key, logits, rows):
    """A response for each of these rows of ``logits``, by inversion of the upper tail."""
    beyond = jax.vmap(cells_beyond)(jax.nn.softmax(logits, axis=-1))[:, :-1]
    return jnp.sum(beyond[rows] >= uniform(key, rows.shape)[..., None], axis=-1)


def _best_and_worst(key, log_policy, rank, num_candidates, rows):
    """Draws of equal rank are exchangeable: the first of the best, the last of the worst."""
    candidates = jnp.broadcast_to(rows[:, None], (len(rows), num_candidates))
    drawn = _drawn(key, log_policy, candidates)
    reached = rank[candidates, drawn]
    best = jnp.argmax(reached, axis=1)
    worst = num_candidates - 1 - jnp.argmin(reached[:, ::-1], axis=1)
    return tuple(jnp.take_along_axis(drawn, i[:, None], axis=1)[:, 0] for i in (best, worst))
