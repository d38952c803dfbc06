"""Ridge regression on a mixture of real and synthetic data: strong model collapse.

Question. A fixed fraction ``p2`` of the ``n`` training samples is synthetic: labelled by another
function than the true one. Does the error on real data still vanish as ``n`` grows? (No: it
plateaus near ``p2² c²``.) What do the penalty and a re-weighting of the samples change?

Model. Inputs ``x ~ N(0, Σ)`` in ``R^d``. Real labels ``y = x·w1 + N(0, σ1²)`` for ``n1 = p1 n``
samples, synthetic labels ``y = x·(w1 + δ) + N(0, σ2²)`` for ``n2 = p2 n``; ``s_k = λ_k E w1_k²``,
``g_k = λ_k E δ_k²``, ``Σ_k g_k = c²``, correlation ``ρ``. Fit ``ŵ = argmin (1/n) Σ_i a_i (x_i·w -
y_i)² + λ‖w‖²``, ``a_i = 1`` (uniform) or such that synthetic samples together weigh ``α``
(mixing). Error: ``E‖ŵ - w1‖²_Σ``, without the label noise.

Theory. With ``df_j(κ) = Σ_k (λ_k/(λ_k+κ))^j``, ``λ = κ (1 - df1/n)`` (uniform; for weighted samples
see `simulator.maths.mixture_resolvent`) and ``u = df2/(n - df2)``:

    bias             (1 + u) Σ_k s_k κ²/(λ_k+κ)²
    variance         u (p1 σ1² + p2 σ2²)
    synthetic_error  Σ_k g_k [p2² (λ_k² + u κ²)/(λ_k+κ)² + p1 p2 u]
    plateau_error    Σ_k (s_k λ² + p2² g_k λ_k²)/(λ_k+λ)²     (n → ∞; ρ = 0)

Relative error O(1/d), O(1/df2) for power laws (theorem 1). Uniform least squares
(``λ = 0``, ``n >= d + 2``) is exact at finite size: bias = cross_error = 0,

    variance = (p1 σ1² + p2 σ2²) d/(n-d-1),
    synthetic_error = c² [n2(n2-1) + n1 n2 D]/[n(n-1)],  D = (d+2)(n-2)/[(n+2)(n-d-1)].

Simulations use ``n2 = p2 n`` rounded to the nearest whole number (halves up), for which these
means are exact; theory interpolates between whole numbers.

For ``ρ ≠ 0`` the cross term grows as ``c``: at ``c² = 0`` the slope in ``c²`` is infinite, and
derivatives leave it out. With mixing weights plateau_error jumps at ``p2 = 0`` (any share of
infinitely many samples has all its weight) and has no slope in ``p2`` there.

Verdicts resolve 0.1 % with twenty samples per feature, 1 % with two or three. Along a power law the
parts of test_error fall with different powers of ``d``: where they are of one size, their sum is no
series in ``1/d`` at sizes that are cheap.

``inf`` at ``λ = 0`` where active samples and ``d`` differ by at most one: variance if they are
noisy, synthetic_error if both sources are active and ``c² > 0``, and the sum with them.

Reference: E. Dohmatob, Y. Feng, A. Subramonian, J. Kempe, "Strong Model Collapse", ICLR 2025,
arXiv 2410.04840.
"""

import math
from dataclasses import replace

import jax.numpy as jnp
from jax import lax

from simulator.studies.collapse.strong_collapse._simulation import (  # isort: skip
    averaged_errors, drawn_fit, experiment, sampled_errors, trapezoidal_fit,
)  # fmt: skip
from simulator import eigenbasis
from simulator.eigenbasis import dimension
from simulator.maths.slopes import only_slope
from simulator.parameters import choice, parameters, traced
from simulator.studies.collapse.strong_collapse import PAPER, _controls
from simulator.studies.collapse.strong_collapse import _model as mixture
from simulator.studies.collapse.strong_collapse._path import errors_along_ridges
from simulator.studies.collapse.strong_collapse._theory import mixture_theory
from simulator.study import CONTROLS, Figure, Study, asymptotic, both, exact, theory_only


