"""Control variates of a fit on random projections: those of its designs, and of the projection.

``P = d S S^T / m`` is a Wishart matrix of mean 1, independent of those of the designs, ``W_2`` and
``W``. For many features the penalty is ``λ d/m``: weights and statistics of the designs are those
of `_controls` with it, the statistics of ``P`` alone are the same again. Where features are few
the fit follows ``P`` and ``W`` together: through ``sum_kl a_k P_kl W_kl b_l`` and through
``tr(Q W Q W)``, ``Q = D^(1/2) P D^(1/2)``.
"""

import jax.numpy as jnp

from simulator.maths.wishart import mean_products, products
from simulator.studies.collapse.strong_collapse import _controls
from simulator.studies.collapse.strong_collapse._simulation import Experiment, weighted_grams


def statistics(problem: Experiment, width, rows, projection):
    """The statistics of rows (2, rows, d) and a projection (d, columns); further ones are zero."""
    problem = _of_many_features(problem, width)
    grams = weighted_grams(problem, rows)
    synthetic, both = grams[1], grams[0] + grams[1]
    features = (len(projection) / width) * (projection @ projection.T)
    weights = jnp.stack(_controls.weights(problem))
    fitted, root = weights[0], jnp.sqrt(weights[0])
    kept = root[:, None] * features * root
    kept_synthetic, kept_both = kept @ synthetic, kept @ both
    return _controls.of_grams(problem, grams) | {
        "features": weights @ jnp.diag(features),
        "features_squares": products(weights, features, features, fitted),
        "features_with_both": products(weights, features, both, fitted),
        "features_with_synthetic": products(weights, features, synthetic, fitted),
        "kept_both": jnp.sum(kept_both * kept_both.T),
        "kept_synthetic": jnp.sum(kept_synthetic * kept_synthetic.T),
        "kept_synthetic_with_both": jnp.sum(kept_synthetic * kept_both.T),
    }


def means(problem: Experiment, width):
    """Their means."""
    problem = _of_many_features(problem, width)
    weights = jnp.stack(_controls.weights(problem))
    fitted = weights[0]
    share = problem.weights / jnp.sum(problem.counts)
    real, synthetic = share * problem.counts
    both = real + synthetic
    spread_real, spread_synthetic = share**2 * problem.counts
    kept_squares = mean_products(fitted, fitted, 1.0, 1 / width)
    kept_trace = jnp.sum(fitted) ** 2 + 2 / width * jnp.sum(fitted**2)  # of its square

    def kept(product_of_means, variance):
        """``E tr(Q W Q W')``, ``W'`` of this variance part of ``W``."""
        return product_of_means * kept_squares + variance * (kept_trace + kept_squares)

    return _controls.means(problem) | {
        "features": jnp.sum(weights, axis=1),
        "features_squares": jnp.stack([mean_products(w, fitted, 1.0, 1 / width) for w in weights]),
        "features_with_both": both * (weights @ fitted),
        "features_with_synthetic": synthetic * (weights @ fitted),
        "kept_both": kept(both**2, spread_real + spread_synthetic),
        "kept_synthetic": kept(synthetic**2, spread_synthetic),
        "kept_synthetic_with_both": kept(both * synthetic, spread_synthetic),
    }


def _of_many_features(problem: Experiment, width):
    """The classical problem that many features amount to."""
    return problem._replace(ridge=problem.ridge * len(problem.signal) / width)
