"""Control variates of the fits: statistics of their designs whose means are known exactly.

``W = X^T X / T`` of the whitened downstream inputs (`simulator.maths.wishart`), with the weights of
the fitted directions, ``D_k = λ_k/(λ_k + λ)``, and of what is not fitted, ``u_k = sqrt(s_k) (1 -
D_k)``; and ``V``, the same of a generator's inputs, with ``D_k^2``, what is kept of its noise.

``D`` and ``u`` of neighbouring ridges stand along the first axis.
"""

import jax
import jax.numpy as jnp

from simulator.eigenbasis import spectrum_of, true_weights
from simulator.maths.wishart import mean_products, neighbours


def weights(params):
    """``D`` and ``u``, with the signs of the teacher, at each ridge."""
    eigenvalues = spectrum_of(params).eigenvalues
    ridges = neighbours(params.ridge)
    fitted = eigenvalues / (eigenvalues + ridges[:, None])
    return fitted, jnp.sqrt(eigenvalues) * true_weights(params) * (1 - fitted)


def of_downstream(fitted, missed, gram, squares):
    """The statistics of ``W``, whose squared entries are ``squares``, of all ridges."""
    moved = missed @ gram
    found = [
        fitted @ jnp.diag(gram),
        jnp.sum((fitted @ squares) * fitted, axis=1),
        jnp.sum(moved * missed, axis=1),
        jnp.sum(moved**2 * fitted, axis=1),
    ]
    at_ridges = jnp.stack(found, axis=1)
    return {"ridge": at_ridges[0], "neighbours": at_ridges[1:]}


def of_bidiagonal(fitted, missed, diagonal, superdiagonal):
    """The same for isotropic inputs, ``W = B^T B`` with ``B`` bidiagonal, given its squares.

    The first direction is the teacher's, and the entries of ``D`` and ``u`` are equal: at another
    ridge all statistics are multiples of these.
    """
    on = diagonal + jnp.concatenate([jnp.zeros(1), superdiagonal])
    off = diagonal[:-1] * superdiagonal
    share, first = fitted[0, 0], jnp.sum(missed[0] ** 2) * diagonal[0]
    own = (
        share * jnp.sum(on),
        share**2 * (jnp.sum(on**2) + 2 * jnp.sum(off)),
        first,
        share * first * (diagonal[0] + superdiagonal[0]),
    )
    return {"ridge": jnp.stack(own)}


def of_generator(gram):
    """The statistics of ``V``, for each direction: to be summed over the generators."""
    return jnp.stack([jnp.diag(gram), jnp.sum(gram**2, axis=1)])


def of_generators(fitted, sums):
    """Their sums over the generators, weighed."""
    return {"generators": sums @ fitted[0] ** 2}


def means(params):
    """The means of all of them, by name.

    ``generator_scales`` are those of chi squares, drawn where generators only add noise.
    """
    fitted, missed = weights(params)
    spread, spread_generator = 1 / params.num_samples, 1 / params.num_samples_generator
    freedom = jnp.maximum(params.num_samples_generator - params.dim + 1, 1)
    count = params.num_generations
    drawn = jnp.minimum(count, 1) if params.design == "same" else count

    def at_a_ridge(fitted, not_fitted):
        return jnp.stack(
            [
                jnp.sum(fitted),
                mean_products(fitted, fitted, 1.0, spread),
                jnp.sum(not_fitted),
                mean_products(not_fitted, fitted, 1.0, spread),
            ]
        )

    downstream = jax.vmap(at_a_ridge)(fitted, missed**2)
    kept = fitted[0] ** 2
    of_generators = [
        jnp.sum(kept),
        mean_products(kept, jnp.ones_like(kept), 1.0, spread_generator),
    ]
    return {
        "ridge": downstream[0],
        "generators": count * jnp.stack(of_generators),
        "generator_scales": drawn * jnp.stack([jnp.ones((), float), 1 + 2 / freedom]),
        "neighbours": downstream[1:],
    }