@parameters
class Params(mixture.MixtureParams):
    shift_correlation: float = traced(0.0, at_least=-1, at_most=1)
    weighting: str = choice("uniform", mixture.WEIGHTINGS)
    mixing_weight: float = traced(0.5, at_least=0, at_most=1)


def theory(params):
    """Theorem 1, replaced by the exact finite-size formulas for uniform least squares."""
    outputs = mixture_theory(params)
    if params.weighting != "uniform":
        return outputs
    num_samples = params.num_samples
    enough = dimension(params) + 2
    exact_here = (params.ridge == 0) & (num_samples >= enough)
    replaced = least_squares(params, jnp.where(exact_here, num_samples, enough))
    # The exact values are those of no ridge; with a ridge theorem 1 goes on from there.
    onwards = mixture_theory(replace(lax.stop_gradient(params), ridge=params.ridge))
    return outputs | {
        name: jnp.where(exact_here, value + only_slope(onwards[name]), outputs[name])
        for name, value in replaced.items()
    }


def least_squares(params, num_samples):
    """Exact means of uniform least squares, ``n >= d + 2``; any spectrum and shift."""
    d, n = dimension(params), num_samples
    p1, p2 = mixture.fractions_of(params)
    n1, n2 = p1 * n, p2 * n
    noise = p1 * mixture.noise_of(params)[0] ** 2 + p2 * mixture.noise_of(params)[1] ** 2
    diagonal = (d + 2) * (n - 2) / ((n + 2) * (n - d - 1))
    variance = noise * d / (n - d - 1)
    shift = mixture.squared_shift(params) * (n2 * (n2 - 1) + n1 * n2 * diagonal) / (n * (n - 1))
    return {
        "test_error": variance + shift,
        "bias": jnp.zeros_like(variance),
        "variance": variance,
        "synthetic_error": shift,
        "cross_error": jnp.zeros_like(variance),
    }


def simulate_direct(key, params):
    """The model taken literally: draw all inputs, fit, compare with the truth."""
    return sampled_errors(key, experiment_of(params), drawn_fit(params.num_samples))


def simulate_fast(key, params):
    """The same law through trapezoidal factors: O(d^3) for every n."""
    return sampled_errors(key, experiment_of(params), trapezoidal_fit())


def simulate_conditional(key, params):
    """Averaged over teacher, shift and noise given the design, whose statistics are controls."""
    problem = experiment_of(params)
    fit = trapezoidal_fit()(key, problem)
    return averaged_errors(problem, fit) | {CONTROLS: _controls.statistics(problem, fit.rows)}


def simulate_path(key, params):
    """The same from one eigendecomposition for all ridges, which share the draws.

    In float32 it loses digits, about ``1e-7 λ_1/ridge`` of a replicate.
    """
    return errors_along_ridges(key, experiment_of(params))


def controls(params):
    """Exact means of statistics of the design; see `_controls`."""
    return _controls.means(experiment_of(params))


def experiment_of(params):
    return experiment(params, params.weighting, params.mixing_weight, params.shift_correlation)


def _relation(params):
    n, p2 = params.num_samples, params.synthetic_fraction
    if params.ridge == 0 and params.weighting == "uniform" and n >= params.dim + 2:
        if math.isclose(mixture.realised(params).synthetic_fraction, p2, rel_tol=1e-9):
            return exact("finite-size least squares")
        return asymptotic("finite-size least squares at the nearest whole p2 n: O(1/n)")
    return asymptotic("O(1/dim), O(1/df2) for power laws")


ERRORS = (
    *both(
        _relation,
        test_error="excess error on real labels: the sum of its four parts",
        bias="response to the real teacher",
        variance="label noise",
        synthetic_error="response to the shift of the synthetic labels",
        cross_error="teacher-shift cross term (0 if ρ = 0)",
    ),
)
DIAGNOSTICS = (
    *theory_only(
        plateau_error="limit n → ∞ of the test error",
        kappa="effective penalty κ",
        df1="degrees of freedom at κ",
        df2="second-order degrees of freedom",
        omega="ω: 1 - df1/n if uniform",
        variance_inflation="ητ: u = df2/(n - df2) if uniform",
    ),
)

