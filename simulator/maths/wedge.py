"""Standard normal vectors in a wedge, the intersection of two half-spaces through the origin.

Let ``g ~ N(mu, I)`` and let two unit vectors ``u`` and ``v = cos(t) u + sin(t) e`` (``e`` a unit
vector across ``u``) bound the wedge ``{u.g > 0, v.g > 0}``. With ``a = u.mu``, ``A = e.mu``,
``b = v.mu = cos(t) a + sin(t) A`` and ``B = sin(t) a - cos(t) A``

    P = P(wedge) = (1/2pi) int_(t - pi/2)^(pi/2) exp(-|mu|^2/2) (1 + s Phi(s)/phi(s)) d theta,
    E[(g - mu) 1] = z = u phi(a) Phi(A) + v phi(b) Phi(B),
    E[(g - mu)(g - mu)' 1] = P I - a phi(a) Phi(A) uu' - b phi(b) Phi(B) vv'
        + phi(a) phi(A) [cos(t) sin(t) (uu' - ee') + sin(t)^2 (ue' + eu')],

where ``s`` is the mean along the direction ``theta``: the integral over the directions of the
wedge, that over the distance from its corner being done. ``P`` is the bivariate normal distribution
function at ``(a, b)`` with correlation ``cos(t)``; given by the angle it is as precise at
correlations near 1 and -1 as elsewhere, nothing is divided by ``sin(t)``, and a wedge far from the
mean keeps its digits, for the integrand is positive.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from simulator.maths.gaussian import normal_cdf, normal_pdf
from simulator.maths.quadrature import panel_rule

_NODES = 20  # on each of eight panels
# 1 + s Phi(s)/phi(s) = 1/s^2 - 3/s^4 + 15/s^6 - ... beyond s = -_FAR, the highest power first.
_FAR = 12.0
_SERIES = np.cumprod([1.0, *(-(2.0 * k + 1) for k in range(1, 11))])[::-1]


@jax.custom_jvp
def wedge_probability(along, across, angle) -> Array:
    """``P(u.g > 0, v.g > 0)`` for ``g ~ N(mu, I)``; relative error about 1e-12 in float64.

    Below 1e-100 some digits fewer, and four are left where the mean is opposite to the wedge.

    Parameters
    ----------
    along, across : scalar
        ``u.mu`` and ``e.mu``.
    angle : scalar in [0, pi]
        Between ``u`` and ``v``.
    """
    along, across, angle = (jnp.asarray(x, float) for x in (along, across, angle))
    size = jnp.hypot(along, across)
    # Directions from the middle of the wedge; most of the mass is near the one towards the mean.
    half = (jnp.pi - angle) / 2
    mean_at = jnp.arctan2(across, along) - angle / 2
    mean_at = mean_at - 2 * jnp.pi * jnp.round(mean_at / (2 * jnp.pi))
    near = jnp.asarray([-12.0, -6.0, -2.0, 0.0, 2.0, 6.0, 12.0], float) / jnp.maximum(size, 1)
    inner = jnp.clip(jnp.clip(mean_at, -half, half) + near, -half, half)
    theta, weight = panel_rule(jnp.concatenate([-half[None], inner, half[None]]), _NODES)
    along_ray, beside = size * jnp.cos(theta - mean_at), size * jnp.sin(theta - mean_at)
    cdf = normal_cdf(along_ray)
    at_corner = normal_pdf(size) / math.sqrt(2 * math.pi)
    ahead = at_corner + along_ray * cdf * normal_pdf(beside)
    # Away from the mean the two terms nearly cancel.
    s = jnp.clip(along_ray, -_FAR, 0)
    inverse = 1 / jnp.minimum(along_ray, -_FAR) ** 2
    series = inverse * jnp.polyval(jnp.asarray(_SERIES, float), inverse)
    away = at_corner * jnp.where(along_ray > -_FAR, 1 + s * cdf / normal_pdf(s), series)
    return weight @ jnp.where(along_ray > 0, ahead, away)


@wedge_probability.defjvp
def _wedge_probability_jvp(primals, tangents):
    along, across, angle = primals
    by_along, by_across = wedge_mean(along, across, angle)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    b, beyond = cos * along + sin * across, sin * along - cos * across
    by_angle = -normal_pdf(b) * (normal_pdf(beyond) + beyond * normal_cdf(beyond))
    slope = by_along * tangents[0] + by_across * tangents[1] + by_angle * tangents[2]
    return wedge_probability(along, across, angle), slope


def wedge_mean(along, across, angle) -> tuple[Array, Array]:
    """``E[(g - mu) 1]`` along ``u`` and along ``e``; also the derivatives of ``P`` in ``mu``."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    first = normal_pdf(along) * normal_cdf(across)
    b = cos * along + sin * across
    second = normal_pdf(b) * normal_cdf(sin * along - cos * across)
    return first + cos * second, sin * second


def wedge_moments(mean: Array, u: Array, e: Array, angle) -> tuple[Array, Array, Array]:
    """Probability, ``E[g 1]`` and ``E[g g' 1]`` over the wedge.

    Parameters
    ----------
    mean, u, e : array (special,)
        ``mu`` and the frame: unit vectors with ``u.e = 0``.
    angle : scalar in [0, pi]

    Returns
    -------
    P, first, second : arrays (), (special,), (special, special)
    """
    a, c = u @ mean, e @ mean
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    v = cos * u + sin * e
    b, beyond = v @ mean, sin * a - cos * c
    probability = wedge_probability(a, c, angle)
    along, across = wedge_mean(a, c, angle)
    centred_first = along * u + across * e
    corner = normal_pdf(a) * normal_pdf(c) * sin
    uu, ee, ue = jnp.outer(u, u), jnp.outer(e, e), jnp.outer(u, e)
    centred_second = (
        probability * jnp.eye(len(mean))
        - a * normal_pdf(a) * normal_cdf(c) * uu
        - b * normal_pdf(b) * normal_cdf(beyond) * jnp.outer(v, v)
        + corner * (cos * (uu - ee) + sin * (ue + ue.T))
    )
    drift = jnp.outer(centred_first, mean)
    second = centred_second + drift + drift.T + probability * jnp.outer(mean, mean)
    return probability, centred_first + probability * mean, second
