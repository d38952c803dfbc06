"""Order parameters, their conjugates, and the fixed point that both are."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from simulator.maths.saddle_point import saddle_point, saddle_point_curve
from simulator.runtime.shapes import Scalar

PATH_POINTS = 8


class Order(NamedTuple):
    """Overlap ``m``, squared norm ``q``, response ``V``, and ``P``, the size an attack sees."""

    m: Array
    q: Array
    V: Array
    P: Array


class Hats(NamedTuple):
    """Conjugates, all >= 0: drift ``m`` along the teacher, variance ``q`` of the field's noise,
    stiffness ``V`` from the loss, and the pull ``P`` of the attack towards zero.

    A weight minimises ``V w^2/2 - (m w* + sqrt(q) xi) w + P p(w) + penalty``, ``P = mean p(w)``.
    """

    m: Array
    q: Array
    V: Array
    P: Array


class Averages(NamedTuple):
    """What the score ``g = (prox(omega) - omega) / V`` of a loss is on average over a sample.

    ``teacher = int 2 phi(xi) phi(A xi) V0^{-1/2} g``, ``square = <g^2>``, ``stiffness =
    -<dg/domega>``, ``mean = <g>``, and the mean training ``loss``; notation of `channels`.
    """

    teacher: Array
    square: Array
    stiffness: Array
    mean: Array
    loss: Array


def linf_damage(P: Scalar) -> Scalar:
    """``N = P`` for ``P = mean |w|``: what every coordinate moved by ``1 / sqrt d`` costs."""
    return P


def l2_damage(P: Scalar) -> Float[Array, ""]:
    """``N = sqrt(P)`` for ``P = mean w^2``, or ``w.Sd w / d`` (Mahalanobis)."""
    return jnp.sqrt(P)


class Fit(NamedTuple):
    """One fit: its loss and data (``alpha``, ``eps``, ``rho_e = mean w*^2 + tau^2``, ``N(P)``)."""

    channel: Callable[[Order, Array, Any], Averages]
    sample_ratio: Any
    radius: Any = 0.0
    label_variance: Any = 1.0
    damage: Callable[[Array], Array] = linf_damage


WeightLaw = Callable[[Hats, Order], Order]
"""From the conjugates, and the order parameters they came from (which few laws need)."""


class Solution(NamedTuple):
    """Order parameters and the relative residual of their fixed point."""

    order: Order
    residual: Float[Array, "..."]

    def end(self) -> "Solution":
        """The last one of a path."""
        return jax.tree.map(lambda x: x[-1], self)


def averages(fit: Fit, order: Order) -> Averages:
    """Averages over one sample, whose margin an attack has lowered by ``eps N``."""
    return fit.channel(order, fit.radius * fit.damage(order.P), fit.label_variance)


def conjugates(fit: Fit, order: Order) -> Hats:
    """``m_hat = alpha teacher``, ``q_hat = alpha <g^2>``, ``V_hat = -alpha <dg/domega>`` and
    ``P_hat = alpha eps <g> dN/dP``."""
    average = averages(fit, order)
    return Hats(
        m=fit.sample_ratio * average.teacher,
        q=fit.sample_ratio * average.square,
        V=fit.sample_ratio * average.stiffness,
        P=fit.sample_ratio * fit.radius * average.mean * jax.grad(fit.damage)(order.P),
    )


def solve(fit: Fit, weights: WeightLaw) -> Solution:
    """The fixed point of `conjugates` and ``weights``, differentiable in all their parameters."""
    found = saddle_point(lambda x: _update(fit, weights, x), _start(), damping=_DAMPING)
    return Solution(_order(fit, found.value), found.residual)


def solve_path(fit: Fit, weights: WeightLaw) -> Solution:
    """Fixed points along a path: ``sample_ratio`` and ``radius`` of ``fit`` are arrays.

    Continuation from alpha = 1 (`sample_ratio_path`) makes hard margins converge for alpha between
    0.003 and 20 and radii up to 0.99 of the largest feasible one; the residual says so.
    """

    def update(x, point):
        sample_ratio, radius = point
        return _update(fit._replace(sample_ratio=sample_ratio, radius=radius), weights, x)

    points = jnp.broadcast_arrays(fit.sample_ratio, fit.radius)
    found = saddle_point_curve(update, _start(), tuple(points), damping=_DAMPING)
    return Solution(_order(fit, found.value), found.residual)


def sample_ratio_path(sample_ratio: Scalar) -> Float[Array, " points"]:
    """A geometric path of sample ratios from 1 (exclusive) to the one asked for."""
    share = jnp.arange(1, PATH_POINTS + 1, dtype=float) / PATH_POINTS
    return jnp.asarray(sample_ratio, float) ** share


# --------------------------------------------------------------------------------------------
# The unknowns: odds m^2 / (rho_e q - m^2), q, V and P, of which all positive values are meaningful
# --------------------------------------------------------------------------------------------
_DAMPING = 0.5


def _start():
    return tuple(jnp.asarray(x, float) for x in (1 / 3, 1.0, 1.0, 0.5))


def _order(fit: Fit, unknowns) -> Order:
    odds, q, V, P = unknowns
    return Order(jnp.sqrt(fit.label_variance * q * odds / (1 + odds)), q, V, P)


def _update(fit: Fit, weights: WeightLaw, unknowns):
    order = _order(fit, unknowns)
    m, q, V, P = weights(conjugates(fit, order), order)
    return m**2 / (fit.label_variance * q - m**2), q, V, P
