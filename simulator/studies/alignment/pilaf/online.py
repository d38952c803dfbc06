"""Gradient steps on pairs that the current policy shows.

Question. How far from its best value is a policy after T steps of online preference learning?

Model. ``pilaf``, from ``θ_0 = 0`` (the reference policy): every step draws ``batch_size`` pairs
from the sampler at the current policy and takes one step of gradient descent on their loss.

Theory. The deterministic limit ``θ_{t+1} = θ_t - η ∇L(θ_t)``, with the exact gradient of
`pilaf.alignment`; ``online_regret = J(π*) - J(π_{θ_T})``. Stochastic steps add O(η/B). The law of
best_of_n jumps where two scores cross, at ``θ = 0`` already, so for it there is a limit without a
rate. Samplers with larger gradients are faster at the same η: best_of_n wins at the defaults.

Reference: arXiv 2502.04270 (online preference learning; the limit is this package's own).
"""

import jax
import jax.numpy as jnp
from jax import lax

from simulator.studies.alignment.pilaf._model import (  # isort: skip
    Instance, given, loss_gradient, sampling_at, scores, validate,
)  # fmt: skip
from simulator.maths.bradley_terry import mean_gradient
from simulator.outputs import Unrelated
from simulator.parameters import parameters, static, traced
from simulator.studies.alignment.pilaf import PAPER
from simulator.studies.alignment.pilaf._estimation import draw_counts, draw_labels, regret
from simulator.study import Figure, Study, asymptotic, both


@parameters
class Params(Instance):
    num_steps: int = static(20, symbol="T", at_least=1)
    learning_rate: float = traced(1.0, above=0)
    batch_size: int = traced(
        1024, detail="labelled pairs", at_least=1, at_most=2**31 - 1,
        static_in=("direct",), grows=1,
    )  # fmt: skip


def theory(params):
    """The recursion of the module docstring."""
    instance = given(params)

    def gradient(theta, _):
        sampling = sampling_at(params, instance, theta)
        return loss_gradient(instance, sampling, theta, instance.oracle - theta)

    return _descended(params, instance, gradient, None)


def simulate_direct(key, params):
    """Every step labels its pairs one by one."""

    def draw(key, instance, theta, sampling):
        return draw_labels(key, params, instance, theta, sampling, params.batch_size)

    return _stochastic(key, params, draw)


def simulate_fast(key, params):
    """The same steps through the counts of labels."""

    def draw(key, instance, theta, sampling):
        return draw_counts(key, instance, sampling, params.batch_size)

    return _stochastic(key, params, draw)


def _stochastic(key, params, draw):
    instance = given(params)

    def gradient(theta, key):
        sampling = sampling_at(params, instance, theta)
        wins = draw(key, instance, theta, sampling)
        weighted = sampling.weights[:, None, None] * wins / params.batch_size
        return mean_gradient(weighted, scores(instance, theta), instance.features)

    return _descended(params, instance, gradient, jax.random.split(key, params.num_steps))


def _descended(params, instance, gradient, keys):
    """The regret after ``num_steps`` steps from 0."""

    def step(theta, key):
        return theta - params.learning_rate * gradient(theta, key), None

    start = jnp.zeros_like(instance.oracle)
    theta = lax.scan(step, start, keys, length=params.num_steps)[0]
    return {"online_regret": regret(instance, theta - instance.oracle)}


def _relation(params):
    if params.sampler == "best_of_n":
        return Unrelated("the limit of many pairs per step, without a rate: its law jumps")
    return asymptotic("O(learning_rate / batch_size)")


figures = {
    "steps": Figure(
        title="Regret along online preference learning",
        x="num_steps", y=("online_regret",), series="sampler", replicates=50,
        grid={"num_steps": [1, 2, 5, 10, 20, 40], "sampler": ["pilaf", "vanilla", "uniform"]},
        params={"batch_size": 100_000}, caption="η = 1, 100,000 pairs per step, prompts tilted.",
    ),
}  # fmt: skip

check_cells = (
    {"num_steps": 6, "batch_size": 8192, "kl_regularization": 0.7},
    {"num_prompts": 2, "num_responses": 4, "dim": 2, "num_steps": 4, "batch_size": 8192,
     "sampler": "hybrid", "prompt_weighting": "importance", "learning_rate": 2.0,
     "kl_regularization": 0.8},
)  # fmt: skip

STUDY = Study(
    name="pilaf.online",
    title="online preference learning by gradient steps",
    paper=PAPER, params=Params, outputs=both(_relation, online_regret="J* - J after the last step"),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, validate=validate,
    figures=figures, tolerance=0.01, check_cells=check_cells,
)  # fmt: skip
