"""Roots of scalar equations, differentiable in their parameters.

A root is found without recording derivatives and then sharpened by two Newton steps that do record
them. A Newton step turns an error of order ``delta`` into one of order ``delta^2``, also when
``delta`` is a change of the parameters; so after two of them the first three derivatives of the
root are exact, in forward and in reverse mode.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.runtime.shapes import Numbers, Scalar

#: A safeguard. Newton's method needs about ten; towards a root that is double but for a penalty of
#: 1e-300 it halves its distance in every step.
MAX_ITERATIONS = 1000


def increasing_root(
    function: Callable[..., Array], lower: Scalar, upper: Scalar, *args: Any
) -> Float[Array, ""]:
    """Root ``x`` in ``[lower, upper]`` of ``function(x, *args) = 0``, increasing through it.

    Newton from the upper end, with a bisection in ``log x`` whenever it leaves the bracket; it
    stops at the relative precision of the scope. Everything the derivative shall see must be
    passed through ``args``.

    Parameters
    ----------
    function : callable
        ``(x, *args) -> scalar``: negative below the root, and positive or not a number above.
    lower, upper : float
        Positive bracket of the root.
    *args
        Parameters of the equation; the root is differentiable in them.
    """
    frozen = lax.stop_gradient(args)
    lower, upper = lax.stop_gradient((lower, upper))
    tolerance = 4 * jnp.finfo(upper.dtype).eps

    def unfinished(carry):
        iteration, x, previous, _, _ = carry
        moved = jnp.abs(x - previous) > tolerance * jnp.abs(x)
        return (iteration < MAX_ITERATIONS) & ((iteration == 0) | moved)

    def step(carry):
        iteration, x, _, low, high = carry
        value, slope = _value_and_slope(function, x, frozen)
        low = jnp.where(value < 0, x, low)
        high = jnp.where(value < 0, high, x)
        newton = x - value / jnp.where(slope > 0, slope, 1)
        # An end of the bracket again: rounding would lead from one to the other for ever.
        inside = (slope > 0) & ((newton > low) & (newton < high) | (newton == x))
        return (
            iteration + 1,
            jnp.where(inside, newton, jnp.sqrt(low) * jnp.sqrt(high)),
            x,
            low,
            high,
        )

    root = lax.while_loop(unfinished, step, (jnp.int32(0), upper, upper, lower, upper))[1]
    return newton_steps(function, root, *args)


def bisected(
    beyond: Callable[[Array], Array], low: Numbers, high: Numbers, halvings: int
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """The bracket after halvings of ``[low, high]``, at whose right end ``beyond`` holds.

    Parameters
    ----------
    beyond : callable
        ``x -> bool``: false to the left of a point, and true to the right of it. Has no
        derivative: `newton_steps` gives a root its own.
    low, high : float
    halvings : int
    """

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        right = beyond(middle)
        return jnp.where(right, low, middle), jnp.where(right, middle, high)

    ends = lax.stop_gradient((jnp.asarray(low, float), jnp.asarray(high, float)))
    return lax.fori_loop(0, halvings, halve, ends)


def relative_error(function: Callable[..., Array], root: Scalar, *args: Any) -> Float[Array, ""]:
    """How far Newton's method would still move a root, relative to it; without derivatives."""
    x, args = lax.stop_gradient((root, args))
    value, slope = _value_and_slope(function, x, args)
    return jnp.abs(value / (slope * x))


def newton_steps(function: Callable[..., Array], root: Scalar, *args: Any) -> Float[Array, ""]:
    """Give a known root of ``function(x, *args) = 0`` its derivatives in ``args``.

    Where the slope vanishes (a double root) the root is returned as it is and its derivatives,
    infinite there, are very large numbers.
    """
    x = lax.stop_gradient(root)
    for _ in range(2):
        value, slope = _value_and_slope(function, x, args)
        x = x - value / nonzero_slope(slope)
    return x


def nonzero_slope(slope: Numbers) -> Float[Array, "..."]:
    """A slope to divide by: where it vanishes, so small that derivatives are huge but finite."""
    return jnp.where(slope > 0, slope, float(jnp.finfo(slope.dtype).eps) ** 2)


def _value_and_slope(function, x, args):
    return jax.jvp(lambda x: function(x, *args), (x,), (jnp.ones_like(x),))
