"""The trapezoidal chi/normal factor of a Gaussian matrix (Bartlett's decomposition).

Let ``Z`` be ``N x dim`` with independent standard normal entries. Its QR factor ``U = Q^T Z`` is
upper trapezoidal with independent entries: ``U_ii = chi_{N-i}`` (``i = 0, 1, ...``),
``U_ij ~ N(0, 1)`` for ``j > i`` and no rows beyond ``N``. Hence ``U^T U = Z^T Z ~
Wishart(N, I)`` (singular if ``N < dim``), and with labels ``Z w + e``, ``e ~ N(0, s^2 I)``, the
pair ``(Z^T Z, Z^T y)`` has the law of ``(U^T U, U^T (U w + e'))`` with ``e'`` a fresh ``N(0, s^2)``
on the active rows. Exact at every size; the cost does not depend on ``N``, which may be traced.

References
----------
M. S. Bartlett, "On the theory of statistical regression" (1933); R. J. Muirhead, "Aspects of
Multivariate Statistical Theory" (1982), theorem 3.2.14.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from simulator.runtime.shapes import RandomKey, Scalar
from simulator.sampling.gamma import chi


def trapezoidal_factor(key: RandomKey, num_samples: Scalar, dim: int) -> Float[Array, "dim dim"]:
    """``U`` with ``U^T U ~ Wishart(num_samples, I_dim)``, upper triangular, inactive rows zero.

    Parameters
    ----------
    key : key
    num_samples : int
        Rows ``N >= 0`` of the Gaussian matrix; may be traced, and smaller or larger than ``dim``.
    dim : int
        Columns of the Gaussian matrix (static).

    Returns
    -------
    Array of shape (dim, dim)
    """
    key_diagonal, key_normal = jax.random.split(key)
    top = (dim + 1) // 2
    diagonal = chi(key_diagonal, num_samples - jnp.arange(dim))
    active = active_rows(num_samples, dim)[:, None]
    normal = jax.random.normal(key_normal, (top, dim), float)
    first = jnp.where(active[:top], jnp.triu(normal, 1), 0)
    # The lower triangle of the first square block is free: transposed, it serves as the last block.
    last = jnp.where(active[top:], jnp.triu(normal[: dim - top, : dim - top].T, 1), 0)
    factor = jnp.zeros((dim, dim), float)
    factor = factor.at[:top].set(first + jnp.eye(top, dim, dtype=float) * diagonal[:top, None])
    return factor.at[top:, top:].set(last + jnp.diag(diagonal[top:]))


def active_rows(num_samples: Scalar, dim: int) -> Bool[Array, " dim"]:
    """Which rows of the factor carry data: the first ``min(num_samples, dim)``; shape (dim,)."""
    return jnp.arange(dim) < num_samples
