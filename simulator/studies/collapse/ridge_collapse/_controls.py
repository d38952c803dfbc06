"""Control variates of the fits: statistics of their designs whose means are known exactly.

``W = X^T X / T`` of the whitened downstream inputs (`simulator.maths.wishart`), with the weights of
the fitted directions, ``D_k = λ_k/(λ_k + λ)``, and of what is not fitted, ``u_k = sqrt(s_k) (1 -
D_k)``; and ``V``, the same of a generator's inputs, with ``D_k^2``, what is kept of its noise.
"""

import jax.numpy as jnp

from simulator.eigenbasis import spectrum_of, true_weights
from simulator.maths.wishart import mean_products, products


def weights(params):
    """``D`` and ``u``, with the signs of the teacher."""
    eigenvalues = spectrum_of(params).eigenvalues
    fitted = eigenvalues / (eigenvalues + params.ridge)
    return fitted, jnp.sqrt(eigenvalues) * true_weights(params) * (1 - fitted)


def of_downstream(fitted, missed, gram):
    """The statistics of ``W``."""
    return {
        "fitted": fitted @ jnp.diag(gram),
        "fitted_squares": products(fitted, gram, gram, fitted),
        "bias": missed @ gram @ missed,
        "bias_squares": fitted @ (gram @ missed) ** 2,
    }


def of_bidiagonal(fitted, missed, diagonal, superdiagonal):
    """The same for isotropic inputs, ``W = B^T B`` with ``B`` bidiagonal, given its squares.

    The first direction is the teacher's, and the entries of ``D`` and ``u`` are equal.
    """
    on = diagonal + jnp.concatenate([jnp.zeros(1), superdiagonal])
    off = diagonal[:-1] * superdiagonal
    first = jnp.sum(missed**2) * diagonal[0]
    return {
        "fitted": fitted[0] * jnp.sum(on),
        "fitted_squares": fitted[0] ** 2 * (jnp.sum(on**2) + 2 * jnp.sum(off)),
        "bias": first,
        "bias_squares": fitted[0] * first * (diagonal[0] + superdiagonal[0]),
    }


def of_generator(fitted, gram):
    """The statistics of ``V``: two numbers, to be summed over the generators."""
    kept = fitted**2
    return jnp.stack([kept @ jnp.diag(gram), products(kept, gram, gram, jnp.ones_like(kept))])


def means(params):
    """The means of all of them, by name.

    ``generator_scales`` are those of chi squares, drawn where generators only add noise.
    """
    fitted, missed = weights(params)
    not_fitted, kept, ones = missed**2, fitted**2, jnp.ones_like(fitted)
    spread, spread_generator = 1 / params.num_samples, 1 / params.num_samples_generator
    freedom = jnp.maximum(params.num_samples_generator - params.dim + 1, 1)
    count = params.num_generations
    drawn = jnp.minimum(count, 1) if params.design == "same" else count
    return {
        "fitted": jnp.sum(fitted),
        "fitted_squares": mean_products(fitted, fitted, 1.0, spread),
        "bias": jnp.sum(not_fitted),
        "bias_squares": mean_products(not_fitted, fitted, 1.0, spread),
        "generators": count
        * jnp.stack([jnp.sum(kept), mean_products(kept, ones, 1.0, spread_generator)]),
        "generator_scales": drawn * jnp.stack([jnp.ones((), float), 1 + 2 / freedom]),
    }
