"""Special functions of sums over ranks: zeta functions and a scaled incomplete gamma function."""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from simulator.runtime.shapes import Numbers

# B_{2m} / (2m)! of the Euler-Maclaurin formula, m = 1..6
_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000)


def hurwitz_zeta(s: Numbers, q: Numbers = 1.0) -> Float[Array, "..."]:
    """``zeta(s, q) = sum_{j>=0} (q + j)^-s``, continued analytically to ``s < 1``.

    ``jax.scipy.special.zeta`` needs ``s > 1`` and has no derivative in ``s``; this one is the
    Euler-Maclaurin formula at ``q + 16``, right to 1e-14 for ``-1 <= s <= 30``, ``q > 0``.
    """
    s, q = (jnp.asarray(value, float) for value in (s, q))
    x = q + 16
    total = _explicit_terms(s, q)
    total = total + jnp.exp((1 - s) * jnp.log(x)) / (s - 1) + jnp.exp(-s * jnp.log(x)) / 2
    return _with_end_terms(total, s, x)


def zeta_without_pole(s: Numbers) -> Float[Array, "..."]:
    """``zeta(s) - 1 / (s - 1)``, also at ``s = 1`` (Euler's constant)."""
    s = jnp.asarray(s, float)
    q = jnp.ones_like(s)
    x = q + 16
    total = _explicit_terms(s, q) - jnp.log(x) * relative_expm1((1 - s) * jnp.log(x))
    return _with_end_terms(total + jnp.exp(-s * jnp.log(x)) / 2, s, x)


def relative_expm1(y: Numbers) -> Float[Array, "..."]:
    """``(e^y - 1) / y``, 1 at 0; its derivatives do not cancel there."""
    small = jnp.abs(y) < 0.5
    near, far = jnp.where(small, y, 0), jnp.where(small, 1, y)
    series = jnp.ones_like(y)
    for k in range(15, 1, -1):  # 1 + y/2 (1 + y/3 (1 + ...))
        series = 1 + near / k * series
    return jnp.where(small, series, jnp.expm1(far) / far)


def _explicit_terms(s, q):
    terms = jnp.arange(16, dtype=float)
    return jnp.sum(jnp.exp(-s[..., None] * jnp.log(q[..., None] + terms)), -1)


def _with_end_terms(total, s, x):
    rising = s * jnp.exp(-(s + 1) * jnp.log(x))  # s (s+1) ... (s+2m-2) x^{-s-2m+1}
    for m, weight in enumerate(_BERNOULLI, start=1):
        total = total + weight * rising
        rising = rising * (s + 2 * m - 1) * (s + 2 * m) / x**2
    return total


_SERIES_TERMS = 48
_LAGUERRE_NODES = 24
_SWITCH = 6.0


def scaled_lower_gamma(a: Numbers, z: Numbers) -> Float[Array, "..."]:
    """``g(a, z) = int_0^1 u^{a-1} e^{-zu} du = z^-a gamma(a, z)`` for ``a > 0``, ``z >= 0``.

    Small ``z``: ``e^-z sum_n z^n / (a (a+1) ... (a+n))`` (Abramowitz and Stegun 6.5.29). Large
    ``z``: ``z^-a Gamma(a) - (e^-z / z) int_0^inf e^-s (1 + s/z)^{a-1} ds`` by Gauss-Laguerre.
    Regular at ``z = 0`` (``1/a``) and differentiable in both arguments.
    """
    a, z = jnp.broadcast_arrays(jnp.asarray(a, float), jnp.asarray(z, float))
    small = z < _SWITCH

    near = jnp.where(small, z, 1.0)
    orders = jnp.arange(1, _SERIES_TERMS, dtype=float)
    ratios = near[..., None] / (a[..., None] + orders)
    series = jnp.exp(-near) / a * (1 + jnp.sum(jnp.cumprod(ratios, -1), -1))

    far = jnp.where(small, _SWITCH, z)
    nodes, weights = np.polynomial.laguerre.laggauss(_LAGUERRE_NODES)
    powers = jnp.exp((a[..., None] - 1) * jnp.log1p(jnp.asarray(nodes, z.dtype) / far[..., None]))
    upper = jnp.exp(-far) / far * (powers @ jnp.asarray(weights, z.dtype))
    return jnp.where(small, series, jnp.exp(gammaln(a) - a * jnp.log(far)) - upper)
