"""Rankings shown one after the other, whatever the rule that makes them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from simulator.maths.rounds import log_spaced, play
from simulator.studies.decisions.fair_ranking._model import Market, item_part, unfairness, user_part

_LONG = 1024  # rounds


class Averages(NamedTuple):
    """What the platform remembers.

    Attributes
    ----------
    exposure : array (m,)
        Mean over all rounds.
    by_group : array (2, m)
        Mean over the rounds of each group; empty where the objective has no groups.
    visits : array (2,)
        Rounds of each group.
    utility : scalar
        Mean over all rounds.
    own_utility, own_visits : arrays (n,)
        Mean over each user's rounds, and their number; empty where users count alike.
    gap : scalar
        Mean optimality gap of the rankings at the scores of the optimum.
    """

    exposure: Array
    by_group: Array
    visits: Array
    utility: Array
    own_utility: Array
    own_visits: Array
    gap: Array


#: ``(averages, round, user, random numbers or None) -> exposures``
Rule = Callable[[Averages, Array, Array, Array | None], Array]


def averages_over_time(
    key, params, market: Market, rule: Rule, best=None, random: bool = False
) -> Averages:
    """The averages at the checkpoints, when ``rule`` ranks; gaps with respect to ``best``.

    A ``random`` rule gets a uniform number for every item in every round.
    """
    users, items = market.relevance.shape
    groups = 2 if params.objective == "balanced" else 0
    own = users if params.objective == "welfare" else 0
    none = jnp.zeros((), float)
    start = Averages(
        exposure=jnp.full(items, market.equal),
        by_group=jnp.full((groups, items), market.equal),
        visits=jnp.zeros(groups, float),
        utility=none,
        own_utility=market.equal * jnp.sum(market.relevance, axis=1)[:own],
        own_visits=jnp.zeros(own, float),
        gap=none,
    )

    def draw(key, count):
        key_users, key_items = jax.random.split(key)
        if params.arrivals == "shuffled":
            chosen = jax.random.permutation(key_users, users).astype(jnp.int32)
        else:
            chosen = jax.random.randint(key_users, (count,), 0, users, jnp.int32)
        return chosen, jax.random.uniform(key_items, (count, items), float) if random else None

    def step(averages, now, drawn):
        user, numbers = drawn
        shown = rule(averages, now, user, numbers)
        utility = market.relevance[user] @ shown
        time = now.astype(float)
        moved = averages._replace(
            exposure=averages.exposure + (shown - averages.exposure) / time,
            utility=averages.utility + (utility - averages.utility) / time,
        )
        if groups:
            group = user % 2
            visits = averages.visits.at[group].add(1)
            change = (shown - averages.by_group[group]) / visits[group]
            moved = moved._replace(by_group=averages.by_group.at[group].add(change), visits=visits)
        if own:
            visits = averages.own_visits[user] + 1
            change = (utility - averages.own_utility[user]) / visits
            moved = moved._replace(
                own_utility=averages.own_utility.at[user].add(change),
                own_visits=averages.own_visits.at[user].set(visits),
            )
        if best is not None:
            gap = best.best[user] - best.scores[user] @ shown
            moved = moved._replace(gap=averages.gap + (gap - averages.gap) / time)
        return moved

    rounds = users * log_spaced(params.num_epochs, params.num_checkpoints)
    return play(
        key, start, draw, step, lambda averages: averages, rounds, _block(params, rounds, users)
    )


def _block(params, rounds, users) -> int:
    """Rounds whose users are drawn together: epochs, where users are permuted, or many of them."""
    if params.arrivals == "shuffled":
        return users
    block = int(np.gcd.reduce(rounds))
    while block > _LONG and block % 2 == 0:
        block //= 2
    return block if block <= _LONG else users


def value_at(params, market: Market, averages: Averages) -> Array:
    """``f`` of the averages."""
    user = user_part(params, averages.own_utility, averages.utility)
    return user + item_part(params, market, averages.exposure, averages.by_group)


def seen(params, market: Market, averages: Averages) -> dict[str, Array]:
    """The outputs that all rules have, at one checkpoint."""
    return {
        "utility": averages.utility,
        "unfairness": unfairness(market, averages.exposure),
        "exposure": averages.exposure,
    }
