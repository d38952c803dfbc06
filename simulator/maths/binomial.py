"""The binomial law at any size: probabilities, lower tails, mean absolute deviations, averages.

`gammaln` and `betainc` lose all digits for n ~ 1e12 trials. Here everything is built on Loader's
saddle-point form of the probabilities (C. Loader, "Fast and accurate computation of binomial
probabilities", 2000),

    log b(k; n, q) = s(n) - s(k) - s(n-k) - D(k, nq) - D(n-k, n(1-q)),
    D(x, mu) = x log(x / mu) + mu - x,      s(x) = log x! - x log x + x,

in which no term is much larger than the result.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import gammaln, xlogy
from jaxtyping import Array, Float

from simulator.maths.quadrature import unit_rule
from simulator.runtime.precision import float_dtype
from simulator.runtime.shapes import Numbers

_EXPLICIT = 32
_NODES = 16


def log_probability(k: Numbers, n: Numbers, q: Numbers) -> Float[Array, "..."]:
    """``log P(Binomial(n, q) = k)`` for real ``0 <= k <= n`` and ``0 < q < 1``."""
    entropy = _deviance(k, n * q) + _deviance(n - k, n * (1 - q))
    return _stirling(n) - _stirling(k) - _stirling(n - k) - entropy


def _deviance(x, mu):
    mu = jnp.maximum(mu, jnp.finfo(float_dtype()).tiny)
    is_near = jnp.abs(x - mu) < 0.05 * mu
    # No quotient by mu elsewhere: its derivative overflows where mu is tiny.
    near = jnp.where(is_near, x - mu, 0.0) / jnp.where(is_near, mu, 1.0)
    series = near**2 * (1 / 2 - near * (1 / 6 - near * (1 / 12 - near * (1 / 20 - near / 30))))
    far = jnp.where(is_near, 1.0, x)
    # x = 0: xlogy has no derivative in mu.
    log_ratio = jnp.log(jnp.where(far > 0, far, 1.0)) - jnp.log(mu)
    return jnp.where(is_near, mu * series, far * log_ratio + mu - far)


def _stirling(x):
    """``log x! - x log x + x``: 0 at 0."""
    small = x < 16
    low = jnp.where(small, x, 1.0)
    exact = gammaln(low + 1) - xlogy(low, low) + low
    return jnp.where(small, exact, _stirling_series(jnp.where(small, 16.0, x)))


def _stirling_series(x):
    inverse = 1 / x**2
    return jnp.log(2 * np.pi * x) / 2 + (1 / 12 - inverse * (1 / 360 - inverse / 1260)) / x


def lower_tail_ratio(m: Numbers, n: Numbers, q: Numbers) -> Float[Array, "..."]:
    """``P(N <= m) / P(N = m)`` for ``m`` up to the mean of ``N ~ Binomial(n, q)``.

    32 terms from ``m`` downwards, the rest by Gauss-Legendre on the midpoint-corrected integral.
    """
    m, n, q = jnp.broadcast_arrays(*(jnp.asarray(v, float) for v in (m, n, q)))
    m, n, q = m[..., None], n[..., None], q[..., None]
    j = jnp.arange(_EXPLICIT - 1, dtype=float)
    ratio = jnp.maximum(m - j, 0) * (1 - q) / (jnp.maximum(n - m + j + 1, 1) * q)
    explicit = 1 + jnp.sum(jnp.cumprod(ratio, -1), -1)

    # Beyond: only for m > 32, where Stirling's series serves the whole range.
    start = _EXPLICIT - 0.5
    many = jnp.maximum(m, start - 0.5)
    trials = jnp.maximum(n, many + 16)
    length = jnp.minimum(10 * jnp.sqrt(trials * q) + 1, many + 0.5 - start)

    def relative(j):
        k = jnp.maximum(many - j, 0.5)
        changed = _stirling_series(k) + _stirling_series(trials - k)
        changed = changed + _deviance(k, trials * q) + _deviance(trials - k, trials * (1 - q))
        return -changed

    at_m = relative(jnp.zeros_like(many))
    nodes, weights = unit_rule(_NODES)
    rest = jnp.exp(relative(start + length * nodes) - at_m) @ weights
    before = jnp.exp(relative(start - 0.5 + jnp.zeros_like(many)) - at_m)[..., 0]
    after = jnp.exp(relative(start + 0.5 + jnp.zeros_like(many)) - at_m)[..., 0]
    rest = rest * length[..., 0] + (after - before) / 24
    return explicit + jnp.where(m[..., 0] > start, rest, 0.0)


def mean_absolute_deviation(
    n: Numbers, q: Numbers, a: Numbers, below: Numbers | None = None
) -> Float[Array, "..."]:
    """``E|N - a|`` for ``N ~ Binomial(n, q)`` and ``0 <= a <= n q``, to about 1e-9 relative.

    ``(nq - a)(1 - 2 P(N <= m)) + 2 n q (1-q) P(Binomial(n-1, q) = m)`` with ``m = floor(a)``; De
    Moivre's formula if ``a = nq``.

    Parameters
    ----------
    below : array, optional
        ``m``, if not ``floor(a)``: a real value within 1 below ``a`` gives the smooth function
        whose average over the phase ``a - m`` is that of ``E|N - a|``.
    """
    tiny = jnp.finfo(float_dtype()).tiny
    q = jnp.clip(q, tiny, 1 - 4 * jnp.finfo(float_dtype()).eps)
    m = lax.stop_gradient(jnp.floor(a) if below is None else below)
    m = jnp.clip(m, 0, jnp.maximum(n - 1, 0))
    log_fewer = log_probability(m, jnp.maximum(n - 1, 0), q)
    at_m = jnp.exp(log_fewer + jnp.log(n * (1 - q) / (n - m)))  # b(m; n, q) from b(m; n-1, q)
    cdf = jnp.minimum(at_m * lower_tail_ratio(m, n, q), 1)
    return (n * q - a) * (1 - 2 * cdf) + 2 * n * q * (1 - q) * jnp.exp(log_fewer)


def poisson_mean_absolute_deviation(
    rate: Numbers, below: Numbers | None = None
) -> Float[Array, "..."]:
    """``h(lambda) = E|N - lambda| = 2 e^-lambda lambda^{m+1} / m!``, ``m = floor(lambda)``."""
    m = lax.stop_gradient(jnp.floor(rate) if below is None else below)
    return 2 * rate * jnp.exp(-_stirling(m) - _deviance(m, rate))


def expectation_nodes(
    n: Numbers, q: Float[Array, "*laws"], count: int = 121, spacing: float = 0.2
) -> tuple[Float[Array, "*laws count"], Float[Array, "*laws count"], Float[Array, "*laws"]]:
    """Whole numbers k, weights and stride of ``E f(N) = sum weight f(k)``, ``N ~ Binomial(n, q)``.

    ``count`` values around the mean, at the stride nearest below ``spacing`` standard deviations
    or at stride 1, the exact sum: so up to a standard deviation of ``2 / spacing``. Coarser strides
    are a trapezoidal rule, exact on smooth ``f`` but blind to kinks between its nodes.
    ``count * spacing`` of 24 reaches 6 standard deviations to either side.
    """
    q = jnp.clip(q, jnp.finfo(float_dtype()).tiny, 1 - 4 * jnp.finfo(float_dtype()).eps)
    mean = lax.stop_gradient(n * q)
    std = lax.stop_gradient(jnp.sqrt(n * q * (1 - q)))
    stride = jnp.maximum(jnp.floor(spacing * std), 1)
    offsets = jnp.arange(count, dtype=float) - round(0.46 * count)
    k = jnp.round(mean)[..., None] + stride[..., None] * offsets
    n, q = jnp.asarray(n, float)[..., None], q[..., None]
    possible = (k >= 0) & (k <= n)
    k = jnp.clip(k, 0, n)
    weight = jnp.where(possible, jnp.exp(log_probability(k, n, q)), 0.0)
    return k, weight / weight.sum(-1, keepdims=True), stride
