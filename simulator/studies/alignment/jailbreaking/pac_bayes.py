"""Pretraining mimics its corpus: the risk of a Gibbs posterior, and two bounds on it.

Question. How close to the law of its corpus is a model that was chosen by few prompts, and what do
PAC-Bayes bounds say of it?

Model. M models with prior ``1/M``; the risk of a model is its mean total variation from the world's
answers over prompts ``q ~ D``, the posterior ``ρ_m ∝ e^(-λ R̂_m)`` with the empirical risk on N
drawn prompts. Model 0 is the world; logits of model m at prompt q: ``sin(1.3 (i+1)(q+1)) + 1[m > 0]
spread sin(0.9 (m+1)(i+1) + 2.1 (q+1)(m+1))``, ``D(q) ∝ 1/(1 + q)``. One replicate is one sample of
prompts.

Theory. With two prompts only the number of the first one counts, ``Binomial(N, 2/3)``: all means
are exact sums. For all ρ, with probability at least ``1 - δ``,

    E_ρ R <= E_ρ R̂ + sqrt((KL(ρ | prior) + log(2 sqrt(N)/δ))/(2N))              (Maurer),
    E_ρ R <= E_ρ R̂ + (KL(ρ | prior) + log(1/δ))/λ + λ/(8N)                      (Catoni).

Both are far from tight here: ``violation_probability`` is 0 to double precision. If harmful prompts
have weight ``w_h`` in the corpus, the mean error on them is at most ``R / w_h``: a small risk means
that harmful answers are mimicked, too.

Verdicts resolve 0.3 %: 0.1 % takes 10^6 replicates.

Reference: arXiv 2408.01420 (pretraining; its form of the bound has no ``2 sqrt(N)``).
"""

import jax
import jax.numpy as jnp
import numpy as np

from simulator.maths.binomial import log_probability
from simulator.maths.preferences import divergence
from simulator.parameters import SIMULATIONS, parameters, static, traced
from simulator.sampling.counts import draw_tokens, multinomial
from simulator.studies.alignment.jailbreaking import PAPER
from simulator.study import Figure, Study, both, exact


@parameters
class Params:
    num_models: int = static(16, "M", "models, the first of which is the world", at_least=2)
    num_explanations: int = static(8, symbol="n", at_least=2)
    num_prompts: int = static(2, detail="with one nothing is random", at_least=1, at_most=2)
    model_spread: float = traced(0.8, "–", "how far models are from the world", at_least=0)
    num_samples: int = static(
        200, symbol="N", detail="drawn prompts", at_least=1, at_most=2**31 - 1,
        traced_in=SIMULATIONS,
    )  # fmt: skip
    inverse_temperature: float = traced(100.0, "λ", "of the Gibbs posterior", above=0)
    failure_probability: float = traced(0.05, above=0, below=1)


def _risks(params):
    """Total variation of every model at every prompt (models, prompts), and ``D``."""
    m = np.arange(params.num_models)[:, None, None]
    q = np.arange(params.num_prompts)[None, :, None]
    i = np.arange(params.num_explanations)[None, None, :]
    world = jnp.asarray(np.sin(1.3 * (i + 1) * (q + 1)), float)
    changes = np.where(m > 0, np.sin(0.9 * (m + 1) * (i + 1) + 2.1 * (q + 1) * (m + 1)), 0)
    other = jnp.asarray(changes, float)
    models = jax.nn.softmax(world + params.model_spread * other, axis=-1)
    gap = jnp.where(m > 0, models - models[:1], 0)
    # At spread 0 all models are the world: the slope of its absolute value is that beside it.
    moves = other - jnp.sum(models * other, axis=-1, keepdims=True)
    distance = jnp.sum(gap * jnp.sign(jnp.where(params.model_spread > 0, gap, moves)), axis=-1) / 2
    prompts = 1 / (1 + np.arange(params.num_prompts))
    return distance, jnp.asarray(prompts / prompts.sum(), float)


def _after(params, frequencies):
    """All outputs, given the frequencies of the prompts in the sample."""
    risks, prompts = _risks(params)
    samples, delta = params.num_samples * 1.0, params.failure_probability
    tilt = -params.inverse_temperature * (risks @ frequencies)
    posterior = jax.nn.softmax(tilt)
    population, empirical = posterior @ (risks @ prompts), posterior @ (risks @ frequencies)
    kl = divergence(jnp.full_like(tilt, -np.log(params.num_models)), tilt)
    slack = (kl + np.log(2) + jnp.log(samples) / 2 - jnp.log(delta)) / (2 * samples)
    maurer = empirical + jnp.sqrt(slack)
    temperature = params.inverse_temperature
    return {
        "population_risk": population,
        "empirical_risk": empirical,
        "posterior_kl": kl,
        "maurer_bound": maurer,
        "catoni_bound": empirical
        + (kl - jnp.log(delta)) / temperature
        + temperature / (8 * samples),
        "violation_probability": (population > maurer).astype(float),
    }


def theory(params):
    """Sums over the number of the first prompt."""
    prompts = _risks(params)[1]
    if params.num_prompts == 1:
        return _after(params, prompts)
    total = params.num_samples
    count = jnp.arange(total + 1, dtype=float)
    weight = jnp.exp(log_probability(count, float(total), prompts[0]))
    weight = weight / jnp.sum(weight)
    frequencies = jnp.stack([count, total - count], axis=1) / total
    found = jax.vmap(lambda f: _after(params, f))(frequencies)
    return {name: weight @ values for name, values in found.items()}


def simulate_direct(key, params):
    """Draw the prompts one by one."""
    drawn = draw_tokens(key, params.num_samples, _risks(params)[1])
    return _after(params, drawn / params.num_samples)


def simulate_fast(key, params):
    """Draw how often each prompt occurs."""
    drawn = multinomial(key, params.num_samples, _risks(params)[1])
    return _after(params, drawn / params.num_samples)


figures = {
    "samples": Figure(
        title="Risk of the posterior and two bounds on it",
        x="num_samples", y=("population_risk", "maurer_bound", "catoni_bound"), replicates=200,
        grid={"num_samples": [10, 30, 100, 300, 1000, 3000]},
        caption="16 models, λ = 100, δ = 0.05.",
    ),
}  # fmt: skip

check_cells = (
    {"num_models": 4, "num_explanations": 5, "model_spread": 1.7, "num_samples": 30,
     "inverse_temperature": 25.0, "failure_probability": 0.2},
    {"num_models": 6, "num_samples": 150, "inverse_temperature": 60.0},
)  # fmt: skip

STUDY = Study(
    name="jailbreaking.pac-bayes",
    title="risk of a Gibbs posterior over models, and PAC-Bayes bounds",
    paper=PAPER, params=Params,
    outputs=both(
        exact(),
        population_risk="mean total variation of the posterior's models from the world",
        empirical_risk="the same on the sample",
        posterior_kl="KL(ρ | prior)",
        maurer_bound="mean of Maurer's bound",
        catoni_bound="mean of Catoni's bound",
        violation_probability="chance that the risk is above Maurer's bound",
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, figures=figures,
    tolerance=0.003, check_cells=check_cells,
)  # fmt: skip
