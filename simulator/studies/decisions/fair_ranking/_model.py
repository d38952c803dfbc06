"""What the parts share: users, items, the four objectives and their derivatives.

User ``i`` of ``n`` gets a ranking, the exposure vector ``a_i`` in the permutahedron of ``b_k = 1 /
log2(1 + k)``, ``k <= K``; ``u_i = <mu_i, a_i>``, ``v = mean_i a_i``, ``v_s`` the same over the
users ``i mod 2 = s``. Objectives are a user part plus an item part ``h(v, v_s)``.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from simulator.maths.circle import closeness
from simulator.maths.permutahedron import position_weights
from simulator.maths.rounds import check_checkpoints
from simulator.maths.welfare import alpha_fair, alpha_fair_divergence, alpha_fair_slope
from simulator.parameters import array, choice, parameters, static, traced

OBJECTIVES = ("welfare", "quality_weighted", "balanced", "quadratic")


@parameters
class RankingParams:
    """A table of preferences, an objective, and how long it is played."""

    objective: str = choice("quadratic", OBJECTIVES)
    arrivals: str = choice(
        "uniform", ("uniform", "shuffled"), "–", "users drawn at random, or permuted in each epoch"
    )
    preference_table: tuple = array(
        (),
        "μ",
        "relevances in place of the circle; it sets the numbers of users and items",
        dims=("user", "item"),
        large=True,
        at_least=0,
        at_most=1,
    )
    num_users: int = static(40, "n", "users", at_least=2)
    num_items: int = static(20, at_least=2)
    num_slots: int = static(5, at_least=1, at_most="num_items")
    popularity: float = traced(1.0)
    taste: float = traced(1.0, detail="0: identical users", at_least=0)
    fairness_weight: float = traced(4.0, "β", "weight of the items", at_least=0)
    welfare_exponent_user: float = traced(
        1.0, "α_u", "concavity of welfare in a user's utility", at_most=1
    )
    welfare_exponent_item: float = traced(
        0.5, "α_i", "concavity of welfare in an item's exposure", at_most=1
    )
    smoothing: float = traced(0.05, detail="not in quadratic", above=0)
    num_epochs: int = static(50, "T/n", "visits of each user", at_least=1, grows=1)
    num_checkpoints: int = static(1, at_least=1)


def complete(given: dict[str, Any]) -> dict[str, Any]:
    """A table of preferences has the numbers of users and items."""
    table = given.get("preference_table", ())
    if np.size(table) == 0:
        return given
    users, items = np.shape(table)
    return given | {"num_users": users, "num_items": items}


def validate(params, side: str) -> None:
    """So many checkpoints need as many epochs."""
    check_checkpoints(params.num_checkpoints, "num_epochs", params.num_epochs)


class Market(NamedTuple):
    """Users and items.

    Attributes
    ----------
    relevance : array (n, m)
    weights : array (m,)
        Position weights ``b``.
    merit : array (m,)
        ``q_j / mean q`` for quality_weighted, else 1.
    shares : array (2,)
        Users in each group.
    """

    relevance: Array
    weights: Array
    merit: Array
    shares: Array

    @property
    def equal(self) -> Array:
        """``B / m``: every item's exposure under a random ranking."""
        return jnp.sum(self.weights) / len(self.weights)


def market_of(params) -> Market:
    """The market of the parameters."""
    users, items = params.num_users, params.num_items
    relevance = jnp.asarray(params.preference_table, float)
    if relevance.size == 0:
        quality = jnp.linspace(1, -1, items, dtype=float)
        score = params.popularity * quality + params.taste * closeness(users, items)
        relevance = 1 / (1 + jnp.exp(-score))
    quality = jnp.mean(relevance, axis=0)
    merit = jnp.ones_like(quality)
    if params.objective == "quality_weighted":
        merit = quality / jnp.mean(quality)
    second = users // 2
    shares = jnp.asarray([(users - second) / users, second / users], float)
    return Market(relevance, position_weights(items, params.num_slots), merit, shares)


