"""Real data kept or replaced, on a data set of one's own.

Question. Does accumulating stop collapse on *my* rows too, and does Gaussian theory, told nothing
but the spectrum, say where?

Model. As ``data-accumulation``; the population is a data set, centred and in the eigenbasis of its
covariance: rows ``x``, the best linear fit ``w`` of the targets (``teacher``) and the residual it
leaves. Blocks are rows drawn with replacement; real ones have the label ``x.w`` plus the residual,
synthetic ones ``x.w_{i-1}`` plus the residual, times ``noise_scale`` and ``noise_scale_synthetic``.
``law`` says what is real: ``targets`` (rows and residuals), ``features`` (rows, with Gaussian
noise) or ``gaussian`` (neither). Error: ``|w_n - w|^2`` in the norm of the covariance.

Theory, for ``replace`` and ``accumulate``: the equivalents of Gaussian rows of any covariance, with
the total penalty ``L = ridge T_1`` in every generation. ``replace`` is a chain of ridge fits
(`simulator.maths.resolvent`). Under ``accumulate`` bias and variance are those of generation 1, and
with ``df_j`` at the effective penalty ``kappa = L/tau``,

    df1 = sum_j T_j c_j theta/(1 + c_j theta) = tau theta,
    synthetic_variance = sigma_s^2 sum_i T_i (b/(1 + b theta))^2 A,
    A = df2 / (tau^2 - df2 sum_j T_j (c_j/(1 + c_j theta))^2),

for ``T_1`` rows of weight 1 and ``N_i - T_1`` of weight b; ``(T_i/N_i) df2/(N_i - df2)`` for b = 1.
Relative error O(1/df2) under ``gaussian``; how far other laws are from it depends on the data: the
verdict allows `ACCURACY` and says *disagrees* beyond. The other policies are simulation only: no
formula is known there but for isotropic rows.

Reference: arXiv 2404.01413 (accumulate); the equivalents for any covariance are this package's own.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from simulator.studies.collapse.data_accumulation._linear_simulation import (  # isort: skip
    Chain, chain, determined, errors,
)  # fmt: skip
from simulator.data_set import ACCURACY, DataSet
from simulator.maths.resolvent import ErrorForm, no_fit, ridge_fit
from simulator.parameters import parameters, static, traced
from simulator.sampling.resampled import LAWS, check_data_set, data_set_of, draw_rows
from simulator.sampling.row_factor import CHUNK
from simulator.studies.collapse.data_accumulation import PAPER
from simulator.studies.collapse.data_accumulation import _policies as policies
from simulator.studies.collapse.data_accumulation._marchenko_pastur import weighted_equivalent
from simulator.study import Figure, Study, approximate, both, theory_only

WITH_THEORY = ("replace", "accumulate")


@parameters
class Params(DataSet):
    num_samples: int = policies.count(60, "T₁", "real ones of generation 1; fresh_mix: of each")
    num_samples_synthetic: int = policies.count(60, "T_s", "of a block")
    num_samples_budget: int = policies.count(
        60, "B", meaning="rows that accumulate_subsample trains on"
    )
    sample_growth: float = policies.growth()
    synthetic_weight: float = policies.synthetic_weight()
    num_generations: int = static(6, symbol="n", detail="the first on real rows", at_least=1)
    ridge: float = traced(0.01, symbol="Λ/T₁", detail="the same in total for all", above=0)
    noise_scale: float = traced(1.0, detail="of real rows", at_least=0)
    noise_scale_synthetic: float = traced(
        1.0, "σ_s/σ_r", "label noise of synthetic rows over the residuals", at_least=0
    )
    policy: str = policies.policy("accumulate")


def theory(params):
    """Equivalents of Gaussian rows, told the spectrum and the size of the residuals."""
    plan = policies.schedule(params)
    variances = (jnp.square(params.noise_scale), jnp.square(params.noise_scale_synthetic))
    residual = data_set_of(params).noise_std() ** 2
    bias, real, synthetic = (_replaced if params.policy == "replace" else _pooled)(params, plan)
    variance, synthetic_variance = (
        variances[0] * residual * real,
        variances[1] * residual * synthetic,
    )
    error = bias + variance + synthetic_variance
    return {
        "test_error": error,
        "bias": bias,
        "variance": variance,
        "synthetic_variance": synthetic_variance,
        "error_ratio": error / error[0],
        "real_fraction": policies.real_fraction(plan, params.policy),
    }


def _pooled(params, plan):
    """``accumulate``: the first fit, and what the noise of every block adds."""
    eigenvalues, b = params.eigenvalues, params.synthetic_weight
    signal = eigenvalues * params.teacher**2
    first = ridge_fit(eigenvalues, plan.sizes[0], params.ridge)
    clean = no_fit(eigenvalues)
    penalty = params.ridge * plan.sizes[0]

    def increment(now):
        rows = jnp.stack([plan.sizes[0], now.totals - plan.sizes[0]])
        weights = jnp.stack([jnp.ones_like(b), b])
        theta, trace = weighted_equivalent(eigenvalues, penalty, rows, weights)
        return now.sizes * (b / (1 + b * theta)) ** 2 * trace

    ones = jnp.ones_like(plan.sizes)
    added = jax.vmap(increment)(plan.later()[0])
    return (
        first.propagate(clean).error(signal) * ones,
        first.noise(clean) * ones,
        jnp.concatenate([jnp.zeros(1, float), jnp.cumsum(added)]),
    )


def _replaced(params, plan):
    """``replace``: for every generation, backwards through the fits before it."""
    eigenvalues, n = params.eigenvalues, params.num_generations
    signal = eigenvalues * params.teacher**2
    penalty = params.ridge * plan.sizes[0]
    last = jnp.arange(n)

    def earlier(state, now):
        forms, synthetic = state
        number, size = now
        fit = ridge_fit(eigenvalues, size, penalty / size)

        def one(form, total, end):
            reached = number <= end
            new = fit.propagate(form), total + fit.noise(form)
            return jax.tree.map(lambda x, y: jnp.where(reached, x, y), new, (form, total))

        return jax.vmap(one)(forms, synthetic, last), None

    clean = ErrorForm(*(jnp.tile(x, (n, 1)) for x in no_fit(eigenvalues)))
    start = clean, jnp.zeros(n, float)
    steps = (jnp.arange(1, n), plan.sizes[1:])
    (forms, synthetic), _ = lax.scan(earlier, start, steps, reverse=True)
    first = ridge_fit(eigenvalues, plan.sizes[0], params.ridge)
    bias = jax.vmap(lambda form: first.propagate(form).error(signal))(forms)
    return bias, jax.vmap(first.noise)(forms), synthetic


def simulate_direct(key, params):
    """Every generation draws its rows and labels and is fitted."""
    data = data_set_of(params)

    def rows(key_design, key_noise):
        return draw_rows(key_design, key_noise, data, params.law, CHUNK)

    fitted = Chain(params.teacher, params.noise_scale, params.noise_scale_synthetic)
    weights = chain(key, params, fitted, rows, None, determined)
    return errors(fitted, weights, params.eigenvalues)


def validate(params, side):
    check_data_set(params.rows, params.eigenvalues, params.teacher, params.residuals)
    if side == "theory" and params.policy not in WITH_THEORY:
        raise ValueError(
            f"policy = {params.policy!r} is not allowed in the theory, which knows "
            f"{' and '.join(WITH_THEORY)} for rows of any covariance: simulate it, or ask "
            "data-accumulation for isotropic rows"
        )


_along: Any = partial(theory_only, dims=("generation",))

figures = {
    "policies": Figure(
        title="Rows of a data set: kept, or replaced by the labels of the last model",
        x="generation", y=("test_error",), series="policy", xscale="linear",
        grid={"policy": list(WITH_THEORY), "num_samples_synthetic": [60, 120]},
        caption="The example data set, T₁ = 60; points are resampled rows.",
    ),
    "laws": Figure(
        title="Where the Gaussian formula holds",
        x="generation", y=("synthetic_variance",), series="law", xscale="linear", yscale="linear",
        grid={"law": list(LAWS)},
        params={"num_samples": 40, "num_samples_synthetic": 30, "ridge": 0.003},
        caption="The example data set; the theory is told its spectrum and the size of residuals.",
    ),
}  # fmt: skip

STUDY = Study(
    name="data-accumulation.resampled",
    title="real data kept or replaced, on the rows of a data set",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            approximate("Gaussian equivalent; data may deviate by more", accuracy=ACCURACY),
            dims=("generation",),
            test_error="excess error on the true targets, of the fitted model",
            bias="noise-free part",
            variance="label noise of real rows",
            synthetic_variance="label noise of synthetic rows",
        ),
        *_along(
            error_ratio="test error over that of generation 1",
            real_fraction="share of the real rows in the weight of the training data",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, validate=validate,
    coordinates={"generation": lambda params: range(1, params.num_generations + 1)},
    figures=figures,
    tolerance=0.01,  # beyond the accuracy
    check_cells=tuple(
        {
            "law": law, "num_samples": 60, "num_samples_synthetic": 50, "num_generations": 3,
            "noise_scale": 0.8, "noise_scale_synthetic": 1.2, "synthetic_weight": 0.7,
            "policy": policy,
        }
        for law, policy in (("targets", "accumulate"), ("features", "replace"))
        + (("gaussian", "accumulate"),)
    ),
)  # fmt: skip
