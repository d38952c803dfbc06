"""Rounds of labelling and refitting: reward against divergence from the reference.

Question. Labels are bought in rounds, each with the sampler at the last fit. What is the regret
after each round?

Model. ``pilaf``, from ``θ = 0``: every round draws ``num_preferences`` pairs from the sampler at
the current policy, with the weights of that policy, and refits by maximum likelihood on all pairs
so far (``replay = all``) or on the new ones alone.

Theory. Information adds. Round 1 samples at ``θ = 0``, later rounds near ``θ*``: with ``Σ_0, V_0``
and ``Σ_1, V_1`` of the two (``σ'`` at ``θ*``, the weights of their own policy),

    regret_t ≈ tr(H S^-1 W S^-1) / (2n),   S = Σ_0 + (t-1) Σ_1,   W = V_0 + (t-1) V_1   (all),

and ``S, W = Σ_0, V_0``, then ``Σ_1, V_1`` (new); relative error O(1/n). The divergence from the
reference tends to that of ``π*``.

Control variates are those of ``pilaf`` after every round: the rounds' gradients are uncorrelated,
and have the covariances of their own samplers.

Verdicts resolve 1 %: 0.1 % takes 5 10^5 replicates, minutes of fits.

Reference: arXiv 2502.04270 (iterative DPO; the formula is this package's own).
"""

import jax
import jax.numpy as jnp
from jax import lax

from simulator.maths.bradley_terry import triangle
from simulator.parameters import choice, parameters, static, traced
from simulator.studies.alignment.pilaf import PAPER
from simulator.studies.alignment.pilaf import _estimation as estimation
from simulator.studies.alignment.pilaf._model import Instance, given, sampling_at, validate
from simulator.study import Figure, Study, asymptotic, both


@parameters
class Params(Instance):
    num_rounds: int = static(5, "–", "rounds of labelling and refitting", at_least=1)
    num_preferences: int = traced(
        1000, detail="in each round", at_least=1, at_most=2**31 - 1, static_in=("direct",), grows=1
    )
    replay: str = choice("all", ("all", "new"), "–", "pairs used in the refit")


def theory(params):
    """The formula of the module docstring."""
    instance = given(params)
    hessian = triangle(estimation.hessian_rows(instance))
    first, later = (
        [
            triangle(rows)
            for rows in estimation.information_rows(instance, sampling_at(params, instance, at))
        ]
        for at in (jnp.zeros_like(instance.oracle), instance.oracle)
    )
    rounds = jnp.arange(params.num_rounds, dtype=float)

    def after(number):
        """The regret after ``number`` rounds at the optimum."""
        old = jnp.where((number > 0) & (params.replay == "new"), 0.0, 1.0)
        new = jnp.sqrt(jnp.where(params.replay == "new", jnp.minimum(number, 1), number))
        information, variance = (
            triangle(jnp.concatenate([old * a, new * b])) for a, b in zip(first, later, strict=True)
        )
        return estimation.spread(hessian, information, variance)

    found = jax.vmap(after)(rounds)
    best = estimation.divergence_from_reference(instance, instance.oracle)
    return {
        "regret": found.trace / (2 * params.num_preferences),
        "kl_to_reference": jnp.full_like(rounds, best),
        "residual": jnp.max(found.residual),
    }


def simulate_direct(key, params):
    """Every round labels its pairs one by one."""

    def draw(key, instance, theta, sampling):
        return estimation.draw_labels(
            key, params, instance, theta, sampling, params.num_preferences
        )

    return _rounds(key, params, draw)


def simulate_fast(key, params):
    """The same rounds through the counts of labels."""

    def draw(key, instance, theta, sampling):
        return estimation.draw_counts(key, instance, sampling, params.num_preferences)

    return _rounds(key, params, draw)


def _rounds(key, params, draw):
    instance = given(params)
    count = params.num_preferences

    def next_round(carry, key):
        error, kept = carry
        theta = instance.oracle + error
        sampling = sampling_at(params, instance, theta)
        wins = draw(key, instance, theta, sampling)
        weighted = sampling.weights[:, None, None] * wins
        # Scores of rounds are uncorrelated: those of a round have mean 0 given all before.
        new = weighted, count * estimation.score_covariance(instance, sampling)
        kept = jax.tree.map(jnp.add, kept, new) if params.replay == "all" else new
        error, residual = estimation.estimate(instance, kept[0], error)
        return (error, kept), (
            estimation.regret(instance, error),
            estimation.divergence_from_reference(instance, instance.oracle + error),
            estimation.score_of(instance, kept[0]),
            kept[1],
            residual,
        )

    responses, dim = params.num_responses, params.dim
    nothing = jnp.zeros((params.num_prompts, responses, responses)), jnp.zeros((dim, dim))
    keys = jax.random.split(key, params.num_rounds)
    _, found = lax.scan(next_round, (-instance.oracle, nothing), keys)
    regrets, divergences, score, second, residuals = found
    outputs = {
        "regret": regrets,
        "kl_to_reference": divergences,
        "residual": jnp.max(residuals),
    }
    return estimation.with_score(outputs, score, second, count)


figures = {
    "rounds": Figure(
        title="Regret after rounds of labelling and refitting",
        x="round", y=("regret",), series="sampler", replicates=200,
        grid={"sampler": ["pilaf", "vanilla", "uniform"]},
        params={"num_preferences": 10_000, "num_rounds": 6},
        caption="10,000 pairs per round, all kept, prompts tilted.",
    ),
}  # fmt: skip

check_cells = (
    {"num_rounds": 3, "num_preferences": 8000},
    {"num_prompts": 2, "num_responses": 4, "dim": 2, "num_rounds": 2, "num_preferences": 8000,
     "sampler": "hybrid", "prompt_weighting": "importance", "replay": "new",
     "kl_regularization": 0.8},
)  # fmt: skip

STUDY = Study(
    name="pilaf.iterated",
    title="rounds of labelling and refitting",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            asymptotic("O(1/n) relative"),
            dims=("round",),
            regret="J* - J after each round",
        ),
        *both(
            asymptotic("O(1/n)"),
            dims=("round",),
            kl_to_reference="E KL(π | π_ref) after each round; theory: of the best policy",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast,
    controls=estimation.controls_of, validate=validate,
    coordinates={"round": lambda params: range(1, params.num_rounds + 1)}, figures=figures,
    tolerance=0.01, check_cells=check_cells,
)  # fmt: skip
