"""Mean logarithm and mean root of ``a + s chi^2_k + s_1 chi^2_1``, by one-dimensional integrals.

With ``phi(t) = E e^{-tY}`` for the variable ``Y`` divided by its mean,

    E log Y      = integral (e^{-t} - phi) dt/t,
    1 - E sqrt Y = (4 pi)^{-1/2} integral (phi - e^{-t}) t^{-3/2} dt:

trapezoidal sums in log t, to rounding. Both differences are taken without cancellation, so that
they keep their digits when ``Y`` hardly varies (``k -> inf``).
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

_STEP = 0.1
_LOG_T = np.arange(-70, 70 + _STEP / 2, _STEP)


class LogAndRoot(NamedTuple):
    """Of ``Y`` with mean 1."""

    log: Array  # E log Y <= 0
    root: Array  # E sqrt Y - 1 <= 0


def log_and_root(a: Array, s: Array, freedom: Array, s1: Array) -> LogAndRoot:
    """Entry by entry for arrays of one shape; ``freedom`` is real and positive, or ``s`` is 0."""
    mean = a + s * freedom + s1
    a, s, s1, k = (x[..., None] for x in (a / mean, s / mean, s1 / mean, freedom))
    t = jnp.asarray(np.exp(_LOG_T), float)
    cumulant = a * t + k / 2 * jnp.log1p(2 * s * t) + jnp.log1p(2 * s1 * t) / 2  # -log phi
    near = t < 1
    difference = jnp.exp(-t) * jnp.expm1(jnp.where(near, t - cumulant, 0))
    difference = jnp.where(near, difference, jnp.exp(-cumulant) - jnp.exp(-t))  # phi - e^-t
    log = -_STEP * jnp.sum(difference, axis=-1)
    root = -_STEP * jnp.sum(difference / jnp.sqrt(t), axis=-1) / np.sqrt(4 * np.pi)
    return LogAndRoot(log, root)
