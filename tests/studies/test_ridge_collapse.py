"""Identities and limits of ridge-collapse (arXiv 2402.07712), away from special points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import simulator
from simulator.runtime.compilation import float64_on_cpu

NAME = "ridge-collapse"
STUDY = simulator.get(NAME)
UNDER = {  # T0 > d, ridge generator off
    "dim": 60,
    "num_samples": 97,
    "num_samples_generator": 131,
    "noise_std": 0.4,
    "noise_std_generator": 0.7,
    "signal_variance": 1.6,
    "ridge": 0.23,
    "spectrum": "power_law",
    "spectrum_exponent": 1.3,
    "source_exponent": 0.6,
}
GENERAL = UNDER | {"num_samples_generator": 41, "ridge_generator": 0.07, "num_generations": 4}


def predict(**params):
    return simulator.predict(NAME, **params)


def close(actual, desired, rtol=1e-10):
    np.testing.assert_allclose(actual, desired, rtol=rtol)


def test_no_generation_is_clean_ridge():
    outputs = predict(**GENERAL | {"num_generations": 0})
    assert outputs["excess_error"] == 0
    close(outputs["test_error"], outputs["clean_test_error"])
    k = np.arange(1, 61)
    eigen, kappa, t = k**-1.3, float(outputs["kappa"]), 97
    signal = k ** -(1 + 2 * 1.3 * 0.6)
    signal *= 1.6 / signal.sum()
    df2 = np.sum((eigen / (eigen + kappa)) ** 2)
    bias = kappa**2 * np.sum(signal / (eigen + kappa) ** 2)
    close(outputs["test_error"], (bias + 0.4**2 * df2 / t) / (1 - df2 / t))


def test_error_is_affine_in_generations_with_enough_samples():
    errors = [predict(**UNDER, num_generations=n) for n in (0, 1, 4)]
    slope = errors[1]["test_error"] - errors[0]["test_error"]
    for n, outputs in zip((0, 1, 4), errors, strict=True):
        close(outputs["test_error"], errors[0]["test_error"] + n * slope)
        close(outputs["bias"], errors[0]["bias"])
        close(outputs["collapse_slope"], slope)


def test_slope_is_the_closed_form():
    o = predict(**UNDER, num_generations=1)
    d, t, t0, df1, df2 = 60, 97, 131, o["df1"], o["df2"]
    rho = df2 * (t + d - 2 * df1) / ((t - df2) * (t0 - d - 1))
    close(o["collapse_slope"], 0.7**2 * rho)


def test_isotropic_closed_form():
    d, t, t0, n, ridge, s, s0, v = 90, 55, 210, 4, 0.31, 0.4, 0.6, 1.9
    o = predict(
        dim=d,
        num_samples=t,
        num_samples_generator=t0,
        num_generations=n,
        ridge=ridge,
        noise_std=s,
        noise_std_generator=s0,
        signal_variance=v,
    )
    phi, phi0 = d / t, d / t0
    kappa = 0.5 * (ridge + phi - 1 + np.sqrt((ridge + phi - 1) ** 2 + 4 * ridge))
    denominator = (1 + kappa) ** 2 - phi
    clean = (kappa**2 * v + s**2 * phi) / denominator
    growth = phi0 / (1 - phi0) * (1 + kappa - phi * (1 - kappa)) / ((1 + kappa) * denominator)
    close(o["kappa"], kappa)
    close(o["clean_test_error"], clean)
    # the closed form is asymptotic in T0: exact is T0 - d - 1 in place of T0 - d
    close(o["excess_error"], n * s0**2 * growth * (t0 - d) / (t0 - d - 1))


def test_least_squares_everywhere_is_exact_for_any_spectrum():
    o = predict(**UNDER | {"ridge": 0.0, "num_generations": 4})
    close(o["test_error"], 0.4**2 * 60 / 36 + 4 * 0.7**2 * 60 / 70)


def test_overparametrised_isotropic_chain():
    d, t0, t, n = 90, 54, 200, 4
    setting = {
        "dim": d,
        "num_samples": t,
        "num_samples_generator": t0,
        "ridge": 0.0,
        "noise_std": 0.3,
        "noise_std_generator": 0.8,
        "signal_variance": 1.4,
    }
    fresh = predict(**setting, num_generations=n)
    same = predict(**setting, num_generations=n, design="same")
    eta, v0 = t0 / d, 0.8**2 * t0 / (d - t0 - 1)
    close(fresh["bias"], 1.4 * (1 - eta**n))
    close(fresh["generator_variance"], v0 * (1 - eta**n) / (1 - eta))
    close(same["bias"], 1.4 * (1 - eta))
    close(same["generator_variance"], n * v0)


def test_designs_agree_where_they_must():
    for change in ({"num_generations": 1, "ridge_generator": 0.0}, {"num_generations": 0}):
        setting = GENERAL | {"ridge_generator": 0.0} | change
        a, b = predict(**setting), predict(**setting, design="same")
        close(a["test_error"], b["test_error"])
    a, b = predict(**UNDER, num_generations=4), predict(**UNDER, num_generations=4, design="same")
    close(a["generator_variance"], b["generator_variance"])


def test_scale_of_signal_and_noise():
    o = predict(**GENERAL)
    s = 1.7
    scaled = predict(
        **GENERAL
        | {
            "noise_std": 0.4 * s**0.5,
            "noise_std_generator": 0.7 * s**0.5,
            "signal_variance": 1.6 * s,
        }
    )
    for name in ("test_error", "bias", "variance", "generator_variance"):
        close(scaled[name], s * o[name])


def test_limits_in_the_penalties():
    assert predict(**GENERAL | {"ridge": 1e9})["test_error"] == pytest.approx(1.6, rel=1e-6)
    assert predict(**GENERAL | {"ridge_generator": 1e9})["bias"] == pytest.approx(1.6, rel=1e-6)
    quiet = UNDER | {"noise_std": 0.0, "noise_std_generator": 0.0, "ridge": 0.0}
    assert predict(**quiet, num_generations=4)["test_error"] == 0


def test_monotonicity_of_the_effective_penalty():
    ridge = np.geomspace(1e-6, 10, 40)
    o = predict(**GENERAL | {"ridge": ridge})
    assert np.all(np.diff(o["kappa"]) > 0)
    assert np.all(o["df2"] <= o["df1"])
    assert np.all(o["df1"] <= 60)
    samples = np.arange(10, 300, 7)
    o = predict(**GENERAL | {"num_samples": samples})
    assert np.all(np.diff(o["kappa"]) < 0)
    assert np.all(o["df1"] <= samples)


def test_gradient_vanishes_at_the_optimal_ridge():
    with float64_on_cpu():

        def error(ridge):
            params = STUDY.params(
                dim=300, num_samples=900, num_samples_generator=600, num_generations=5, ridge=ridge
            )
            return STUDY.theory(params)["test_error"]

        slope = jax.jit(jax.grad(error))
        at_best = float(slope(jnp.asarray(1.253250)))
        before, after = (float(slope(jnp.asarray(x))) for x in (1.0, 1.5))
    assert abs(at_best) < 1e-6
    assert before < 0 < after


@pytest.mark.slow
def test_power_law_chain_of_the_figures():
    expected = {1: 0.0052796, 2: 0.0092375, 5: 0.0206175, 10: 0.0399090, 50: 0.1884731}
    setting = {
        "dim": 200,
        "num_samples": 4000,
        "num_samples_generator": 50,
        "ridge": 0.0,
        "noise_std": 0.0,
        "noise_std_generator": 0.0,
        "spectrum": "power_law",
    }
    for n, bias in expected.items():
        assert predict(**setting, num_generations=n)["bias"] == pytest.approx(bias, abs=5e-8)
    same = predict(**setting, num_generations=10, design="same")
    assert same["bias"] == pytest.approx(0.0052796, abs=5e-8)


@pytest.mark.slow
def test_scaling_exponents_of_the_figures():
    cases = [  # beta, r, l -> decay exponents of bias and generator variance from 3000 to 12000
        (1.5, 0.5, 0.3, 0.295, 0.744),
        (1.5, 0.5, 0.6, 0.609, 0.558),
        (2.0, 0.375, 0.8, 0.606, 0.561),
        (1.5, 1.5, 0.375, 0.711, 0.699),
    ]
    samples = np.array([3000, 12000])
    for beta, r, power, bias, variance in cases:
        o = predict(
            dim=200_000,
            num_samples=samples,
            ridge=samples**-power,
            num_generations=1,
            num_samples_generator=400_000,
            noise_std=0.0,
            noise_std_generator=1.0,
            spectrum="power_law",
            spectrum_exponent=beta,
            source_exponent=r,
        )
        slopes = {
            name: -float(np.diff(np.log(o[name]))[0]) / np.log(4)
            for name in ("bias", "generator_variance")
        }
        assert slopes["bias"] == pytest.approx(bias, abs=6e-4)
        assert slopes["generator_variance"] == pytest.approx(variance, abs=6e-4)


def test_theory_refuses_the_law_it_does_not_have():
    with pytest.raises(ValueError, match=r"ridge_generator = 0\.1 .* design = 'same'"):
        predict(design="same", ridge_generator=0.1)
    result = simulator.simulate(
        NAME,
        replicates=2,
        dim=8,
        num_samples=10,
        num_samples_generator=9,
        design="same",
        ridge_generator=0.1,
        num_generations=2,
    )
    assert np.isfinite(result.mean["test_error"])


SMALL = {"dim": 12, "num_generations": 2, "noise_std": 0.4, "noise_std_generator": 0.6}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            {"num_samples": 20, "num_samples_generator": 8, "ridge": 0.1, "ridge_generator": 0.05},
            marks=pytest.mark.slow,
        ),
        {"num_samples": 9, "num_samples_generator": 16, "ridge": 0.0, "spectrum": "power_law"},
        pytest.param(
            {"num_samples": 19, "num_samples_generator": 17, "ridge": 0.0, "design": "same"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"num_samples": 8, "num_samples_generator": 7, "ridge": 0.2, "design": "same"},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_fast_sampler_has_the_law_of_the_direct_one(change):
    """Kolmogorov-Smirnov on whole laws: trapezoid, shortcuts, both designs, both regimes."""
    setting = SMALL | change
    fast, direct = (
        simulator.simulate(
            NAME, replicates=3000, method=method, seed=seed, keep_values=True, **setting
        ).values
        for method, seed in (("fast", 1), ("direct", 2))
    )
    for name in ("test_error", "bias", "variance", "generator_variance"):
        if np.ptp(direct[name]) < 1e-20:  # least squares without bias: rounding on both sides
            assert np.max(np.abs(fast[name])) < 1e-20
            continue
        assert stats.ks_2samp(fast[name], direct[name]).pvalue > 1e-4, name


def test_a_billion_samples_cost_the_same_and_agree():
    """The floor in T: training on more synthetic data stops at n σ0² d / (T0 - d - 1)."""
    setting = SMALL | {
        "num_samples": 10**9,
        "num_samples_generator": 30,
        "ridge": 1e-9,
        "spectrum": "power_law",
    }
    result = simulator.simulate(NAME, replicates=2000, **setting)
    floor = 2 * 0.6**2 * 12 / 17
    z = (result.mean["test_error"] - floor) / result.standard_error["test_error"]
    assert abs(z) < 5
