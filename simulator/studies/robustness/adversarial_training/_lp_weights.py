"""Weight-side equations for isotropic inputs and a Gaussian teacher.

A weight sees the Gaussian field ``b = s zeta``, ``s^2 = q_hat + rho m_hat^2``, and settles at
``w(b) = argmin_w D w^2 / 2 - b w + T |w| + lambda |w|^r``. The averages over ``zeta`` run from the
threshold ``u = T / s`` on, in ``x = |zeta| - u >= 0``.
"""

import jax.numpy as jnp
from jax import Array, lax

from simulator.maths.gaussian import normal_pdf
from simulator.maths.precision import float_dtype
from simulator.maths.proximal import power_proximal
from simulator.maths.quadrature import panel_rule
from simulator.studies.robustness.adversarial_training._channel import Overlaps
from simulator.studies.robustness.adversarial_training._order_parameters import Fields

_NODES = 16
_LEVELS = 9  # geometric panels: w(b) may be singular just below the threshold
_TAIL = 40.0  # the weight left out is below exp(-40)


def lp_weights(hats: Fields, attack_norm: str, order, regularization, teacher_variance) -> Overlaps:
    """``V = E w'(b)``, ``q = E w^2``, ``P = E |w|`` (linf) or ``q`` (l2), ``m = rho m_hat V``."""
    m_hat, q_hat, v_hat, p_hat = hats
    scale = jnp.sqrt(q_hat + teacher_variance * m_hat**2)
    linf = attack_norm == "linf"
    curvature = v_hat if linf else v_hat + 2 * p_hat
    threshold = p_hat if linf else jnp.zeros_like(p_hat)
    sparse = isinstance(order, (int, float)) and order == 1
    if sparse:
        threshold = threshold + regularization
    x, density = folded_normal(threshold / scale)
    if sparse:
        w, slope = scale * x / curvature, jnp.ones_like(x) / curvature
    else:
        w, slope = power_proximal(scale * x, curvature, regularization, order)
    response, q = density @ slope, density @ w**2
    size = density @ w if linf else q
    return Overlaps(m=teacher_variance * m_hat * response, q=q, V=response, P=size)


def folded_normal(threshold) -> tuple[Array, Array]:
    """Nodes ``x >= 0`` and weights of ``int_0^inf f(x) 2 phi(threshold + x) dx``."""
    u = lax.stop_gradient(threshold)
    length = jnp.sqrt(u**2 + 2 * _TAIL) - u
    levels = jnp.asarray([0.0, *(4.0**-k for k in reversed(range(_LEVELS)))], float_dtype())
    x, weight = panel_rule(length * levels, _NODES)
    return x, 2 * weight * normal_pdf(threshold + x)
