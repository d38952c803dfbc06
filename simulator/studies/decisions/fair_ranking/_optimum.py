"""The best stochastic rankings, with a certificate, and what is known of them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from simulator.maths.concave_ascent import maximise
from simulator.maths.permutahedron import largest_product, sort_to_exposure
from simulator.studies.decisions.fair_ranking import _model as ranking

sorted_rows = jax.vmap(sort_to_exposure, (0, None))
largest_products = jax.vmap(largest_product, (0, None))


class Optimum(NamedTuple):
    """The maximum of ``f``.

    Attributes
    ----------
    value : scalar
    gap : scalar
        The certificate: at least the distance of ``value`` from the maximum.
    residual : scalar
        The gap relative to the size of its terms, less rounding.
    utility : scalar
    exposure : array (m,)
    scores : array (n, m)
        By which the optimal rankings sort.
    best : array (n,)
        Their largest products with a ranking.
    """

    value: Array
    gap: Array
    residual: Array
    utility: Array
    exposure: Array
    scores: Array
    best: Array


def optimum(params) -> Optimum:
    """The best stochastic rankings."""
    market = ranking.market_of(params)
    users, items = market.relevance.shape
    start = jnp.full((users, items), market.equal)

    def objective(rankings, args):
        params, market = args
        return ranking.value_of(params, market, rankings)

    found = maximise(objective, market.weights, start, float(users), (params, market))
    utilities = jnp.sum(market.relevance * found.point, axis=1)
    exposure, by_group = ranking.exposures_of(found.point)
    added = jnp.stack([ranking.item_scores(params, market, exposure, by_group, s) for s in (0, 1)])
    slopes = ranking.user_slope(params, utilities)
    scores = slopes[:, None] * market.relevance + added[jnp.arange(users) % 2]
    return Optimum(
        value=ranking.value_of(params, market, found.point),
        gap=found.gap,
        residual=found.residual,
        utility=jnp.mean(utilities),
        exposure=exposure,
        scores=scores,
        best=largest_products(scores, market.weights),
    )


def described(params, best: Optimum) -> dict[str, Array]:
    """The outputs that all parts have."""
    market = ranking.market_of(params)
    equal = jnp.full(market.relevance.shape, market.equal)
    relevant = sorted_rows(market.relevance, market.weights)
    return {
        "optimal_value": best.value,
        "optimality_gap": best.gap,
        "optimal_utility": best.utility,
        "optimal_exposure": best.exposure,
        "optimal_unfairness": ranking.unfairness(market, best.exposure),
        "relevance_value": ranking.value_of(params, market, relevant),
        "uniform_value": ranking.value_of(params, market, equal),
    }
