"""Isotropic ridge regression from 2 dim chi-square variates.

Golub-Kahan bidiagonalisation of an ``N x dim`` Gaussian matrix ``X``, started at any fixed unit
vector ``u``, leaves ``X = P B Q^T`` with ``Q e_1 = u`` and ``B`` upper bidiagonal with independent
entries (J. W. Silverstein 1985; I. Dumitriu, A. Edelman 2002):

    diagonal      chi_N, chi_{N-1}, ...        superdiagonal  chi_{dim-1}, chi_{dim-2}, ...

with ``min(N, dim)`` rows. Ridge regression with ``S = B^T B/N``, ``A = S + ridge`` then has,
exactly in law and jointly for all penalties,

    bias per ||w0||^2       ridge^2 ||A^-1 e_1||^2           (w0 along u)
    noise per sigma^2       tr(A^-2 S) / N = -d df1 / d ridge / N,      df1 = tr(A^-1 S)
    df2                     tr(A^-1 S)^2 = df1 - ridge tr(A^-2 S).

All come from one backward sweep over the factors of the tridiagonal ``A = U D U^T`` and their
first two derivatives in ``log ridge``: O(dim) per penalty, no matrix, no LAPACK. The sweep is
written like the differential qd algorithm, with positive terms, so that small penalties lose no
digits; ``ridge = 0`` is the limit, least squares of smallest norm. Only ``df2`` is a difference: a
ridge far above all eigenvalues of ``S`` costs it digits.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.runtime.shapes import Numbers, RandomKey, Scalar
from simulator.sampling.gamma import chi_square


class IsotropicRidge(NamedTuple):
    """Isotropic ridge regression given its inputs, averaged over label noise; for each penalty."""

    bias: Float[Array, "*ridges"]  # ||noise-free fit - w0||^2 / ||w0||^2
    noise: Float[Array, "*ridges"]  # E ||response to label noise of variance 1||^2
    df2: Float[Array, "*ridges"]  # E ||noise-free fit||^2 to labels of standard normal weights


def isotropic_ridge(
    entries: tuple[Float[Array, " dim"], Float[Array, " dim-1"]],
    num_samples: Scalar,
    ridges: Numbers,
) -> IsotropicRidge:
    """``(X^T X/N + ridge)^-1 X^T y/N`` for all penalties of one draw of ``X``.

    Parameters
    ----------
    entries : arrays (dim,), (dim - 1,)
        The draw, as `squared_bidiagonal` gives it.
    num_samples : int
        ``N >= 1``; may be traced.
    ridges : float or array
        Penalties ``>= 0``.
    """
    diagonal, superdiagonal = entries
    ridges = jnp.asarray(ridges, float)
    # The limit ridge -> 0 to working precision; the square of the floor still does not vanish.
    ridges = jnp.maximum(ridges, float(jnp.finfo(ridges.dtype).tiny) ** 0.4)

    def row(carry, entries):
        # The rows below are done. Pivot = above + below, and below, as a function of log ridge,
        # has the logarithmic derivative ``keep = 1 - lose`` and the second one ``bend``;
        # ``curvature`` sums the second derivatives of the log pivots, ``df1`` what their first
        # ones lack of one.
        below, keep, lose, bend, curvature, df1 = carry
        here, above = entries
        pivot = above + below
        rest, own = below / pivot, above / pivot
        squeeze = own * rest * keep**2
        curvature = curvature + rest * bend + squeeze
        df1 = df1 + own + rest * lose
        gain = here * rest
        new = ridges + gain
        share, gained = ridges / new, gain / new
        untouched = lose + keep * rest
        bend = gained * (share * untouched**2 + own * bend - squeeze)
        keep = share + gained * own * keep
        return (new, keep, gained * untouched, bend, curvature, df1), None

    last = diagonal[-1]
    below = ridges + last
    keep, lose = ridges / below, last / below
    none = jnp.zeros_like(ridges)
    start = (below, keep, lose, keep * lose, none, none)
    sweep, _ = lax.scan(row, start, (diagonal[:-1], superdiagonal), reverse=True)
    first, keep, lose, bend, curvature, df1 = sweep
    slope = curvature + bend  # -d df1 / d log ridge
    return IsotropicRidge(
        bias=keep * ridges / first,
        noise=slope / (ridges * jnp.asarray(num_samples, ridges.dtype)),
        df2=df1 + lose - slope,
    )


def squared_bidiagonal(
    key: RandomKey, num_samples: Scalar, dim: int
) -> tuple[Float[Array, " dim"], Float[Array, " dim-1"]]:
    """Squared entries of ``B`` divided by ``num_samples``: diagonal (dim,), superdiagonal (dim-1,).

    Rows beyond ``num_samples`` are zero.
    """
    index = jnp.arange(dim)
    above = jnp.where(index[:-1] < num_samples, dim - 1 - index[:-1], 0)
    entries = chi_square(key, jnp.concatenate([num_samples - index, above]))
    entries = entries / jnp.asarray(num_samples, entries.dtype)
    return entries[:dim], entries[dim:]
