"""Second moments of normal variates that were shrunk, in closed form."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from simulator.maths.gaussian import normal_cdf, normal_pdf


class Moments(NamedTuple):
    """Of ``v``, made of ``g ~ N(mean, std^2)``; shapes (dim,)."""

    exposed: Array  # E |v| where g is cut, E v^2 where it is scaled
    error: Array  # E (v - mean)^2
    change: Array  # E (v - g)^2


def thresholded_moments(
    mean: Float[Array, " dim"], std: Float[Array, " dim"], threshold: Float[Array, " dim"]
) -> Moments:
    """``v = sign(g) (|g| - threshold)_+``, for ``std > 0`` and ``threshold >= 0``."""
    upper, lower = (threshold - mean) / std, (-threshold - mean) / std
    above, below = normal_cdf(-upper), normal_cdf(lower)
    at_upper, at_lower = std * normal_pdf(upper), std * normal_pdf(lower)
    inside = normal_cdf(upper) - normal_cdf(lower)
    up, down = mean - threshold, -mean - threshold  # what is left, without noise
    size = up * above + at_upper + down * below + at_lower
    cut = threshold**2 * (above + below)
    spread = std * (upper * at_upper - lower * at_lower)
    error = std**2 * (above + below) + spread - 2 * threshold * (at_upper + at_lower) + cut
    kept = mean**2 * inside + 2 * mean * (at_lower - at_upper) + std**2 * inside - spread
    size, error, kept = (jnp.maximum(x, 0) for x in (size, error + mean**2 * inside, kept))
    return Moments(size, error, cut + kept)


def scaled_moments(
    mean: Float[Array, " dim"],
    std: Float[Array, " dim"],
    gain: Float[Array, " dim"],
    ridge: Float[Array, " dim"],
) -> Moments:
    """``v = g gain / (gain + ridge)``."""
    kept, lost = gain / (gain + ridge), ridge / (gain + ridge)
    second = mean**2 + std**2
    return Moments(kept**2 * second, (lost * mean) ** 2 + (kept * std) ** 2, lost**2 * second)
