"""Lp norms, their duals, and the directions in which steepest descent moves.

For a norm ``||.||_p`` the dual norm is ``||g||_* = max_{||u||_p <= 1} <u, g> = ||g||_{p*}`` with
``1/p + 1/p* = 1``. The maximiser is the (ascent) direction of steepest descent with respect to
that norm (arXiv 2410.22069):

    p = 1     sign(g_j) e_j, j = argmax |g_j|       coordinate descent
    p = 2     g / ||g||_2                           gradient descent
    p = inf   sign(g)                               sign descent
    else      sign(g_j) |g_j|^{p*-1} / ||g||_{p*}^{p*-1}

so that ``<u, g> = ||g||_*`` and ``||u||_p = 1`` for every ``g != 0``; ``u = 0`` at ``g = 0``.

`Norm` has the same for norms whose order, or metric, is traced, with projections on balls and, by
Moreau's identity, the proximal maps of dual norms.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.maths.proximal import log_power_root
from simulator.maths.roots import increasing_root
from simulator.maths.slopes import ratio
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


def lp_norm(vector: Float[Array, " dim"], order: Scalar) -> Float[Array, ""]:
    """``(sum |x_j|^p)^{1/p}``, free of overflow and with a finite gradient (0) at the origin.

    A traced order is finite.
    """
    size = jnp.abs(vector)
    if isinstance(order, (int, float)):
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


# ------------------------------------------------------------------------------------------------
# Norms that bound an attack
# ------------------------------------------------------------------------------------------------
ATTACK_NORMS = ("l1", "l2", "linf", "lp", "mahalanobis")

_FARTHEST = 1e30  # multipliers of projections lie between its inverse and it


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Norm:
    """A norm ``||.||`` and what is dual to it; order and metric may be traced.

    Attributes
    ----------
    kind : {"l1", "l2", "linf", "lp", "mahalanobis"}
    order : float
        ``p`` in (1, inf) of ``lp``.
    metric : array (dim,)
        ``B > 0`` of ``mahalanobis``, ``||v||^2 = sum_k B_k v_k^2``.
    """

    kind: str = field(metadata={"static": True})
    order: Any = 2.0
    metric: Any = 1.0

    def size(self, vector: Float[Array, " dim"]) -> Float[Array, ""]:
        """``||v||``."""
        return _size(self.kind, vector, self.order, self.metric)

    def dual(self, vector: Float[Array, " dim"]) -> Float[Array, ""]:
        """``||w||_* = max_{||v|| <= 1} <v, w>``."""
        kind = {"l1": "linf", "linf": "l1"}.get(self.kind, self.kind)
        return _size(kind, vector, self.order / (self.order - 1), 1 / self.metric)

    def maximiser(self, vector: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """``v`` with ``||v|| = 1`` and ``<v, w> = ||w||_*``: the direction of an attack.

        0 at ``w = 0``; the first one in a tie of ``l1``.
        """
        if self.kind == "mahalanobis":
            return ratio(vector / self.metric, self.dual(vector))
        if self.kind != "lp":
            return steepest_direction(vector, ORDERS[self.kind])
        relative = jnp.abs(ratio(vector, self.dual(vector)))
        positive = relative > 0
        power = jnp.where(positive, relative, 1) ** (1 / (self.order - 1))
        return jnp.sign(vector) * jnp.where(positive, power, 0)

    def projected(self, vector: Float[Array, " dim"], radius: Scalar) -> Float[Array, " dim"]:
        """The nearest point, in the Euclidean sense, of the ball ``||v|| <= radius``.

        Outside of the ball it solves the equation of its multiplier ``t``: soft thresholding
        (``l1``), ``v_k / (1 + t B_k)`` (``mahalanobis``), ``u + t u^{p-1} = |v|`` (``lp``).
        """
        if self.kind == "linf":
            return jnp.clip(vector, -radius, radius)
        size = self.size(vector)
        if self.kind == "l2":
            return vector * jnp.minimum(1, ratio(radius, size, 1))
        outside = (size > radius) & (radius > 0)
        vector_ = jnp.where(outside, vector, 1)  # any point outside of any ball
        radius_ = jnp.where(outside, radius, self.size(vector_) / 2)
        if self.kind == "l1":
            found = soft_threshold(vector_, _l1_threshold(jnp.abs(vector_), radius_))
        else:

            def room(t, vector, radius, norm):
                return jnp.log(radius) - jnp.log(norm.size(norm._shrunk(vector, t)))

            ends = jnp.asarray(1 / _FARTHEST, float), jnp.asarray(_FARTHEST, float)
            t = increasing_root(room, *ends, vector_, radius_, self)
            found = self._shrunk(vector_, t)
        return jnp.where(outside, found, jnp.where(radius > 0, vector, 0))

    def _shrunk(self, vector, multiplier) -> Array:
        """``argmin_u ||u - v||^2 / 2`` plus ``t ||u||_B^2 / 2``, or ``t ||u||_p^p / p``."""
        if self.kind == "mahalanobis":
            return vector / (1 + multiplier * self.metric)
        size = jnp.abs(vector)
        positive = size > 0
        logarithm = jnp.log(jnp.where(positive, size, 1))
        root = jnp.exp(log_power_root(0, jnp.log(multiplier), logarithm, self.order - 1))
        return jnp.sign(vector) * jnp.where(positive, root, 0)

    def dual_proximal(self, vector: Float[Array, " dim"], step: Scalar) -> Float[Array, " dim"]:
        """``argmin_w ||w - v||^2 / 2 + step ||w||_*``, by Moreau's identity.

        What is left of ``v`` without its projection on the ball of radius ``step``.
        """
        return vector - self.projected(vector, step)


def _size(kind: str, vector, order, metric) -> Array:
    if kind == "mahalanobis":
        return lp_norm(jnp.sqrt(metric) * vector, 2)
    return lp_norm(vector, order if kind == "lp" else ORDERS[kind])


def _l1_threshold(sizes, radius) -> Array:
    """``t`` with ``sum (sizes - t)_+ = radius``, for ``radius < sum sizes``."""
    falling = jnp.sort(sizes)[::-1]
    count = jnp.arange(1, len(sizes) + 1, dtype=sizes.dtype)
    candidates = (jnp.cumsum(falling) - radius) / count
    return candidates[jnp.sum(falling > candidates) - 1]
