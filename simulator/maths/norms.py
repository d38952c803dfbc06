"""Lp norms, their duals, and the directions in which steepest descent moves.

For a norm ``||.||_p`` the dual norm is ``||g||_* = max_{||u||_p <= 1} <u, g> = ||g||_{p*}`` with
``1/p + 1/p* = 1``. The maximiser is the (ascent) direction of steepest descent with respect to
that norm (arXiv 2410.22069):

    p = 1     sign(g_j) e_j, j = argmax |g_j|       coordinate descent
    p = 2     g / ||g||_2                           gradient descent
    p = inf   sign(g)                               sign descent
    else      sign(g_j) |g_j|^{p*-1} / ||g||_{p*}^{p*-1}

so that ``<u, g> = ||g||_*`` and ``||u||_p = 1`` for every ``g != 0``; ``u = 0`` at ``g = 0``.
"""

import math

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.runtime.shapes import Scalar

GEOMETRIES = ("l1", "l2", "linf")
"""The three geometries of the steepest-descent studies, in the order of their array outputs."""

ORDERS = {"l1": 1.0, "l2": 2.0, "linf": math.inf}
"""The order p of each geometry."""


def dual_order(order: float) -> float:
    """The conjugate order ``p* = p / (p - 1)``, with ``1 <-> inf``."""
    if not order >= 1:
        raise ValueError(f"a norm has order p >= 1 (math.inf allowed), not {order!r}")
    if order == 1:
        return math.inf
    return 1.0 if math.isinf(order) else order / (order - 1)


def lp_norm(vector: Float[Array, " dim"], order: float) -> Float[Array, ""]:
    """``(sum |x_j|^p)^{1/p}``, free of overflow and with a finite gradient (0) at the origin."""
    size = jnp.abs(vector)
    if order == 1:
        return size.sum()
    if math.isinf(order):
        return size.max()
    largest = lax.stop_gradient(size.max())
    scale = jnp.where(largest > 0, largest, 1)
    total = ((size / scale) ** order).sum()
    root = jnp.where(largest > 0, total, 1) ** (1 / order)
    return jnp.where(largest > 0, scale * root, 0)


def dual_norm(gradient: Float[Array, " dim"], order: float) -> Float[Array, ""]:
    """``||g||_* = max_{||u||_p <= 1} <u, g>``: the norm of order ``p*``."""
    return lp_norm(gradient, dual_order(order))


def steepest_direction(gradient: Float[Array, " dim"], order: float) -> Float[Array, " dim"]:
    """The unit vector ``u`` of the p-norm with the largest ``<u, g>``; 0 where ``g = 0``.

    Steepest *descent* moves along ``-u``. At ties of ``|g_j|`` coordinate descent (p = 1) takes
    the first maximiser; sign descent (p = inf) leaves coordinates with ``g_j = 0`` alone.
    """
    if math.isinf(order):
        return jnp.sign(gradient)
    if order == 1:
        first = jnp.argmax(jnp.abs(gradient))
        return jnp.zeros_like(gradient).at[first].set(jnp.sign(gradient[first]))
    size = dual_norm(gradient, order)
    relative = gradient / jnp.where(size > 0, size, 1)
    return jnp.sign(relative) * jnp.abs(relative) ** (dual_order(order) - 1)


def soft_threshold(vector: Float[Array, "*shape"], threshold: Scalar) -> Float[Array, "*shape"]:
    """``sign(x) (|x| - threshold)_+``, the proximal map of ``threshold * ||x||_1``."""
    return jnp.sign(vector) * jnp.maximum(jnp.abs(vector) - threshold, 0)
