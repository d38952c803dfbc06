"""Quadratic functions with separable penalties: ``min_x x^T H x / 2 - g^T x + sum_k phi_k(x_k)``.

The *normal map* of the problem, with the proximal map of ``phi``,

    F(v) = H x - g + (v - x) / alpha,     x = prox_{alpha phi}(v),

vanishes where ``x`` is the minimiser and ``y = (v - x) / alpha = g - H x`` the slope of its
penalty. A Newton step of ``F`` that shrinks it is taken, or else one of proximal gradient, ``v <- x
- alpha (H x - g)``, which with ``alpha <= 1 / ||H||`` never makes ``F`` larger and converges. For
bounds on ``x`` Newton's method is the primal-dual active-set method, which ends exactly.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.maths.proximal import log_power_root

_ITERATIONS = 300
_HALVINGS = 4
_FROM_ROUNDING = 8  # F is done when it is so many roundings of its terms


class Minimum(NamedTuple):
    """Minimiser, and the slope of the penalty there, ``g - H x``; shapes (dim,)."""

    x: Array
    slope: Array


Proximal = Callable[..., tuple[Array, Array]]


def bounded(vector, step, lower, upper) -> tuple[Array, Array]:
    """``lower <= x <= upper``: the proximal map of the constraint, and the slope."""
    x = jnp.clip(vector, lower, upper)
    return x, (vector - x) / step


def power(vector, step, log_weight, order) -> tuple[Array, Array]:
    """``e^log_weight |x|^order / order``, ``order > 1``: its proximal map, and its slope there."""
    size = jnp.abs(vector)
    positive = size > 0
    logarithm = jnp.log(jnp.where(positive, size, 1))
    log_x = log_power_root(0, jnp.log(step) + log_weight, logarithm, order - 1)
    x = jnp.exp(log_x)
    # Where little is taken away, the difference would be rounding.
    slope = jnp.where(x < size / 2, (size - x) / step, jnp.exp(log_weight + (order - 1) * log_x))
    sign = jnp.sign(vector)
    # At 0 the steeper of the two terms decides, and the derivative of its share is what is left.
    square = 1 / (1 + step * jnp.exp(log_weight))
    share = jnp.where(order < 2, 0, jnp.where(order > 2, 1, square))
    at_zero = share * vector, (1 - share) * vector / step
    return (
        jnp.where(positive, sign * x, at_zero[0]),
        jnp.where(positive, sign * slope, at_zero[1]),
    )


def minimum(
    matrix: Float[Array, "dim dim"],
    linear: Float[Array, " dim"],
    proximal: Proximal,
    *arguments: Any,
) -> Minimum:
    """The minimiser for a positive definite ``H``, with exact first derivatives.

    Parameters
    ----------
    matrix, linear : arrays (dim, dim), (dim,)
        ``H`` and ``g``.
    proximal : function ``(vector, step, *arguments) -> (x, slope)``
        `bounded` or `power`: the proximal map of ``step * phi``, and ``phi'`` at its result.
    *arguments
        Those of ``phi``. Everything the derivative shall see stands here, or in ``H`` and ``g``.
    """
    frozen = lax.stop_gradient((matrix, linear, arguments))
    step = 1 / jnp.max(jnp.sum(jnp.abs(frozen[0]), axis=1))
    v, jacobian = _root(step, proximal, *frozen)
    # One step from a constant carries the first derivatives.
    residual = _normal_map(v, step, proximal, matrix, linear, arguments)
    v = v - jnp.linalg.solve(jacobian, residual)
    return Minimum(*proximal(v, step, *arguments))


def _normal_map(v, step, proximal, matrix, linear, arguments) -> Array:
    x, slope = proximal(v, step, *arguments)
    return matrix @ x - linear + slope


def _root(step, proximal, matrix, linear, arguments) -> tuple[Array, Array]:
    """A zero of the normal map, and its Jacobian there."""

    def pushed(v):
        along = jnp.ones_like(v)
        return jax.jvp(lambda v: proximal(v, step, *arguments), (v,), (along,))

    def jacobian(v):
        _, (by_x, by_slope) = pushed(v)
        return matrix * by_x[None, :] + jnp.diag(by_slope)

    def looked_at(v):
        x, slope = proximal(v, step, *arguments)
        product = matrix @ x
        residual = product - linear + slope
        scale = jnp.max(jnp.abs(matrix) @ jnp.abs(x) + jnp.abs(linear) + jnp.abs(slope))
        return residual, jnp.linalg.norm(residual), scale

    epsilon = jnp.finfo(linear.dtype).eps

    def unfinished(carry):
        iteration, _, size, scale, stalled = carry
        return (iteration < _ITERATIONS) & (size > _FROM_ROUNDING * epsilon * scale) & ~stalled

    def newton(carry):
        iteration, v, size, _, _ = carry
        residual, _, _ = looked_at(v)
        direction = -jnp.linalg.solve(jacobian(v), residual)
        lengths = 0.5 ** jnp.arange(_HALVINGS, dtype=v.dtype)
        tried = jnp.concatenate(
            [v[None, :] + lengths[:, None] * direction[None, :], (v - step * residual)[None, :]]
        )
        _, sizes, scales = jax.vmap(looked_at)(tried)
        sizes = jnp.where(jnp.isfinite(sizes), sizes, jnp.inf)
        best = jnp.argmin(sizes)
        return iteration + 1, tried[best], sizes[best], scales[best], sizes[best] >= size

    start = jnp.linalg.solve(matrix, linear)
    start = start - step * (matrix @ start - linear)
    _, size, scale = looked_at(start)
    carry = (jnp.int32(0), start, size, scale, jnp.zeros((), bool))
    v = lax.while_loop(unfinished, newton, carry)[1]
    return v, jacobian(v)
