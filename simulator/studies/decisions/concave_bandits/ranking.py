"""Fair rankings as concave bandits: users' clicks and items' exposures, learnt on the way.

Question. A platform ranks items for users whose clicks it has to learn, and owes items a concave
welfare of their exposures: what do known preferences, optimism, greed and random lists cost?

Model. User types ``c`` uniform on ``C``, ``m`` items, position weights ``b_k = 1/log2(1 + k)``,
``k <=
K``. Clicks in slot k are Bernoulli(``b_k v_cj``), ``v = 1/2 + popularity/2 q_j + taste/2 cos(2 pi
(c + 1/2)/C - 2 pi phi j)``, linear in features (1, q_j, cos). Rewards are the exposures ``e_j =
b_rank(j)`` and the number of clicks; ``f = s_user + item_weight f_items(e)`` with the objectives of
`concave-bandits`. The best ranking for ``g`` sorts ``g_j + v_cj``. Estimates: ridge regression of
clicks on ``b_k x``, clipped to [0, 1] after the bonus.

Theory. The maximum over stochastic rankings of all types, certified by ``optimality_gap`` (ggf: a
linear programme with its dual). Fixed policies: ``E regret = f* - f(s) + item_weight tr(H C)/(2
T)``, ``C`` the covariance of exposures over types (scalarized) or over random orders, ``(|b|²/m -
B²/m²)(m I - 11')/(m - 1)``. Rules that learn have no proven bound here: infinite.

Verdicts resolve 1.5 %: regret has the noise of clicks, and 1 % takes 2^18 replicates.

Reference: V. Do et al., ICLR 2023, arXiv 2210.09957 (the environment is this package's own).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from simulator.maths.permutahedron import (  # isort: skip
    largest_product, position_weights, sort_to_exposure, top_to_exposure,
)  # fmt: skip
from simulator.maths.circle import closeness
from simulator.maths.concave_ascent import maximise
from simulator.maths.gini_ascent import maximise_gini
from simulator.parameters import choice, parameters, static, traced
from simulator.sampling.shared import once
from simulator.studies.decisions.concave_bandits import PAPER
from simulator.studies.decisions.concave_bandits import _model as bandit
from simulator.studies.decisions.concave_bandits.main import OPTIMUM, REGRETS, SEEN
from simulator.study import RESIDUAL, Output, Study, simulation_only

ESTIMATING = ("greedy", "ucb", "epsilon_greedy")


@parameters
class Params(bandit.RidgeEstimates, bandit.AlphaFairness, bandit.BanditParams):
    algorithm: str = choice("oracle", ("oracle", "scalarized", "uniform", *ESTIMATING))
    objective: str = choice("alpha_fair", ("softmin", "alpha_fair", "quadratic", "ggf"))
    num_user_types: int = static(8, "C", "types of users", at_least=1)
    num_items: int = static(10, at_least=2)
    num_slots: int = static(3, at_least=1, at_most="num_items")
    popularity: float = traced(0.5, detail="popularity + taste <= 1", at_least=0)
    taste: float = traced(0.3, at_least=0)
    item_weight: float = traced(2.0, "–", "weight of the items' welfare", at_least=0)


class Optimum(NamedTuple):
    """The best stochastic rankings: values, rewards (items, then users), gradient there."""

    value: jax.Array
    reward: jax.Array
    gradient: jax.Array
    gap: jax.Array
    residual: jax.Array


def features_of(params):
    """``x_cj``, (type, item, 3)."""
    near = closeness(params.num_user_types, params.num_items)
    quality = jnp.broadcast_to(jnp.linspace(1, -1, params.num_items, dtype=float), near.shape)
    return jnp.stack([jnp.ones_like(near), quality, near], axis=-1)


def weights_of(params):
    """``theta``."""
    return jnp.stack([jnp.ones(()), params.popularity, params.taste]) / 2


def optimum(params) -> Optimum:
    """The maximum over the rankings of all types."""
    clicks = features_of(params) @ weights_of(params)
    types, items = clicks.shape
    weights = position_weights(items, params.num_slots)
    if params.objective == "ggf":

        def exposure_of(rankings, nothing):
            return jnp.mean(rankings, axis=0)

        gini = bandit.gini_weights(params, items)
        none = jnp.zeros((), float)
        saddle = maximise_gini(exposure_of, none, clicks / types, params.item_weight, gini, weights)
        gradient = params.item_weight * saddle.weights
        point, gap, residual = saddle.point, saddle.gap, saddle.residual
    else:

        def objective(rankings, args):
            params, clicks = args
            users = jnp.mean(jnp.sum(clicks * rankings, axis=1))
            return users + params.item_weight * bandit.value(params, jnp.mean(rankings, axis=0))

        start = jnp.full((types, items), jnp.mean(weights))
        found = maximise(objective, weights, start, float(types), (params, clicks))
        point, gap, residual = found.point, found.gap, found.residual
        gradient = params.item_weight * bandit.slope(params, jnp.mean(point, axis=0))
    exposure = jnp.mean(point, axis=0)
    users = jnp.mean(jnp.sum(clicks * point, axis=1))
    reward = jnp.append(exposure, users)
    return Optimum(total(params, reward), reward, jnp.append(gradient, 1.0), gap, residual)


def total(params, s):
    """``f`` of exposures and clicks."""
    return s[-1] + params.item_weight * bandit.value(params, s[:-1])


def theory(params):
    """The optimum, and the laws of policies that learn nothing."""
    best = optimum(params)
    clicks = features_of(params) @ weights_of(params)
    items = clicks.shape[1]
    weights = position_weights(items, params.num_slots)
    time = jnp.asarray(bandit.rounds_of(params), float)
    shown = jax.vmap(sort_to_exposure, (0, None))(clicks, weights)
    greedy = jnp.append(jnp.mean(shown, axis=0), jnp.mean(jnp.sum(clicks * shown, axis=1)))
    equal = jnp.mean(weights)
    uniform = jnp.append(jnp.full(items, equal), equal * jnp.mean(jnp.sum(clicks, axis=1)))
    centred = shown - greedy[:-1]
    variance = jnp.sum(weights**2) / items - equal**2
    mixing = (items * jnp.eye(items) - 1) / (items - 1)
    laws = {
        "scalarized": (greedy, centred.T @ centred / len(centred)),
        "uniform": (uniform, variance * mixing),
    }
    if params.algorithm in laws:
        reward, covariance = laws[params.algorithm]
        curved = bandit.minus_hessian(params, reward[:-1])
        noise = params.item_weight * jnp.trace(curved @ covariance) / 2
        regret = best.value - total(params, reward) + noise / time
    else:
        regret = jnp.full(time.shape, jnp.inf)
    return {
        "optimal_value": best.value,
        "optimal_reward": best.reward,
        "optimal_gradient": best.gradient,
        "optimality_gap": best.gap,
        "uniform_value": total(params, uniform),
        "scalarized_value": total(params, greedy),
        "regret": regret,
        "regret_controlled": regret,
        RESIDUAL: best.residual,
    }


def simulate_direct(key, params):
    """Round after round: a user's type, a ranking, clicks."""
    best = once(optimum, params)
    features, theta = features_of(params), weights_of(params)
    clicks = features @ theta
    types, items = clicks.shape
    slots = params.num_slots
    weights = position_weights(items, slots)
    at_best = best.gradient[:-1] + clicks
    best_products = jax.vmap(largest_product, (0, None))(at_best, weights)
    learning = params.algorithm in ESTIMATING

    def draw(key, length):
        keys = jax.random.split(key, 4)
        return (
            jax.random.randint(keys[0], (length,), 0, types, jnp.int32),
            jax.random.uniform(keys[1], (length, items), float),
            jax.random.uniform(keys[2], (length,), float),
            jax.random.uniform(keys[3], (length, items), float),
        )

    def scores_of(memory, gradient, kind, now, chance, order):
        if params.algorithm == "uniform":
            return order
        if params.algorithm == "scalarized":
            return clicks[kind]
        if params.algorithm == "oracle":
            return gradient + clicks[kind]
        inverse, products, log_volume = memory
        x = features[kind]
        estimate = x @ (inverse @ products)
        if params.algorithm == "ucb":
            log = 2 * jnp.log(1 / params.failure_probability) + log_volume
            width = jnp.sqrt(log) / 2 + jnp.sqrt(params.ridge) * jnp.linalg.norm(theta)
            reach = jnp.sqrt(jnp.sum((x @ inverse) * x, axis=1))
            estimate = estimate + params.exploration * width * reach
        scores = gradient + jnp.clip(estimate, 0, 1)
        if params.algorithm == "epsilon_greedy":
            scores = jnp.where(chance < bandit.random_share(params, now), order, scores)
        return scores

    def learnt(memory, kind, shown, clicked):
        """One update for each item that is shown."""
        inverse, products, log_volume = memory
        x = shown[:, None] * features[kind]
        products = products + clicked @ x
        _, places = jax.lax.top_k(shown, slots)
        for slot in range(slots):
            row = x[places[slot]]
            towards = inverse @ row
            length = 1 + row @ towards
            inverse = inverse - jnp.outer(towards, towards) / length
            log_volume = log_volume + jnp.log(length)
        return inverse, products, log_volume

    def step(memory, averages, now, drawn):
        kind, uniform, chance, order = drawn
        gradient = params.item_weight * bandit.playing_slope(params, averages.reward[:-1], now)
        scores = scores_of(memory, gradient, kind, now, chance, order)
        shown = top_to_exposure(scores, weights, slots)
        clicked = (uniform < shown * clicks[kind]).astype(shown.dtype)
        if learning:
            memory = learnt(memory, kind, shown, clicked)
        reward = jnp.append(shown, jnp.sum(clicked))
        wanted = gradient + clicks[kind]
        gap = best_products[kind] - at_best[kind] @ shown
        scalar = largest_product(wanted, weights) - wanted @ shown
        return memory, bandit.record(averages, now, reward, gap, scalar)

    start = (jnp.eye(3) / params.ridge, jnp.zeros(3, float), jnp.zeros((), float))
    averages = bandit.played(
        key, params, (start if learning else (), bandit.nothing(items + 1)), draw, step
    )

    def apart(s):
        gradient = best.gradient[:-1] / jnp.where(params.item_weight > 0, params.item_weight, 1)
        return params.item_weight * bandit.divergence(params, best.reward[:-1], gradient, s[:-1])

    found = bandit.simulated(params, best, averages, lambda s: total(params, s), apart)
    return {**found, RESIDUAL: best.residual}


