"""Strong model collapse when synthetic inputs follow another law than real ones.

Question. How does a mismatch of the *inputs* of synthetic data change the damage that a fraction
``p2`` of it does?

Model. As ``strong-collapse`` (classical model, shift uncorrelated with the teacher), with real
inputs ``N(0, Σ1)`` and synthetic inputs ``N(0, Σ2)``, both diagonal in one basis: ``λ_k`` from
``spectrum``, ``μ_k = τ2`` times 1 or ``k^-β2``. Tested on real data: ``E‖ŵ - w1‖²_Σ1``; ``s_k`` and
``g_k`` are defined with ``Σ1``.

Theory. With ``G``, ``h_j``, ``T_j`` and ``E2`` of ``_two_covariances_fit`` (all diagonal),

    bias             λ² Σ_k (s_k/λ_k) E2_k
    variance         Σ_j p_j h_j² σ_j² T_j
    synthetic_error  Σ_k (g_k/λ_k) p2² h2² μ_k² (E2_k - 2 h2 T_2 G_k) + p2 h2² T_2 Σ_k (g_k/λ_k) μ_k

At ``λ = 0`` and fewer active samples than features the fit interpolates: ``λ -> 1``,
``h_j -> 1/e_j``. Relative error O(1/d), O(1/df2) for power laws, also at ``λ = 0``. ``inf`` at
``λ = 0`` where active samples and ``d`` differ by at most one: variance if they are noisy,
synthetic_error if both sources are active and ``c² > 0``, and the sum with them. Penalties so small
(1e-17 at ``n = d``) that rounding would spoil the result are refused. ``Σ2 = Σ1`` is
``strong-collapse``.

Verdicts resolve 1 %: at ``λ = 0`` with fewer samples than features, the small sizes of a ladder
have few of them. With twenty samples per feature it is 0.2 %, but where both laws are power laws of
other exponents, whose errors are no series in ``1/d`` at sizes that are cheap.

Reference: our extension of E. Dohmatob, Y. Feng, A. Subramonian, J. Kempe, "Strong Model
Collapse", ICLR 2025, arXiv 2410.04840.
"""

import jax.numpy as jnp

from simulator.studies.collapse.strong_collapse._simulation import (  # isort: skip
    averaged_errors, drawn_fit, experiment, sampled_errors, trapezoidal_fit,
)  # fmt: skip
from simulator import eigenbasis
from simulator.eigenbasis import is_given, spectrum_of
from simulator.maths.slopes import ratio
from simulator.maths.spectra import check_spectrum, eigenvalues
from simulator.parameters import choice, parameters, traced, unpadded
from simulator.studies.collapse.strong_collapse import PAPER, _controls
from simulator.studies.collapse.strong_collapse import _model as _mixture
from simulator.studies.collapse.strong_collapse import _model as mixture
from simulator.studies.collapse.strong_collapse._theory import interpolation_threshold
from simulator.studies.collapse.strong_collapse._two_covariances_fit import two_covariances_fit
from simulator.study import CONTROLS, RESIDUAL, Figure, Study, asymptotic, both


def _relative_growth(params):
    """``λ_k``, ``μ_k`` and ``λ`` at equal ``k/d`` are to change by one common factor."""
    power_law = params.spectrum_synthetic == "power_law" and not is_given(
        params.eigenvalues_synthetic
    )
    return eigenbasis.growth(params) + power_law * params.spectrum_exponent_synthetic


@parameters
class Params(mixture.MixtureParams):
    spectrum_synthetic: str = choice(
        "isotropic", mixture.SPECTRA, "Σ₂", "covariance of the synthetic inputs"
    )
    spectrum_exponent_synthetic: float = traced(1.5, "β₂", "μ_k ~ k^-β2 (power_law)", above=0)
    covariance_scale_synthetic: float = traced(
        1.0, "τ₂", "scale of μ_k", above=0, grows=_relative_growth
    )
    weighting: str = choice("uniform", mixture.WEIGHTINGS)
    mixing_weight: float = traced(0.5, at_least=0, at_most=1)
    eigenvalues_synthetic: tuple = eigenbasis.eigenvalues(
        symbol="μ_k", meaning="eigenvalues of the synthetic inputs' covariance, in the same order"
    )
    covariance_synthetic: tuple = eigenbasis.covariance(
        symbol="Σ₂", meaning="covariance of the synthetic inputs; commutes with the other one"
    )


def theory(params):
    """The formulas of the module docstring."""
    spectrum, shift = spectrum_of(params), mixture.shift_of(params)
    real, synthetic = covariances = _covariances(params)
    fractions = mixture.fractions_of(params)
    weights, per = mixture.weights_per(fractions, params.weighting, params.mixing_weight)
    active = jnp.where(weights > 0, fractions, 0)
    fit = two_covariances_fit(
        covariances, params.num_samples, fractions, weights, params.ridge, per
    )
    p2, noise = fractions[1], mixture.noise_of(params)
    h2, T2 = fit.h[1], fit.traces[1]
    bias = fit.ridge**2 * jnp.sum(ratio(spectrum.signal, real) * fit.second)
    variance = jnp.sum(fractions * fit.h**2 * noise**2 * fit.traces)
    inherited = p2**2 * h2**2 * synthetic**2 * (fit.second - 2 * h2 * T2 * fit.resolvent)
    own = p2 * h2**2 * T2 * synthetic
    synthetic_error = jnp.sum(ratio(shift, real) * (inherited + own))
    diverges, _ = interpolation_threshold(params, active)
    noisy = jnp.any((active > 0) & (noise > 0))
    disagree = jnp.prod(active) * mixture.squared_shift(params) > 0
    variance = jnp.where(diverges, jnp.where(noisy, jnp.inf, 0), variance)
    synthetic_error = jnp.where(diverges & disagree, jnp.inf, synthetic_error)
    return {
        "test_error": bias + variance + synthetic_error,
        "bias": bias,
        "variance": variance,
        "synthetic_error": synthetic_error,
        RESIDUAL: jnp.where(diverges, 0, fit.residual),
    }


