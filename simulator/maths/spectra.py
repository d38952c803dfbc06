"""Covariance spectra and the profile of a teacher on their eigenvectors.

A Gaussian linear model depends on the covariance only through its eigenvalues ``lambda_k`` and on
the teacher only through ``s_k = lambda_k w_k^2``, its share of the signal variance on eigenvector
``k``. The squared weights ``w_k^2`` themselves overflow for steep power laws, so they are never
stored.

"power_law" is capacity ``beta`` and source ``r``: ``lambda_k = k^-beta`` and
``s_k ~ k^-(1 + 2 beta r)``, as in arXiv 2402.07712.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from simulator.maths.quadrature import integer_table

SPECTRA = ("isotropic", "power_law")


class Spectrum(NamedTuple):
    """What a linear model needs of its inputs and its teacher, in the eigenbasis of the inputs.

    Build it from a named law with `named_spectrum`, or directly from data: the eigenvalues of the
    covariance and ``eigenvalues * weights**2`` for the teacher's weights in the eigenbasis.
    """

    eigenvalues: Array  # (dim,) lambda_k
    signal: Array  # (dim,) s_k = lambda_k w_k^2


def named_spectrum(
    spectrum: str, dim, exponent, source_exponent, total, size: int | None = None
) -> Spectrum:
    """Eigenvalues and signal profile of one of the named laws in `SPECTRA`.

    ``size`` is the length of the arrays if that is not ``dim``, which may then be traced: the
    entries beyond it are zero.
    """
    return Spectrum(
        eigenvalues(spectrum, dim, exponent, size),
        signal_profile(spectrum, dim, exponent, source_exponent, total, size),
    )


class CompressedSpectrum(NamedTuple):
    """A spectrum by a few eigenvalues that stand for many; see `compressed_power_law`."""

    eigenvalues: Array  # (nodes,) lambda at real ranks
    multiplicity: Array  # (nodes,) how many directions each stands for
    signal: Array  # (nodes,) of all of them together


def compressed_power_law(dim: int, exponent, source_exponent, total) -> CompressedSpectrum:
    """The power law of `named_spectrum` for very many directions, 16 nodes for each doubling.

    Sums over directions of functions of the eigenvalue, such as ``df1`` and ``df2`` with
    ``weights=multiplicity`` (`resolvent`), have a relative error below 1e-12 for exponents up to 6,
    whatever the penalty, and so have sums over the signal for ``1 + 2 beta r`` up to 6.

    Parameters
    ----------
    dim : int
        Number of eigenvalues (static).
    exponent, source_exponent, total : float
        As in `signal_profile`.
    """
    ranks, multiplicity = (jnp.asarray(x, float) for x in integer_table(dim))
    log_rank = jnp.log(ranks)
    share = jax.nn.softmax(jnp.log(multiplicity) - (1 + 2 * exponent * source_exponent) * log_rank)
    return CompressedSpectrum(jnp.exp(-exponent * log_rank), multiplicity, total * share)


def eigenvalues(spectrum: str, dim, exponent, size: int | None = None) -> Array:
    """``lambda_k = 1`` ("isotropic") or ``k^-exponent`` ("power_law"); shape (size,).

    Parameters
    ----------
    spectrum : {"isotropic", "power_law"}
    dim : int
        Number of eigenvalues (static, unless there is a ``size``).
    exponent : float
        Decay ``beta > 0``; no effect on "isotropic".
    size : int, optional
        As in `named_spectrum`.
    """
    if spectrum == "isotropic":
        values = jnp.ones(dim if size is None else size, float)
    elif spectrum == "power_law":
        values = jnp.exp(-exponent * _log_rank(dim if size is None else size))
    else:
        raise ValueError(f"spectrum must be one of {SPECTRA}, got {spectrum!r}")
    return values if size is None else jnp.where(counted(dim, size), values, 0)


def counted(dim, size: int) -> Array:
    """Which entries of an array of length ``size`` belong to the ``dim`` directions."""
    return jnp.arange(size) < dim


def check_spectrum(spectrum: str, dim: int, exponent, name: str = "spectrum_exponent") -> Any:
    """Refuse a power law whose smallest eigenvalue has no square in double precision.

    An eigenvalue of 0 is a direction less, which changes every fit without a penalty; derivatives
    divide by squares.

    Returns
    -------
    Whether it is allowed: to be told of an exponent that JAX traces, which is not refused here.

    Raises
    ------
    ValueError
        Naming the parameter, ``name``, its value and the largest one allowed.
    """
    largest = -math.log(np.finfo(np.float64).tiny) / (2 * math.log(dim)) if dim > 1 else math.inf
    if spectrum != "power_law":
        return True
    allowed = exponent <= largest
    if not isinstance(allowed, jax.core.Tracer) and not np.all(allowed):
        raise ValueError(
            f"{name} = {np.max(exponent):g} is not allowed with dim = {dim}: it must be at most "
            f"{largest:.4g}, or the smallest eigenvalues of the power law underflow"
        )
    return allowed


def signal_profile(
    spectrum: str, dim, exponent, source_exponent, total, size: int | None = None
) -> Array:
    """``s_k = lambda_k w_k^2``, summing to ``total``: equal, or ``~ k^-(1 + 2 beta r)``.

    Parameters
    ----------
    spectrum : {"isotropic", "power_law"}
    dim : int
        Number of eigenvalues (static, unless there is a ``size``).
    exponent, source_exponent : float
        ``beta`` and ``r``; no effect on "isotropic".
    total : float
        Signal variance ``||w||^2_Sigma = sum_k s_k``.
    size : int, optional
        As in `named_spectrum`.
    """
    length = dim if size is None else size
    if spectrum == "isotropic":
        share = jnp.full(length, total / dim, float)
        return share if size is None else jnp.where(counted(dim, size), share, 0)
    if spectrum == "power_law":
        logits = -(1 + 2 * exponent * source_exponent) * _log_rank(length)
        if size is not None:
            logits = jnp.where(counted(dim, size), logits, -jnp.inf)
        return total * jax.nn.softmax(logits)
    raise ValueError(f"spectrum must be one of {SPECTRA}, got {spectrum!r}")


def _log_rank(dim: int) -> Array:
    return jnp.log(jnp.arange(1, dim + 1, dtype=float))
