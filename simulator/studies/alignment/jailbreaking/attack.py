"""K random rephrasings: how often does one of them succeed?

Question. An attack tries K random queries for one harmful concept. How likely is a success before
alignment, after RLHF, and after E-RLHF?

Model. The log-odds of the harmful mass are ``N(μ, τ²)`` over queries, with ``μ = ℓ_h`` before
alignment, ``ℓ_h - Δ/β`` after RLHF and ``ℓ_s - Δ/β`` after E-RLHF (`jailbreaking.alignment`,
rewards constant on the harmful and on the safe explanations). A query succeeds where the mass is at
least p. One replicate is one attack, whose outputs are 0 or 1: to resolve 0.1 % takes millions of
them, even with the rank of the best query as a control variate, which saves a factor of two to
seven.

Theory. Exact, with ``z = logit(p)``: a success has probability ``1 - Φ((z - μ)/τ)^K``, which tends
to 1 with K for every β > 0. RLHF is at 1/2 for ``β = Δ/(ℓ_h - μ_½)``, ``μ_½ = z - τ
Φ^-1(2^(-1/K))``: ``inf`` where ``ℓ_h <= μ_½`` (never reached), and 0 where Δ = 0 and it is above.

Reference: arXiv 2408.01420 (E-RLHF); the attack is this package's own.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from simulator.maths.centred import centred_beta
from simulator.maths.gaussian import largest_of_normals, log_normal_cdf
from simulator.maths.slopes import ratio
from simulator.parameters import parameters, traced
from simulator.studies.alignment.jailbreaking import PAPER
from simulator.study import CONTROLS, Figure, Study, both, exact, theory_only

_MODELS = ("base", "rlhf", "erlhf")


@parameters
class Params:
    harmful_logit: float = traced(2.0)
    safe_prompt_logit: float = traced(-2.0)
    reward_gap: float = traced(1.0, at_least=0)
    kl_regularization: float = traced(0.25, above=0)
    query_spread: float = traced(
        1.5, "τ", "standard deviation of the log-odds over queries", above=0
    )
    num_attempts: int = traced(
        20, "K", "queries of an attack", at_least=1, at_most=2**31 - 1, static_in=("direct",)
    )
    harm_threshold: float = traced(0.5, above=0, below=1)


def _centres(params):
    """``μ`` of the three models."""
    pull = params.reward_gap / params.kl_regularization
    return jnp.stack(
        [params.harmful_logit, params.harmful_logit - pull, params.safe_prompt_logit - pull]
    )


def _edge(params):
    p = params.harm_threshold
    return jnp.log(p) - jnp.log1p(-p)


def _named(values):
    return {f"attack_success_rate_{m}": v for m, v in zip(_MODELS, values, strict=True)}


def theory(params):
    """The formulas of the module docstring."""
    k, tau = params.num_attempts, params.query_spread
    failure = log_normal_cdf((_edge(params) - _centres(params)) / tau)
    half = _edge(params) + tau * ndtri(-jnp.expm1(-jnp.log(2.0) / k))
    room = params.harmful_logit - half
    return _named(-jnp.expm1(k * failure)) | {
        "kl_regularization_for_half_success": ratio(params.reward_gap, room, jnp.inf)
    }


def simulate_direct(key, params):
    """Draw the log-odds of all queries, the same for the three models but for their centres."""
    queries = jax.random.normal(key, (params.num_attempts,), float)
    return _successes(params, jnp.max(queries))


def simulate_fast(key, params):
    """The largest of K normal variates from one uniform."""
    uniform = jax.random.uniform(key, (), float, minval=jnp.finfo(float).tiny)
    return _successes(params, largest_of_normals(uniform, params.num_attempts))


def _successes(params, largest):
    reached = _centres(params) + params.query_spread * largest >= _edge(params)
    rank = jnp.exp(params.num_attempts * log_normal_cdf(largest))
    return _named(reached.astype(float)) | {CONTROLS: {"rank": centred_beta(rank, 1.0, 1.0)}}


def controls(params):
    """Means of the control variates: powers of the rank of the best query, which is uniform."""
    return {"rank": jnp.zeros(())}


figures = {
    "attempts": Figure(
        title="Every finite penalty falls to enough attempts",
        x="num_attempts", y=("attack_success_rate_rlhf", "attack_success_rate_erlhf"),
        series="kl_regularization", replicates=2000, yscale="linear",
        grid={"num_attempts": [1, 10, 100, 1000, 10_000, 100_000, 1_000_000],
              "kl_regularization": [0.1, 0.25, 0.5]},
        caption="Log-odds of the reference: 2 at the harmful prompt, -2 at the safe one; τ = 1.5.",
    ),
}  # fmt: skip

check_cells = (
    {"harmful_logit": -0.6, "safe_prompt_logit": -1.1, "num_attempts": 7, "reward_gap": 0.2},
    {"harmful_logit": 0.2, "safe_prompt_logit": -0.1, "reward_gap": 0.4, "kl_regularization": 0.6,
     "query_spread": 0.8, "num_attempts": 3, "harm_threshold": 0.45},
)  # fmt: skip

STUDY = Study(
    name="jailbreaking.attack",
    title="success of K random rephrasings before and after alignment",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            exact(),
            attack_success_rate_base="of the pretrained model",
            attack_success_rate_rlhf="after RLHF",
            attack_success_rate_erlhf="after E-RLHF",
        ),
        *theory_only(
            kl_regularization_for_half_success="β at which RLHF has success rate 1/2, or inf"
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, controls=controls,
    figures=figures, tolerance=0.01, check_cells=check_cells,
)  # fmt: skip
