"""Control variates of a fit on a mixture: statistics of its designs whose means are known exactly.

With whitened rows ``X_j`` of source ``j`` these are statistics of ``W_2`` and of ``W = W_1 + W_2``,
``W_j = a_j X_j^T X_j / n`` (`simulator.maths.wishart`). The weights of the directions are those of
the fit, ``D_k = λ_k/(λ_k + λ)``, of the bias, ``s_k (1 - D_k)^2``, and of the shift, ``g_k D_k^2``:
at the penalty itself, which serves as well as the effective one.
"""

import jax.numpy as jnp

from simulator.maths.wishart import mean_products, products
from simulator.studies.collapse.strong_collapse._simulation import Experiment


def statistics(problem: Experiment, rows):
    """The statistics of rows (2, rows, d) whose inactive ones are zero."""
    share = problem.weights / jnp.sum(problem.counts)
    per_source = share[:, None, None] * jnp.einsum("jrk,jrl->jkl", rows, rows)
    synthetic, both = per_source[1], per_source[0] + per_source[1]
    fitted, bias, shift = _weights(problem)
    return {
        "fitted": fitted @ jnp.diag(both),
        "fitted_squares": products(fitted, both, both, fitted),
        "bias": bias @ jnp.diag(both),
        "bias_squares": products(bias, both, both, fitted),
        "synthetic": fitted @ jnp.diag(synthetic),
        "synthetic_squares": products(fitted, synthetic, synthetic, fitted),
        "synthetic_with_both": products(fitted, both, synthetic, fitted),
        "shift": shift @ jnp.diag(synthetic),
        "shift_squares": products(shift, synthetic, synthetic, fitted),
    }


def means(problem: Experiment):
    """Their means."""
    n = jnp.sum(problem.counts)
    per_source = problem.weights * problem.counts / n
    spread = problem.weights**2 * problem.counts / n**2
    synthetic, both = per_source[1], jnp.sum(per_source)
    fitted, bias, shift = _weights(problem)
    return {
        "fitted": both * jnp.sum(fitted),
        "fitted_squares": mean_products(fitted, fitted, both**2, jnp.sum(spread)),
        "bias": both * jnp.sum(bias),
        "bias_squares": mean_products(bias, fitted, both**2, jnp.sum(spread)),
        "synthetic": synthetic * jnp.sum(fitted),
        "synthetic_squares": mean_products(fitted, fitted, synthetic**2, spread[1]),
        "synthetic_with_both": mean_products(fitted, fitted, both * synthetic, spread[1]),
        "shift": synthetic * jnp.sum(shift),
        "shift_squares": mean_products(shift, fitted, synthetic**2, spread[1]),
    }


def _weights(problem: Experiment):
    eigenvalues = problem.input_std[0] ** 2
    fitted = eigenvalues / (eigenvalues + problem.ridge)
    return fitted, problem.signal * (1 - fitted) ** 2, problem.shift * fitted**2
