"""Strong model collapse of random-feature models: does a larger model help?

Question. As in ``strong-collapse``, with a model of ``m`` random features. Does making it larger
amplify or mitigate the damage done by synthetic data? (Up to the interpolation threshold ``m = n``
it amplifies, beyond it mitigates, never to zero.)

Model. The data and the weighting are those of ``strong-collapse``. The model is ``f(x) = xᵀS v̂``,
``S`` of shape ``d x m`` with independent ``N(0, 1/d)`` entries, ``v̂ = argmin (1/n) Σ_i a_i
(x_iᵀS v - y_i)² + λ‖v‖²`` (of smallest norm at ``λ = 0``). Error: ``E‖S v̂ - w1‖²_Σ``.

Theory. With ``γ = m/d`` and ``df_j(κ) = Σ_k (λ_k/(λ_k+κ))^j``, for unweighted samples

    λ = γ κ (1 - df1/m)(1 - df1/n),    q = (df1 - df2)/(m - df2),
    t1_k = λ_k/(λ_k+κ),    t2_k = t1_k² + q κ λ_k/(λ_k+κ)²,
    u = (D2/n)/(1 - D2/n),  D2 = Σ_k t2_k,    Tot_k = (1+u)(1 - 2 t1_k + t2_k) - 1 + 2 t1_k,
    bias = (1+u) Σ_k s_k (1 - 2 t1_k + t2_k),      variance = u (p1 σ1² + p2 σ2²),
    synthetic_error = Σ_k g_k (p2² Tot_k + p1 p2 u),
    cross_error = 2 p2 ρ Σ_k sqrt(s_k g_k) (Tot_k - t1_k),

and `simulator.maths.mixture_resolvent` for weighted ones. Relative error O(1/d), O(1/df2) for power
laws (theorem 2 of the paper). ``m → ∞`` at fixed ``λ γ`` is ``strong-collapse``.

Verdicts resolve 0.4 %: statistics of projection and designs to the second order take out most of
the noise; what is left where features are few, or of a bias in small eigenvalues, is of the third.

At ``λ = 0`` and ``|n_active - min(m, d)| <= 1`` means are ``inf``: as in ``strong-collapse``, and
for ``m <= d``, ``κ > 0`` also bias and (if ``p2 c² > 0``) synthetic_error; cross_error is then
``nan`` unless ``ρ p2 c² = 0``.

Reference: E. Dohmatob, Y. Feng, A. Subramonian, J. Kempe, "Strong Model Collapse", ICLR 2025,
arXiv 2410.04840.
"""

from simulator.studies.collapse.strong_collapse._simulation import (  # isort: skip
    averaged_errors, drawn_fit, sampled_errors, trapezoidal_fit,
)  # fmt: skip
from simulator.parameters import parameters, traced
from simulator.studies.collapse.strong_collapse import PAPER, _projected_controls
from simulator.studies.collapse.strong_collapse import _model as _mixture
from simulator.studies.collapse.strong_collapse import main as classical
from simulator.studies.collapse.strong_collapse._theory import mixture_theory
from simulator.study import CONTROLS, Figure, Output, Study, asymptotic


@parameters
class Params(classical.Params):
    width: int = traced(100, at_least=1, static_in=("direct",), grows=1)


def theory(params):
    """Theorem 2; also the finite-size isotropic ridgeless cases are given by the equivalent."""
    return mixture_theory(params, width=params.width)


def simulate_direct(key, params):
    """The model taken literally: draw all inputs and the projection, fit, compare."""
    problem = classical.experiment_of(params)
    return sampled_errors(key, problem, drawn_fit(params.num_samples, params.width))


def simulate_fast(key, params):
    """The same law through trapezoidal factors: O(d^3) for every n and m."""
    return sampled_errors(key, classical.experiment_of(params), trapezoidal_fit(params.width))


