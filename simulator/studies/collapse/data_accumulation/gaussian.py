"""A Gaussian fitted to its own samples: what happens to mean and covariance over generations?

Question. Every generation estimates mean and covariance and draws the next data. Does the variance
vanish, how far does the mean drift, and which policy stops it?

Model. Truth ``N(mu, Sigma)``, without loss of generality ``N(0, I_d)``. Generation ``n`` has the
weighted mean ``mu_n`` and scatter ``Sigma_n`` of its training rows (the policies of
`data-accumulation`), divided by the total weight (``maximum_likelihood``) or further by one minus
the sum of squared normalised weights (``unbiased``); block ``n + 1`` has rows ``N(mu_n, Sigma_n)``.

Theory. Under maximum likelihood ``E[Sigma_n + (mu_n - mu)(mu_n - mu)'] = Sigma`` for every policy,
so ``trace_ratio c_n = 1 - m_n`` with the recursion of ``m_n = mean_error``:

    replace      c_n = prod_i (1 - 1/T_i)
    accumulate   c_n = prod_i (1 - T_i/N_i^2);  equal sizes, n -> inf: sin(x)/x, x = pi/sqrt(T)

For these two ``Sigma_n = L K_n L'`` with independent ``K_n = a I + s Wishart(T_n - 1) + s_1 g g'``,
which gives the spread of the trace and ``E log det`` exactly (``accumulate``: in one dimension).
The other policies are taken at their effective sample size ``n_e = 1/m_n``, relative error O(1/T)
(where ``n_e < d + 2``, far from that regime, nothing is stated). Under ``replace`` the variance
vanishes at the rate ``log_variance_drift`` for almost every chain, whatever its mean does.

Verdicts resolve 5 %: in few dimensions a divergence spreads as much as its mean is, and 1 % takes a
million replicates.

References: arXiv 2305.17493 (the chain), arXiv 2404.01413 (accumulate), arXiv 2410.16713 (the
policies); the exact finite-size results are this package's own.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma

from simulator.study import (  # isort: skip
    CONTROLS, Dispersion, Figure, Output, Study, asymptotic, both, exact, theory_only,
)  # fmt: skip
from simulator.maths.slopes import square_root
from simulator.parameters import choice, parameters, static, traced
from simulator.studies.collapse.data_accumulation import PAPER, _gaussian_simulation
from simulator.studies.collapse.data_accumulation import _policies as policies
from simulator.studies.collapse.data_accumulation._log_gamma_means import log_and_root

CHAINS = ("replace", "accumulate")
MOST_CONTROLS = 12  # generations: of long chains the trace has heavy tails


@parameters
class Params:
    dim: int = static(1, at_least=1, typical=(1, 100))
    num_samples: int = traced(
        100, "T₁", detail="real ones of generation 1; fresh_mix: of each",
        at_least="dim + 1", grows=1,
    )  # fmt: skip
    num_samples_synthetic: int = policies.count(100, "T_s", "of a block")
    num_samples_budget: int = policies.count(
        100, "B", meaning="rows that accumulate_subsample trains on"
    )
    sample_growth: float = policies.growth()
    synthetic_weight: float = policies.synthetic_weight()
    num_generations: int = static(10, symbol="n", detail="the first on real rows", at_least=1)
    policy: str = policies.policy("replace")
    estimator: str = choice(
        "maximum_likelihood", ("maximum_likelihood", "unbiased"),
        detail="scatter over the total weight, or corrected for the mean that is fitted",
    )  # fmt: skip


def theory(params):
    """Exact, or to relative O(1/T), as the module docstring says."""
    plan, d = policies.schedule(params), params.dim
    conserving = policies.moments(plan, params.policy, jnp.ones_like(plan.sizes)).error
    correction = _correction(params, plan)
    error, spread = policies.moments(plan, params.policy, correction)
    if params.policy in CHAINS:
        spread, spread_std, log_det, root = _chain(params, plan, correction)
    else:
        spread_std = spread * jnp.sqrt(2 * conserving / (1 - conserving) / d)
        log_det, root = _effective(d, conserving, spread)
    narrowing = jnp.sqrt(spread)  # E sigma_n = narrowing (1 + root)
    frechet = error + (1 - narrowing) ** 2 - 2 * narrowing * root
    return {
        "mean_error": error,
        "trace_ratio": spread,
        "trace_std": spread_std,
        "log_determinant": log_det,
        "kl_divergence": (d * (spread + error - 1) - log_det) / 2,
        "frechet_distance": frechet if d == 1 else d * (d + 5) * error / 4,
        "num_samples_effective": 1 / conserving,
        "log_variance_drift": _drift(params),
    }


def _correction(params, plan):
    """What the estimator multiplies the scatter by, generation by generation."""
    return 1 / (1 - plan.squares) if params.estimator == "unbiased" else jnp.ones_like(plan.sizes)


def _chain(params, plan, correction):
    """The multiplicative chain: ``c_n``, spread of the trace, ``E log det``, root mean - 1."""
    d = params.dim
    before = jnp.concatenate([correction[:1], correction[:-1]])
    a = correction / before * plan.others
    s = correction * plan.newest / plan.sizes
    s1 = s * plan.others
    mean, spread = a + s * (plan.sizes - 1) + s1, s**2 * (plan.sizes - 1) + s1**2

    def trace(state, now):
        """Mean, variance of the trace and ``E tr Sigma^2``."""
        c, variance, square = state
        k, e = now
        state = (
            k * c,
            k**2 * variance + 2 * e * square,
            (k**2 + e) * square + e * (variance + (d * c) ** 2),
        )
        return state, state[:2]

    start = (jnp.ones((), float), jnp.zeros((), float), jnp.asarray(float(d), float))
    _, (c, variance) = jax.lax.scan(trace, start, (mean, spread))
    if d == 1:
        steps = log_and_root(a, s, plan.sizes - 1, s1)
        log_det = jnp.log(mean) + steps.log
        root = jnp.expm1(jnp.cumsum(jnp.log1p(steps.root)))
    else:
        fresh = _log_det_of_wishart(plan.sizes, d) + d * jnp.log(s * (plan.sizes - 1))
        mixed = d * jnp.log(mean) - d * (d + 1) * spread / (2 * mean**2)
        log_det, root = jnp.where(plan.others == 0, fresh, mixed), jnp.zeros_like(c)
    return c, square_root(variance) / d, jnp.cumsum(log_det), root


def _log_det_of_wishart(size, d):
    """``E log det`` of the scatter of ``size`` rows over ``size - 1``."""
    j = jnp.arange(1, d + 1, dtype=float)
    terms = digamma((size[..., None] - j) / 2) - jnp.log((size[..., None] - 1) / 2)
    return jnp.sum(terms, axis=-1)


def _effective(d, conserving, spread):
    """``E log det`` and root mean - 1 at the effective sample size ``n_e = 1/m_n``."""
    size = 1 / conserving
    first = jnp.arange(len(size)) == 0
    near = first | (size >= d + 2)
    log_det = jnp.where(
        near,
        _log_det_of_wishart(jnp.where(near, size, d + 2), d) + d * jnp.log(spread),
        d * jnp.log(spread) - d * (d + 1) * conserving / 2,
    )
    if d > 1:
        return log_det, jnp.zeros_like(size)
    freedom = size - 1
    none = jnp.zeros_like(size)
    return log_det, log_and_root(none, 1 / freedom, freedom, none).root


def _drift(params):
    """Growth of ``log det / d`` per generation of ``T_s`` rows under ``replace``; 0 elsewhere."""
    if params.policy != "replace":
        return jnp.zeros((), float)
    size = jnp.asarray(params.num_samples_synthetic, float)
    whole = size > params.dim
    safe = jnp.where(whole, size, params.dim + 1)
    drift = _log_det_of_wishart(safe, params.dim) / params.dim
    if params.estimator == "maximum_likelihood":
        drift = drift + jnp.log1p(-1 / safe)
    return jnp.where(whole, drift, -jnp.inf)


def simulate_direct(key: jax.Array, params: Params):
    """Draw every row."""
    return _simulated(key, params, _gaussian_simulation.drawn_block)


def simulate_fast(key: jax.Array, params: Params):
    """The same law with the scatter of every block drawn at once, whatever its size.

    A subset of all blocks is chosen row by row: there the direct simulation is the fast one.
    """
    return _simulated(key, params, _gaussian_simulation.factored_block)


def _simulated(key, params, block):
    """A short chain's second moments, mean and covariance together, have known means: controls.

    Most of what the log determinant varies by is the trace: where the scatter is conserved, half of
    their difference is the divergence.
    """
    plan = policies.schedule(params)
    outputs = _gaussian_simulation.chain(key, params, plan, _correction(params, plan), block)
    if params.num_generations > MOST_CONTROLS:
        return outputs
    return outputs | {CONTROLS: {"square": outputs["trace_ratio"] + outputs["mean_error"]}}


def controls(params):
    """``E tr(Sigma_n + mu_n mu_n') / d``: 1 for maximum likelihood, exact for all policies."""
    plan = policies.schedule(params)
    known = policies.moments(plan, params.policy, _correction(params, plan))
    return {"square": known.spread + known.error}


def validate(params, side):
    """Every fitted covariance has full rank; a traced point is told so, not refused."""
    needs = {
        "accumulate_subsample": "num_samples_budget",
        "replace": "num_samples_synthetic" if params.num_generations > 1 else "num_samples",
    }
    name = needs.get(params.policy, "num_samples")
    enough = getattr(params, name) >= params.dim + 1
    if not isinstance(enough, jax.core.Tracer) and not enough:
        raise ValueError(
            f"{name} = {getattr(params, name)} is not allowed with policy = {params.policy!r}: a "
            f"covariance needs at least dim + 1 = {params.dim + 1} rows"
        )
    return enough


_CHAIN = exact("an exact recursion")
_RATE = asymptotic("effective sample size, relative error O(1/T) at fixed d")


def _spread_relation(params):
    return _CHAIN if params.policy in CHAINS else _RATE


def _log_det_relation(params):
    one = params.policy == "accumulate" and params.dim == 1
    return _CHAIN if params.policy == "replace" or one or params.num_generations == 1 else _RATE


def _frechet_relation(params):
    return _CHAIN if params.policy in CHAINS and params.dim == 1 else _RATE


_along = partial(both, dims=("generation",))
_POLICIES_GRID = {"policy": list(policies.POLICIES)}

figures = {
    "collapse": Figure(
        title="Divergence from the truth over generations of fitted Gaussians",
        x="generation", y=("kl_divergence",), series="policy", xscale="linear",
        grid=_POLICIES_GRID,
        params={"num_generations": 20, "num_samples": 50, "num_samples_synthetic": 50,
                "num_samples_budget": 50},
        caption="50 rows per generation: only replacing them collapses.",
    ),
    "variance": Figure(
        title="What is left of the variance",
        x="generation", y=("trace_ratio",), series="policy", xscale="linear", yscale="linear",
        grid=_POLICIES_GRID,
        params={"num_generations": 20, "num_samples": 20, "num_samples_synthetic": 20,
                "num_samples_budget": 20},
        caption="20 rows per generation, maximum likelihood.",
    ),
}  # fmt: skip

check_cells = (
    {"num_samples": 30, "num_samples_synthetic": 24, "sample_growth": 0.4, "num_generations": 4},
    {"num_samples": 30, "num_samples_synthetic": 24, "synthetic_weight": 0.7, "num_generations": 4,
     "policy": "accumulate"},
    {"dim": 2, "num_samples": 96, "num_samples_synthetic": 128, "synthetic_weight": 0.6,
     "num_generations": 3, "policy": "keep_real"},
    {"num_samples": 64, "num_samples_synthetic": 48, "num_samples_budget": 60, "num_generations": 3,
     "policy": "accumulate_subsample"},
    {"dim": 2, "num_samples": 240, "num_samples_synthetic": 160, "synthetic_weight": 0.8,
     "num_generations": 3, "policy": "fresh_mix", "estimator": "unbiased"},
)  # fmt: skip

STUDY = Study(
    name="data-accumulation.gaussian",
    title="a Gaussian fitted to its own samples, with and without the real ones",
    paper=PAPER, params=Params,
    outputs=(
        *_along(
            exact("an exact recursion"),
            mean_error="squared error of the mean over that of one real row",
            trace_ratio="trace of the covariance over the true one",
        ),
        Output(
            "trace_std", "standard deviation of trace_ratio over replicates", _spread_relation,
            dims=("generation",), dispersion=Dispersion("std", of="trace_ratio"),
        ),
        *_along(
            _log_det_relation,
            log_determinant="log determinant of the covariance over the true one",
            kl_divergence="Kullback-Leibler divergence of the model from the truth",
        ),
        *_along(_frechet_relation, frechet_distance="squared 2-Wasserstein distance (Σ = I)"),
        *theory_only(
            dims=("generation",),
            num_samples_effective="real rows whose maximum likelihood fit has this mean error",
        ),
        *theory_only(log_variance_drift="growth of log det / d per generation (replace)"),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast, controls=controls,
    validate=validate,
    coordinates={"generation": lambda params: range(1, params.num_generations + 1)},
    figures=figures,
    tolerance=0.05,  # of divergences whose spread is their mean, extrapolated over sizes
    check_cells=check_cells,
)  # fmt: skip
