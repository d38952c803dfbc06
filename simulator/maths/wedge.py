"""Standard normal vectors in a wedge, the intersection of two half-spaces through the origin.

Let ``g ~ N(mu, I)`` and let two unit vectors ``u`` and ``v = cos(t) u + sin(t) e`` (``e`` a unit
vector across ``u``) bound the wedge ``{u.g > 0, v.g > 0}``. With ``a = u.mu``, ``A = e.mu``,
``b = v.mu = cos(t) a + sin(t) A`` and ``B = sin(t) a - cos(t) A``

    P = P(wedge) = Phi(a)/2 + Phi(b)/2 - T(a, A/a) - T(b, B/b) - 1[a b < 0]/2,
    E[(g - mu) 1] = z = u phi(a) Phi(A) + v phi(b) Phi(B),
    E[(g - mu)(g - mu)' 1] = P I - a phi(a) Phi(A) uu' - b phi(b) Phi(B) vv'
        + phi(a) phi(A) [cos(t) sin(t) (uu' - ee') + sin(t)^2 (ue' + eu')],

with Owen's ``T`` (D. B. Owen, Ann. Math. Statist. 27, 1956). ``P`` is the bivariate normal
distribution function at ``(a, b)`` with correlation ``cos(t)``; given by the angle it is as precise
at correlations near 1 and -1 as elsewhere, and nothing is divided by ``sin(t)``.
"""

import jax
import jax.numpy as jnp
from jax import Array

from simulator.maths.gaussian import normal_cdf, normal_pdf, owens_t


@jax.custom_jvp
def wedge_probability(along, across, angle) -> Array:
    """``P(u.g > 0, v.g > 0)`` for ``g ~ N(mu, I)``; absolute error about 1e-15 in float64.

    Parameters
    ----------
    along, across : scalar
        ``u.mu`` and ``e.mu``.
    angle : scalar in [0, pi]
        Between ``u`` and ``v``.
    """
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    tiny = jnp.sqrt(jnp.finfo(jnp.result_type(along, across, angle, float)).tiny)
    # At mu = 0 only the angle counts; a mean of 1e-154 (1e-19 in float32) says the same.
    along = jnp.where((along == 0) & (across == 0), tiny, along)
    a, b = along, cos * along + sin * across
    a, b = (jnp.where(x == 0, tiny**2, x) for x in (a, b))
    opposite = jnp.where((a < 0) != (b < 0), 0.5, 0.0)
    inside = (normal_cdf(a) + normal_cdf(b)) / 2 - opposite
    return inside - owens_t(a, across / a) - owens_t(b, (sin * along - cos * across) / b)


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
