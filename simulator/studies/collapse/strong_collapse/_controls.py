"""Control variates of a fit on a mixture: statistics of its designs whose means are known exactly.

With the rows ``R_j`` of source ``j``, of variances ``r_j`` in the coordinates that whiten the real
inputs, these are statistics of ``W_2`` and of ``W = W_1 + W_2``, ``W_j = a_j R_j^T R_j / n``
(`simulator.maths.wishart`). The weights of the directions are those of the fit for many samples,
``D_k = λ_k/(λ_k E W_kk + λ)``, of the bias, ``s_k (λ D_k/λ_k)^2``, and of the shift, ``g_k D_k^2``:
at the penalty itself, which serves as well as the effective one.
"""

import jax.numpy as jnp

from simulator.maths.wishart import mean_products, products
from simulator.studies.collapse.strong_collapse._simulation import Experiment, weighted_grams


def statistics(problem: Experiment, rows):
    """The statistics of rows (2, rows, d) whose inactive ones are zero."""
    return of_grams(problem, weighted_grams(problem, rows))


def of_grams(problem: Experiment, grams):
    """The same of ``W_j`` (2, d, d)."""
    synthetic, both = grams[1], grams[0] + grams[1]
    fitted, bias, shift = weights(problem)
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
        "shift_of_both": shift @ jnp.diag(both),
        "shift_with_both": products(shift, both, synthetic, fitted),
        "shift_squares_of_both": products(shift, both, both, fitted),
    }


def means(problem: Experiment):
    """Their means."""
    real, synthetic = _mean_diagonals(problem)
    both = real + synthetic
    fitted, bias, shift = weights(problem)

    def of_synthetic(left, right):
        return _mean_squares(problem, 1, left, right)

    def apart(left, right):
        return jnp.sum(left * real * synthetic * right)

    def with_both(left, right):
        return apart(left, right) + of_synthetic(left, right)

    def of_both(left, right):
        return _mean_squares(problem, 0, left, right) + apart(left, right) + with_both(left, right)

    return {
        "fitted": fitted @ both,
        "fitted_squares": of_both(fitted, fitted),
        "bias": bias @ both,
        "bias_squares": of_both(bias, fitted),
        "synthetic": fitted @ synthetic,
        "synthetic_squares": of_synthetic(fitted, fitted),
        "synthetic_with_both": with_both(fitted, fitted),
        "shift": shift @ synthetic,
        "shift_squares": of_synthetic(shift, fitted),
        "shift_of_both": shift @ both,
        "shift_with_both": with_both(shift, fitted),
        "shift_squares_of_both": of_both(shift, fitted),
    }


def weights(problem: Experiment):
    """Of the directions: of the fit, of the bias and of the shift."""
    eigenvalues = problem.input_std[0] ** 2
    mean = jnp.sum(_mean_diagonals(problem), axis=0)
    fitted = eigenvalues / (eigenvalues * mean + problem.ridge)
    missed = problem.ridge / (eigenvalues * mean + problem.ridge)
    return fitted, problem.signal * missed**2, problem.shift * fitted**2


def _mean_diagonals(problem: Experiment):
    """``E W_j`` (2, d), whose other entries are zero."""
    share = problem.weights * problem.counts / jnp.sum(problem.counts)
    return share[:, None] * problem.label_std**2


def _mean_squares(problem: Experiment, source, left, right):
    """Of ``sum_kl left_k W_kl^2 right_l`` of one source."""
    weight, count = problem.weights[source], problem.counts[source]
    share = weight / jnp.sum(problem.counts)
    variance = problem.label_std[source] ** 2
    return mean_products(left * variance, right * variance, (share * count) ** 2, share**2 * count)
