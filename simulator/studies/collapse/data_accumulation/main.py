"""Does collapse stop when the real data are kept? Linear regression under five policies.

Question. A model is refitted on labels made by its predecessors. If synthetic rows are added to
the real ones instead of replacing them, does the error stop growing, at which value, what does each
policy cost, which weight should a synthetic row have, and is it the number or the share of real
rows that counts?

Model. Rows ``x ~ N(0, I_d)``. Block 1 has ``T_1`` real rows, ``y = x.w0 + N(0, sigma^2)``; block
``i >= 2`` has ``T_i = floor(T_s (i-1)^g + 1/2)`` rows ``y = x.w_{i-1} + N(0, sigma_s^2)``.
Generation ``n`` is trained on block n (``replace``), on all blocks (``accumulate``, a synthetic row
weighs ``b``), on ``B`` rows chosen among them (``accumulate_subsample``), on ``T_1`` new real rows
and block n (``fresh_mix``), or on block 1 and block n (``keep_real``). Fit: the sum of weighted
squared residuals + ``L |w|^2``, the same total penalty ``L = ridge T_1`` in every generation; ``L =
0`` is the fit of smallest norm. Error: ``E |w_n - w0|^2 = bias + variance + synthetic_variance``.

Theory. ``accumulate`` obeys ``w_n = w_{n-1} + b (G_n + L)^+ X_n' e_n``, so bias and variance are
those of generation 1 for ever (nothing is recovered that the real rows did not show) and only
label noise is added; ``keep_real`` too. With ``tr(N) = d/(N-d-1)``, exactly (L = 0):

    replace      bias = v (1 - prod_i min(1, T_i/d)),  label noise adds up: E grows for ever
    accumulate   synthetic = sigma_s^2 sum_i (T_i/N_i) tr(N_i), b = 1: converges; d << T: pi^2/6
    fresh_mix    M = E of the second moment that survives a step, b = 1; geometric
    same design  everything is a multiple of generation 1; sum b^2/(1 + b (i-1))^2 for accumulate

Elsewhere deterministic equivalents with relative error O(1/d); ``accumulate_subsample`` O((d/B)^2)
at fixed d: no closed form at finite size is known, for subsets overlap. ``policy_factor`` is the
limit of many rows per feature, ``T_1 m_n``: at equal sizes n, pi^2/6, pi^2/2 - 2, 2/3, 4/3.
Pooled rows (b = 1) of share s real have the error ``(one row's)/T_1`` times F(s) between 1/2 and 2:
the number of real rows counts. Infinite label noise (``|N - d| <= 1`` without penalty) is ``inf``.
Verdicts resolve 5 %, for rows of ``accumulate_subsample`` are drawn one by one, noise and all; 1 %
of the other policies takes some ten thousand replicates.

References: arXiv 2404.01413 (accumulate), arXiv 2410.16713 (policies), arXiv 2410.22812 (pi^2/6),
arXiv 2502.18049 (fresh data with weights); the finite-size results are this package's own.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator.maths.resolvent import noise_variance
from simulator.maths.slopes import ratio
from simulator.parameters import choice, parameters, static, traced
from simulator.studies.collapse.data_accumulation import PAPER
from simulator.studies.collapse.data_accumulation import _linear_simulation as linear
from simulator.studies.collapse.data_accumulation import _policies as policies
from simulator.studies.collapse.data_accumulation._linear_theory import parts
from simulator.study import RESIDUAL, Figure, Study, asymptotic, both, exact, theory_only


def _at_fixed_dim(params):
    """The ladder of sizes of a subset is one of rows alone."""
    return 0 if params.policy == "accumulate_subsample" else 1


@parameters
class Params:
    dim: int = static(100, at_least=2, grows=_at_fixed_dim)
    num_samples: int = policies.count(200, "T₁", "real ones of generation 1; fresh_mix: of each")
    num_samples_synthetic: int = policies.count(200, "T_s", "of a block")
    num_samples_budget: int = policies.count(
        200, "B", meaning="rows that accumulate_subsample trains on"
    )
    sample_growth: float = policies.growth()
    synthetic_weight: float = policies.synthetic_weight()
    num_generations: int = static(10, symbol="n", detail="the first on real rows", at_least=1)
    noise_std: float = traced(0.5, detail="of real rows", at_least=0)
    noise_std_synthetic: float = traced(0.5, at_least=0)
    ridge: float = traced(
        0.0, symbol="Λ/T₁", detail="the same in total for all", at_least=0, typical=(0, 1)
    )
    signal_variance: float = traced(1.0, above=0)
    policy: str = policies.policy("accumulate")
    design: str = choice("independent", ("independent", "same"))


def theory(params):
    """Exact or equivalents, step by step, as the module docstring says."""
    plan, d = policies.schedule(params), params.dim
    found = parts(params, plan)
    bias = params.signal_variance * found.bias
    variance = noise_variance(params.noise_std**2, found.variance)
    synthetic = noise_variance(params.noise_std_synthetic**2, found.synthetic)
    error = bias + variance + synthetic
    factor = policies.moments(plan, params.policy, None).error * plan.sizes[0]
    return {
        "test_error": error,
        "bias": bias,
        "variance": variance,
        "synthetic_variance": synthetic,
        "error_ratio": _ratio(error, error[0]),
        "num_samples_equivalent": d + 1 + _ratio(params.noise_std**2 * d, error, nothing=jnp.inf),
        "real_fraction": policies.real_fraction(plan, params.policy),
        "policy_factor": factor,
        "policy_factor_limit": policies.factor_limit(params),
        "optimal_synthetic_weight": policies.optimal_weight(params),
        RESIDUAL: found.residual,
    }


def _ratio(value, base, nothing=1.0):
    """``value / base``; ``nothing`` for 0/0, 1 for inf/inf."""
    finite = jnp.isfinite(base)
    known = ratio(jnp.where(jnp.isfinite(value), value, 0), jnp.where(finite, base, 0))
    known = jnp.where(jnp.isfinite(value), known, jnp.inf)
    over_nothing = jnp.where(value > 0, jnp.inf, nothing)
    found = jnp.where(base > 0, known, over_nothing)
    return jnp.where(finite, found, jnp.where(jnp.isfinite(value), 0, 1))


def simulate_direct(key: jax.Array, params: Params):
    """Draw all rows, label them, fit."""
    return _simulated(key, params, None, linear.smallest_norm)


def simulate_fast(key: jax.Array, params: Params):
    """The same law with every block drawn as a triangular factor, whatever its number of rows.

    A subset of all blocks is chosen row by row: there the direct simulation is the fast one.
    """
    return _simulated(key, params, linear.factored_block, linear.smallest_norm)


def simulate_determined_direct(key: jax.Array, params: Params):
    """Where every fit has a penalty or enough rows."""
    return _simulated(key, params, None, linear.determined)


def simulate_determined_fast(key: jax.Array, params: Params):
    """Where every fit has a penalty or enough rows."""
    return _simulated(key, params, linear.factored_block, linear.determined)


def simulate_conditional(key: jax.Array, params: Params):
    """Averaged over label noise and the truth's direction, given the designs.

    No more than the linearity of the fits is used. Rows of subsets recur: they are drawn.
    """
    if params.policy == "accumulate_subsample":
        return simulate_fast(key, params)
    return linear.averages(key, params, linear.smallest_norm)


def simulate_determined_conditional(key: jax.Array, params: Params):
    """Where every fit has a penalty or enough rows."""
    if params.policy == "accumulate_subsample":
        return simulate_determined_fast(key, params)
    return linear.averages(key, params, linear.determined)


def _simulated(key, params, block, solve):
    """The truth has no preferred direction: it is the first."""
    truth = jnp.zeros(params.dim, float).at[0].set(jnp.sqrt(params.signal_variance))
    fitted = linear.Chain(truth, params.noise_std, params.noise_std_synthetic)
    return linear.errors(
        fitted, linear.chain(key, params, fitted, linear.gaussian_rows(params.dim), block, solve)
    )


def validate(params, side):
    """What a design and a policy need; a traced point is told whether it is allowed."""
    needs = []
    if params.policy == "accumulate_subsample":
        if params.design == "same":
            raise ValueError(
                "design = 'same' is not allowed with policy = 'accumulate_subsample': choose "
                "'independent'"
            )
        enough = params.dim + 2
        needs = [
            ("ridge", params.ridge == 0, "it must be 0"),
            ("num_samples", params.num_samples >= enough, f"at least dim + 2 = {enough}"),
            ("num_samples_budget", params.num_samples_budget >= enough, f"at least {enough}"),
        ]
    elif params.design == "same":
        equal = params.num_samples_synthetic == params.num_samples
        needs = [
            ("num_samples_synthetic", equal, "num_samples: all blocks share one design"),
            ("sample_growth", params.sample_growth == 0, "0: all blocks share one design"),
        ]
    allowed: Any = True
    for name, holds, what in needs:
        if not isinstance(holds, jax.core.Tracer) and not holds:
            raise ValueError(
                f"{name} = {getattr(params, name)} is not allowed with policy = "
                f"{params.policy!r}, design = {params.design!r}; allowed: {what}"
            )
        allowed = allowed & holds
    return allowed


def _relation(params):
    if params.policy == "accumulate_subsample":
        return asymptotic("O((d/B)^2) at fixed d", rate=2)
    equivalent = asymptotic("deterministic equivalent, O(1/dim)")
    if params.ridge > 0:
        return equivalent
    if params.design == "same" or params.policy == "replace" or params.synthetic_weight == 0:
        return exact()
    rows = policies.rows_of_fits(params)[1:]
    pooled = params.policy != "keep_real" and params.synthetic_weight == 1
    return exact() if pooled or np.all(rows <= params.dim - 2) else equivalent


_POLICIES_GRID = {"policy": list(policies.POLICIES)}

figures = {
    "policies": Figure(
        title="Error over generations: only replacing the data collapses",
        x="generation", y=("test_error",), series="policy", xscale="linear",
        grid=_POLICIES_GRID,
        params={"dim": 10, "num_samples": 100, "num_samples_synthetic": 100,
                "num_samples_budget": 100, "num_generations": 12},
        caption="d = 10, 100 rows per block, σ = σ_s = 0.5, no penalty.",
    ),
    "nothing-recovered": Figure(
        title="What the real rows did not show is never recovered",
        x="generation", y=("bias",), series="policy", xscale="linear", yscale="linear",
        grid={"policy": ["replace", "accumulate", "fresh_mix"]},
        params={"dim": 40, "num_samples": 20, "num_samples_synthetic": 16, "ridge": 0.05,
                "num_generations": 10},
        caption="d = 40, 20 real rows: accumulating keeps the bias, fresh rows remove it.",
    ),
}  # fmt: skip

_along = partial(theory_only, dims=("generation",))

check_cells = (
    {"dim": 12, "num_samples": 24, "num_samples_synthetic": 24, "num_generations": 4,
     "policy": "fresh_mix", "design": "same", "synthetic_weight": 0.6, "noise_std_synthetic": 0.8},
    {"dim": 10, "num_samples": 25, "num_samples_synthetic": 17, "sample_growth": 0.3,
     "num_generations": 4, "noise_std": 0.6, "noise_std_synthetic": 0.4, "signal_variance": 1.7},
    {"dim": 40, "num_samples": 80, "num_samples_synthetic": 60, "num_generations": 3,
     "policy": "keep_real", "synthetic_weight": 0.8, "noise_std": 0.4, "noise_std_synthetic": 0.6,
     "ridge": 0.4, "signal_variance": 0.8},
    {"dim": 40, "num_samples": 60, "num_samples_synthetic": 80, "num_generations": 3,
     "policy": "fresh_mix", "synthetic_weight": 0.7, "noise_std": 0.6, "noise_std_synthetic": 0.4,
     "ridge": 0.3, "signal_variance": 1.5},
    {"dim": 3, "num_samples": 96, "num_samples_synthetic": 80, "num_samples_budget": 88,
     "num_generations": 3, "policy": "accumulate_subsample", "noise_std_synthetic": 0.7},
)  # fmt: skip

STUDY = Study(
    name="data-accumulation",
    title="linear regression on real and synthetic data, accumulated or replaced",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            _relation,
            dims=("generation",),
            test_error="excess error on true labels: the sum of its parts",
            bias="noise-free part",
            variance="label noise of real rows",
            synthetic_variance="label noise of synthetic rows",
        ),
        *_along(
            error_ratio="test error over that of generation 1",
            num_samples_equivalent="real rows of a plain fit with that error",
            real_fraction="share of the real rows in the weight of the training data",
            policy_factor="test error over that of T₁ real rows, for many rows per feature",
        ),
        *theory_only(
            policy_factor_limit="limit of policy_factor for blocks of equal size",
            optimal_synthetic_weight="best weight of a synthetic row, many rows per feature",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast,
    simulate_conditional=simulate_conditional,
    shortcuts=(
        ("fast", linear.every_fit_is_determined, simulate_determined_fast),
        ("direct", linear.every_fit_is_determined, simulate_determined_direct),
        ("conditional", linear.every_fit_is_determined, simulate_determined_conditional),
    ),
    validate=validate,
    coordinates={"generation": lambda params: range(1, params.num_generations + 1)},
    figures=figures,
    tolerance=0.05,  # of subsets, whose rows are drawn one by one
    check_cells=check_cells,
)  # fmt: skip
