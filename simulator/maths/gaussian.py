"""The normal law, and the skew-normal law of a linear classifier's scores.

If ``(s, s*)`` is a centred Gaussian pair of correlation ``t`` and labels are ``sign(s*)``, then
``y s / std(s)`` has the skew-normal density ``2 phi(x) Phi(A x)`` with shape
``A = t / sqrt(1 - t^2)`` (A. Azzalini, Scand. J. Statist. 12, 1985). The error of the classifier
is its distribution function at 0 and the error under an attack that costs ``k`` standard
deviations of margin is its distribution function at ``k``:

    F0(k) = Phi(k) - 2 T(k, A),   T(h, a) = (1/2pi) int_0^a exp(-h^2 (1 + x^2)/2) / (1 + x^2) dx,

with ``T`` Owen's function (D. B. Owen, Ann. Math. Statist. 27, 1956).
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import erfc, log_ndtr, ndtri
from jaxtyping import Array, Float

from simulator.maths.quadrature import panel_rule
from simulator.runtime.precision import float_dtype
from simulator.runtime.shapes import Numbers, Scalar

_NODES = 48  # Gauss-Legendre nodes of Owen's integral: absolute error below 1e-15


def normal_pdf(x: Numbers) -> Float[Array, "..."]:
    """Standard normal density ``phi``."""
    return jnp.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def normal_cdf(x: Numbers) -> Float[Array, "..."]:
    """Standard normal distribution function ``Phi``, to rounding in both tails."""
    return erfc(-x / math.sqrt(2)) / 2


def log_normal_cdf(x: Numbers) -> Float[Array, "..."]:
    """``log Phi``, to relative precision for large ``x`` too, where it is small."""
    right = x > 0
    upper = jnp.log1p(-normal_cdf(jnp.where(right, -x, 0)))
    return jnp.where(right, upper, log_ndtr(jnp.where(right, 0.0, x)))


def largest_of_normals(uniform: Numbers, count: Scalar) -> Float[Array, "..."]:
    """``Phi^-1(u^(1/count))``: the largest of so many standard normals, from uniforms in (0, 1]."""
    return -ndtri(-jnp.expm1(jnp.log(uniform) / count))


@jax.custom_jvp
def owens_t(h: Scalar, a: Scalar) -> Float[Array, ""]:
    """Owen's T function, to about 1e-15 absolute (float64) for all real ``h`` and ``a``.

    Slopes beyond 1 are reflected, ``T(h, a) = (Phi(h) + Phi(a h))/2 - Phi(h) Phi(a h) -
    T(a h, 1/a)`` for ``h, a >= 0``, so that the integrand never has a boundary layer.
    """
    h, a = jnp.abs(jnp.asarray(h, float)), jnp.asarray(a, float)
    size = jnp.abs(a)
    steep = size > 1
    slope = jnp.where(steep, 1 / jnp.where(steep, size, 1), size)
    scaled = jnp.where(steep, size * h, h)
    x, weight = panel_rule(jnp.stack([jnp.zeros_like(slope), slope]), _NODES)
    value = weight @ (jnp.exp(-(scaled**2) * (1 + x**2) / 2) / (1 + x**2)) / (2 * math.pi)
    # With q = 1 - Phi the reflection reads (q_h + q_ah)/2 - q_h q_ah, free of cancellation.
    q, q_scaled = normal_cdf(-h), normal_cdf(-scaled)
    return jnp.sign(a) * jnp.where(steep, (q + q_scaled) / 2 - q * q_scaled - value, value)


@owens_t.defjvp
def _owens_t_jvp(primals, tangents):
    h, a = primals
    dh, da = tangents
    by_h = -normal_pdf(h) * (normal_cdf(a * h) - 0.5)
    by_a = jnp.exp(-(h**2) * (1 + a**2) / 2) / (2 * math.pi * (1 + a**2))
    return owens_t(h, a), by_h * dh + by_a * da


@jax.custom_jvp
def skew_normal_cdf(k: Scalar, shape: Scalar) -> Float[Array, ""]:
    """``F0(k) = Phi(k) - 2 T(k, A)``, the integral of ``2 phi(x) Phi(A x)`` up to ``k``.

    ``A = inf`` is the half-normal law. In the lower tail, where the difference would cancel, it is
    computed as ``(1/pi) int_{arctan A}^{pi/2} exp(-k^2 / (2 cos^2 theta)) dtheta``.
    """
    k, shape = jnp.asarray(k, float), jnp.asarray(shape, float)
    tail = (shape > 0) & (k < 0) & (k**2 * (1 + shape**2) > 4)
    start = jnp.where(tail, jnp.arctan(shape), 0)
    theta, weight = panel_rule(jnp.stack([start, jnp.full_like(start, math.pi / 2)]), _NODES)
    lower_tail = weight @ jnp.exp(-(k**2) / (2 * jnp.cos(theta) ** 2)) / math.pi
    return jnp.where(tail, lower_tail, normal_cdf(k) - 2 * owens_t(k, shape))


@skew_normal_cdf.defjvp
def _skew_normal_cdf_jvp(primals, tangents):
    k, shape = primals
    dk, dshape = tangents
    by_k = 2 * normal_pdf(k) * normal_cdf(shape * k)
    by_shape = -jnp.exp(-(k**2) * (1 + shape**2) / 2) / (math.pi * (1 + shape**2))
    return skew_normal_cdf(k, shape), by_k * dk + by_shape * dshape


def skew_normal_moments(
    k: Scalar, shape: Scalar
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Truncated moments ``F_j(k) = int_{-inf}^k x^j 2 phi(x) Phi(A x) dx``, j = 0, 1, 2.

    arXiv 2410.16073's channel averages for piecewise linear scores, in closed form: with
    ``B = sqrt(1 + A^2)``,
    ``F1 = -2 phi(k) Phi(A k) + sqrt(2/pi) (A/B) Phi(B k)`` and
    ``F2 = F0 - 2 k phi(k) Phi(A k) - sqrt(2/pi) (A/B^2) phi(B k)``.
    """
    b = jnp.sqrt(1 + shape**2)
    f0 = skew_normal_cdf(k, shape)
    edge = 2 * normal_pdf(k) * normal_cdf(shape * k)
    slope = math.sqrt(2 / math.pi) * shape / b
    f1 = slope * normal_cdf(b * k) - edge
    f2 = f0 - k * edge - slope / b * normal_pdf(b * k)
    return f0, f1, f2


def attacked_error(
    overlap: Scalar, label_norm: Scalar, score_norm: Scalar, damage: Scalar
) -> Float[Array, ""]:
    """``P(y s < damage)`` for ``y = sign(s*)``: the error of a linear classifier under attack.

    Exact for jointly Gaussian scores, whatever the dimension.

    Parameters
    ----------
    overlap, label_norm, score_norm : scalar
        ``E[s s*]`` and the standard deviations of ``s*`` (label noise included) and ``s > 0``.
    damage : scalar
        How far the attack lowers the margin ``y s``; 0 gives ``arccos(t) / pi``.
    """
    t = overlap / (label_norm * score_norm)
    shape = t / jnp.sqrt(jnp.maximum((1 - t) * (1 + t), jnp.finfo(float_dtype()).tiny))
    return skew_normal_cdf(damage / score_norm, shape)
