"""A whole ridge path of a linear regression with any covariance, from one eigendecomposition.

The design is drawn as its trapezoidal factor, so the cost does not depend on the sample size, which
may be traced. With ``S = X^T X/N = V diag(mu) V^T`` every penalty costs O(dim^2), and given the
design the average over the label noise is taken analytically:

    bias             ||Sigma^(1/2) ridge (S + ridge)^-1 w0||^2
    noise per sigma^2  tr[Sigma (S + ridge)^-2 S] / N

``ridge = 0`` is the fit of smallest norm. Exact in law at every size.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from simulator.runtime.precision import float_dtype
from simulator.sampling.trapezoid import active_rows, trapezoidal_factor


class Design(NamedTuple):
    """What ridge regression needs of ``N`` inputs ``N(0, diag(eigenvalues))``."""

    rows: Array  # (dim, dim) trapezoidal factor of the inputs, inactive rows zero
    variances: Array  # (dim,) eigenvalues mu of S, ascending, exactly 0 beyond the rank
    directions: Array  # (dim, dim) their eigenvectors, in columns
    active: Array  # (dim,) which eigenvalues are not structurally zero
    num_samples: Array

    def shrinkage(self, ridge) -> Array:
        """``ridge / (mu + ridge)``, 1 in the null space also without ridge; shape (dim,)."""
        total = self.variances + ridge
        return jnp.where(total > 0, ridge / jnp.where(total > 0, total, 1), ~self.active)

    def inverse(self, ridge) -> Array:
        """``1 / (mu + ridge)``, 0 in the null space (pseudo-inverse); shape (dim,)."""
        total = self.variances + ridge
        return jnp.where(self.active, 1 / jnp.where(self.active, total, 1), 0)


class RidgePath(NamedTuple):
    """Squared ``Sigma``-norms along the penalties."""

    bias: Array  # (num_ridges,) noise-free fit minus teacher
    noise: Array  # (num_ridges,) mean response to label noise of variance 1, given the inputs


def draw_design(key: Array, eigenvalues: Array, num_samples) -> Design:
    """Draw the design of ``num_samples`` Gaussian inputs and decompose its covariance."""
    dim = eigenvalues.size
    rows = trapezoidal_factor(key, num_samples, dim) * jnp.sqrt(eigenvalues)
    scaled = rows / jnp.sqrt(jnp.asarray(num_samples, float_dtype()))
    variances, directions = jnp.linalg.eigh(scaled.T @ scaled, symmetrize_input=False)
    active = active_rows(num_samples, dim)[::-1]
    floor = jnp.finfo(variances.dtype).eps * variances[-1] * 1e-3  # rounding may leave mu <= 0
    variances = jnp.where(active, jnp.maximum(variances, floor), 0)
    return Design(rows, variances, directions, active, jnp.asarray(num_samples))


def ridge_path(key: Array, eigenvalues, signal, num_samples, ridges) -> RidgePath:
    """Bias and noise of one draw of the inputs along all penalties.

    Parameters
    ----------
    key : key
    eigenvalues, signal : array (dim,)
        ``lambda_k`` and ``s_k = lambda_k w_k^2`` of `simulator.maths.spectra`.
    num_samples : int
        ``N >= 1``; may be traced.
    ridges : array (num_ridges,)
        Penalties ``>= 0`` of the mean-square loss.
    """
    ridges = jnp.asarray(ridges, float_dtype())
    design = draw_design(key, eigenvalues, num_samples)
    spread = jnp.sqrt(eigenvalues)[:, None] * design.directions  # Sigma^(1/2) V
    teacher = jnp.sqrt(signal / eigenvalues) @ design.directions
    shrinkage = jax.vmap(design.shrinkage)(ridges)
    errors = (shrinkage * teacher) @ spread.T
    # Noise: mu / (mu + ridge)^2 weighs the test variance of every empirical direction.
    inverse = jax.vmap(design.inverse)(ridges)
    weights = design.variances * inverse**2
    noise = weights @ jnp.sum(spread**2, axis=0) / num_samples
    return RidgePath(bias=jnp.sum(errors**2, axis=1), noise=noise)


def ridge_errors(key: Array, eigenvalues, signal, noise_level, num_samples, ridges) -> Array:
    """Excess error ``||Sigma^(1/2) (w - w0)||^2`` of one draw of inputs and labels.

    What `ridge_path` averages over the label noise, with the noise drawn: a single fit per penalty.
    On a CPU the covariance is only brought to tridiagonal form, a third of an eigendecomposition;
    elsewhere, where that form has no fast routine, it is decomposed.

    Parameters
    ----------
    key, eigenvalues, signal, num_samples
        As in `ridge_path`.
    noise_level : float >= 0
        Standard deviation of the label noise.
    ridges : array (num_ridges,)
        Penalties ``> 0``.

    Returns
    -------
    array (num_ridges,)
    """
    ridges = jnp.asarray(ridges, float_dtype())
    count = jnp.asarray(num_samples, float_dtype())
    key_rows, key_noise = jax.random.split(key)
    dim = eigenvalues.size
    rows = trapezoidal_factor(key_rows, num_samples, dim) * jnp.sqrt(eigenvalues)
    noise = noise_level * jax.random.normal(key_noise, (dim,), float_dtype())
    teacher = jnp.sqrt(signal / eigenvalues)
    labels = rows @ teacher + jnp.where(active_rows(num_samples, dim), noise, 0)
    weights = lax.platform_dependent(
        rows.T @ rows / count,
        labels @ rows / count,
        ridges,
        cpu=_solve_tridiagonal,
        default=_solve_decomposed,
    )
    return jnp.sum(eigenvalues * (weights - teacher) ** 2, axis=1)


def _solve_tridiagonal(covariance: Array, moment: Array, ridges: Array) -> Array:
    """``(covariance + ridge)^-1 moment`` for every ridge, one in each row."""
    packed, diagonal, beside, scales = lax.linalg.tridiagonal(covariance, lower=True)
    reflections = lax.linalg.householder_product(packed[1:, :-1], scales)
    rotated = jnp.concatenate([moment[:1], moment[1:] @ reflections])
    above, below = jnp.pad(beside, (0, 1)), jnp.pad(beside, (1, 0))

    def solve(ridge: Array) -> Array:
        return lax.linalg.tridiagonal_solve(below, diagonal + ridge, above, rotated[:, None])[:, 0]

    solved = jax.vmap(solve)(ridges)
    return jnp.concatenate([solved[:, :1], solved[:, 1:] @ reflections.T], axis=1)


def _solve_decomposed(covariance: Array, moment: Array, ridges: Array) -> Array:
    """The same from the eigendecomposition."""
    variances, directions = jnp.linalg.eigh(covariance, symmetrize_input=False)
    return (moment @ directions / (variances + ridges[:, None])) @ directions.T


def ridge_weights(design: Design, labels: Array, ridges) -> Array:
    """Fitted weights for labels on the factor's rows, along the penalties.

    ``labels`` are ``design.rows @ w`` plus, on the active rows, noise of the model's own variance;
    further columns are further problems with the same inputs, such as generations of one chain.

    Parameters
    ----------
    labels : array (dim, num_problems)
    ridges : array (num_ridges,)

    Returns
    -------
    array (num_ridges, dim, num_problems)
    """
    moment = design.directions.T @ (design.rows.T @ labels) / design.num_samples
    inverse = jax.vmap(design.inverse)(jnp.asarray(ridges, float_dtype()))
    return jnp.einsum("ij,rj,jp->rip", design.directions, inverse, moment)
