"""What the online ranker is compared with: batch Frank-Wolfe, FairCo, relevance and random order.

Question. What do rankers cost that see all users at once, that control exposure, or that ignore it?

Model. That of `fair-ranking`, with the rankings of ``algorithm``:

    batch_frank_wolfe  all users at once, once per epoch: a <- a + 2/(k + 2) (sort(grad f(a)) - a)
    fairco             scores mu_ij + gain (max_j' X_j' - X_j), X_j the exposure so far over merit
    relevance, random  sort by mu_ij; a random order

Theory. Batch Frank-Wolfe is deterministic: its regret is computed, ``f* - f_k <= 2 C / (k + 2)``.
With the quadratic objective and iid users

    relevance  f* - f(relevance) + beta/2 sum_j Var_i(a_ij) / T,
    random     f* - f(uniform) + beta/2 (sum_k b_k² - B²/m) / T

(random: shuffled, too; relevance shuffled: no second term, whatever the objective); else these are
limits, O(1/T). FairCo tends to exposure in proportion to merit: with ``constrained_utility`` the
largest mean utility under ``v_j = B merit_j / m`` (-inf where that is infeasible), to ``f``
there, T ->
inf first and then gain -> 0; none for balanced and for welfare that is not linear in utilities.

Verdicts resolve 1 %: 0.1 % takes 5 10^6 replicates.

Reference: N. Usunier, V. Do, E. Dohmatob, FAccT 2022, arXiv 2209.13019; FairCo: M. Morik et al.,
SIGIR 2020 (constants and limits are this package's own).
"""

import jax
import jax.numpy as jnp
from jax import lax

from simulator.study import (  # isort: skip
    NO_RELATION, RESIDUAL, Figure, Output, Study, asymptotic, exact, theory_only,
)  # fmt: skip
from simulator.maths.permutahedron import top_to_exposure
from simulator.maths.rounds import log_spaced
from simulator.parameters import choice, parameters, traced
from simulator.sampling.shared import once
from simulator.studies.decisions.fair_ranking import PAPER
from simulator.studies.decisions.fair_ranking import _model as ranking
from simulator.studies.decisions.fair_ranking._constrained import constrained_utility
from simulator.studies.decisions.fair_ranking._optimum import described, optimum, sorted_rows
from simulator.studies.decisions.fair_ranking._play import averages_over_time, seen, value_at
from simulator.studies.decisions.fair_ranking.main import OUTPUTS, SEEN, epochs


@parameters
class Params(ranking.RankingParams):
    algorithm: str = choice(
        "batch_frank_wolfe",
        ("batch_frank_wolfe", "fairco", "relevance", "random"),
    )
    fairco_gain: float = traced(0.01, "λ", "gain of the controller (fairco)", above=0)


def theory(params):
    """The optimum, and what the algorithm's regret is or tends to."""
    best = optimum(params)
    market = ranking.market_of(params)
    found = described(params, best)
    constrained = constrained_utility(market)
    users, items = market.relevance.shape
    weights = market.weights
    rounds = jnp.asarray(users * log_spaced(params.num_epochs, params.num_checkpoints), float)
    noise = jnp.zeros(())
    if params.algorithm == "batch_frank_wolfe":
        path = jax.vmap(lambda a: ranking.value_of(params, market, a))(_batch_path(params, market))
        regret = best.value - path
    elif params.algorithm == "relevance":
        if params.objective == "quadratic" and params.arrivals == "uniform":
            noise = jnp.sum(jnp.var(sorted_rows(market.relevance, weights), axis=0))
        regret = best.value - found["relevance_value"] + params.fairness_weight / 2 * noise / rounds
    elif params.algorithm == "random":
        if params.objective == "quadratic":
            noise = jnp.sum(weights**2) - market.equal**2 * items
        regret = best.value - found["uniform_value"] + params.fairness_weight / 2 * noise / rounds
    else:
        exposure = market.equal * market.merit
        item = ranking.item_part(params, market, exposure, jnp.stack([exposure, exposure]))
        user = ranking.user_part(params, jnp.full(users, constrained.utility), constrained.utility)
        known = ranking.user_linear(params) & constrained.feasible
        limit = jnp.where(known, best.value - user - item, jnp.inf)
        regret = jnp.full(len(rounds), limit)
    return {
        **found,
        "constrained_utility": jnp.where(constrained.feasible, constrained.utility, -jnp.inf),
        "regret": regret,
        RESIDUAL: jnp.maximum(best.residual, constrained.residual),
    }


