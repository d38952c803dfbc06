"""Channels: what a loss does to one training sample.

Given the order parameters, a training sample has a Gaussian field ``omega = sqrt(q) xi`` and, by
the symmetry ``y -> -y``, a label ``+1`` with weight ``2 Phi(A xi)``: ``xi`` is skew normal with
shape ``A = (m / sqrt q) / sqrt(V0)``, ``V0 = rho_e - m^2 / q``. Training moves the field to
``prox(omega) = argmin_z (z - omega)^2 / (2V) + loss(z - c)``, where ``c`` is the margin that the
attack takes, so that ``g = (prox - omega) / V = -loss'(prox - c)`` (arXiv 2410.16073, equations of
the saddle point).
"""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.maths.gaussian import normal_cdf, normal_pdf, skew_normal_cdf, skew_normal_moments
from simulator.maths.proximal import logistic_proximal, loss_value
from simulator.maths.quadrature import panel_rule
from simulator.maths.replica.order_parameters import Averages, Order
from simulator.runtime.shapes import Scalar

SLOPE_AT_ZERO = {"logistic": 0.5, "hinge": 1.0}
"""``-loss'(0)``: how strongly a sample pulls while the weights are zero."""


def hard_margin(order: Order, shift: Scalar, label_variance: Scalar) -> Averages:
    """No loss, but margins of at least 1: ``g = (1 + c - omega)_+ / V``.

    ``V stiffness`` is the fraction of training points on the margin.
    """
    v0, shape = _law(order, label_variance)
    V, root = order.V, jnp.sqrt(order.q)
    h = (1 + shift) / root
    f0, f1, f2 = skew_normal_moments(h, shape)
    return Averages(
        teacher=root / V * _drift(h, shape) / jnp.sqrt(v0),
        square=order.q / V**2 * (h**2 * f0 - 2 * h * f1 + f2),
        stiffness=f0 / V,
        mean=root / V * (h * f0 - f1),
        loss=jnp.zeros_like(f0),
    )


def hinge(order: Order, shift: Scalar, label_variance: Scalar) -> Averages:
    """``g = [(K - omega)_+ - (K - V - omega)_+] / V``, ``K = 1 + c``, in closed form."""
    v0, shape = _law(order, label_variance)
    V, root = order.V, jnp.sqrt(order.q)
    ends = jnp.stack([1 + shift, 1 + shift - V]) / root  # k = K / sqrt q, k' = (K - V) / sqrt q
    moments = jax.vmap(skew_normal_moments, (0, None))(ends, shape)
    f0, f1, f2 = (above - below for above, below in moments)  # on the ramp between k' and k
    excess = ends * moments[0] - moments[1]  # E (k - xi)_+
    drift = _drift(ends, shape)
    upper, saturated = ends[0], moments[0][1]
    return Averages(
        teacher=root / V * (drift[0] - drift[1]) / jnp.sqrt(v0),
        square=order.q / V**2 * (upper**2 * f0 - 2 * upper * f1 + f2) + saturated,
        stiffness=f0 / V,
        mean=root / V * (excess[0] - excess[1]),
        loss=root * excess[1],
    )


_FIELDS = (0, 1, 2, 3, 4, 5, 6.5, 8, 10)  # standard deviations; the law beyond weighs 1e-23
_CORNERS = (0.5, 1, 2, 4, 8)  # in units of 1/A, where Phi(A xi) turns
_TURNS = (-8, -4, -2, 0, 2, 4, 8, 16)  # z - c, where the logistic score turns
_NODES = 16


def logistic(order: Order, shift: Scalar, label_variance: Scalar) -> Averages:
    """``g = sigmoid(c - prox)``, on panels refined wherever a factor of the integrands turns."""
    _, shape = _law(order, label_variance)
    V, root = order.V, jnp.sqrt(order.q)
    half = jnp.asarray(_FIELDS, float)
    corner = jnp.asarray(_CORNERS, float) / shape
    turn = jnp.asarray(_TURNS, float)
    turn = (turn + shift - V * jax.nn.sigmoid(-turn)) / root
    edges = jnp.concatenate([-half[:0:-1], half, -corner, corner, turn])
    edges = jnp.sort(jnp.clip(edges, -half[-1], half[-1]))
    edges = logistic_proximal(root * edges, V, shift)

    z, weight = panel_rule(lax.stop_gradient(edges), _NODES)
    g = jax.nn.sigmoid(shift - z)
    return smooth_averages(
        order, label_variance, (z, weight), g, g * (1 - g), loss_value("logistic", z - shift)
    )


CHANNELS = {"logistic": logistic, "hinge": hinge}
"""Of the losses in `simulator.maths.proximal`."""


def smooth_averages(
    order: Order,
    label_variance: Scalar,
    rule: tuple[Float[Array, " nodes"], Float[Array, " nodes"]],
    g: Float[Array, " nodes"],
    curvature: Float[Array, " nodes"],
    loss: Float[Array, " nodes"],
) -> Averages:
    """Averages of a smooth loss by quadrature in ``z = prox(omega)``, which needs no inner solve.

    ``omega = z - V g`` and ``domega = (1 + V loss'') dz``.

    Parameters
    ----------
    rule : array, array
        Nodes ``z`` and weights.
    g, curvature, loss : array
        ``-loss'``, ``loss''`` and ``loss`` of the margin ``z - c`` at the nodes.
    """
    v0, shape = _law(order, label_variance)
    V, root = order.V, jnp.sqrt(order.q)
    z, weight = rule
    xi = (z - V * g) / root
    gaussian = 2 * normal_pdf(xi) * weight / root
    law = gaussian * normal_cdf(shape * xi)
    stretch = 1 + V * curvature
    return Averages(
        teacher=jnp.sum(gaussian * normal_pdf(shape * xi) * stretch * g) / jnp.sqrt(v0),
        square=jnp.sum(law * stretch * g**2),
        stiffness=jnp.sum(law * curvature),
        mean=jnp.sum(law * stretch * g),
        loss=jnp.sum(law * stretch * loss),
    )


def train_error(loss: str, order: Order, shift: Scalar, label_variance: Scalar) -> Float[Array, ""]:
    """Share of training samples with negative robust margin: ``prox < c``."""
    _, shape = _law(order, label_variance)
    return skew_normal_cdf((shift - SLOPE_AT_ZERO[loss] * order.V) / jnp.sqrt(order.q), shape)


def _law(order: Order, label_variance) -> tuple[Scalar, Array]:
    """``V0`` and ``A``."""
    v0 = label_variance - order.m**2 / order.q
    return v0, order.m / jnp.sqrt(order.q * v0)


def _drift(k, shape) -> Array:
    """``int 2 phi(xi) phi(A xi) (k - xi)_+ dxi``."""
    b = jnp.sqrt(1 + shape**2)
    return math.sqrt(2 / math.pi) * (k * normal_cdf(k * b) + normal_pdf(k * b) / b) / b
