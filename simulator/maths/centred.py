"""Statistics of a replicate in units of their spread, minus their means: control variates.

A smooth output follows them to first order and their products to second order. Both have mean 0 at
every size where their means and covariances are exact.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from simulator.maths.slopes import ratio
from simulator.runtime.shapes import Numbers, Scalar


def centred_chi_square(value: Numbers, freedom: Numbers) -> Float[Array, "..."]:
    """A chi-square variate in standard deviations from its mean; 0 where it has no freedom."""
    return (value - freedom) * jnp.sqrt(ratio(1.0, 2.0 * freedom))


def centred_products(
    statistics: Float[Array, "... count"], covariance: Float[Array, "... count count"] | None = None
) -> Float[Array, "... pairs"]:
    """Products of statistics of mean 0, each pair once, minus their means.

    ``covariance`` is that of the statistics; without it they are uncorrelated, of variance 1.
    """
    count = statistics.shape[-1]
    mean = jnp.eye(count, dtype=float) if covariance is None else covariance
    entries = np.triu_indices(count)
    return (statistics[..., :, None] * statistics[..., None, :] - mean)[..., *entries]


def centred_size(normal: Numbers, spread: Numbers = 1.0) -> Float[Array, "2 ..."]:
    """Two statistics of the size of normal numbers of this spread, in units of it.

    ``z^2`` and ``exp(-z^2/2)`` minus their means, 0 without a spread: between them they make up
    ``|z|`` to a sixtieth of its variance, and what is left has the kurtosis of a normal number
    (``z^4`` in place of the second leaves three times as much, in heavy tails).
    """
    square = ratio(normal, spread) ** 2
    statistics = jnp.stack([square - 1, jnp.exp(-square / 2) - 0.5**0.5])
    return jnp.where(jnp.asarray(spread) > 0, statistics, 0)


def centred_beta(value: Scalar, a: Scalar, b: Scalar) -> Float[Array, " 3"]:
    """First three powers of a beta variate minus their means.

    They leave a fifth to a seventh of the variance of whether ``x`` is beyond a number in the
    middle of its law.
    """
    order = jnp.arange(3.0)
    means = jnp.cumprod((a + order) / (a + b + order))
    return value ** (order + 1) - means
