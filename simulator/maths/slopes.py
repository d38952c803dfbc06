"""Values whose derivatives need care: ends of ranges, removable zeros, switched formulas.

`jnp.where` hands on the derivative of the branch that it takes, and a clamp that of whichever side
is larger. Where a range ends, the branch taken there is often a constant whose derivative is not
the one-sided slope of the formula beside it. These helpers keep the slope.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.runtime.shapes import Numbers


def only_slope(value: Numbers) -> Float[Array, "..."]:
    """Zero, with the derivatives of ``value`` where that is finite."""
    value = jnp.where(jnp.isfinite(value), value, 0)
    return value - lax.stop_gradient(value)


def at_least(value: Numbers, floor: Numbers) -> Float[Array, "..."]:
    """``max(value, floor)``, with the slope of ``value`` also at and below the floor."""
    return value + lax.stop_gradient(jnp.maximum(floor - value, 0))


def at_most(value: Numbers, ceiling: Numbers) -> Float[Array, "..."]:
    """``min(value, ceiling)``, with the slope of ``value`` also at and above the ceiling."""
    return value - lax.stop_gradient(jnp.maximum(value - ceiling, 0))


def square_root(x: Numbers) -> Float[Array, "..."]:
    """``sqrt(x)`` with derivative 0, not infinite, where ``x <= 0`` (where the root is 0)."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


def ratio(numerator: Numbers, denominator: Numbers, otherwise: Numbers = 0) -> Float[Array, "..."]:
    """``numerator / denominator``; ``otherwise``, and derivative 0, where ``denominator <= 0``."""
    positive = denominator > 0
    return jnp.where(positive, numerator / jnp.where(positive, denominator, 1), otherwise)
