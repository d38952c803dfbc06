"""Ridge regression with Gaussian inputs.

Question. What do train and test error of a ridge fit cost in bias and variance, on either side of
the interpolation threshold, and which penalty is best?

Model. ``n`` samples ``x ~ N(0, Σ)`` in ``R^d``, labels ``y = x·w + N(0, σ²)``, fit
``ŵ = argmin (1/n) Σ_i (x_i·ŵ - y_i)² + λ‖ŵ‖²``; at ``λ = 0`` the solution of smallest norm. Test
error: ``E‖ŵ - w‖²_Σ``, without the noise ``σ²`` of new labels. Train error: ``E (1/n) Σ_i (x_i·ŵ -
y_i)²``. The spectrum ``λ_k`` and the teacher ``w`` are named, or given as ``eigenvalues`` (or
``covariance``) and ``teacher``.

Theory. With ``df_j(κ) = Σ_k (λ_k/(λ_k+κ))^j``, ``s_k = λ_k w_k²`` and ``κ (1 - df1/n) = λ``:

    bias         κ² Σ_k λ_k w_k²/(λ_k+κ)² / (1 - df2/n)
    variance     σ² df2/(n - df2)
    test_error   bias + variance
    train_error  (1 - df1/n)² (bias + variance + σ²)

(theorem 5 of the paper for the limit without ridge, corollary 5 for isotropic inputs; the last line
is what generalised cross-validation inverts). Relative error O(1/d), O(1/df2) for power laws. For
least squares (``λ = 0``, ``n >= d``) exact at finite size: ``bias = 0``, ``variance =
σ² d/(n-d-1)``, ``train_error = σ² (1 - d/n)``; for equal eigenvalues also with ``n < d``:
``bias = (1 - n/d) Σ_k s_k``, ``variance = σ² n/(d-n-1)``. ``variance`` is ``inf`` for ``λ = 0``,
``|n - d| <= 1`` with label noise. For equal eigenvalues (1) the best penalty is ``λ = σ² d / (n
Σ_k s_k)``; in general `simulator.optimise` finds it.

Verdicts resolve 0.1 % with twenty samples per feature. Along a power law bias and variance fall
with different powers of ``d``: where they are of one size, or with fewer samples than features,
errors are no series in ``1/d`` at sizes that are cheap.

Reference: T. Hastie, A. Montanari, S. Rosset, R. J. Tibshirani, "Surprises in High-Dimensional
Ridgeless Least Squares Interpolation", Annals of Statistics 2022, arXiv 1903.08560.
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from simulator import eigenbasis
from simulator.eigenbasis import spectrum_of, true_weights
from simulator.maths import wishart
from simulator.maths.least_squares import Eigenbasis, factor_solution, ridge_solution
from simulator.maths.resolvent import no_fit, noise_variance, residual_fraction, ridge_fit
from simulator.maths.slopes import only_slope, ratio
from simulator.maths.spectra import SPECTRA
from simulator.parameters import choice, parameters, static, traced
from simulator.sampling.gamma import chi_square
from simulator.sampling.shared import once
from simulator.sampling.trapezoid import active_rows, trapezoidal_factor
from simulator.studies.linear.ridge_regression import PAPER
from simulator.study import CONTROLS, Figure, Study, asymptotic, both, exact, theory_only


@parameters
class Params:
    dim: int = static(200, at_least=2, grows=1, padded=True)
    num_samples: int = traced(400, at_least=1, static_in=("direct",), grows=1)
    ridge: float = traced(0.1, at_least=0, grows=eigenbasis.growth)
    noise_std: float = traced(0.5, at_least=0)
    spectrum: str = choice("isotropic", SPECTRA)
    spectrum_exponent: float = traced(1.5, above=0)
    source_exponent: float = traced(0.5, above=0)
    signal_variance: float = traced(1.0, above=0)
    eigenvalues: tuple = eigenbasis.eigenvalues()
    teacher: tuple = eigenbasis.teacher()
    covariance: tuple = eigenbasis.covariance()


def theory(params):
    """The formulas of the module docstring; exact where it says so."""
    none, fixed = params.ridge == 0, lax.stop_gradient(params.ridge)
    values = _outputs(params, jnp.where(none, fixed, params.ridge), True)
    # The value without a ridge is exact; with one the equivalent goes on from there.
    onwards = _outputs(lax.stop_gradient(params), params.ridge, False)
    return {
        name: value + jnp.where(none, only_slope(onwards[name]), 0)
        for name, value in values.items()
    }


def _outputs(params, ridge, finite_size):
    spectrum, n = spectrum_of(params), params.num_samples
    fit = ridge_fit(spectrum.eigenvalues, n, ridge, exact=finite_size)
    clean = no_fit(spectrum.eigenvalues)
    bias = fit.propagate(clean).error(spectrum.signal)
    variance = noise_variance(params.noise_std**2, fit.noise(clean))
    # (1 - df1/n)^2 (bias + variance + noise), which is 0 / 0 where both vanish: at n = d.
    first, second = (residual_fraction(spectrum.eigenvalues, fit.kappa, n, j) for j in (1, 2))
    inflated = jnp.sum(spectrum.signal * fit.shrinkage**2) + params.noise_std**2
    return {
        "test_error": bias + variance,
        "bias": bias,
        "variance": variance,
        "train_error": ratio(first**2, second) * inflated,
        "kappa": fit.kappa,
        "df1": fit.df1,
        "df2": fit.df2,
    }


def simulate_direct(key, params):
    """The model taken literally: draw inputs and labels, fit, compare.

    The noise-free fit and the response to the noise superpose; their cross terms have mean zero
    and are left out.
    """
    key_inputs, key_noise = jax.random.split(key)
    shape = (params.num_samples, params.dim)
    scale = jnp.sqrt(spectrum_of(params).eigenvalues)
    inputs = jax.random.normal(key_inputs, shape, float) * scale
    noise = params.noise_std * jax.random.normal(key_noise, shape[:1], float)
    labels = jnp.stack([inputs @ true_weights(params), noise], axis=1)
    fitted = ridge_solution(inputs, labels, len(inputs) * params.ridge)
    return _errors(params, fitted, jnp.mean((labels - inputs @ fitted) ** 2, axis=0).sum())


def simulate_fast(key, params):
    """The same law through a trapezoidal factor: the cost does not depend on ``n``."""
    key_design, key_noise, key_rest = jax.random.split(key, 3)
    factor, active, scale = _factor_design(key_design, params)
    noise = jnp.where(active, jax.random.normal(key_noise, (params.dim,), float), 0)
    design = factor * scale
    labels = jnp.stack([design @ true_weights(params), params.noise_std * noise], axis=1)
    n = params.num_samples
    fitted = factor_solution(factor, active, scale, labels, n, params.ridge)
    outside = chi_square(key_rest, jnp.maximum(n - params.dim, 1).astype(float))
    outside = params.noise_std**2 * jnp.where(n > params.dim, outside, 0)  # noise no input explains
    return _errors(params, fitted, (jnp.sum((labels - design @ fitted) ** 2) + outside) / n)


def simulate_conditional(key, params):
    """Averaged over label noise and the signs of the teacher given the inputs: controls are theirs.

    The law of the inputs does not know the signs of their coordinates.
    """
    factor, active, scale = _factor_design(key, params)
    design, n = factor * scale, params.num_samples
    unit = jnp.diag(active.astype(float))
    respond = factor_solution(factor, active, scale, unit, n, params.ridge)
    left = unit - design @ respond  # what a fit leaves of its labels
    outside = jnp.maximum(n - params.dim, 0)
    noise, squares = params.noise_std**2, true_weights(params) ** 2
    lost = scale[:, None] * (respond @ design - jnp.eye(params.dim, dtype=float))
    bias = jnp.sum(lost**2 @ squares)
    variance = noise * jnp.sum((scale[:, None] * respond) ** 2)
    unexplained = jnp.sum((left @ design) ** 2 @ squares)
    gram = factor.T @ factor / n
    return {
        "test_error": bias + variance,
        "bias": bias,
        "variance": variance,
        "train_error": (unexplained + noise * (jnp.sum(left**2) + outside)) / n,
        CONTROLS: _statistics(params, gram, gram**2),
    }


def simulate_path(key, params):
    """The same from one eigendecomposition for all ridges, which share the draws.

    In float32 it loses digits, about ``1e-7 λ_1/ridge`` of a replicate.
    """
    shared = key, replace(params, ridge=jnp.zeros((), float))
    return once(_decomposed, shared, then=_at_one_ridge, own=params)


class _Decomposed(NamedTuple):
    """What no ridge enters."""

    inputs: Eigenbasis
    teacher: Array  # diagonal of V^T diag(w^2) V
    errors: Array  # the entries of the same, times those of V^T Σ V
    gram: Array
    squares: Array  # of its entries


def _decomposed(arguments):
    key, params = arguments
    factor, _, scale = _factor_design(key, params)
    gram = factor.T @ factor / params.num_samples
    inputs = Eigenbasis.of(gram, scale**2, params.num_samples)

    def turned(diagonal):
        return inputs.vectors.T @ (diagonal[:, None] * inputs.vectors)

    teacher = turned(true_weights(params) ** 2)
    return _Decomposed(inputs, jnp.diag(teacher), teacher * turned(scale**2), gram, gram**2)


def _at_one_ridge(drawn, params):
    inputs, n, noise = drawn.inputs, params.num_samples, params.noise_std**2
    _, missed, response = inputs.fit(params.ridge)
    bias = missed @ drawn.errors @ missed
    variance = noise * jnp.sum(inputs.variances * response) / n
    unexplained = jnp.sum(inputs.eigenvalues * missed**2 * drawn.teacher)
    left = jnp.sum(jnp.where(inputs.eigenvalues > 0, missed, 0) ** 2)
    outside = jnp.maximum(n - params.dim, 0)
    return {
        "test_error": bias + variance,
        "bias": bias,
        "variance": variance,
        "train_error": unexplained + noise * (left + outside) / n,
        CONTROLS: _statistics(params, drawn.gram, drawn.squares),
    }


def _statistics(params, gram, squares):
    fitted, missed = _fitted(params)
    return {"design": jax.vmap(wishart.of_fit, (0, 0, None, None))(fitted, missed, gram, squares)}


def controls(params):
    """Exact means of statistics of the inputs (`simulator.maths.wishart`)."""
    fitted, missed = _fitted(params)
    means = jax.vmap(wishart.mean_of_fit, (0, 0, None))
    return {"design": means(fitted, missed, params.num_samples)}


def _fitted(params):
    """What is fitted of a direction, and what is missed, at the ridge and at its neighbours."""
    spectrum, ridges = spectrum_of(params), wishart.neighbours(params.ridge)
    fitted = spectrum.eigenvalues / (spectrum.eigenvalues + ridges[:, None])
    return fitted, spectrum.signal * (1 - fitted) ** 2


def _factor_design(key, params):
    """The inputs' trapezoidal factor, its rows that carry data, the inputs' standard deviations."""
    factor = trapezoidal_factor(key, params.num_samples, params.dim)
    active = active_rows(params.num_samples, params.dim)
    return factor, active, jnp.sqrt(spectrum_of(params).eigenvalues)


def _errors(params, fitted, train_error):
    """Of the noise-free fit and of the response to the noise, the two columns of ``fitted``."""
    scale = jnp.sqrt(spectrum_of(params).eigenvalues)
    bias = jnp.sum((scale * (fitted[:, 0] - true_weights(params))) ** 2)
    variance = jnp.sum((scale * fitted[:, 1]) ** 2)
    return {
        "test_error": bias + variance,
        "bias": bias,
        "variance": variance,
        "train_error": train_error,
    }


def validate(params, side):
    return eigenbasis.validate(params)


def _relation(params):
    """Exact without ridge for enough samples, or for equal eigenvalues."""
    enough = params.num_samples >= params.dim
    if params.ridge == 0 and (enough or eigenbasis.is_isotropic(params)):
        return exact()
    return asymptotic("O(1/dim), O(1/df2) for power laws")


figures = {
    "double-descent": Figure(
        title="Test error peaks where a model begins to interpolate, unless it is penalised",
        x="num_samples", y=("test_error",), series="ridge",
        grid={"num_samples": [20, 40, 60, 80, 90, 110, 120, 150, 200, 300, 500, 1000],
              "ridge": [0.0, 0.01, 0.1, 1.0]},
        params={"dim": 100},
        caption="Isotropic, d = 100, σ = 0.5, ‖w‖ = 1.",
    ),
    "penalty": Figure(
        title="Train error grows with the penalty, test error has a best one",
        x="ridge", y=("test_error", "train_error"), series="num_samples",
        grid={"ridge": [1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0],
              "num_samples": [100, 200, 400]},
        params={"dim": 200, "spectrum": "power_law", "spectrum_exponent": 1.2},
        caption="λ_k = k^-1.2, r = 1/2, d = 200, σ = 0.5.",
    ),
}  # fmt: skip

check_cells = (
    {"dim": 32, "num_samples": 640, "ridge": 0.07, "noise_std": 0.7, "signal_variance": 1.6},
    # With more noise, the share of the bias changes beyond the ladder.
    {"dim": 32, "num_samples": 640, "ridge": 0.02, "noise_std": 0.001, "spectrum": "power_law",
     "spectrum_exponent": 0.8, "source_exponent": 0.4, "signal_variance": 1.6},
    {"dim": 40, "num_samples": 200, "ridge": 0.0, "noise_std": 0.8},
)  # fmt: skip

STUDY = Study(
    name="ridge-regression",
    title="ridge regression: train and test error, bias and variance, the best penalty",
    paper=PAPER, params=Params,
    outputs=(
        *both(
            _relation,
            test_error="excess error on new inputs: bias + variance",
            bias="response to the teacher",
            variance="label noise",
            train_error="mean square of the residuals",
        ),
        *theory_only(
            kappa="effective penalty κ",
            df1="degrees of freedom at κ",
            df2="second-order degrees of freedom",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, simulate_fast=simulate_fast,
    simulate_conditional=simulate_conditional, simulate_path=simulate_path, along=("ridge",),
    shortcuts=(("path", eigenbasis.shrinks_too_little, simulate_conditional),), controls=controls,
    complete=eigenbasis.completed, validate=validate, figures=figures,
    tolerance=0.001,  # the inputs' statistics take the noise out; many samples, the third order
    check_cells=check_cells,
)  # fmt: skip
