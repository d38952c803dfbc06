"""Weight laws: what a penalty makes of the field on one weight.

The conjugates give a weight the field ``b = m_hat w* + sqrt(q_hat) xi`` and the stiffness
``V_hat``; it settles at the minimum of ``V_hat w^2 / 2 - b w + P_hat p(w) + penalty(w)``. A law
averages over ``b``:

    m = E w w*,   q = E w^2,   V = E dw/db,   P = E p(w),   p = |w| (linf attack) or w^2 (l2).
"""

import math

import jax.numpy as jnp
from jax import lax
from jax.scipy.special import erfinv
from jaxtyping import Array, Float

from simulator.maths.gaussian import normal_cdf, normal_pdf
from simulator.maths.proximal import power_proximal
from simulator.maths.quadrature import panel_rule
from simulator.maths.replica.order_parameters import Hats, Order
from simulator.runtime.precision import float_dtype
from simulator.runtime.shapes import Scalar


# --------------------------------------------------------------------------------------------
# Penalty lambda |w|^r, teacher N(0, rho)
# --------------------------------------------------------------------------------------------
def power_weights(
    hats: Hats,
    attack_norm: str,
    penalty_order: Scalar,
    regularization: Scalar,
    teacher_variance: Scalar,
) -> Order:
    """``w = argmin D w^2 / 2 - b w + T |w| + lambda |w|^r``, by quadrature from ``b = T`` on.

    ``D = V_hat``, ``T = P_hat`` under a linf attack, ``D = V_hat + 2 P_hat``, ``T = 0`` under an
    l2 attack. For r = 1 the penalty joins the threshold; any other order may be traced.
    """
    scale = jnp.sqrt(hats.q + teacher_variance * hats.m**2)
    linf = attack_norm == "linf"
    curvature = hats.V if linf else hats.V + 2 * hats.P
    threshold = hats.P if linf else jnp.zeros_like(hats.P)
    sparse = isinstance(penalty_order, (int, float)) and penalty_order == 1
    if sparse:
        threshold = threshold + regularization
    x, density = folded_normal(threshold / scale)
    if sparse:
        w, slope = scale * x / curvature, jnp.ones_like(x) / curvature
    else:
        w, slope = power_proximal(scale * x, curvature, regularization, penalty_order)
    V, q = density @ slope, density @ w**2
    return Order(m=teacher_variance * hats.m * V, q=q, V=V, P=density @ w if linf else q)


_NODES = 16
_LEVELS = 9  # geometric panels: w(b) may be singular just below the threshold
_TAIL = 40.0  # the weight left out is below exp(-40)


def folded_normal(threshold: Scalar) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """Nodes ``x >= 0`` and weights of ``int_0^inf f(x) 2 phi(threshold + x) dx``."""
    u = lax.stop_gradient(threshold)
    length = jnp.sqrt(u**2 + 2 * _TAIL) - u
    levels = jnp.asarray([0.0, *(4.0**-k for k in reversed(range(_LEVELS)))], float)
    x, weight = panel_rule(length * levels, _NODES)
    return x, 2 * weight * normal_pdf(threshold + x)


# --------------------------------------------------------------------------------------------
# Least norms under hard margins: mean |w| (l1), mean w^2 / 2 (l2) and max |w| (linf)
# --------------------------------------------------------------------------------------------
def soft_weights(hats: Hats, norm: Scalar, teacher: str, density: Scalar) -> Order:
    """``w = sign(b) (|b| - T)_+ / D``: the least l1 norm or l2 norm, under a linf attack.

    ``D = V_hat + 1``, ``T = P_hat`` for ``norm = 2`` and ``D = V_hat``, ``T = P_hat + 1`` for
    ``norm = 1`` (it may be traced). A share ``density = k`` of the teacher's entries is non-zero:
    ``N(0, 1/k)`` ("gaussian") or ``+-1/sqrt(k)`` ("signs").
    """
    stiffness = hats.V + jnp.where(norm == 2, 1, 0)
    threshold = hats.P + jnp.where(norm == 1, 1, 0)
    shares = jnp.stack([1 - density, density + jnp.zeros((), float)])
    if teacher == "gaussian":
        variance = jnp.stack([0 * shares[1], 1 / shares[1]])
        s = jnp.sqrt(hats.q + hats.m**2 * variance)
        u = threshold / s
        active, mean = 2 * normal_cdf(-u), 2 * normal_pdf(u)
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


def bounded_weights(hats: Hats, V: Scalar) -> tuple[Order, Float[Array, ""]]:
    """``w = clip(b / V_hat)``: the least linf norm; the law, and the bound ``max |w|``.

    Teacher N(0, 1). The weights at the bound ``c s / V_hat``, ``s^2 = q_hat + m_hat^2``, are those
    with ``|xi| > c``. A unit of bound costs what it gains if ``s E(|xi| - c)_+ = 1``. The root c of
    that equation exists for ``s > sqrt(pi/2)`` only, so instead the share of free weights,
    ``V_hat V = erf(c / sqrt 2)``, gives c, and the equation gives the new V.
    """
    few = 100 * jnp.finfo(float_dtype()).eps  # transients can have V_hat V > 1
    free = jnp.minimum(hats.V * V, 1 - few)
    c = math.sqrt(2) * erfinv(free)
    sV = V * jnp.sqrt(hats.q + hats.m**2)
    bound = c * sV / free
    mean = 2 * normal_pdf(c)
    q = (sV / free) ** 2 * (free - c * mean) + bound**2 * (1 - free)
    P = (sV / free) * (math.sqrt(2 / math.pi) - mean) + bound * (1 - free)
    return Order(m=hats.m * V, q=q, V=sV * (mean - 2 * c * normal_cdf(-c)), P=P), bound
