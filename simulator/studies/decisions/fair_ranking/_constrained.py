"""The largest mean utility under given exposures: a linear programme, solved to rounding.

``max mean_i <mu_i, a_i>`` over rankings with ``mean_i a_i = t``, by the method of multipliers: its
subproblems are smooth, and for a linear programme it ends after finitely many.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from simulator.maths.concave_ascent import maximise
from simulator.maths.permutahedron import largest_product
from simulator.studies.decisions.fair_ranking._model import Market

_STIFFNESS = 16.0  # of the penalty, first
_MOST = 24  # subproblems


class Constrained(NamedTuple):
    """The programme's value where it is feasible; ``residual`` is that of its certificate."""

    utility: Array
    feasible: Array
    residual: Array


def constrained_utility(market: Market) -> Constrained:
    """The largest mean utility with exposures in proportion to merit."""
    eps = float(jnp.finfo(market.relevance.dtype).eps)
    target = market.equal * market.merit
    sums, most = jnp.cumsum(jnp.sort(target)[::-1]), jnp.cumsum(market.weights)
    feasible = jnp.all(sums <= most + 1000 * eps * most[-1])
    frozen = lax.stop_gradient((market, target))
    prices, rankings = _multipliers(*frozen, feasible)
    market_, target_ = frozen
    missed = jnp.mean(rankings, axis=0) - target_
    scores = market_.relevance - prices
    dual = (
        jnp.mean(jax.vmap(largest_product, (0, None))(scores, market_.weights)) + prices @ target_
    )
    reached = jnp.mean(jnp.sum(scores * rankings, axis=1)) + prices @ target_
    off = jnp.max(jnp.abs(missed)) + jnp.abs(dual - reached)
    # By the envelope theorem prices and rankings need no derivatives.
    utility = jnp.mean(jnp.sum(market.relevance * rankings, axis=1))
    utility = utility - prices @ (jnp.mean(rankings, axis=0) - target)
    residual = jnp.where(feasible, jnp.maximum(off / most[-1] - 1000 * eps, 0), 0)
    return Constrained(utility, feasible, residual)


def _multipliers(market, target, feasible):
    """Prices of exposure, and rankings that are optimal at them and have the exposures."""
    users, items = market.relevance.shape
    eps = float(jnp.finfo(market.relevance.dtype).eps)

    def objective(rankings, args):
        market, target, prices, stiffness = args
        missed = jnp.mean(rankings, axis=0) - target
        utility = jnp.mean(jnp.sum(market.relevance * rankings, axis=1))
        return utility - prices @ missed - stiffness / 2 * jnp.sum(missed**2)

    def unfinished(carry):
        count, _, rankings, _, _ = carry
        missed = jnp.max(jnp.abs(jnp.mean(rankings, axis=0) - target))
        far = (count == 0) | (missed > 100 * eps * market.equal * items)
        return feasible & (count < _MOST) & far

    def step(carry):
        count, prices, rankings, stiffness, width = carry
        args = (market, target, prices, stiffness)
        point = maximise(objective, market.weights, rankings, width, args).point
        prices = prices + stiffness * (jnp.mean(point, axis=0) - target)
        return count + 1, prices, point, 2 * stiffness, width / 2

    start = jnp.full((users, items), market.equal)
    stiffness = jnp.asarray(_STIFFNESS, start.dtype)
    first = (jnp.int32(0), jnp.zeros_like(target), start, stiffness, users / stiffness)
    _, prices, rankings, _, _ = lax.while_loop(unfinished, step, first)
    return prices, rankings
