"""All ridges of a drawn mixture from one eigendecomposition; teacher, shift, noise averaged.

With the rows ``R_j`` of source ``j`` in whitened coordinates, ``W_j = a_j R_j^T R_j/n`` and ``V``
the eigenvectors of ``M = Sigma^(1/2) (W_1 + W_2) Sigma^(1/2)``, a fit is diagonal: ``r = (M +
ridge)^-1`` and ``m = ridge r``, what it misses, are vectors. Each part of the test error is a
quadratic form of the two, whose matrix is ``V^T Sigma V`` times another one, entry by entry:

    bias      m, m   V^T Sigma^(-1/2) diag(s) Sigma^(-1/2) V
    variance  r, r   V^T Sigma^(1/2) sum_j (sigma_j^2 a_j/n) W_j Sigma^(1/2) V
    shift     r, r   V^T Sigma^(1/2) W_2 diag(g) W_2 Sigma^(1/2) V
    cross     m, r   -2 rho V^T Sigma^(-1/2) diag(sqrt(s g)) W_2 Sigma^(1/2) V
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from simulator.studies.collapse.strong_collapse._simulation import (  # isort: skip
    Experiment, common_signal, summed, trapezoidal_fit, weighted_grams,
)  # fmt: skip
from simulator.maths.least_squares import Eigenbasis
from simulator.sampling.shared import once
from simulator.studies.collapse.strong_collapse import _controls
from simulator.study import CONTROLS


class _Decomposed(NamedTuple):
    """What no ridge enters; the parts' matrices (d, d)."""

    inputs: Eigenbasis
    bias: Array
    variance: Array
    shift: Array
    cross: Array
    grams: Array  # (2, d, d) W_j


def errors_along_ridges(key, problem: Experiment) -> dict[str, Array]:
    """The four parts at the ridge of ``problem``, and the controls."""
    shared = key, problem._replace(ridge=jnp.zeros((), float))
    return once(_decomposed, shared, then=_at_one_ridge, own=problem)


def _decomposed(arguments):
    key, problem = arguments
    grams = weighted_grams(problem, trapezoidal_fit()(key, problem).rows)
    scale = problem.input_std[0]
    rows = jnp.sum(jnp.where(problem.weights > 0, problem.counts, 0))
    inputs = Eigenbasis.of(grams[0] + grams[1], scale**2, rows)
    left, right = scale[:, None] * inputs.vectors, inputs.vectors / scale[:, None]
    metric = left.T @ left
    noise = problem.noise_std**2 * problem.weights / jnp.sum(problem.counts)
    both, rho = common_signal(problem)
    return _Decomposed(
        inputs,
        bias=metric * (right.T @ (problem.signal[:, None] * right)),
        variance=metric * (left.T @ jnp.tensordot(noise, grams, 1) @ left),
        shift=metric * (left.T @ grams[1] @ (problem.shift[:, None] * grams[1]) @ left),
        cross=-2 * rho * metric * (right.T @ (both[:, None] * grams[1]) @ left),
        grams=grams,
    )


def _at_one_ridge(drawn, problem):
    kept, missed, _ = drawn.inputs.fit(problem.ridge)
    inverse = kept / jnp.where(kept > 0, drawn.inputs.eigenvalues, 1)
    parts = summed(
        bias=missed @ drawn.bias @ missed,
        variance=inverse @ drawn.variance @ inverse,
        synthetic_error=inverse @ drawn.shift @ inverse,
        cross_error=missed @ drawn.cross @ inverse,
    )
    return parts | {CONTROLS: _controls.of_grams(problem, drawn.grams)}
