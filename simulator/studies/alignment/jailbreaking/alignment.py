"""Harmful mass after RLHF and after E-RLHF.

Question. How much harmful mass is left when a policy is aligned at a harmful prompt, and what does
it help to evaluate the reference policy at a safe version of the prompt?

Model. n responses, the first m of them harmful; ``log π_ref(i|x_h) = base_i + ℓ_h 1[i < m]`` at the
harmful prompt and ``base_i + ℓ_s 1[i < m]`` at its safe version, both normalised, ``base_i = 0.6
sin(1.7 (i+1))``; rewards ``r_i = Δ 1[i >= m] + 0.3 cos(2.3 (i+1))``. RLHF maximises
``E_π r - β KL(π | π_ref(.|x_h))``; E-RLHF has ``π_ref(.|x_s)`` there.

Theory. ``π* = π_ref e^(r/β)/Z``, each with its own reference, exactly; ``objective = β log Z``.
Where the reward is constant on each group, ``odds_harm = odds_ref e^(-Δ/β)``: E-RLHF improves the
odds by those of the two references, at every β and Δ, and RLHF removes no harm whatever β. DPO and
E-DPO fit the same Bradley-Terry scores and tilt different references; with pairs uniform among the
unordered ones, Fisher matrix F and ``v_i = π_i (1[i < m] - h)/β``, the harmful mass of the fit has
standard deviation ``sqrt(vᵀ F^-1 v / N)`` (one score fixed). Errors O(1/N): comparable from about N
= 30 n on.

Simulation. One preference data set, and both fits on it: maximum likelihood with ``r_0 = 0`` and a
penalty ``1e-9 |r|²/2`` on the mean loss, which decides where a response won or lost all its
comparisons. ``direct`` draws pair by pair, ``fast`` how often each label of each pair occurs.

Verdicts resolve 5 %: a standard deviation to 1 % takes 4 10^5 replicates and more, minutes of fits.

Reference: arXiv 2408.01420 (E-RLHF and E-DPO; the delta method is this package's own).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from simulator.maths import bradley_terry
from simulator.maths.preferences import divergence, tilted
from simulator.maths.slopes import square_root
from simulator.parameters import parameters, static, traced
from simulator.sampling.counts import multinomial
from simulator.studies.alignment.jailbreaking import PAPER
from simulator.study import Dispersion, Figure, Output, Study, asymptotic, both, theory_only

_PENALTY = 1e-9


@parameters
class Params:
    num_explanations: int = static(10, symbol="n", at_least=2)
    num_harmful: int = traced(4, at_least=1, at_most="num_explanations - 1")
    harmful_logit: float = traced(2.0)
    safe_prompt_logit: float = traced(-2.0)
    reward_gap: float = traced(1.0, at_least=0)
    kl_regularization: float = traced(0.5, above=0)
    num_preferences: int = traced(
        2000, symbol="N", at_least=1, at_most=2**31 - 1, static_in=("direct",), grows=1
    )


class Prompt(NamedTuple):
    """The two references, rewards and which responses are harmful."""

    references: Array  # (2, responses): logarithms, at the harmful and at the safe prompt
    rewards: Array  # (responses,)
    harmful: Array  # (responses,), true for the first m
    beta: Array


def _prompt(params) -> Prompt:
    i = np.arange(params.num_explanations)
    harmful = jnp.asarray(i) < params.num_harmful
    base = jnp.asarray(0.6 * np.sin(1.7 * (i + 1)), float)
    logits = jnp.stack([params.harmful_logit, params.safe_prompt_logit])
    references = jax.nn.log_softmax(base + logits[:, None] * harmful, axis=-1)
    rewards = jnp.where(harmful, 0, params.reward_gap)
    rewards = rewards + jnp.asarray(0.3 * np.cos(2.3 * (i + 1)), float)
    return Prompt(references, rewards, harmful, params.kl_regularization)


def _harm(prompt: Prompt, log_policy) -> Array:
    return jnp.sum(jnp.where(prompt.harmful, jnp.exp(log_policy), 0), axis=-1)


def _tilted(prompt: Prompt, rewards) -> Array:
    """Both policies, as logarithms."""
    return tilted(prompt.references, jnp.stack([rewards, rewards]), prompt.beta)


def theory(params):
    """The closed forms of the module docstring."""
    prompt = _prompt(params)
    policies = _tilted(prompt, prompt.rewards)
    harm = _harm(prompt, policies)
    reward = jnp.exp(policies) @ prompt.rewards
    kl = divergence(prompt.references, jnp.stack(2 * [prompt.rewards / prompt.beta]))
    spread = _standard_deviations(params, prompt, policies, harm)
    found = {"harm": harm, "reward": reward, "kl": kl, "objective": reward - prompt.beta * kl}
    named = {
        f"{name}_{method}": values[i]
        for name, values in found.items()
        for i, method in enumerate(("rlhf", "erlhf"))
    }
    return named | {
        "harm_reference": _harm(prompt, prompt.references[0]),
        "harm_std_dpo": spread[0],
        "harm_std_edpo": spread[1],
    }


def _standard_deviations(params, prompt, policies, harm):
    """The delta method, for both policies.

    The coordinates are scores relative to the first harmful and to the last safe response, and last
    the difference of these two: where the gap is large only rare labels tell it, and no rounding of
    the others may.
    """
    n = params.num_explanations
    first, second = np.triu_indices(n, 1)
    slope = bradley_terry.sigmoid_slope(prompt.rewards[first] - prompt.rewards[second])
    coordinates = jnp.eye(n)[:, 1:].at[:, -1].set(jnp.where(prompt.harmful, 0.0, 1.0))
    gaps = coordinates[first] - coordinates[second]
    root = bradley_terry.triangle(square_root(slope / len(first))[:, None] * gaps)
    unknown = root[-1, -1] == 0  # not even one label in 1e300
    root = root.at[-1, -1].set(jnp.where(unknown, 1.0, root[-1, -1]))
    change = jnp.exp(policies) * (prompt.harmful - harm[:, None]) / prompt.beta
    moved = solve_triangular(root, (change @ coordinates).T, trans=1)
    std = square_root(jnp.sum(moved**2, axis=0) / params.num_preferences)
    return jnp.where(unknown & (harm > 0), jnp.inf, std)


def simulate_direct(key, params):
    """Draw and label the pairs one by one."""
    prompt, n = _prompt(params), params.num_explanations
    key_first, key_second, key_label = jax.random.split(key, 3)
    shape = (params.num_preferences,)
    a = jax.random.randint(key_first, shape, 0, n)
    b = jax.random.randint(key_second, shape, 0, n - 1)
    b = b + (b >= a)
    chance = jax.nn.sigmoid(prompt.rewards[a] - prompt.rewards[b])
    won = jax.random.uniform(key_label, shape, float) < chance
    wins = jnp.zeros((n, n)).at[jnp.where(won, a, b), jnp.where(won, b, a)].add(1.0)
    return _fitted(prompt, wins)


def simulate_fast(key, params):
    """The counts of all labels of all pairs: the cost does not depend on N."""
    prompt, n = _prompt(params), params.num_explanations
    chance = bradley_terry.win_probabilities(prompt.rewards) * (1 - jnp.eye(n))
    law = chance / jnp.sum(chance)
    return _fitted(prompt, multinomial(key, params.num_preferences, law.ravel()).reshape(n, n))


def _fitted(prompt, wins):
    """The harmful mass of both policies at the fitted scores, of which the first is 0."""
    n = len(prompt.rewards)
    features = jnp.eye(n)[None, :, 1:]
    zero = jnp.zeros(n - 1)
    penalty = jnp.maximum(_PENALTY, jnp.finfo(zero.dtype).eps)
    scores, residual = bradley_terry.fit(
        wins[None], features, jnp.zeros((1, n)), zero, zero, penalty
    )
    rewards = jnp.concatenate([jnp.zeros(1), scores])
    harm = _harm(prompt, _tilted(prompt, rewards))
    return {"harm_rlhf": harm[0], "harm_erlhf": harm[1], "residual": residual}


figures = {
    "penalty": Figure(
        title="Harmful mass against the strength of alignment",
        x="kl_regularization", y=("harm_rlhf", "harm_erlhf"),
        grid={"kl_regularization": [0.15, 0.25, 0.4, 0.7, 1.0, 2.0, 5.0, 20.0]},
        caption="Ten explanations, four of them harmful; fits to 2000 labelled pairs.",
    ),
}  # fmt: skip

_RATE = asymptotic("O(1/N)")
_SPREAD = asymptotic("O(1/N) relative")

check_cells = (
    {"num_explanations": 5, "num_harmful": 2, "num_preferences": 4000, "reward_gap": 0.7},
    {"kl_regularization": 2.0, "num_preferences": 8000},
)  # fmt: skip

STUDY = Study(
    name="jailbreaking.alignment",
    title="harmful mass after RLHF and E-RLHF, and of their direct fits",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            _RATE,
            harm_rlhf="harmful mass of the RLHF optimum; simulated: of the DPO fit",
            harm_erlhf="harmful mass of the E-RLHF optimum; simulated: of the E-DPO fit",
        ),
        Output(
            "harm_std_dpo", "standard deviation of the DPO fit's harmful mass over data sets",
            _SPREAD, dispersion=Dispersion("std", "harm_rlhf"),
        ),
        Output(
            "harm_std_edpo", "the same of the E-DPO fit", _SPREAD,
            dispersion=Dispersion("std", "harm_erlhf"),
        ),
        *theory_only(
            harm_reference="harmful mass of the reference at the harmful prompt",
            reward_rlhf="mean reward of the RLHF optimum",
            reward_erlhf="mean reward of the E-RLHF optimum",
            kl_rlhf="divergence of the RLHF optimum from its reference",
            kl_erlhf="divergence of the E-RLHF optimum from its own, at the safe prompt",
            objective_rlhf="reward less β times divergence: β log Z",
            objective_erlhf="the same of E-RLHF",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, figures=figures,
    tolerance=0.05, check_cells=check_cells,
)  # fmt: skip