def simulate_direct(key, params):
    """The model taken literally: draw all inputs, fit, compare with the truth."""
    return _without_cross(sampled_errors(key, _experiment(params), drawn_fit(params.num_samples)))


def simulate_fast(key, params):
    """The same law through trapezoidal factors: O(d^3) for every n."""
    return _without_cross(sampled_errors(key, _experiment(params), trapezoidal_fit()))


def simulate_conditional(key, params):
    """Averaged over teacher, shift and noise given the design, whose statistics are controls."""
    problem = _experiment(params)
    fit = trapezoidal_fit()(key, problem)
    averages = _without_cross(averaged_errors(problem, fit))
    return averages | {CONTROLS: _controls.statistics(problem, fit.rows)}


def controls(params):
    """Exact means of statistics of the design; see `_controls`."""
    return _controls.means(_experiment(params))


def _covariances(params):
    real = spectrum_of(params).eigenvalues
    if is_given(params.eigenvalues_synthetic):
        synthetic = eigenbasis.with_zeros(params.eigenvalues_synthetic, len(real))
    else:
        dim = len(real) if is_given(params.eigenvalues) else unpadded(params, "dim")
        synthetic = eigenvalues(
            params.spectrum_synthetic, dim, params.spectrum_exponent_synthetic, size=len(real)
        )
    return jnp.stack([real, params.covariance_scale_synthetic * synthetic])


def _experiment(params):
    input_std = jnp.sqrt(_covariances(params))
    return experiment(params, params.weighting, params.mixing_weight)._replace(
        input_std=input_std, label_std=input_std / input_std[0]
    )


def _without_cross(parts):
    """The cross term of independent teacher and shift has mean zero and is left out."""
    cross = parts.pop("cross_error")
    return parts | {"test_error": parts["test_error"] - cross}


def validate(params, side):
    """Refuse spectra that underflow, on either side."""
    allowed = _mixture.validate(params, side)
    if is_given(params.eigenvalues_synthetic):
        return allowed & eigenbasis.validate_positive(
            "eigenvalues_synthetic", params.eigenvalues_synthetic
        )
    return allowed & check_spectrum(
        params.spectrum_synthetic,
        params.dim,
        params.spectrum_exponent_synthetic,
        "spectrum_exponent_synthetic",
    )


def completed(given):
    """Explicit spectra at the door, of both covariances."""
    spectra = (("eigenvalues", "covariance"), ("eigenvalues_synthetic", "covariance_synthetic"))
    return _mixture.completed(given, spectra=spectra)


_NEAR = asymptotic("O(1/dim), O(1/df2) for power laws")

figures = {
    "input-scale": Figure(
        title="Synthetic inputs of larger variance help only with the right labels",
        x="covariance_scale_synthetic", y=("test_error",), series="synthetic_shift",
        grid={"covariance_scale_synthetic": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0],
              "synthetic_shift": [0.0, 0.25, 1.0]},
        params={"dim": 120, "num_samples": 300, "synthetic_fraction": 0.4, "ridge": 0.02,
                "spectrum": "power_law", "spectrum_exponent": 1.0},
        caption="d = 120, n = 300, p2 = 0.4, λ = 0.02; real λ_k = 1/k, synthetic μ_k = τ2.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 32, "num_samples": 640, "synthetic_fraction": 0.3, "ridge": 0.05,
     "spectrum_synthetic": "power_law", "spectrum_exponent_synthetic": 0.3,
     "covariance_scale_synthetic": 2.0, "noise_std_real": 0.4, "noise_std_synthetic": 0.6,
     "signal_variance": 1.4, "synthetic_shift": 0.9},
    {"dim": 32, "num_samples": 640, "synthetic_fraction": 0.45, "ridge": 0.03,
     "spectrum": "power_law", "spectrum_exponent": 0.7, "spectrum_synthetic": "power_law",
     "spectrum_exponent_synthetic": 0.7, "covariance_scale_synthetic": 4.0,
     "shift_profile": "isotropic", "weighting": "mixing", "mixing_weight": 0.3,
     "noise_std_synthetic": 0.3},
    {"dim": 32, "num_samples": 640, "synthetic_fraction": 0.45, "ridge": 0.0,
     "spectrum_synthetic": "power_law", "spectrum_exponent_synthetic": 0.6,
     "covariance_scale_synthetic": 2.0, "noise_std_real": 0.3, "noise_std_synthetic": 0.5},
    {"dim": 64, "num_samples": 16, "synthetic_fraction": 0.5, "ridge": 0.0,
     "spectrum_synthetic": "power_law", "spectrum_exponent_synthetic": 0.6,
     "covariance_scale_synthetic": 2.0, "noise_std_real": 0.3, "noise_std_synthetic": 0.5},
)  # fmt: skip

STUDY = Study(
    name="strong-collapse.two-covariances",
    title="ridge regression on a mixture whose synthetic inputs have another covariance",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            _NEAR,
            test_error="excess error on real data: the sum of its three parts",
            bias="response to the real teacher",
            variance="label noise",
            synthetic_error="response to the shift of the synthetic labels",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast,
    simulate_conditional=simulate_conditional, controls=controls, realised=_mixture.realised,
    complete=completed, validate=validate, figures=figures,
    tolerance=0.01,  # of the interpolating fit; 0.2 % of the others
    check_cells=check_cells,
)  # fmt: skip