def _batch_path(params, market):
    """All users' exposures at the checkpoints of batch Frank-Wolfe: (round, n, m)."""
    rounds = jnp.asarray(log_spaced(params.num_epochs, params.num_checkpoints))
    slope = jax.grad(lambda a: ranking.value_of(params, market, a))
    start = jnp.full(market.relevance.shape, market.equal)

    def step(carry, iteration):
        rankings, kept = carry
        towards = sorted_rows(slope(rankings), market.weights)
        rankings = rankings + 2 / (iteration.astype(float) + 2) * (towards - rankings)
        row = jnp.sum(rounds < iteration + 1)
        return (rankings, kept.at[row].set(rankings)), None

    kept = jnp.zeros((len(rounds), *start.shape), start.dtype)
    return lax.scan(step, (start, kept), jnp.arange(params.num_epochs))[0][1]


def simulate_direct(key, params):
    """Round after round, or epoch after epoch, as the algorithm says."""
    market = ranking.market_of(params)
    best = once(optimum, params)
    if params.algorithm == "batch_frank_wolfe":

        def outputs(rankings):
            exposure, _ = ranking.exposures_of(rankings)
            return {
                "regret": best.value - ranking.value_of(params, market, rankings),
                "utility": jnp.mean(jnp.sum(market.relevance * rankings, axis=1)),
                "unfairness": ranking.unfairness(market, exposure),
                "exposure": exposure,
            }

        found = jax.vmap(outputs)(_batch_path(params, market))
        return {**found, RESIDUAL: best.residual}

    random = params.algorithm == "random"

    def rule(averages, now, user, numbers):
        scores = numbers if random else market.relevance[user]
        if params.algorithm == "fairco":
            received = (now - 1).astype(float) * averages.exposure / jnp.maximum(market.merit, 1e-9)
            scores = scores + params.fairco_gain * (jnp.max(received) - received)
        return top_to_exposure(scores, market.weights, params.num_slots)

    averages = averages_over_time(key, params, market, rule, random=random)

    def seen_at(averages):
        regret = best.value - value_at(params, market, averages)
        return {"regret": regret, **seen(params, market, averages)}

    return {**jax.vmap(seen_at)(averages), RESIDUAL: best.residual}


def _relation(params):
    shuffled, quadratic = params.arrivals == "shuffled", params.objective == "quadratic"
    if params.algorithm == "batch_frank_wolfe":
        return exact("deterministic")
    if params.algorithm == "fairco":
        linear = params.objective != "welfare" or float(params.welfare_exponent_user) == 1
        if params.objective == "balanced" or not linear:
            return NO_RELATION
        return asymptotic("T → ∞, then gain → 0")
    if quadratic or (params.algorithm == "relevance" and shuffled):
        return exact()
    return asymptotic("O(1/T)")


figures = {
    "baselines": Figure(
        title="Relevance alone stays away; batch Frank-Wolfe needs tens of epochs",
        x="round", y=("regret",), series="algorithm", replicates=20,
        grid={"algorithm": ["batch_frank_wolfe", "relevance", "random"]},
        params={"num_epochs": 64, "num_checkpoints": 7},
        caption="40 users (an epoch is 40 rounds), 20 items, 5 slots, quadratic with weight 4.",
    ),
}  # fmt: skip

_SMALL = {
    "num_users": 6,
    "num_items": 5,
    "num_slots": 2,
    "num_epochs": 6,
    "num_checkpoints": 2,
    "fairness_weight": 1.7,
    "popularity": 0.8,
    "taste": 1.3,
}

STUDY = Study(
    name="fair-ranking.baselines",
    title="batch, controlled and unfair rankings",
    paper=PAPER, params=Params,
    outputs=(
        *OUTPUTS,
        *theory_only(constrained_utility="largest mean utility with exposure as merit"),
        Output("regret", "f* less f of the averages", _relation, dims=("round",)),
        *SEEN,
    ),
    theory=theory, simulate_direct=simulate_direct, complete=ranking.complete,
    validate=ranking.validate, coordinates={"round": epochs}, figures=figures,
    residual_tolerance=1e-8,
    check_cells=(
        _SMALL | {"algorithm": "relevance"},
        _SMALL | {"algorithm": "random"},
        _SMALL | {"algorithm": "batch_frank_wolfe", "objective": "quality_weighted"},
    ),
    tolerance=0.01,
)  # fmt: skip
