"""What the parts share: the instance, its policies, and the law of labelled pairs.

Prompts ``x ~ ρ``, responses ``y``, features ``φ(x, y)``, oracle rewards ``r* = φ·θ*``, policies
``π_θ ∝ π_ref e^{φ·θ/β}`` with implicit rewards ``r_θ = φ·θ - β log Z_θ``. Where no arrays are
given, the reference instance, with indices from 0:

    φ_j(x, y) = √2 cos(0.7 (y+1)(j+1) + 1.1 (x+1)(j+2)),   θ*_j = s (-1)^j / sqrt(j+1),
    π_ref(y|x) ∝ exp(sin(2(y+1) + (x+1)) / 2),             ρ(x) ∝ 1 + x/2.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from simulator.maths.bradley_terry import differences, sigmoid_gap
from simulator.maths.preferences import SAMPLERS, extrapolated, pair_law, tilted
from simulator.parameters import array, choice, parameters, static, traced

WEIGHTINGS = ("none", "tilt", "importance")
_SUM = 1e-6


@parameters
class Instance:
    """The parameters that all parts have."""

    num_prompts: int = static(4, symbol="X", at_least=1)
    num_responses: int = static(6, "K", "responses to each prompt", at_least=2)
    dim: int = static(
        3, at_least=1, detail="at most the rank of the centred features", typical=(1, 50)
    )
    kl_regularization: float = traced(0.5, above=0)
    reward_scale: float = traced(1.0, "s", "size of the oracle parameter", at_least=0)
    sampler: str = choice("pilaf", SAMPLERS, "μ", "which pairs are shown")
    prompt_weighting: str = choice("tilt", WEIGHTINGS, "–", "prompts are drawn or weighted by Z_x")
    num_candidates: int = traced(
        8, symbol="N", at_least=2, detail="best_of_n only", static_in=("direct",)
    )
    features: tuple = array((), "φ", "features", dims=("prompt", "response", "feature"))
    reference_policy: tuple = array(
        (), "π_ref", "policy before training, rows summing to 1", dims=("prompt", "response"),
        above=0,
    )  # fmt: skip
    prompt_distribution: tuple = array(
        (), "ρ", "law of the prompts, summing to 1", dims=("prompt",), above=0
    )
    oracle_parameter: tuple = array(
        (), "θ*/s", "direction of the oracle parameter", dims=("feature",)
    )


class Given(NamedTuple):
    """The instance as arrays."""

    features: Array  # (prompts, responses, dim)
    log_reference: Array  # (prompts, responses)
    log_prompts: Array  # (prompts,)
    oracle: Array  # (dim,), θ*
    beta: Array


class Sampling(NamedTuple):
    """How labelled pairs come about at a policy."""

    prompts: Array  # (prompts,), the law that they are drawn from
    weights: Array  # (prompts,), in the loss
    pairs: Array  # (prompts, responses, responses), μ(a, b | x)
    log_partition: Array  # log Z̄


# --------------------------------------------------------------------------------------------
# The instance
# --------------------------------------------------------------------------------------------
def _example(num_prompts, num_responses, dim):
    """The reference instance, in float64: its angles grow with the size."""
    x = np.arange(1, num_prompts + 1)[:, None]
    y = np.arange(1, num_responses + 1)[None, :]
    j = np.arange(1, dim + 1)
    angle = 0.7 * y[..., None] * j + 1.1 * x[..., None] * (j + 1)
    return {
        "features": np.sqrt(2) * np.cos(angle),
        "reference_policy": np.exp(np.sin(2 * y + x) / 2),
        "prompt_distribution": 1 + np.arange(num_prompts) / 2,
        "oracle_parameter": (-1.0) ** np.arange(dim) / np.sqrt(j),
    }


def _arrays(params) -> dict[str, Any]:
    """The arrays that were given, and the reference instance's in place of the others."""
    example = _example(params.num_prompts, params.num_responses, params.dim)
    given = {name: getattr(params, name) for name in example}
    return {n: given[n] if np.size(given[n]) else value for n, value in example.items()}


def given(params) -> Given:
    """The instance of the parameters."""
    arrays = {name: jnp.asarray(value, float) for name, value in _arrays(params).items()}
    return Given(
        arrays["features"],
        jax.nn.log_softmax(jnp.log(arrays["reference_policy"]), axis=-1),
        jax.nn.log_softmax(jnp.log(arrays["prompt_distribution"])),
        params.reward_scale * arrays["oracle_parameter"],
        params.kl_regularization,
    )


