"""Errors of least squares with Gaussian inputs, drawn without inputs.

Let ``X`` have ``N >= dim`` rows ``N(0, Sigma)`` and ``e ~ N(0, I)``. Then, exactly,

    Sigma^(1/2) (X^T X)^-1 X^T e  =  g / chi_{N - dim + 1}   in law,   g ~ N(0, I_dim),

a multivariate t variate (from ``(X^T X)^-1 X^T e | X ~ N(0, (X^T X)^-1)`` and Bartlett's
decomposition). Least squares returns its labeller plus such an
increment, so a chain of generations is a sum of them; given the chi variates the sum is Gaussian.
All increments here are *whitened*: multiply by ``Sigma^(-1/2)`` for weights, take the plain squared
norm for the error ``||.||^2_Sigma``. Sample sizes and numbers of generations may be traced.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.runtime.shapes import RandomKey, Scalar
from simulator.sampling.gamma import chi_square


def least_squares_increment(
    key: RandomKey, num_samples: Scalar, dim: int, num_generations: Scalar = 1
) -> Float[Array, " dim"]:
    """Sum of the whitened errors of independent fits to unit label noise; shape (dim,).

    Parameters
    ----------
    key : key
    num_samples : int
        Rows ``N >= dim`` of every fit; may be traced.
    dim : int
        Static.
    num_generations : int
        May be traced. No generation gives 0.
    """
    key_normal, key_scale = jax.random.split(key)
    scale, _ = increment_variance(key_scale, num_samples, dim, num_generations)
    return jnp.sqrt(scale) * jax.random.normal(key_normal, (dim,), float)


def increment_variance(
    key: RandomKey, num_samples: Scalar, dim: Scalar, num_generations: Scalar = 1
) -> tuple[Float[Array, ""], Float[Array, " 2"]]:
    """Variance of every entry of the sum, given the designs: ``sum_m 1/c_m``.

    With it ``sum_m c_m`` and ``sum_m c_m^2``, in units of their degrees of freedom ``N - dim + 1``:
    their means are known.
    """
    freedom = jnp.asarray(num_samples - dim + 1, float)

    def add(generation, totals):
        total, powers = totals
        drawn = chi_square(jax.random.fold_in(key, generation), freedom)
        scale = drawn / freedom
        return total + 1 / drawn, powers + jnp.stack([scale, scale**2])

    start = jnp.zeros((), float), jnp.zeros(2, float)
    return lax.fori_loop(0, num_generations, add, start)
