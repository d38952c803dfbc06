"""Gamma, chi-square and chi variates with traced shape parameters.

Marsaglia and Tsang, "A simple method for generating gamma variables" (ACM TOMS 26, 2000):
for ``a >= 1``, with ``d = a - 1/3``, ``x ~ N(0, 1)`` and ``t = x / sqrt(9 d)``, the proposal
``d (1 + t)^3`` is accepted with probability ``exp(3 d R(t))``, ``R(t) = log(1 + t) - t + t^2/2
- t^3/3``. It is refused with probability about ``1 / (36 d)``, at most 5 %. Every entry proposes
once; the few refused ones are then redrawn, one per block of entries at a time, until nobody
waits, so the law is exact. `jax.random.gamma` draws the same law with one loop per entry, an order
of magnitude slower.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.runtime.shapes import Numbers, RandomKey

_BLOCK = 32  # entries that share one redraw: about as many as hold one refusal at worst


def gamma(key: RandomKey, concentration: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Gamma(concentration, scale 1), one variate per entry; exact for every concentration > 0.

    Entries with concentration <= 0 are 0 (the limit of the law).
    """
    draw, log_boost = _boosted(key, concentration)
    return jnp.where(jnp.asarray(concentration, float) > 0, draw * jnp.exp(log_boost), 0)


def log_gamma(key: RandomKey, concentration: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The logarithm of `gamma`, also where that is too small for a float; concentrations > 0."""
    draw, log_boost = _boosted(key, concentration)
    return jnp.log(draw) + log_boost


def _boosted(key, concentration):
    """A variate and the logarithm of its factor: ``Gamma(a) = Gamma(a + 1) U^(1/a)`` below 1."""
    a = jnp.asarray(concentration, float)
    small = a < 1
    safe = jnp.where(a > 0, a, 1)
    key_large, key_boost = jax.random.split(key)
    draw = _marsaglia_tsang(key_large, jnp.where(small, safe + 1, safe))
    exponential = jax.random.exponential(key_boost, a.shape, a.dtype)
    return draw, jnp.where(small, -exponential / safe, 0)


def chi_square(key: RandomKey, dof: Numbers) -> Float[Array, "..."]:
    """Chi-square with ``dof`` degrees of freedom (real, traced), one variate per entry."""
    return 2 * gamma(key, jnp.asarray(dof, float) / 2)


def chi(key: RandomKey, dof: Numbers) -> Float[Array, "..."]:
    """Norm of a standard normal vector of length ``dof``; 0 where ``dof <= 0``."""
    return jnp.sqrt(chi_square(key, dof))


def _marsaglia_tsang(key, concentration):
    """Gamma(concentration) for entries >= 1."""
    size = concentration.size
    block = min(_BLOCK, max(size, 1))
    padding = math.ceil(size / block) * block - size
    a = jnp.pad(concentration.ravel(), (0, padding), constant_values=1).reshape(-1, block)
    column = jnp.arange(block)[None, :]
    draw, accepted = _propose(jax.random.fold_in(key, 0), a)

    def redraw(carry):
        attempt, draw, waiting = carry
        chosen = waiting & (column == jnp.argmax(waiting, axis=1)[:, None])
        chosen_a = jnp.sum(jnp.where(chosen, a, 0), axis=1)  # 0 where nobody in the block waits
        proposal, accepted = _propose(jax.random.fold_in(key, attempt), jnp.maximum(chosen_a, 1))
        settled = chosen & accepted[:, None]
        return attempt + 1, jnp.where(settled, proposal[:, None], draw), waiting & ~settled

    carry = (jnp.int32(1), draw, ~accepted)
    draw = lax.while_loop(lambda carry: jnp.any(carry[2]), redraw, carry)[1]
    return draw.ravel()[:size].reshape(concentration.shape)


def _propose(key, a):
    """One proposal per entry, and whether it is accepted."""
    d = a - 1 / 3
    key_normal, key_uniform = jax.random.split(key)
    t = jax.random.normal(key_normal, a.shape, a.dtype) / jnp.sqrt(9 * d)
    minus_log_uniform = jax.random.exponential(key_uniform, a.shape, a.dtype)
    accepted = (t > -1) & (-minus_log_uniform < 3 * d * _log1p_remainder(t))
    return d * (1 + t) ** 3, accepted


def _log1p_remainder(t):
    """``log(1 + t) - t + t^2/2 - t^3/3``, by its series where the terms would cancel."""
    series = -(t**4) * (1 / 4 - t * (1 / 5 - t * (1 / 6 - t * (1 / 7 - t / 8))))
    inside = jnp.maximum(t, -0.999999)  # outside, the proposal is refused anyway
    direct = jnp.log1p(inside) - t * (1 - t * (1 / 2 - t / 3))
    return jnp.where(jnp.abs(t) < 0.1, series, direct)