def user_linear(params) -> Array:
    """Whether only the mean of the users' utilities counts."""
    if params.objective == "welfare":
        return params.welfare_exponent_user == 1
    return jnp.asarray(params.objective != "balanced")


def user_part(params, utilities, mean) -> Array:
    """Of all utilities, or of their mean alone where it is linear in them."""
    if params.objective != "welfare":
        return mean
    exponent = params.welfare_exponent_user
    each = jnp.mean(alpha_fair(params.smoothing + utilities, exponent))
    return jnp.where(exponent == 1, params.smoothing + mean, each)


def item_part(params, market, exposure, by_group) -> Array:
    """``h``: of exposures (m,) and those to each group (2, m)."""
    weight, smoothing = params.fairness_weight, params.smoothing
    relative = exposure / market.equal
    if params.objective == "welfare":
        worth = alpha_fair(smoothing + exposure, params.welfare_exponent_item)
        return weight * jnp.mean(worth)
    if params.objective == "quality_weighted":
        return -weight * jnp.sqrt(smoothing + jnp.mean((relative - market.merit) ** 2))
    if params.objective == "balanced":
        spread = market.shares @ ((by_group - exposure) / market.equal) ** 2
        return -weight * jnp.mean(jnp.sqrt(smoothing + spread))
    return -weight / 2 * jnp.sum((exposure - market.equal) ** 2)


def item_scores(params, market, exposure, by_group, group) -> Array:
    """What an item's exposure adds to its score for a user of ``group``."""
    weight, smoothing = params.fairness_weight, params.smoothing
    relative = exposure / market.equal
    items = len(exposure)
    if params.objective == "welfare":
        slope = alpha_fair_slope(smoothing + exposure, params.welfare_exponent_item)
        return weight / items * slope
    total = market.equal * items
    if params.objective == "quality_weighted":
        excess = relative - market.merit
        return -weight / total * excess / jnp.sqrt(smoothing + jnp.mean(excess**2))
    if params.objective == "balanced":
        excess = (by_group - exposure) / market.equal
        spread = jnp.sqrt(smoothing + market.shares @ excess**2)
        return -weight / total * excess[group] / spread
    return -weight * (exposure - market.equal)


def user_slope(params, utility) -> Array:
    """The derivative of the user part in one utility, times the number of users."""
    if params.objective != "welfare":
        return jnp.ones_like(utility)
    return alpha_fair_slope(params.smoothing + utility, params.welfare_exponent_user)


def item_divergence(params, market, best, exposure) -> Array:
    """``h(best) + <grad h(best), v - best> - h(v)`` for objectives linear in utilities."""
    if params.objective == "quadratic":
        return params.fairness_weight / 2 * jnp.sum((exposure - best) ** 2)
    if params.objective == "welfare":
        x, y = params.smoothing + best, params.smoothing + exposure
        apart = alpha_fair_divergence(x, y, params.welfare_exponent_item)
        return params.fairness_weight * jnp.mean(apart)
    both = jnp.stack([best, best])
    slope = item_scores(params, market, best, both, 0)
    values = [item_part(params, market, v, both) for v in (best, exposure)]
    return values[0] + slope @ (exposure - best) - values[1]


def value_of(params, market, rankings) -> Array:
    """``f`` of all users' exposures (n, m)."""
    utilities = jnp.sum(market.relevance * rankings, axis=1)
    exposure, by_group = exposures_of(rankings)
    user = user_part(params, utilities, jnp.mean(utilities))
    return user + item_part(params, market, exposure, by_group)


def exposures_of(rankings) -> tuple[Array, Array]:
    """Their mean over all users, and over those of each group."""
    groups = [jnp.mean(rankings[group::2], axis=0) for group in (0, 1)]
    return jnp.mean(rankings, axis=0), jnp.stack(groups)


def unfairness(market, exposure) -> Array:
    """Root mean square of exposure relative to equal exposure, less merit."""
    return jnp.sqrt(jnp.mean((exposure / market.equal - market.merit) ** 2))