def validate(params, side: str) -> bool:
    """Shapes as announced, laws that sum to 1, and features that tell all of θ.

    Traced arrays are taken as they are.
    """
    shapes = {name: value.shape for name, value in _example(*_sizes(params)).items()}
    for name, shape in shapes.items():
        value = getattr(params, name)
        if np.size(value) and np.shape(value) != shape:
            raise ValueError(
                f"{name} of shape {np.shape(value)} is not allowed: num_prompts = "
                f"{params.num_prompts}, num_responses = {params.num_responses} and dim = "
                f"{params.dim} announce {shape}"
            )
    for name, over in (
        ("reference_policy", "over the responses to each prompt (its last axis)"),
        ("prompt_distribution", "over the prompts"),
    ):
        value = getattr(params, name)
        if np.size(value) and not isinstance(value, jax.core.Tracer):
            sums = np.atleast_1d(np.sum(value, axis=-1))
            worst = int(np.argmax(np.abs(sums - 1)))
            if abs(sums[worst] - 1) > _SUM:
                where = f" at prompt {worst}" * (np.ndim(value) > 1)
                raise ValueError(
                    f"{name} is not allowed: it must sum to 1 {over}, and sums to "
                    f"{sums[worst]:.9g}{where}"
                )
    features = _arrays(params)["features"]
    if not isinstance(features, jax.core.Tracer):
        features = np.asarray(features)
        centred = features - features.mean(axis=1, keepdims=True)
        rank = np.linalg.matrix_rank(centred.reshape(-1, params.dim))
        if rank < params.dim:
            raise ValueError(
                f"dim = {params.dim} is not allowed here: the features, less their mean over the "
                f"responses, have rank {rank}, which dim must not exceed"
            )
    return True


def _sizes(params):
    return params.num_prompts, params.num_responses, params.dim


# --------------------------------------------------------------------------------------------
# Policies and pairs
# --------------------------------------------------------------------------------------------
def scores(instance: Given, theta) -> Array:
    """``φ·θ``, entry by entry: equal features have equal scores."""
    return jnp.sum(instance.features * theta, axis=-1)


def log_policy(instance: Given, theta) -> Array:
    return tilted(instance.log_reference, scores(instance, theta), instance.beta)


def sampling_at(params, instance: Given, theta) -> Sampling:
    """Prompts, weights and pairs where labels are bought with the policy at ``theta``."""
    reward = scores(instance, theta)
    policy = tilted(instance.log_reference, reward, instance.beta)
    odds = extrapolated(policy, instance.log_reference, instance.beta)[2]
    log_z = jnp.logaddexp(0, odds)
    log_mean = jax.nn.logsumexp(instance.log_prompts + log_z)
    law = pair_law(
        params.sampler, policy, instance.log_reference, instance.beta, reward,
        params.num_candidates,
    )  # fmt: skip
    prompts, relative = jnp.exp(instance.log_prompts), jnp.exp(log_z - log_mean)
    one = jnp.ones_like(prompts)
    by_prompt, weights = {
        "none": (prompts, one),
        "tilt": (prompts * relative, one),
        "importance": (prompts, relative),
    }[params.prompt_weighting]
    return Sampling(by_prompt, weights, law, log_mean)


def unordered(law: Array) -> Array:
    """``μ(a, b) + μ(b, a)`` for ``a < b``: (..., pairs)."""
    first, second = pairs_of(law.shape[-1])
    return law[..., first, second] + law[..., second, first]


def pairs_of(count: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs ``a < b`` of responses."""
    return np.triu_indices(count, 1)


def feature_gaps(instance: Given) -> Array:
    """``g = φ(a) - φ(b)`` of all pairs ``a < b``: (prompts, pairs, dim)."""
    first, second = pairs_of(instance.features.shape[1])
    return instance.features[:, first] - instance.features[:, second]


# --------------------------------------------------------------------------------------------
# Gradients
# --------------------------------------------------------------------------------------------
def loss_gradient(instance: Given, sampling: Sampling, theta, missing) -> Array:
    """``∇L``: the mean over labelled pairs, at ``theta = θ* - missing``."""
    first, second = pairs_of(instance.features.shape[1])
    gaps = feature_gaps(instance)
    here, oracle = (
        differences(scores(instance, at))[:, first, second] for at in (theta, theta + missing)
    )
    surprise = sigmoid_gap(oracle, here, jnp.sum(gaps * missing, axis=-1))
    weight = (sampling.prompts * sampling.weights)[:, None] * unordered(sampling.pairs)
    return -jnp.einsum("xp,xpj->j", weight * surprise, gaps)


def objective_gradient(instance: Given, theta, missing) -> Array:
    """``∇J = (1/β) E_ρ Cov_π(φ·(θ* - θ), φ)``, as a sum over pairs."""
    gaps = feature_gaps(instance)
    return jnp.einsum(
        "xp,xp,xpj->j", policy_pairs(instance, theta), jnp.sum(gaps * missing, axis=-1), gaps
    ) / instance.beta  # fmt: skip


def policy_pairs(instance: Given, theta) -> Array:
    """``ρ(x) π_θ(a) π_θ(b)`` of all pairs ``a < b``."""
    first, second = pairs_of(instance.features.shape[1])
    policy = jnp.exp(log_policy(instance, theta))
    return jnp.exp(instance.log_prompts)[:, None] * policy[:, first] * policy[:, second]
