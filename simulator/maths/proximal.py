"""Margin losses, and the proximal maps of the logistic loss and of power penalties.

For a convex loss ``l`` of the margin, an attack that lowers every margin by ``c`` turns it into
``z -> l(z - c)``. Its proximal map at ``omega`` with step ``V``, and its score, are

    prox(omega) = argmin_z (z - omega)^2 / (2V) + l(z - c),
    g(omega)    = (prox - omega) / V = -l'(prox - c).

All maps act entry by entry and are differentiable in all their arguments (by the implicit function
theorem).
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.runtime.shapes import Numbers

LOSSES = ("logistic", "hinge")

_LOGISTIC_STEPS = 7  # to rounding for steps from 1e-8 to 1e12
_POWER_STEPS = 60  # a safeguard: it takes about eight, and log(r - 1) more for large orders


def loss_value(loss: str, margin: Numbers) -> Float[Array, "..."]:
    """``l(margin)``."""
    if loss == "logistic":
        return jax.nn.softplus(-margin)
    if loss == "hinge":
        return jnp.maximum(1 - margin, 0)
    raise ValueError(f"loss = {loss!r} is not allowed: it must be one of {', '.join(LOSSES)}")


def logistic_proximal(omega: Numbers, step: Numbers, shift: Numbers = 0.0) -> Float[Array, "..."]:
    """``argmin_z (z - omega)^2 / (2 step) + log(1 + e^{-(z - shift)})``.

    The root of ``F(x) = x - o - V sigmoid(-x)``, ``o = omega - shift``, shifted back.

    ``F`` is increasing, convex below its inflection point x = 0 and concave above, so that Newton's
    method runs monotonically to the root from any point between the two. (From x = omega it cycles
    for large V.) Roots below 0 are mirrored: ``-x`` solves the same equation with ``-(o + V)``. A
    root above 0 is at least ``o`` and ``log(V / (2 log(1 + V) + 2 |o|))``.
    """

    def newton(x, start, step):
        s = jax.nn.sigmoid(-x)
        return x - (x - start - step * s) / (1 + step * s * (1 - s))

    start = omega - shift
    o, v = lax.stop_gradient((start, step))
    below = o + v / 2 < 0
    o = jnp.where(below, -(o + v), o)
    x = jnp.maximum(jnp.maximum(o, 0), jnp.log(v / (2 * (jnp.log1p(v) + jnp.abs(o)))))
    x = lax.fori_loop(0, _LOGISTIC_STEPS, lambda _, x: newton(x, o, v), x)
    # One more step from a constant carries the exact first derivative.
    return shift + newton(lax.stop_gradient(jnp.where(below, -x, x)), start, step)


def power_proximal(
    pull: Float[Array, "*shape"], curvature: Numbers, weight: Numbers, order: Numbers
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """``w = argmin_{w >= 0} D w^2 / 2 + lambda w^r - h w`` for pulls ``h >= 0``, and ``dw/dh``.

    Parameters
    ----------
    pull, curvature, weight : array
        ``h >= 0``, ``D > 0`` and ``lambda > 0``.
    order : float or array
        ``r >= 1``. The Python numbers 1, 3/2, 2 and 3 use closed forms (for r = 1 ``weight`` acts
        as a threshold on the pull); any other order, and any traced one (r > 1), solves the
        monotone equation ``D w + lambda r w^{r-1} = h``.
    """
    h, d, lam = pull, curvature, weight
    if isinstance(order, (int, float)):
        if order == 1:
            return jnp.maximum(h - lam, 0) / d, jnp.where(h > lam, 1 / d, 0)
        if order == 1.5:
            root = 2 * h / (1.5 * lam + jnp.sqrt(2.25 * lam**2 + 4 * d * h))
            return root**2, root / (d * root + 0.75 * lam)
        if order == 2:
            return h / (d + 2 * lam), 1 / (d + 2 * lam) + 0 * h
        if order == 3:
            w = 2 * h / (d + jnp.sqrt(d**2 + 12 * lam * h))
            return w, 1 / (d + 6 * lam * w)
    positive = h > 0
    first, second = jnp.log(d), jnp.log(lam * order)
    target = jnp.log(jnp.where(positive, h, 1))
    y = log_power_root(first, second, target, order - 1)
    share = jax.nn.sigmoid(first + y - second - (order - 1) * y)
    # dw/dh = (w/h) dy/dlog h
    slope = jnp.exp(y - target) / (share + (1 - share) * (order - 1))
    at_zero = jnp.where(order > 2, 1 / d, 0)
    return jnp.where(positive, jnp.exp(y), 0), jnp.where(positive, slope, at_zero)


def log_power_root(
    first: Numbers, second: Numbers, target: Numbers, exponent: Numbers
) -> Float[Array, "..."]:
    """``y = log w`` for the root of ``e^first w + e^second w^exponent = e^target``.

    Parameters
    ----------
    first, second, target : array
        Logarithms of the coefficients and of the right side; they may be large.
    exponent : float or array
        ``> 0``.
    """

    # The left side of logsumexp(first + y, second + e y) = target is convex and increasing:
    # Newton's method descends to the root from the right.
    def newton(y, first, second, target, exponent):
        one, two = first + y, second + exponent * y
        share = jax.nn.sigmoid(one - two)  # of the linear term
        return y - (jnp.logaddexp(one, two) - target) / (share + (1 - share) * exponent)

    arguments = (first, second, target, exponent)
    constants = lax.stop_gradient(arguments)
    start = jnp.minimum(constants[2] - constants[0], (constants[2] - constants[1]) / constants[3])
    tolerance = 4 * jnp.finfo(jnp.result_type(float)).eps

    def unfinished(carry):
        step, y, previous = carry
        moved = jnp.abs(y - previous) > tolerance * (1 + jnp.abs(y))
        return (step < _POWER_STEPS) & ((step == 0) | jnp.any(moved))

    carry = (jnp.int32(0), start, start)
    y = lax.while_loop(unfinished, lambda c: (c[0] + 1, newton(c[1], *constants), c[1]), carry)[1]
    return newton(lax.stop_gradient(y), *arguments)