def validate(params, side):
    """Checkpoints, and preferences that are probabilities."""
    bandit.check_rounds(params)
    allowed = params.popularity + params.taste <= 1 + 1e-12
    if not isinstance(allowed, jax.core.Tracer) and not allowed:
        raise ValueError(
            f"taste = {params.taste:g} is not allowed: popularity + taste must be <= 1 (here "
            f"popularity = {params.popularity:g})"
        )
    return allowed


figures = {
    "rounds": bandit.figure_of_rounds(
        "Sorting by relevance alone never becomes fair",
        ["oracle", "scalarized", "uniform"],
        num_rounds=2000,
        replicates=50,
        caption="Eight types of users, ten items, three slots, alpha-fairness.",
    ),
}  # fmt: skip

check_cells = (
    {"algorithm": "uniform", "objective": "quadratic", "num_user_types": 3, "num_items": 4,
     "num_slots": 2, "num_rounds": 30, "num_checkpoints": 2, "curvature": 1.3},
)  # fmt: skip

STUDY = Study(
    name="concave-bandits.ranking",
    title="fair rankings whose clicks are learnt",
    paper=PAPER, params=Params,
    outputs=(
        *OPTIMUM,
        Output(
            "optimality_gap", "certificate: f* exceeds optimal_value by at most this",
            where="theory", certificate=True,
        ),
        *REGRETS,
        *simulation_only(dims=("round",), bregman="curvature of f between s* and the averages"),
        *SEEN,
        *simulation_only(doubling_increment="T regret_controlled, less that at half of T"),
    ),
    theory=theory, simulate_direct=simulate_direct, validate=validate,
    coordinates={"round": bandit.rounds_of}, figures=figures, residual_tolerance=1e-8,
    check_cells=check_cells, tolerance=0.015,
)  # fmt: skip
