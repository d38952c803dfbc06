"""Ridge regression of one small dense problem, on either side of the interpolation threshold."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.linalg import cho_factor, cho_solve, solve_triangular
from jaxtyping import Array, Bool, Float

from simulator.runtime.shapes import Scalar

#: Ridges below this share of the largest eigenvalue are not taken from an eigendecomposition: it
#: resolves eigenvalues against the largest, and not below it.
RESOLVED = 1e-6


def ridge_solution(
    design: Float[Array, "rows dim"],
    targets: Float[Array, "rows columns"],
    penalty: Scalar,
    active: Bool[Array, " rows"] | None = None,
) -> Float[Array, "dim columns"]:
    """``argmin ||design w - targets||^2 + penalty ||w||^2`` for every column of targets.

    Without penalty it is the least-squares solution of smallest norm, for a design of full rank.

    Parameters
    ----------
    design : array (rows, dim)
    targets : array (rows, columns)
        Zero on inactive rows.
    penalty : float >= 0
        Total penalty: samples times ridge, for a mean-square loss.
    active : bool array (rows,), optional
        Rows that are there; the design must be zero on the others. All rows unless given.

    Notes
    -----
    By Cholesky on the smaller side. The dual side, ``X^T (X X^T + penalty)^-1 y``, needs no
    penalty for fewer rows than columns; an inactive row gets a one on the diagonal.
    """
    rows, dim = design.shape
    identity = jnp.eye(min(rows, dim), dtype=float)
    if rows > dim:
        factor = cho_factor(design.T @ design + penalty * identity, lower=True)
        return cho_solve(factor, design.T @ targets)
    missing = 0.0 if active is None else jnp.where(active, 0.0, 1.0)
    gram = design @ design.T + (penalty + missing) * identity
    return design.T @ cho_solve(cho_factor(gram, lower=True), targets)


def factor_solution(
    factor: Float[Array, "dim dim"],
    active: Bool[Array, " dim"],
    scale: Float[Array, " dim"],
    targets: Float[Array, "dim columns"],
    num_samples,
    ridge,
) -> Float[Array, "dim columns"]:
    """`ridge_solution` for the design ``factor * scale``, ``factor`` triangular (trapezoidal).

    Parameters
    ----------
    factor, active : as `simulator.sampling.trapezoid` draws them, for ``num_samples`` rows.
    scale : array (dim,)
        Standard deviations of the inputs.
    ridge : float >= 0
        Penalty of the mean-square loss.
    """
    dim = len(scale)
    solution = ridge_solution(factor * scale, targets, num_samples * ridge, active)
    # Without ridge a factor of full rank is inverted, not squared: half the digits lost.
    overdetermined = num_samples >= dim
    whole = jnp.where(overdetermined, factor, jnp.eye(dim, dtype=float))
    inverted = solve_triangular(whole, targets) / scale[:, None]
    return jnp.where((ridge == 0) & overdetermined, inverted, solution)


def smallest_norm(design: Array, penalty):
    """Ridge regression by an eigendecomposition, for designs of any rank.

    Returns ``solve(targets) -> argmin ||design w - targets||^2 + penalty ||w||^2``, for every
    column of targets; without penalty the least-squares solution of smallest norm.
    """
    num_rows, num_columns = design.shape
    dual = num_rows < num_columns
    values, vectors = jnp.linalg.eigh(design @ design.T if dual else design.T @ design)
    cutoff = num_rows * num_columns * jnp.finfo(values.dtype).eps * jnp.max(values)
    total = jnp.where(values > cutoff, values, 0) + penalty
    inverse = jnp.where(total > 0, 1 / jnp.where(total > 0, total, 1), 0)[:, None]

    def solve(labels):
        if dual:
            return design.T @ (vectors @ (inverse * (vectors.T @ labels)))
        return vectors @ (inverse * (vectors.T @ (design.T @ labels)))

    return solve


class Eigenbasis(NamedTuple):
    """Inputs in the eigenbasis ``V`` of ``S = X^T X/n``, where all ridge fits are diagonal."""

    eigenvalues: Float[Array, " dim"]  # of S: 0 where fewer samples leave none
    vectors: Float[Array, "dim dim"]  # V
    variances: Float[Array, " dim"]  # diagonal of V^T Σ V

    @classmethod
    def of(cls, gram: Float[Array, "dim dim"], variances: Float[Array, " dim"], num_samples):
        """Of inputs of these variances; ``gram`` is their Gram matrix over ``n`` when whitened."""
        scale = jnp.sqrt(variances)
        values, vectors = jnp.linalg.eigh(scale[:, None] * gram * scale)
        full_rank = jnp.arange(len(values)) >= len(values) - num_samples  # they ascend
        return cls(jnp.where(full_rank, values, 0), vectors, variances @ vectors**2)

    def fit(self, ridge):
        """``S (S + ridge)^-1``, what it lacks of 1, and ``S (S + ridge)^-2``, all as diagonals."""
        positive = self.eigenvalues > 0
        total = jnp.where(positive, self.eigenvalues + ridge, 1)
        keep = jnp.where(positive, self.eigenvalues / total, 0)
        return keep, jnp.where(positive, ridge / total, 1), keep / total
