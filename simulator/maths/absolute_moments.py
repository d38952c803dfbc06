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

from simulator.maths.beta import beta_tails
from simulator.maths.gaussian import normal_cdf, normal_pdf
from simulator.maths.quadrature import panel_rule
from simulator.maths.roots import bisected
from simulator.maths.slopes import only_slope
from simulator.runtime.shapes import Numbers, Scalar

_ORDER = 12  # nodes of a panel
_SMALLEST, _LARGEST = -16, 50  # powers of two: lengths of panels
_MANY = 200.0  # half of the degrees of freedom, for which Stirling's series serves
_SPREAD = 12.0  # standard deviations beyond which a normal law has nothing
_NOTHING = -45.0  # logarithm of a probability that is none
_HALVINGS = 80  # of the interval in which the largest of several may be
_PANELS = 80  # of equal length
_SHARPEST = 16  # laws that get panels of their own,
_STEPS = (-9.0, -6.0, -3.0, -1.5, 0.0, 1.5, 3.0, 6.0, 9.0)  # in standard deviations


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

    ``scale (c (1 - 2 F(-c)) + 2 (nu + c^2) / (nu - 1) f(c))``, ``c = mean / scale``, where ``T^2 /
    (nu + T^2)`` has a beta law, whose tails have derivatives in ``nu``, too.
    """
    spread = scale > 0
    safe = jnp.where(spread, scale, 1)
    c = jnp.where(spread, jnp.abs(mean) / safe, 1)
    share = jnp.minimum(c**2 / (freedom + c**2), 1 - jnp.finfo(c.dtype).eps)
    shapes = jnp.full_like(freedom, 0.5), freedom / 2
    inside = jnp.vectorize(lambda x: beta_tails(*shapes, x)[0])(share)
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
    top = jnp.where(spread, size + _SPREAD * safe, 0)
    reach = lax.stop_gradient(jnp.max(top))
    low = jnp.minimum(floor, reach)

    def log_inside(x):
        """``log P(all |N_k| <= x)``."""
        below = normal_cdf((x - size) / safe) - normal_cdf((-x - size) / safe)
        logarithm = jnp.log(jnp.maximum(below, jnp.finfo(below.dtype).tiny))
        return jnp.sum(jnp.where(spread, logarithm, 0))

    # Below ``empty`` the maximum never is.
    empty, _ = bisected(lambda x: ~(log_inside(x) < _NOTHING), 0 * reach, reach, _HALVINGS)
    start = jnp.maximum(low, empty)
    # Equal panels, and panels as wide as the narrowest laws that reach into them.
    sharpest = jnp.argsort(jnp.where(spread & (top > start), safe, jnp.inf))[:_SHARPEST]
    steps = size[sharpest, None] + jnp.outer(safe[sharpest], jnp.asarray(_STEPS, float))
    equal = start + (reach - start) * jnp.linspace(0, 1, _PANELS + 1)
    edges = jnp.sort(jnp.concatenate([equal, jnp.clip(steps, start, reach).ravel()]))
    x, weight = panel_rule(lax.stop_gradient(edges), _ORDER)
    outside = -jnp.expm1(jax.vmap(log_inside)(x))
    moving = only_slope(start) * -jnp.expm1(lax.stop_gradient(log_inside(start)))
    return floor + (start - low) + weight @ outside - moving
