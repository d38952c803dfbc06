"""Concave welfare of vectors: alpha-fairness, generalised Gini functions, the soft minimum.

With each function goes its Bregman divergence ``f(x) + <grad f(x), y - x> - f(y) >= 0``, without
the cancellation of that difference.
"""

import jax
import jax.numpy as jnp
from jax import nn
from jaxtyping import Array, Float

from simulator.maths.permutahedron import project, ranks
from simulator.runtime.shapes import Numbers, Scalar


def alpha_fair(x: Numbers, exponent: Scalar) -> Float[Array, "..."]:
    """``sign(alpha) x^alpha`` for ``alpha <= 1``, ``ln x`` at 0; ``x > 0``."""
    power = jnp.where(exponent == 0, 1, exponent)
    return jnp.where(exponent == 0, jnp.log(x), jnp.sign(power) * x**power)


def alpha_fair_slope(x: Numbers, exponent: Scalar) -> Float[Array, "..."]:
    """``|alpha| x^(alpha - 1)``; ``1 / x`` at 0."""
    return jnp.where(exponent == 0, 1, jnp.abs(exponent)) * x ** (exponent - 1)


def alpha_fair_curvature(x: Numbers, exponent: Scalar) -> Float[Array, "..."]:
    """Minus the second derivative, ``|alpha| (1 - alpha) x^(alpha - 2)``; ``1 / x^2`` at 0."""
    return (1 - exponent) * alpha_fair_slope(x, exponent) / x


def alpha_fair_divergence(x: Numbers, y: Numbers, exponent: Scalar) -> Float[Array, "..."]:
    """The Bregman divergence of ``y`` from ``x``, entry by entry."""
    relative = (y - x) / x
    logarithm = jnp.log1p(relative)
    power = jnp.where(exponent == 0, 1, exponent)
    by_power = jnp.sign(power) * x**power * (power * relative - jnp.expm1(power * logarithm))
    return jnp.where(exponent == 0, relative - logarithm, by_power)


def soft_minimum(x: Float[Array, " entries"], temperature: Scalar) -> Float[Array, ""]:
    """``-ln(mean exp(-tau x)) / tau``: the mean for ``tau -> 0``, the minimum for ``tau ->
    inf``."""
    count = jnp.log(jnp.asarray(len(x), x.dtype))
    return (count - jax.scipy.special.logsumexp(-temperature * x)) / temperature


def soft_minimum_slope(
    x: Float[Array, " entries"], temperature: Scalar
) -> Float[Array, " entries"]:
    """Its gradient, ``softmax(-tau x)``."""
    return nn.softmax(-temperature * x)


def soft_minimum_divergence(
    x: Float[Array, " entries"], y: Float[Array, " entries"], temperature: Scalar
) -> Float[Array, ""]:
    """Its Bregman divergence of ``y`` from ``x``."""
    p = soft_minimum_slope(x, temperature)
    move = -temperature * (y - x - p @ (y - x))
    return jnp.log1p(p @ (jnp.expm1(move) - move)) / temperature


def generalised_gini(
    x: Float[Array, " entries"], weights: Float[Array, " entries"]
) -> Float[Array, ""]:
    """``sum_i w_i x_(i)`` with ``x`` sorted increasingly and ``w`` decreasing.

    The minimum of ``<w', x>`` over the permutahedron of ``w``.
    """
    return weights @ jnp.sort(x)


def generalised_gini_weights(
    x: Float[Array, " entries"], weights: Float[Array, " entries"]
) -> Float[Array, " entries"]:
    """A supergradient there: the largest weight at the smallest entry."""
    return weights[ranks(-x)]


def smoothed_gini_slope(
    x: Float[Array, " entries"], weights: Float[Array, " entries"], scale: Scalar
) -> Float[Array, " entries"]:
    """The gradient of the Moreau envelope ``max_y gini(y) - |x - y|^2 / (2 scale)``."""
    return project(-x / scale, weights)


def gini_penalty_weights(entries: int, strength: Scalar) -> Float[Array, " entries"]:
    """Weights of ``mean(x) - strength * Gini(x)``, ``Gini = sum_ij |x_i - x_j| / (2 entries)``."""
    place = jnp.arange(1, entries + 1).astype(float)
    return (1 - strength * (2 * place - entries - 1)) / entries
