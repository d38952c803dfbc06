"""Averages over the eigenvalues of the Gram matrix of a Gaussian design, and over groups of rows.

`spectrum` is the Marchenko-Pastur law of ``X'X``, ``X`` with ``T`` rows in ``d`` dimensions: with
``phi = d/T`` its eigenvalues are ``T x``,

    x = A q + B (1 - q),   A, B = (1 +- sqrt(phi))^2,   q = 1/(1 + e^2u),   weight sech(u)^3 / x du.

What is averaged has its poles at ``x <= 0``, that is at ``Im u = pi/2`` whatever ``phi`` is, 1
included: the trapezoid rule in ``u`` of step ``h`` errs by ``exp(-pi^2/h)``. `groups` is the
equivalent of a fit to groups of ``T_j`` rows of weight ``c_j`` with the total penalty ``L``: the
one scalar ``theta > 0`` with

    L theta + sum_j T_j c_j theta / (1 + c_j theta) = d.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy import special

from simulator.maths.roots import increasing_root, relative_error

_STEP, _FROM, _TO = 0.25, -13.0, 38.0  # in u; beyond, less than 1e-16 of the mass (at phi = 1)


class GramSpectrum(NamedTuple):
    """Eigenvalues and how many directions each stands for; the last is 0 (if ``T < d``)."""

    eigenvalues: Array
    directions: Array

    def total(self, values) -> Array:
        """``sum_k values_k`` over all directions."""
        return jnp.sum(self.directions * values)


def spectrum(num_rows, dim) -> GramSpectrum:
    """That of ``num_rows`` (traced) standard normal rows; asymptotic."""
    phi = dim / num_rows
    u = np.arange(_FROM, _TO + _STEP / 2, _STEP)
    share, height = jnp.asarray(special.expit(-2 * u), float), jnp.asarray(1 / np.cosh(u), float)
    x = (1 + jnp.sqrt(phi)) ** 2 * share + (1 - jnp.sqrt(phi)) ** 2 * (1 - share)
    weight = height**3 / x
    seen = jnp.minimum(num_rows, dim)
    return GramSpectrum(
        jnp.append(num_rows * x, 0), jnp.append(seen * weight / jnp.sum(weight), dim - seen)
    )


class Groups(NamedTuple):
    """``theta`` and ``f = L + sum_j T_j c_j / (1 + c_j theta)^2``."""

    theta: Array
    slope: Array
    residual: Array  # relative error of theta


def groups(dim, penalty, counts, weights) -> Groups:
    """Parameters: ``d``, ``L``, and ``T_j``, ``c_j`` (k,); some penalty, or more rows than ``d``.

    Elsewhere there is no root, and what is returned has no meaning (it is a number).
    """
    present = jnp.where(weights > 0, counts, 0)
    surplus = jnp.sum(present) - dim
    solvable = (penalty > 0) | (surplus > 0)
    penalty = jnp.where(solvable, penalty, 1)
    lightest = jnp.min(jnp.where(present > 0, weights, jnp.inf))
    few = surplus <= 0
    upper = jnp.minimum(
        jnp.where(penalty > 0, dim / jnp.where(penalty > 0, penalty, 1), jnp.inf),
        jnp.where(few, jnp.inf, dim / (lightest * jnp.where(few, 1, surplus))),
    )
    lower = dim / (penalty + jnp.sum(counts * weights))
    given = (jnp.asarray(dim, float), penalty, counts, weights)
    theta = increasing_root(_excess, lower, upper, *given)
    slope = penalty + jnp.sum(counts * weights / (1 + weights * theta) ** 2)
    return Groups(theta, slope, jnp.where(solvable, relative_error(_excess, theta, *given), 0))


def weighted_equivalent(eigenvalues, penalty, counts, weights) -> tuple[Array, Array]:
    """``theta``, and the trace of ``Sigma R Sigma R``, ``R = (sum_j c_j X_j' X_j + L)^-1``.

    Rows have the covariance ``diag(eigenvalues)`` and there is some penalty ``L > 0``. With ``tau =
    sum_j T_j c_j / (1 + c_j theta)`` the mean of ``R`` is ``(tau Sigma + L)^-1``, and ``theta`` the
    trace of ``Sigma`` times it.
    """

    def rest(theta, eigenvalues, penalty, counts, weights):
        tau = jnp.sum(counts * weights / (1 + weights * theta))
        return theta - jnp.sum(eigenvalues / (tau * eigenvalues + penalty))

    upper = jnp.sum(eigenvalues) / penalty
    lower = jnp.sum(eigenvalues / (jnp.sum(counts * weights) * eigenvalues + penalty))
    given = eigenvalues, penalty, counts, weights
    theta = increasing_root(rest, lower, upper, *given)
    tau = jnp.sum(counts * weights / (1 + weights * theta))
    twice = jnp.sum((eigenvalues / (tau * eigenvalues + penalty)) ** 2)
    back = jnp.sum(counts * (weights / (1 + weights * theta)) ** 2)
    return theta, twice / (1 - twice * back)


def _excess(theta, dim, penalty, counts, weights):
    return penalty * theta + jnp.sum(counts * weights * theta / (1 + weights * theta)) - dim
