"""Policies over finitely many responses, and the exact laws of the pairs that samplers show.

A policy ``π``, its reference ``π_ref`` and ``r = β log(π/π_ref)``, the reward that it implies; the
last axis of every array is that of the responses. A *pair law* ``μ(a, b)`` says how often ``a`` is
shown on the first place and ``b`` on the second:

    vanilla          π π                      uniform    1/K²
    reference        π_ref π_ref              hybrid     π π_ref
    pilaf            π π with probability 1/(1 + Z⁺Z⁻), else π⁺ π⁻
    pilaf_practical  half and half of the same two
    best_of_n        the best and the worst of N draws, by ``scores``

with ``π± = π e^{±r} / Z±``, so ``π⁺ ∝ π^{1+β} π_ref^{-β}`` and ``π⁻ ∝ π^{1-β} π_ref^β`` (arXiv
2502.04270). `simulator.sampling.pairs` draws from the same laws, one pair at a time.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from simulator.maths.slopes import ratio
from simulator.runtime.shapes import Scalar

_WITH_POLICY = ("vanilla", "pilaf", "pilaf_practical", "best_of_n", "hybrid")
SAMPLERS = (*_WITH_POLICY, "uniform", "reference")
_EXTRA = 8.0  # units of rounding within which scores are equal
_SERIES = 0.02  # below it the series of e^t - 1 - t is the more accurate one


def tilted(
    log_reference: Float[Array, "*prompts responses"],
    rewards: Float[Array, "*prompts responses"],
    kl_regularization: Scalar,
) -> Float[Array, "*prompts responses"]:
    """Logarithm of ``π_ref e^{r/β} / Z``, the best policy under a penalty ``β KL(π | π_ref)``."""
    return jax.nn.log_softmax(log_reference + rewards / kl_regularization, axis=-1)


def extrapolated(
    log_policy: Float[Array, "*prompts responses"],
    log_reference: Float[Array, "*prompts responses"],
    kl_regularization: Scalar,
) -> tuple[
    Float[Array, "*prompts responses"], Float[Array, "*prompts responses"], Float[Array, "*prompts"]
]:
    """``log π⁺``, ``log π⁻`` and ``log(Z⁺ Z⁻)`` of PILAF.

    The two policies depend on the logits only up to a constant per prompt: for a language model
    this is the rule for each token, with its logits over the vocabulary and those of the
    reference. ``Z⁺ Z⁻`` needs whole responses.
    """
    implicit = kl_regularization * (log_policy - log_reference)
    plus, minus = log_policy + implicit, log_policy - implicit
    norms = [jax.nn.logsumexp(x, axis=-1) for x in (log_policy, plus, minus)]
    odds = norms[1] + norms[2] - 2 * norms[0]
    return plus - norms[1][..., None], minus - norms[2][..., None], odds


def ranks(scores: Float[Array, "*prompts responses"]) -> Int[Array, "*prompts responses"]:
    """How many responses score lower; scores that differ by rounding alone are equal."""
    rounding = _EXTRA * jnp.finfo(scores.dtype).eps * jnp.max(jnp.abs(scores), -1, keepdims=True)
    return jnp.sum(scores[..., :, None] - scores[..., None, :] > rounding[..., None], axis=-1)


def pair_law(
    sampler: str,
    log_policy: Float[Array, "*prompts responses"],
    log_reference: Float[Array, "*prompts responses"],
    kl_regularization: Scalar,
    scores: Float[Array, "*prompts responses"],
    num_candidates: Scalar,
) -> Float[Array, "*prompts responses responses"]:
    """``μ(a, b)`` of a sampler; every law sums to 1.

    Parameters
    ----------
    sampler : one of `SAMPLERS`
    log_policy, log_reference : array (..., responses)
        Normalised log-probabilities.
    kl_regularization : float
        ``β > 0``, of the pilaf samplers.
    scores : array (..., responses)
        Rewards by which best_of_n ranks; the others do not use them.
    num_candidates : float
        ``N >= 2`` of best_of_n.
    """
    policy, reference = jnp.exp(log_policy), jnp.exp(log_reference)
    if sampler == "vanilla":
        return _independent(policy, policy)
    if sampler == "reference":
        return _independent(reference, reference)
    if sampler == "hybrid":
        return _independent(policy, reference)
    if sampler == "uniform":
        uniform = jnp.full_like(policy, 1 / policy.shape[-1])
        return _independent(uniform, uniform)
    if sampler == "best_of_n":
        return best_of_n_law(policy, ranks(scores), num_candidates)
    if sampler not in ("pilaf", "pilaf_practical"):
        raise ValueError(f"sampler = {sampler!r} is not allowed: one of {', '.join(SAMPLERS)}")
    plus, minus, odds = extrapolated(log_policy, log_reference, kl_regularization)
    odds = (odds if sampler == "pilaf" else jnp.zeros_like(odds))[..., None, None]
    apart = _independent(jnp.exp(plus), jnp.exp(minus))
    return jax.nn.sigmoid(-odds) * _independent(policy, policy) + jax.nn.sigmoid(odds) * apart


def _independent(first, second):
    return first[..., :, None] * second[..., None, :]


def best_of_n_law(
    policy: Float[Array, "*prompts responses"],
    rank: Int[Array, "*prompts responses"],
    num_candidates: Scalar,
) -> Float[Array, "*prompts responses responses"]:
    """Law of (a draw of the highest rank, one of the lowest) among N draws from ``policy``.

    With ``g_a``, ``g_b`` the probabilities of the two ranks and ``u`` that of all between them,

        P = (u + g_a + g_b)^N - (u + g_a)^N - (u + g_b)^N + u^N,

    shared among equal ranks by ``π``. Both of its forms below have no cancellation, so that rare
    responses keep their digits.
    """
    n = jnp.asarray(num_candidates, policy.dtype)
    above = rank[..., :, None] > rank[..., None, :]
    equal = rank[..., :, None] == rank[..., None, :]
    group = jnp.sum(jnp.where(equal, policy[..., None, :], 0), axis=-1)
    between = (above * policy[..., None, :]) @ above.astype(policy.dtype)
    first, second = jnp.broadcast_arrays(group[..., :, None], group[..., None, :])
    high, low = jnp.maximum(first, second), jnp.minimum(first, second)
    chance = ratio(_second_difference(between, high, low, n, above), first * second)
    same = jnp.where(equal, group[..., :, None], 1) ** (n - 2)
    return _independent(policy, policy) * jnp.where(above, chance, jnp.where(equal, same, 0))


def _second_difference(
    u: Float[Array, "*pairs"],
    p: Float[Array, "*pairs"],
    q: Float[Array, "*pairs"],
    n: Scalar,
    wanted: Bool[Array, "*pairs"],
) -> Float[Array, "*pairs"]:
    """``(u+p+q)^n - (u+p)^n - (u+q)^n + u^n`` for ``p >= q >= 0``, to relative precision.

    As a difference of differences where the first is much the larger one; else, with ``x = p/u``
    and ``y = q/u``, as ``[(1+x)^n - 1][(1+y)^n - 1] - ([(1+x)(1+y)]^n - (1+x+y)^n)``.
    """
    wanted = wanted & (q > 0)
    u, p, q = (jnp.where(wanted, x, fill) for x, fill in ((u, 0.5), (p, 0.25), (q, 0.25)))
    growth = (n - 1) * (jnp.log(u + p + q) - jnp.log(u + q))
    direct = growth > 0.5
    apart = _power_gap(u + p, q, n) - _power_gap(u, q, n)
    positive = jnp.where(direct, 1, u)
    x, y = jnp.where(direct, 0.1, p / positive), jnp.where(direct, 0.1, q / positive)
    whole = 1 + x + y
    grown = jnp.expm1(n * jnp.log1p(x)) * jnp.expm1(n * jnp.log1p(y))
    mixed = whole**n * jnp.expm1(n * jnp.log1p(x * y / whole))
    return jnp.where(wanted, jnp.where(direct, apart, positive**n * (grown - mixed)), 0)


def _power_gap(u, q, n):
    """``(u + q)^n - u^n`` for ``u >= 0``, ``q > 0``."""
    some, almost = u > 0, 1 - jnp.finfo(u.dtype).eps
    share = jnp.where(some, q / (u + q), 0.5)
    fraction = jnp.where(some, -jnp.expm1(n * jnp.log1p(-jnp.minimum(share, almost))), 1)
    return (u + q) ** n * fraction


def tilt(
    log_base: Float[Array, "*prompts responses"], change: Float[Array, "*prompts responses"]
) -> Float[Array, "*prompts responses"]:
    """``log(p/q)`` of ``p ∝ q e^change``, with the digits of small changes."""
    base = jnp.exp(log_base)
    centred = change - jnp.sum(base * change, axis=-1, keepdims=True)
    small = jnp.max(jnp.abs(centred), axis=-1, keepdims=True) < 0.5
    near = jnp.where(small, centred, 0)
    log_near = jnp.log1p(jnp.sum(base * _excess(near), axis=-1, keepdims=True))
    log_far = jax.nn.logsumexp(log_base + centred, axis=-1, keepdims=True)
    return centred - jnp.where(small, log_near, log_far)


def divergence(
    log_base: Float[Array, "*prompts responses"], change: Float[Array, "*prompts responses"]
) -> Float[Array, "*prompts"]:
    """``KL(p | q)`` of ``p ∝ q e^change`` against ``q``, with the digits of small changes."""
    log_ratio = tilt(log_base, change)
    return _divergence(log_base + log_ratio, log_base, -log_ratio)


def reverse_divergence(
    log_base: Float[Array, "*prompts responses"], change: Float[Array, "*prompts responses"]
) -> Float[Array, "*prompts"]:
    """``KL(q | p)`` of ``q`` against ``p ∝ q e^change``."""
    log_ratio = tilt(log_base, change)
    return _divergence(log_base, log_base + log_ratio, log_ratio)


def _divergence(log_p, log_q, log_ratio):
    """``KL(p | q) = sum p (e^t - 1 - t)`` with ``t = log(q/p)``."""
    p, q = jnp.exp(log_p), jnp.exp(log_q)
    near = jnp.abs(log_ratio) < 0.5
    by_excess = p * _excess(jnp.where(near, log_ratio, 0))
    return jnp.sum(jnp.where(near, by_excess, q - p - p * log_ratio), axis=-1)


def _excess(t):
    """``e^t - 1 - t`` for moderate ``t``."""
    series = t**2 / 2 * (1 + t / 3 * (1 + t / 4 * (1 + t / 5 * (1 + t / 6 * (1 + t / 7)))))
    return jnp.where(jnp.abs(t) < _SERIES, series, jnp.expm1(t) - t)
