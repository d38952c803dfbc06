"""Control variates of a fit on a mixture: statistics of its designs whose means are known exactly.

With whitened rows ``X_j`` of source ``j``, ``W_j = a_j X_j^T X_j / n`` and ``W = W_1 + W_2``,

    E W_j = m_j 1,   m_j = a_j n_j/n,     Var (W_j)_kl = v_j (1 + [k = l]),   v_j = a_j^2 n_j/n^2,

for every size. What an error makes of the fluctuations of ``W``, to first and second order, has the
weights ``D_k = λ_k/(λ_k + λ)`` of the directions that are fitted, ``q_k = s_k (1 - D_k)^2`` of the
bias and ``r_k = g_k D_k^2`` of the shift. (At the penalty itself: that the effective one would be
nearer to the optimum changes a few per cent.) In the second order ``(A∘B)_kl = A_kl B_kl``.
"""

import jax.numpy as jnp

from simulator.studies.collapse.strong_collapse._simulation import Experiment


def statistics(problem: Experiment, rows):
    """The statistics of rows (2, rows, d) whose inactive ones are zero."""
    share = problem.weights / jnp.sum(problem.counts)
    per_source = share[:, None, None] * jnp.einsum("jrk,jrl->jkl", rows, rows)
    synthetic, both = per_source[1], per_source[0] + per_source[1]
    fitted, bias, shift = _weights(problem)
    return {
        "fitted": fitted @ jnp.diag(both),
        "fitted_squares": fitted @ (both * both) @ fitted,
        "bias": bias @ jnp.diag(both),
        "bias_squares": bias @ (both * both) @ fitted,
        "synthetic": fitted @ jnp.diag(synthetic),
        "synthetic_squares": fitted @ (synthetic * synthetic) @ fitted,
        "synthetic_with_both": fitted @ (both * synthetic) @ fitted,
        "shift": shift @ jnp.diag(synthetic),
        "shift_squares": shift @ (synthetic * synthetic) @ fitted,
    }


def means(problem: Experiment):
    """Their means."""
    n = jnp.sum(problem.counts)
    per_source = problem.weights * problem.counts / n
    spread = problem.weights**2 * problem.counts / n**2
    synthetic, both = per_source[1], jnp.sum(per_source)
    fitted, bias, shift = _weights(problem)

    def product(weights, product_of_means, variance):
        diagonal = (product_of_means + variance) * jnp.sum(weights * fitted)
        return variance * jnp.sum(weights) * jnp.sum(fitted) + diagonal

    return {
        "fitted": both * jnp.sum(fitted),
        "fitted_squares": product(fitted, both**2, jnp.sum(spread)),
        "bias": both * jnp.sum(bias),
        "bias_squares": product(bias, both**2, jnp.sum(spread)),
        "synthetic": synthetic * jnp.sum(fitted),
        "synthetic_squares": product(fitted, synthetic**2, spread[1]),
        "synthetic_with_both": product(fitted, both * synthetic, spread[1]),
        "shift": synthetic * jnp.sum(shift),
        "shift_squares": product(shift, synthetic**2, spread[1]),
    }


def _weights(problem: Experiment):
    eigenvalues = problem.input_std[0] ** 2
    fitted = eigenvalues / (eigenvalues + problem.ridge)
    return fitted, problem.signal * (1 - fitted) ** 2, problem.shift * fitted**2