figures = {
    "plateau": Figure(
        title="More data does not help: the error stops at p2² c²",
        x="num_samples", y=("test_error",), series="synthetic_fraction",
        grid={"num_samples": [10**3, 10**4, 10**5, 10**6],
              "synthetic_fraction": [0.0, 0.001, 0.01, 0.1, 0.5]},
        params={"dim": 100, "ridge": 0.0, "noise_std_real": 0.1, "noise_std_synthetic": 0.1,
                "synthetic_shift": 1.0},
        caption="Least squares, d = 100, σ1 = σ2 = 0.1, c² = 1. Theory is exact.",
    ),
    "power-law": Figure(
        title="A power-law spectrum scales, until the synthetic share stops it",
        x="num_samples", y=("test_error",), series="synthetic_fraction",
        grid={"num_samples": [200, 500, 1000, 3000, 10**4, 10**5, 10**6],
              "synthetic_fraction": [0.0, 0.01, 0.1, 0.3]},
        params={"dim": 200, "spectrum": "power_law", "ridge": 1e-5, "noise_std_real": 0.1,
                "noise_std_synthetic": 0.1, "synthetic_shift": 1.0},
        caption="λ_k = k^-1.5, λ = 10⁻⁵, c² = 1 spread evenly over the directions.",
    ),
    "mixing-weight": Figure(
        title="Re-weighting cannot repair collapse: the best weight vanishes with n",
        x="mixing_weight", y=("test_error",), series="num_samples", xscale="linear",
        grid={"mixing_weight": [0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0],
              "num_samples": [400, 2000, 20000]},
        params={"dim": 100, "synthetic_fraction": 0.5, "weighting": "mixing", "ridge": 0.0,
                "noise_std_real": 1.0, "synthetic_shift": 1.0},
        caption="Least squares, d = 100, p2 = 0.5, σ1 = 1, σ2 = 0.5, c² = 1.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 32, "num_samples": 640, "synthetic_fraction": 0.3, "ridge": 0.15, "noise_std_real": 0.6,
     "noise_std_synthetic": 0.4, "signal_variance": 1.4, "synthetic_shift": 0.8},
    # The bias is most of the error at all sizes that a ladder stands for.
    {"dim": 32, "num_samples": 640, "synthetic_fraction": 0.4, "ridge": 0.02,
     "spectrum": "power_law", "spectrum_exponent": 1.2, "source_exponent": 0.15,
     "shift_profile": "signal", "shift_correlation": -0.9, "weighting": "mixing",
     "mixing_weight": 0.25, "synthetic_shift": 0.02, "noise_std_real": 0.03,
     "noise_std_synthetic": 0.02},
    {"dim": 12, "num_samples": 128, "synthetic_fraction": 0.375, "ridge": 0.0,
     "spectrum": "power_law", "noise_std_real": 0.3, "noise_std_synthetic": 0.7,
     "synthetic_shift": 1.3},
)  # fmt: skip

STUDY = Study(
    name="strong-collapse",
    title="ridge regression on a mixture of real and synthetic data",
    paper=PAPER, params=Params, outputs=ERRORS + DIAGNOSTICS, theory=theory,
    simulate_direct=simulate_direct, simulate_fast=simulate_fast,
    simulate_conditional=simulate_conditional, simulate_path=simulate_path, along=("ridge",),
    shortcuts=(("path", eigenbasis.shrinks_too_little, simulate_conditional),),
    realised=mixture.realised, controls=controls,
    complete=mixture.completed, validate=mixture.validate, figures=figures,
    tolerance=0.001,  # designs' statistics take the noise out; many samples, the third order
    check_cells=check_cells,
)  # fmt: skip
