"""Absolute moments of normal and Student variates, and the largest of several normal ones.

``log E |mu + tau T|^q`` is summed from panels between which the integrand is smooth: they end where
the argument is 0, and grow with the distance from there and from the centre.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array, Float

from simulator.maths.gaussian import normal_cdf, normal_pdf
from simulator.maths.quadrature import panel_rule
from simulator.runtime.shapes import Numbers, Scalar

_ORDER = 12  # nodes of a panel
_SMALLEST, _LARGEST = -16, 50  # powers of two: lengths of panels
_MANY = 200.0  # half of the degrees of freedom, for which Stirling's series serves
_SPREAD = 12.0  # standard deviations beyond which a normal law has nothing


def mean_absolute(mean: Numbers, std: Numbers) -> Float[Array, "..."]:
    """``E |N(mean, std^2)|``; ``|mean|`` where ``std`` is 0."""
    spread = std > 0
    scale = jnp.where(spread, std, 1)
    x = jnp.where(spread, mean / scale, 1)
    return jnp.where(
        spread, scale * (2 * normal_pdf(x) + x * (2 * normal_cdf(x) - 1)), jnp.abs(mean)
    )


def student_mean_absolute(mean: Numbers, scale: Numbers, freedom: Scalar) -> Float[Array, "..."]:
    """``E |mean + scale T|`` for Student's T with ``freedom > 1``, in closed form.

    ``scale (c (1 - 2 F(-c)) + 2 (nu + c^2) / (nu - 1) f(c))``, ``c = mean / scale``, with the
    distribution function by the incomplete beta function.
    """
    spread = scale > 0
    safe = jnp.where(spread, scale, 1)
    c = jnp.where(spread, jnp.abs(mean) / safe, 1)
    inside = 1 - jax.scipy.special.betainc(freedom / 2, 0.5, freedom / (freedom + c**2))
    density = jnp.exp(_log_student(c, freedom))
    value = safe * (c * inside + 2 * (freedom + c**2) / (freedom - 1) * density)
    return jnp.where(spread, value, jnp.abs(mean))


def log_moment(mean: Scalar, std: Scalar, order: Scalar) -> Float[Array, ""]:
    """``log E |N(mean, std^2)|^order`` for ``order >= 1``; ``-inf`` for ``mean = std = 0``."""
    return _log_moment(mean, std, order, lambda t: -(t**2 + math.log(2 * math.pi)) / 2)


def student_log_moment(
    mean: Scalar, scale: Scalar, order: Scalar, freedom: Scalar
) -> Float[Array, ""]:
    """``log E |mean + scale T|^order`` for Student's T with ``freedom > order``."""
    return _log_moment(mean, scale, order, lambda t: _log_student(t, freedom), freedom - order)


def _log_student(t, freedom) -> Array:
    half = freedom / 2
    many = half > _MANY
    near = gammaln(jnp.where(many, 1, half) + 0.5) - gammaln(jnp.where(many, 1, half))
    # Stirling's series of the difference, each term of which would cancel.
    far = jnp.log(half) / 2 - 1 / (8 * half) + 1 / (192 * half**3)
    constant = jnp.where(many, far, near) - jnp.log(jnp.pi * freedom) / 2
    return constant - (freedom + 1) / 2 * jnp.log1p(t**2 / freedom)


def _log_moment(mean, scale, order, log_density, decay=None) -> Array:
    """``decay``: beyond the last panels the integrand falls like ``t^(-1 - decay)``."""
    spread = scale > 0
    safe = jnp.where(spread, scale, 1)
    cut = -jnp.where(spread, mean / safe, 0)
    sizes = 2.0 ** jnp.arange(_SMALLEST, _LARGEST, dtype=float)
    # A normal law, of which a large power sits far out: steps of its width.
    steps = jnp.arange(1, 65, dtype=float)
    centre = lax.stop_gradient(cut)
    edges = jnp.sort(
        jnp.concatenate([-sizes, jnp.zeros(1), sizes, -steps, steps, centre - sizes, centre[None],
                         centre + sizes])
    ).astype(sizes.dtype)  # fmt: skip
    t, weight = panel_rule(edges, _ORDER)
    size = jnp.abs(t - cut)
    positive = (size > 0) & (weight > 0)
    logarithm = jnp.log(jnp.where(positive, size, 1))
    terms = order * logarithm + log_density(t) + jnp.log(jnp.where(positive, weight, 1))
    total = logsumexp(jnp.where(positive, terms, -jnp.inf))
    if decay is not None:
        for end in (edges[0], edges[-1]):
            tail = order * jnp.log(jnp.abs(end - cut)) + log_density(end)
            total = jnp.logaddexp(total, tail + jnp.log(jnp.abs(end)) - jnp.log(decay))
    found = total + order * jnp.log(safe)
    point = jnp.where(mean != 0, jnp.abs(mean), 1)
    still = jnp.where(mean != 0, order * jnp.log(point), -jnp.inf)
    return jnp.where(spread, found, still)


def largest_of_normals(mean: Float[Array, " dim"], std: Float[Array, " dim"]) -> Float[Array, ""]:
    """``E max_k |N(mean_k, std_k^2)| = int_0^inf 1 - prod_k P(|N_k| <= x) dx``.

    Variates without spread are constants, below which the maximum never is.
    """
    size, spread = jnp.abs(mean), std > 0
    floor = jnp.max(jnp.where(spread, 0, size))
    safe = jnp.where(spread, std, 1)
    reach = lax.stop_gradient(jnp.max(jnp.where(spread, size + _SPREAD * safe, 0)))
    low = lax.stop_gradient(jnp.minimum(floor, reach))
    # Panels that resolve the widest law, and finer ones about where the product rises.
    wide = jnp.linspace(0, 1, 161)
    x, weight = panel_rule(low + (reach - low) * wide, _ORDER)
    x, size, safe = x[:, None], size[None, :], safe[None, :]
    below = normal_cdf((x - size) / safe) - normal_cdf((-x - size) / safe)
    log_below = jnp.log(jnp.maximum(below, jnp.finfo(below.dtype).tiny))
    log_inside = jnp.where(spread[None, :], log_below, 0)
    return floor + weight @ -jnp.expm1(jnp.sum(log_inside, axis=1))
