"""Maximum-margin classifiers of Gaussian data in the proportional limit ``n = alpha d -> inf``.

Minimise ``mean |w_j|`` (l1), ``mean w_j^2 / 2`` (l2) or ``max |w_j|`` (linf) subject to

    y_i w.x_i / sqrt(d) - epsilon ||w||_1 / d >= 1   for every training point,

with standard normal inputs and labels ``y = sign(w*.x)``, ``mean w*_j^2 = 1``. These are the
problems whose solutions steepest descent converges to (arXiv 2406.04981, arXiv
2410.22069). Their limit is described by four order parameters of ``w``,

    m = mean w w*,   q = mean w^2,   V (response),   P = mean |w|,

and their conjugates: the fixed point ``order -> channel -> hats -> weights -> order`` of the
replica-symmetric free energy, exact for convex problems by Gordon's comparison inequality. All
maps are in closed form: a hard margin needs the skew-normal law and no quadrature.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import erfc, erfinv

from simulator.maths.gaussian import normal_cdf, normal_pdf, skew_normal_moments
from simulator.maths.precision import float_dtype
from simulator.maths.saddle_point import saddle_point_curve

PATH_POINTS = 8


class Order(NamedTuple):
    """Order parameters: overlap m, squared norm q, response V and mean absolute weight P."""

    m: Array
    q: Array
    V: Array
    P: Array


class Hats(NamedTuple):
    """Conjugates: ``w_j`` minimises ``V w^2/2 - (m w* + sqrt(q) xi) w + P |w| + penalty``."""

    m: Array
    q: Array
    V: Array
    P: Array


class HardMarginPath(NamedTuple):
    """Order parameters along a path, and the relative residual of the fixed point at its end."""

    order: Order
    residual: Array

    def end(self) -> Order:
        return jax.tree.map(lambda x: x[-1], self.order)


def channel(
    order: Order, sample_ratio: Array | float, radius: Array | float = 0.0
) -> tuple[Hats, Array]:
    """Conjugates of the hard margin with teacher labels, and the fraction of support vectors.

    A score ``y w.x / ||w||`` is skew-normal with shape ``A = m / sqrt(q - m^2)``; ``F_k`` are its
    moments below the effective margin ``h = (1 + epsilon P) / sqrt(q)``, ``D_k`` those of the
    label's derivative. ``F_0`` is the fraction of training points on the margin.
    """
    m, q, V, P = order
    root = jnp.sqrt(q)
    unexplained = 1 - m**2 / q
    A = m / (root * jnp.sqrt(unexplained))
    B = jnp.sqrt(1 + A**2)
    h = (1 + radius * P) / root
    F0, F1, F2 = skew_normal_moments(h, A)
    D0 = 2 * normal_cdf(h * B) / (B * jnp.sqrt(2 * math.pi * unexplained))
    D1 = -2 * normal_pdf(h * B) / (B**2 * jnp.sqrt(2 * math.pi * unexplained))
    hats = Hats(
        m=sample_ratio * root / V * (h * D0 - D1),
        q=sample_ratio * q / V**2 * (h**2 * F0 - 2 * h * F1 + F2),
        V=sample_ratio * F0 / V,
        P=sample_ratio * radius * root / V * (h * F0 - F1),
    )
    return hats, F0


def soft_weights(hats: Hats, order: Array | int, teacher: str, density: Array | float) -> Order:
    """Order parameters of ``w = sign(b) (|b| - Th)_+ / D`` (l1 and l2 geometry).

    ``b = m_hat w* + sqrt(q_hat) xi``; ``D = V_hat + 1``, ``Th = P_hat`` for ``order = 2`` and
    ``D = V_hat``, ``Th = P_hat + 1`` for ``order = 1`` (it may be traced). A share
    ``density = k`` of the teacher's entries is non-zero: ``N(0, 1/k)`` ("gaussian") or
    ``+-1/sqrt(k)`` ("signs").
    """
    stiffness = hats.V + jnp.where(order == 2, 1, 0)
    threshold = hats.P + jnp.where(order == 1, 1, 0)
    shares = jnp.stack([1 - density, density + jnp.zeros((), float_dtype())])
    if teacher == "gaussian":
        variance = jnp.stack([0 * shares[1], 1 / shares[1]])
        s = jnp.sqrt(hats.q + hats.m**2 * variance)
        u = threshold / s
        active = erfc(u / math.sqrt(2))
        mean = math.sqrt(2 / math.pi) * jnp.exp(-(u**2) / 2)
        first = s * (mean - u * active)
        second = s**2 * ((1 + u**2) * active - u * mean)
        overlap = variance * hats.m * active
    else:
        signal = jnp.stack([0 * shares[1], 1 / jnp.sqrt(shares[1])])
        s = jnp.sqrt(hats.q)
        sides = jnp.stack([signal, -signal])  # w > 0 and w < 0
        edge = (hats.m * sides - threshold) / s
        below, at = normal_cdf(edge), normal_pdf(edge)
        excess = s * (edge * below + at)
        active, first = below.sum(0), excess.sum(0)
        second = s**2 * ((1 + edge**2) * below + edge * at).sum(0)
        overlap = (sides * excess).sum(0)
    return Order(
        m=(shares * overlap).sum() / stiffness,
        q=(shares * second).sum() / stiffness**2,
        V=(shares * active).sum() / stiffness,
        P=(shares * first).sum() / stiffness,
    )


def clipped_excess(c: Array) -> Array:
    """``E (|xi| - c)_+ = sqrt(2/pi) e^{-c^2/2} - c erfc(c / sqrt 2)``."""
    return math.sqrt(2 / math.pi) * jnp.exp(-(c**2) / 2) - c * erfc(c / math.sqrt(2))


def bounded_weights(hats: Hats, V: Array) -> tuple[Order, Array]:
    """Order parameters and bound ``max |w|`` of ``w = clip(b / V_hat)`` (linf geometry).

    The weights at the bound ``c s / V_hat``, ``s^2 = q_hat + m_hat^2``, are those with
    ``|xi| > c``. A unit of bound costs what it gains if ``s E(|xi| - c)_+ = 1``. Instead of that
    equation for c, whose root exists for ``s > sqrt(pi/2)`` only, ``V_hat V = erf(c / sqrt 2)``
    (the share of free weights) gives c, and the former gives V.
    """
    few = 100 * jnp.finfo(float_dtype()).eps  # transients can have V_hat V > 1
    free = jnp.minimum(hats.V * V, 1 - few)
    c = math.sqrt(2) * erfinv(free)
    sV = V * jnp.sqrt(hats.q + hats.m**2)
    bound = c * sV / free
    mean = math.sqrt(2 / math.pi) * jnp.exp(-(c**2) / 2)
    q = (sV / free) ** 2 * (free - c * mean) + bound**2 * (1 - free)
    P = (sV / free) * (math.sqrt(2 / math.pi) - mean) + bound * (1 - free)
    return Order(m=hats.m * V, q=q, V=sV * clipped_excess(c), P=P), bound


def sample_ratio_path(sample_ratio: Array | float) -> Array:
    """A geometric path of sample ratios from 1 (exclusive) to the one asked for."""
    share = jnp.arange(1, PATH_POINTS + 1, dtype=float_dtype()) / PATH_POINTS
    return jnp.asarray(sample_ratio, float_dtype()) ** share


def hard_margin_path(
    weights: Callable[[Hats, Array], Order], sample_ratios: Array, radii: Array | None = None
) -> HardMarginPath:
    """Fixed points of `channel` and ``weights(hats, V)`` along a path of (alpha, epsilon).

    Continuation from alpha = 1 makes Newton's method converge for alpha between 0.003 and 20 and
    radii up to 0.99 of the largest feasible one; the residual says so. Differentiable in the
    path and in whatever ``weights`` closes over. The unknowns are the odds ``m^2 / (q - m^2)``,
    q, V and P, of which all positive values are meaningful.
    """
    if radii is None:
        radii = jnp.zeros_like(sample_ratios)

    def unpack(unknowns) -> Order:
        odds, q, V, P = unknowns
        return Order(jnp.sqrt(q * odds / (1 + odds)), q, V, P)

    def update(unknowns, point):
        order = unpack(unknowns)
        m, q, V, P = weights(channel(order, *point)[0], order.V)
        return m**2 / (q - m**2), q, V, P

    start = tuple(jnp.asarray(x, float_dtype()) for x in (1 / 3, 1.0, 1.0, 0.5))
    found = saddle_point_curve(update, start, (sample_ratios, radii), damping=0.5)
    return HardMarginPath(unpack(found.value), found.residual[-1])
