"""Steepest descent in any lp norm as optax transformations, and the margins it maximises.

Steepest descent with respect to ``||.||_p`` moves along ``-u(g)``, the unit vector of that norm
with the largest decrease of the loss: coordinate descent (p = 1), gradient descent (p = 2), sign
descent (p = inf). On exponentially tailed losses of homogeneous models ``f(x; c theta) = c^L
f(x; theta)`` it increases the margin ``min_i y_i f(x_i; theta) / ||theta||_p^L`` towards a KKT
point of its maximisation (arXiv 2410.22069). The norm is that of all parameters jointly.

    optimiser = optax.chain(scale_by_steepest_descent(math.inf), optax.scale_by_learning_rate(0.1))
"""

from typing import NamedTuple

import jax.numpy as jnp
import optax
from jax import nn
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from simulator.maths.norms import GEOMETRIES, ORDERS, dual_norm, lp_norm, steepest_direction


def scale_by_steepest_descent(order: float) -> optax.GradientTransformation:
    """Replace the gradient by the unit steepest-ascent direction ``u(g)`` of the p-norm.

    Parameters
    ----------
    order : float
        p >= 1; ``math.inf`` is sign descent. The parameters may be any pytree; their norm is
        that of the flattened vector.
    """

    def update(updates, state, params=None):
        flat, unravel = ravel_pytree(updates)
        return unravel(steepest_direction(flat, order)), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def scale_by_loss_decrease(order: float, floor: float = 1e-3) -> optax.GradientTransformation:
    """Steepest ascent with steps of equal first-order change: ``u(g) / max(||g||_*, floor)``.

    With the gradient of ``log L`` and learning rate c each step lowers ``log L`` by about c, so
    that ``-log L`` grows linearly in time and the path follows the steepest-descent flow; c of
    a few hundredths keeps the changes of all margins small. ``floor`` caps steps near flat starts.
    """

    def update(updates, state, params=None):
        flat, unravel = ravel_pytree(updates)
        step = steepest_direction(flat, order) / jnp.maximum(dual_norm(flat, order), floor)
        return unravel(step), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def steepest_descent(learning_rate, order: float) -> optax.GradientTransformation:
    """Steepest descent with unit-norm steps times ``learning_rate`` (a number or a schedule)."""
    return optax.chain(
        scale_by_steepest_descent(order), optax.scale_by_learning_rate(learning_rate)
    )


OPTIMIZERS = ("coordinate_descent", "gradient_descent", "sign_descent")
"""Names of the three, in the order of `GEOMETRIES`."""

OPTIMIZER_ORDERS = dict(zip(OPTIMIZERS, (ORDERS[g] for g in GEOMETRIES), strict=True))


def log_exponential_loss(margins: Float[Array, " samples"]) -> Float[Array, ""]:
    """``log sum_i exp(-m_i)`` for margins ``m_i = y_i f(x_i)``, free of under- and overflow."""
    least = margins.min()
    return jnp.log(jnp.exp(least - margins).sum()) - least


class MarginMeasures(NamedTuple):
    """Margins and stationarity in one norm (arXiv 2410.22069).

    margin
        ``min_i m_i / ||theta||^L``.
    smoothed_margin
        ``-log L / ||theta||^L``, ``L = sum_i exp(-m_i)``; at most ``margin``, at least ``margin -
        log(n) / ||theta||^L``, and non-decreasing along the flow once ``L < 1``.
    alignment
        ``<theta, k> / (||theta|| ||k||_*)`` with ``k = -grad log L``; in [-1, 1].
    bregman
        ``1 - alignment``: the Fenchel-Young gap between ``theta`` and the multipliers' ``k`` at
        scale one; 0 iff theta is stationary for the maximal margin in this norm.
    slackness
        ``sum_i lambda_i (m_i / min m - 1)`` with the multipliers scaled to ``||theta||``; NaN
        while ``min m <= 0``.
    parameter_norm
        ``||theta||``.
    """

    margin: Float[Array, "..."]
    smoothed_margin: Float[Array, "..."]
    alignment: Float[Array, "..."]
    bregman: Float[Array, "..."]
    slackness: Float[Array, "..."]
    parameter_norm: Float[Array, "..."]


def margin_measures(
    theta: Float[Array, " parameters"],
    margins: Float[Array, " samples"],
    descent: Float[Array, " parameters"],
    homogeneity: int,
    order: float,
) -> MarginMeasures:
    """All measures of one norm.

    Parameters
    ----------
    theta : array
        All parameters, flattened.
    margins : array (n,)
        ``m_i = y_i f(x_i; theta)``.
    descent : array like theta
        ``k = -grad log L = sum_i p_i y_i grad f(x_i; theta)``, ``p`` the softmax of ``-m``.
    homogeneity : int
        L, the degree of homogeneity of the model in theta.
    order : float
        p of the norm.
    """
    size = lp_norm(theta, order)
    safe = jnp.where(size > 0, size, 1)
    dual = dual_norm(descent, order)
    safe_dual = jnp.where(dual > 0, dual, 1)
    least = margins.min()
    alignment = theta @ descent / (safe * safe_dual)
    separated = least > 0
    one = jnp.where(separated, least, 1)
    excess = nn.softmax(-margins) @ (margins / one - 1)
    slackness = safe * one ** ((homogeneity - 2) / homogeneity) / safe_dual * excess
    return MarginMeasures(
        margin=least / safe**homogeneity,
        smoothed_margin=-log_exponential_loss(margins) / safe**homogeneity,
        alignment=alignment,
        bregman=1 - alignment,
        slackness=jnp.where(separated, slackness, jnp.nan),
        parameter_norm=size,
    )


def all_geometries(
    theta: Float[Array, " parameters"],
    margins: Float[Array, " samples"],
    descent: Float[Array, " parameters"],
    homogeneity: int,
) -> MarginMeasures:
    """`margin_measures` in (l1, l2, linf), stacked on the last axis."""
    rows = [
        margin_measures(theta, margins, descent, homogeneity, ORDERS[name]) for name in GEOMETRIES
    ]
    return MarginMeasures(*(jnp.stack(column) for column in zip(*rows, strict=True)))
