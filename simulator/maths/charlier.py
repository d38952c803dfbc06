"""Charlier polynomials of counts: of known mean, and what functions of counts are made of.

``C_0 = 1, C_1 = n - lambda, C_{k+1} = (n - lambda - k) C_k - k lambda C_{k-1}``. They are
orthogonal for ``n ~ Poisson(lambda)``, ``E C_k^2 = k! lambda^k``, and any function of such a count
is

    f(n) = sum_k E[D^k f(n)] C_k(n) / k!,      D f(n) = f(n+1) - f(n).

A sum of ``f`` over many counts thus varies with sums of their first few polynomials, whose means
are exact: 0 for Poisson counts, and for each of the counts of T draws, ``n ~ Binomial(T, q)`` with
``lambda = T q``, ``M_0 = 1, M_1 = 0, M_{k+1} = -k q (M_k + lambda M_{k-1})``.
"""

import math

import jax.numpy as jnp
from jax.scipy.special import erf
from jaxtyping import Array, Float

from simulator.runtime.shapes import Numbers, Scalar


def centred(
    counts: Float[Array, " cells"],
    rates: Float[Array, " cells"],
    orders: int,
    total: Scalar = jnp.inf,
) -> Float[Array, "orders cells"]:
    """``(C_k - E C_k) / k!``, k = 1 .. orders, of counts with means ``rates``.

    Parameters
    ----------
    total : float
        Number of draws that were counted; infinite for independent Poisson counts.
    """
    chances = rates / total
    before, now = jnp.ones_like(counts), counts - rates
    mean_before, mean = jnp.ones_like(counts), jnp.zeros_like(counts)
    found = [now]
    for k in range(1, orders):  # both recursions, divided by k!
        before, now = now, ((counts - rates - k) * now - rates * before) / (k + 1)
        mean_before, mean = mean, -chances * (k * mean + rates * mean_before) / (k + 1)
        found.append(now - mean)
    return jnp.stack(found)


def of_power(
    rates: Float[Array, " cells"], orders: int, decay: Numbers = 1.0
) -> Float[Array, "orders cells"]:
    """``E[D^k f]`` for ``f(n) = (1 - decay)^n``; with ``decay = 1``, for whether ``n = 0``."""
    return jnp.stack([(-decay) ** k * jnp.exp(-decay * rates) for k in range(1, orders + 1)])


def of_distance(
    rates: Float[Array, " cells"], point: Float[Array, " cells"], orders: int
) -> Float[Array, "orders cells"]:
    """``E[D^k f]`` for ``f(n) = |n - point|``; beyond ``point = 1`` that of a normal ``n``.

    Below, ``f(n) = n - point + 2 point 1{n = 0}``.
    """
    rare = 2 * point[None] * of_power(rates, orders)
    std = jnp.sqrt(jnp.maximum(rates, 1.0))
    z = (point - rates) / std
    slopes = [-erf(z / math.sqrt(2))]
    before, hermite = jnp.zeros_like(z), math.sqrt(2 / math.pi) * jnp.exp(-(z**2) / 2) / std
    for k in range(orders - 1):
        slopes.append(hermite)
        before, hermite = hermite, (z * hermite - k * before / std) / std
    return jnp.where((point < 1)[None], rare.at[0].add(1.0), jnp.stack(slopes))
