"""Averages over one training sample: what the loss does to the fields.

Given the order parameters, a training sample has a Gaussian field ``omega = sqrt(q) xi`` and, by
the symmetry ``y -> -y``, a label ``+1`` with weight ``2 Phi(A xi)``: ``xi`` is skew normal with
shape ``A = (m / sqrt q) / sqrt(V0)``, ``V0 = rho_e - m^2 / q``. Robust training moves the field to
``prox(omega)`` with step ``V`` and shift ``c = eps_t N`` (arXiv 2410.16073, equations of the
saddle point).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from simulator.maths.gaussian import (
    normal_cdf,
    normal_pdf,
    skew_normal_cdf,
    skew_normal_moments,
)
from simulator.maths.precision import float_dtype
from simulator.maths.proximal import loss_value, proximal
from simulator.maths.quadrature import panel_rule

HALF_SLOPE = {"logistic": 0.5, "hinge": 1.0}
"""``-l'`` at margin 0: how strongly a sample pulls while the weights are zero."""

_FIELDS = (0, 1, 2, 3, 4, 5, 6.5, 8, 10)  # standard deviations; the law beyond weighs 1e-23
_CORNERS = (0.5, 1, 2, 4, 8)  # in units of 1/A, where Phi(A xi) turns
_TURNS = (-8, -4, -2, 0, 2, 4, 8, 16)  # z - c, where the logistic score turns
_NODES = 16


class Overlaps(NamedTuple):
    """Order parameters: ``m = w*.Sx w / d``, ``q = w.Sx w / d``, the response ``V``, and ``P``,
    ``||w||_1 / d`` (linf attack) or ``w.Sd w / d``."""

    m: Array
    q: Array
    V: Array
    P: Array


class Channel(NamedTuple):
    """``teacher = int 2 phi(xi) phi(A xi) V0^{-1/2} g``, ``square = <g^2>``,
    ``stiffness = -<dg/domega>`` and ``mean = <g>``, and the mean training loss."""

    teacher: Array
    square: Array
    stiffness: Array
    mean: Array
    loss: Array


def channel(loss: str, overlaps: Overlaps, shift, label_variance) -> Channel:
    """The averages of one sample; ``label_variance`` is ``rho_e = rho + tau^2``."""
    m, q, _, _ = overlaps
    v0 = label_variance - m**2 / q
    shape = m / jnp.sqrt(q * v0)
    if loss == "hinge":
        return _hinge(overlaps, shift, v0, shape)
    return _logistic(overlaps, shift, v0, shape)


def train_error(loss: str, overlaps: Overlaps, shift, label_variance) -> Array:
    """Share of training samples with negative robust margin: ``prox < c``."""
    m, q, v, _ = overlaps
    shape = m / jnp.sqrt(q * (label_variance - m**2 / q))
    return skew_normal_cdf((shift - HALF_SLOPE[loss] * v) / jnp.sqrt(q), shape)


def _logistic(overlaps, shift, v0, shape) -> Channel:
    """Quadrature with ``z = prox(omega)`` as variable: ``omega = z - V sigmoid(c - z)``,
    ``domega = (1 + V s (1 - s)) dz``, ``g = s`` and ``-dg = s (1 - s) dz``: no inner solve."""
    _, q, v, _ = overlaps
    root = jnp.sqrt(q)
    z, weight = panel_rule(lax.stop_gradient(_logistic_edges(root, v, shift, shape)), _NODES)
    s = jax.nn.sigmoid(shift - z)
    curvature = s * (1 - s)
    xi = (z - v * s) / root
    gaussian = 2 * normal_pdf(xi) * weight / root
    law = gaussian * normal_cdf(shape * xi)
    stretch = 1 + v * curvature
    return Channel(
        teacher=jnp.sum(gaussian * normal_pdf(shape * xi) * stretch * s) / jnp.sqrt(v0),
        square=jnp.sum(law * stretch * s**2),
        stiffness=jnp.sum(law * curvature),
        mean=jnp.sum(law * stretch * s),
        loss=jnp.sum(law * stretch * loss_value("logistic", z - shift)),
    )


def _logistic_edges(root, v, shift, shape) -> Array:
    """Panel edges in ``z``, refined wherever a factor of the integrands turns."""
    half = jnp.asarray(_FIELDS, float_dtype())
    corner = jnp.asarray(_CORNERS, float_dtype()) / shape
    turn = jnp.asarray(_TURNS, float_dtype())
    turn = (turn + shift - v * jax.nn.sigmoid(-turn)) / root
    edges = jnp.concatenate([-half[:0:-1], half, -corner, corner, turn])
    edges = jnp.sort(jnp.clip(edges, -half[-1], half[-1]))
    return proximal("logistic", root * edges, v, shift)


def _hinge(overlaps, shift, v0, shape) -> Channel:
    """Closed forms: ``g = [(K - omega)_+ - (K - V - omega)_+] / V``, ``K = 1 + c``."""
    _, q, v, _ = overlaps
    root, b = jnp.sqrt(q), jnp.sqrt(1 + shape**2)
    ends = jnp.stack([1 + shift, 1 + shift - v]) / root  # k = K / sqrt q, k' = (K - V) / sqrt q
    moments = jax.vmap(skew_normal_moments, (0, None))(ends, shape)
    f0, f1, f2 = (above - below for above, below in moments)  # on the ramp between k' and k
    excess = ends * moments[0] - moments[1]  # E (k - xi)_+
    # int 2 phi(xi) phi(A xi) (k - xi)_+ dxi
    drift = math.sqrt(2 / math.pi) * (ends * normal_cdf(ends * b) + normal_pdf(ends * b) / b) / b
    upper, saturated = ends[0], moments[0][1]
    return Channel(
        teacher=root / v * (drift[0] - drift[1]) / jnp.sqrt(v0),
        square=q / v**2 * (upper**2 * f0 - 2 * upper * f1 + f2) + saturated,
        stiffness=f0 / v,
        mean=root / v * (excess[0] - excess[1]),
        loss=root * excess[1],
    )
