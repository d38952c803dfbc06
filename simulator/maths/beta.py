"""Tails of the beta law, for any shapes, with derivatives in all of them.

In ``y = log(x/(1-x))`` the density of Beta(a, b) is ``f ∝ σ(y)^a σ(-y)^b``, log-concave for every
``a, b > 0`` with its mode at ``log(a/b)``: beyond a point it falls at least exponentially, and
Gauss-Legendre panels up to where it has fallen by ``e^-44`` give the tail to about 1e-12 relative.
(`jax.scipy.special.betainc` has no derivatives in ``a`` and ``b``, and loses digits where they are
large.)
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from simulator.maths.quadrature import panel_rule
from simulator.maths.roots import bisected
from simulator.runtime.shapes import Scalar

_FALL = 44.0
_EDGES = np.linspace(0, 1, 29) ** 2
_ORDER = 20


def beta_tails(a: Scalar, b: Scalar, x: Scalar) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """``P(X < x)`` and ``P(X >= x)`` of ``X ~ Beta(a, b)``, each to relative precision.

    Parameters
    ----------
    a, b : float
        ``> 0``.
    x : float
        In [0, 1); 0 has tails 0 and 1.
    """
    inside = x > 0
    x = jnp.where(inside, x, 0.5)
    start = jnp.log(x) - jnp.log1p(-x)
    mode = lax.stop_gradient(jnp.log(a) - jnp.log(b))
    whole = _tail(a, b, mode, 1) + _tail(a, b, mode, -1)
    right = start > mode
    near = _tail(a, b, start, jnp.where(right, 1, -1))
    near = near * jnp.exp(_log_change(a, b, mode, start - mode)) / whole
    lower, upper = jnp.where(right, 1 - near, near), jnp.where(right, near, 1 - near)
    return jnp.where(inside, lower, 0.0), jnp.where(inside, upper, 1.0)


def _tail(a, b, start, sign):
    """``int_0^inf f(start + sign s) ds / f(start)``, away from the mode."""
    reach = lax.stop_gradient(_reach(a, b, start, sign))
    s, weight = panel_rule(reach * jnp.asarray(_EDGES, float), _ORDER)
    return weight @ jnp.exp(_log_change(a, b, start, sign * s))


def _reach(a, b, start, sign):
    """How far the density falls by ``e^-44``: by bisection of the logarithm."""
    rate = jnp.where(sign > 0, b, a)
    far = jnp.log((_FALL + 2 * (a + b)) / rate + jnp.abs(start) + 1)

    def fallen(logarithm):
        return _log_change(a, b, start, sign * jnp.exp(logarithm)) < -_FALL

    return jnp.exp(bisected(fallen, jnp.full_like(rate, -20.0), far, 40)[1])


def _log_change(a, b, start, s):
    """``log f(start + s) - log f(start)``, without cancellation for small ``s``."""
    small = jnp.abs(s) < 1
    near = jnp.where(small, s, 0)
    up, down = jax.nn.sigmoid(start), jax.nn.sigmoid(-start)
    log_up = -jnp.log1p(down * jnp.expm1(-near))
    log_down = -jnp.log1p(up * jnp.expm1(near))
    far_up = jax.nn.log_sigmoid(start + s) - jax.nn.log_sigmoid(start)
    far_down = jax.nn.log_sigmoid(-start - s) - jax.nn.log_sigmoid(-start)
    return a * jnp.where(small, log_up, far_up) + b * jnp.where(small, log_down, far_down)