def simulate_conditional(key, params):
    """Averaged over teacher, shift and noise given inputs and projection: both have controls."""
    problem, width = classical.experiment_of(params), params.width
    fit = trapezoidal_fit(width)(key, problem)
    known = _projected_controls.statistics(problem, width, fit.rows, fit.projection)
    return averaged_errors(problem, fit) | {CONTROLS: known}


def controls(params):
    """Exact means of statistics of inputs and projection; see `_projected_controls`."""
    return _projected_controls.means(classical.experiment_of(params), params.width)


_NEAR = asymptotic("O(1/dim), O(1/df2) for power laws")

ERRORS = tuple(
    Output(
        output.name,
        output.meaning,
        _NEAR,
        nan_where_undefined=output.name == "cross_error",
    )
    for output in classical.ERRORS
)

figures = {
    "model-size": Figure(
        title="Error against model size through the interpolation threshold m = n",
        x="width", y=("test_error",), series="synthetic_shift", replicates=60,
        grid={"width": [50, 100, 150, 200, 230, 250, 270, 300, 400, 700, 1500, 5000],
              "synthetic_shift": [0.0, 0.1, 1.0]},
        params={"dim": 300, "num_samples": 250, "synthetic_fraction": 0.2, "ridge": 0.01,
                "noise_std_real": 0.1, "noise_std_synthetic": 0.1},
        caption="d = 300, n = 250, p2 = 0.2, λ = 0.01, isotropic.",
    ),
    "synthetic-error": Figure(
        title="What synthetic data costs, against model size",
        x="width", y=("synthetic_error",), series="ridge", replicates=60,
        grid={"width": [50, 100, 150, 200, 230, 250, 270, 300, 400, 700, 1500, 5000],
              "ridge": [1e-3, 1e-2, 1e-1]},
        params={"dim": 300, "num_samples": 250, "synthetic_fraction": 0.2, "synthetic_shift": 1.0,
                "noise_std_real": 0.1, "noise_std_synthetic": 0.1},
        caption="d = 300, n = 250, p2 = 0.2, c² = 1. With little penalty it peaks at m = n.",
    ),
    "under-parametrised": Figure(
        title="With many samples larger models help, unless the synthetic labels are bad",
        x="width", y=("test_error",), series="synthetic_shift", xscale="linear",
        grid={"width": [10, 30, 50, 80, 105, 150], "synthetic_shift": [0.0, 1.0, 5.0, 30.0]},
        params={"dim": 100, "num_samples": 500, "synthetic_fraction": 0.2, "ridge": 1e-6,
                "noise_std_real": 0.1, "noise_std_synthetic": 0.1},
        caption="d = 100, n = 500, p2 = 0.2, σ = 0.1.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 32, "width": 16, "num_samples": 320, "synthetic_fraction": 0.3, "ridge": 0.05,
     "noise_std_real": 0.7, "noise_std_synthetic": 0.4, "signal_variance": 1.4,
     "shift_profile": "signal"},
    {"dim": 32, "width": 256, "num_samples": 640, "synthetic_fraction": 0.4, "ridge": 0.05,
     "spectrum": "power_law", "spectrum_exponent": 1.2, "weighting": "mixing", "mixing_weight": 0.2,
     "synthetic_shift": 1.2, "shift_correlation": -0.9, "noise_std_real": 0.4,
     "noise_std_synthetic": 0.2},
)  # fmt: skip

STUDY = Study(
    name="strong-collapse.random-projections",
    title="random-feature regression on a mixture of real and synthetic data",
    paper=PAPER, params=Params, outputs=ERRORS + classical.DIAGNOSTICS, theory=theory,
    simulate_direct=simulate_direct, simulate_fast=simulate_fast,
    simulate_conditional=simulate_conditional, realised=_mixture.realised, controls=controls,
    complete=_mixture.completed, validate=_mixture.validate, figures=figures,
    tolerance=0.004,  # the third order in projection and designs takes thousands of replicates
    check_cells=check_cells,
)  # fmt: skip
