"""strong-collapse and its parts: identities, limits, closed forms, samplers."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.theory import NotConverged, predict_study
from simulator.maths.mixture_resolvent import mixture_fit
from simulator.runtime.compilation import float64_on_cpu
from simulator.studies.collapse.ridge_collapse import main as ridge_collapse
from simulator.studies.collapse.strong_collapse import main as classical
from simulator.studies.collapse.strong_collapse import (
    multi_step,
    random_projections,
    two_covariances,
)
from simulator.studies.collapse.strong_collapse._model import counts_of
from tests.cases import load

CLASSICAL = classical.STUDY
PROJECTED = random_projections.STUDY
STEPS = multi_step.STUDY
TWO = two_covariances.STUDY
LINEAR = [(CLASSICAL, {}), (PROJECTED, {"width": 35}), (PROJECTED, {"width": 140})]
#: Mixing adds another program to each.
MIXING_LINEAR = [LINEAR[0], *(pytest.param(*case, marks=pytest.mark.slow) for case in LINEAR[1:])]
PARTS = ("bias", "variance", "synthetic_error", "cross_error")
#: Off every special point: power law, correlated shift, unequal noises, n > d.
GENERIC = {
    "dim": 60,
    "num_samples": 110,
    "synthetic_fraction": 0.35,
    "ridge": 0.03,
    "noise_std_real": 0.4,
    "noise_std_synthetic": 0.7,
    "spectrum": "power_law",
    "spectrum_exponent": 1.3,
    "source_exponent": 0.7,
    "signal_variance": 1.6,
    "synthetic_shift": 0.8,
    "shift_profile": "isotropic",
    "shift_correlation": -0.4,
}
#: s_k ~ lambda_k, so that the isotropic shift has the profile of the signal.
LIKE_THE_SIGNAL = {"source_exponent": (1 - 1 / GENERIC["spectrum_exponent"]) / 2}


def predict(study, **params):
    return predict_study(study, **(GENERIC | params))


def close(actual, desired, rtol=1e-12, atol=1e-14):
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=atol)


# --------------------------------------------------------------------------------------------
# Identities of the four parts
# --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("study", "extra"), LINEAR)
def test_without_shift_or_synthetic_data_it_is_clean_ridge(study, extra):
    for harmless in ({"synthetic_fraction": 0.0}, {"synthetic_shift": 0.0}):
        found = predict(study, noise_std_synthetic=0.4, **extra, **harmless)
        close(found["synthetic_error"], 0)
        close(found["cross_error"], 0)
        close(found["test_error"], found["bias"] + found["variance"])
        if study is CLASSICAL:
            names = ridge_collapse.STUDY.declarations
            clean = predict_study(
                ridge_collapse.STUDY,
                **{k: v for k, v in GENERIC.items() if k in names},
                noise_std=0.4,
                num_generations=0,
            )
            close(found["bias"], clean["bias"])
            close(found["variance"], clean["variance"])


@pytest.mark.parametrize(("study", "extra"), LINEAR)
def test_shift_scales_the_synthetic_error_and_its_root_the_cross_error(study, extra):
    small, large = (predict(study, **extra, synthetic_shift=x) for x in (0.3, 2.7))
    close(large["synthetic_error"], 9 * small["synthetic_error"])
    close(large["cross_error"], 3 * small["cross_error"])
    close(large["bias"], small["bias"])


@pytest.mark.parametrize(("study", "extra"), MIXING_LINEAR)
def test_mixing_with_the_share_of_samples_is_uniform(study, extra):
    mixed = predict(study, **extra, weighting="mixing", mixing_weight=0.35)
    uniform = predict(study, **extra)
    for name, value in uniform.items():
        close(mixed[name], value, rtol=1e-11)


@pytest.mark.parametrize(("study", "extra"), MIXING_LINEAR)
def test_without_weight_synthetic_samples_do_not_exist(study, extra):
    """The real samples alone: n1 of them, and the mean over them as loss."""
    num_samples, fraction = 120, 0.35
    mixed = predict(
        study,
        **extra,
        num_samples=num_samples,
        synthetic_fraction=fraction,
        weighting="mixing",
        mixing_weight=0.0,
    )
    alone = predict(study, **extra, num_samples=78, synthetic_fraction=0.0)
    for name in (*PARTS, "test_error", "kappa", "plateau_error"):
        close(mixed[name], alone[name], rtol=1e-12)


@pytest.mark.parametrize(("study", "extra"), LINEAR)
@pytest.mark.parametrize("ridge", [0.03, 0.0])
def test_learning_from_zero_labels_learns_zero(study, extra, ridge):
    """w2 = 0 and nothing else: the response to the truth is lost altogether."""
    found = predict(
        study,
        **extra,
        **LIKE_THE_SIGNAL,
        ridge=ridge,
        num_samples=45,
        synthetic_fraction=1.0,
        shift_correlation=-1.0,
        synthetic_shift=GENERIC["signal_variance"],
    )
    total = found["bias"] + found["synthetic_error"] + found["cross_error"]
    close(total, GENERIC["signal_variance"], rtol=1e-13)


def test_synthetic_error_is_the_papers():
    """zeta of theorem 1, in its own form."""
    found = predict(CLASSICAL)
    ranks = np.arange(1, 61)
    eigenvalues = ranks**-1.3
    shift = 0.8 * eigenvalues / eigenvalues.sum()
    kappa, u, p2 = found["kappa"], found["variance_inflation"], 0.35
    p1 = 1 - p2
    close(u, found["df2"] / (110 - found["df2"]))
    close(found["omega"], 1 - found["df1"] / 110)
    weight = shift / (eigenvalues + kappa) ** 2
    zeta = p2**2 * (1 + p1 * u) * np.sum(weight * eigenvalues**2) + p2 * u * np.sum(
        weight * (p1 * eigenvalues + kappa) ** 2
    )
    close(found["synthetic_error"], zeta, rtol=1e-13)


def test_all_synthetic_is_the_total_response():
    """p2 = 1: zeta = sum g_k Tot_k, and with g = s also Tot = bias/v - 1 + 2 t1."""
    for study, extra in LINEAR:
        found = predict(
            study, **extra, **LIKE_THE_SIGNAL, synthetic_fraction=1.0, shift_correlation=1.0
        )
        v, c2 = GENERIC["signal_variance"], GENERIC["synthetic_shift"]
        # cross = 2 sqrt(c2/v) sum s (Tot - t1) and zeta = c2/v sum s Tot determine sum s t1.
        total = found["synthetic_error"] * v / c2
        kept = total - found["cross_error"] * np.sqrt(v / c2) / 2
        close(total, found["bias"] - v + 2 * kept)


FIT = jax.jit(mixture_fit)


def test_order_of_the_directions_is_irrelevant():
    with jax.enable_x64(True):
        eigenvalues = np.arange(1, 41) ** -1.4
        order = np.random.default_rng(1).permutation(40)
        options = (55.0, np.array([0.6, 0.4]), np.array([0.8, 1.3]), 0.02, 30.0)
        first, second = (FIT(e, *options) for e in (eigenvalues, eigenvalues[order]))
        close(first.kappa, second.kappa)
        close(first.inflation, second.inflation)
        close(np.asarray(first.response_square)[order], second.response_square)


# --------------------------------------------------------------------------------------------
# Limits and monotonicity
# --------------------------------------------------------------------------------------------
def test_effective_penalty_is_monotone():
    grids = {
        "num_samples": (np.array([5, 40, 59, 60, 61, 100, 1000, 10**6]), -1),
        "ridge": (np.geomspace(1e-9, 10, 8), 1),
    }
    for study, extra in LINEAR:
        for name, (grid, sign) in grids.items():
            assert np.all(sign * np.diff(predict(study, **extra, **{name: grid})["kappa"]) > 0)
    widths = np.array([3, 20, 59, 60, 61, 200, 10**4, 10**5])
    assert np.all(np.diff(predict(PROJECTED, width=widths)["kappa"]) < 0)


@pytest.mark.parametrize(("study", "extra"), LINEAR)
def test_large_penalty_forgets_everything(study, extra):
    found = predict(study, **extra, ridge=1e9)
    close(found["test_error"], GENERIC["signal_variance"], rtol=1e-7)


def test_wide_models_become_classical_at_rate_one_over_width():
    limit = predict(CLASSICAL)["test_error"]
    widths = np.array([1e4, 1e5, 1e6])
    wide = predict(PROJECTED, width=widths, ridge=0.03 * widths / 60)["test_error"]
    gap = widths * (wide - limit)
    close(gap, gap[-1], rtol=0.02)
    assert abs(gap[-1]) > 0.1


@pytest.mark.parametrize(
    ("study", "extra", "weighting"),
    [
        *((*case, "uniform") for case in LINEAR),
        (*LINEAR[0], "mixing"),
        *(pytest.param(*case, "mixing", marks=pytest.mark.slow) for case in LINEAR[1:]),
    ],
)
@pytest.mark.parametrize("ridge", [0.03, 0.0])
def test_plateau_is_the_limit_of_many_samples(study, extra, weighting, ridge):
    found = predict(
        study, **extra, weighting=weighting, mixing_weight=0.2, ridge=ridge, num_samples=10**11
    )
    close(found["test_error"], found["plateau_error"], rtol=1e-8)


def test_no_penalty_removes_the_floor_but_it_lowers_it():
    """The shift sits in low-variance directions too, and the penalty shields those."""
    ridges = np.geomspace(1e-6, 10, 60)
    floor = predict(CLASSICAL, ridge=ridges, shift_correlation=0.0)["plateau_error"]
    assert 0 < floor.min() < 0.35**2 * 0.8 * 0.95


@pytest.mark.slow
def test_clean_exponents():
    """bias ~ kappa^(2 min(r, 1)) and df2 ~ kappa^(-1/beta)."""
    for exponent, source in ((1.5, 0.3), (1.2, 1.8)):
        ridges = np.array([1e-3, 1e-4])
        found = predict_study(
            CLASSICAL,
            dim=100_000,
            ridge=ridges,
            num_samples=10**12,
            synthetic_fraction=0.0,
            spectrum="power_law",
            spectrum_exponent=exponent,
            source_exponent=source,
        )

        def slope(name, found=found, ridges=ridges):
            return np.diff(np.log(found[name]))[0] / np.diff(np.log(ridges))[0]

        assert abs(slope("bias") - 2 * min(source, 1)) < 0.03
        assert abs(slope("df2") + 1 / exponent) < 0.03


def test_synthetic_error_of_least_squares_grows_with_the_fraction():
    fractions = np.linspace(0, 1, 101)
    for num_samples in (100, 200, 5000):  # u = 60/(n - 60) <= 2
        zeta = predict(CLASSICAL, ridge=0.0, synthetic_fraction=fractions, num_samples=num_samples)[
            "synthetic_error"
        ]
        assert np.all(np.diff(zeta) > 0)


def test_second_order_degrees_of_freedom_stay_below_the_ranks():
    rng = np.random.default_rng(5)
    eigenvalues = np.arange(1, 41) ** -1.1
    for _ in range(40):
        width, n = 10 ** rng.uniform(0, 3, 2)
        ridge = 10 ** rng.uniform(-8, 1)
        with jax.enable_x64(True):
            fit = FIT(eigenvalues, float(n), rng.dirichlet((1, 1)), np.ones(2), ridge, float(width))
        assert np.asarray(fit.response_square).sum() < min(n, width, 40)


# --------------------------------------------------------------------------------------------
# Isotropic closed forms
# --------------------------------------------------------------------------------------------
def isotropic_table(d, m, n):
    """(t1, u, bias/v) without ridge."""
    gamma, psi = m / d, n / d
    if min(n, m) > d:
        return 1.0, d / (n - d), 0.0
    if m < min(n, d):
        u = m / (n - m)
        return gamma, u, (1 - gamma) * (1 + u)
    u = psi * (gamma + 1 - 2 * psi) / ((1 - psi) * (gamma - psi))
    return psi, u, (1 - psi) * gamma / (gamma - psi)


@pytest.mark.parametrize(
    ("width", "num_samples"), [(70, 90), (20, 90), (20, 33), (70, 33), (44, 33)]
)
def test_isotropic_table(width, num_samples):
    d, p2, v, c2 = 60, 0.3, 1.6, 0.8
    t1, u, bias = isotropic_table(d, width, num_samples)
    total = bias - 1 + 2 * t1
    expected = {
        "bias": v * bias,
        "variance": u * (0.7 * 0.16 + 0.3 * 0.49),
        "synthetic_error": c2 * (p2**2 * total + p2 * (1 - p2) * u),
        "cross_error": 2 * p2 * -0.4 * np.sqrt(v * c2) * (total - t1),
    }
    for ridge, rtol in ((0.0, 1e-11), (1e-9, 1e-5)):
        found = predict(
            PROJECTED,
            width=width,
            num_samples=num_samples,
            ridge=ridge,
            spectrum="isotropic",
            synthetic_fraction=p2,
        )
        for name, value in expected.items():
            close(found[name], value, rtol=rtol, atol=1e-7 if ridge else 1e-13)


def test_isotropic_penalty_solves_the_cubic():
    for width, num_samples, ridge in ((23, 110, 0.2), (140, 33, 0.01)):
        found = predict(
            PROJECTED, width=width, num_samples=num_samples, ridge=ridge, spectrum="isotropic"
        )
        k, d = found["kappa"], 60
        right = width / d * k * (1 + k - d / width) * (1 + k - d / num_samples)
        close(ridge * (1 + k) ** 2, right)


# --------------------------------------------------------------------------------------------
# Iterated mixing and two covariances
# --------------------------------------------------------------------------------------------
def without(names):
    return {k: v for k, v in GENERIC.items() if k not in names}


def test_first_step_is_the_single_mixture():
    close(
        predict_study(STEPS, **GENERIC, num_steps=9)["test_error"][0],
        predict(CLASSICAL)["test_error"],
    )


def test_iterated_least_squares_is_geometric():
    errors = predict_study(STEPS, **(GENERIC | {"ridge": 0.0, "num_steps": 9}))["test_error"]
    u, p2 = 60 / (110 - 60), 0.35
    noise = 0.65 * 0.16 + 0.35 * 0.49
    ratio = p2**2 + (1 - p2) * p2 * u
    expected = [0.8]
    for _ in errors:
        expected.append(noise * u + ratio * expected[-1])
    close(errors, expected[1:])


@pytest.mark.parametrize(
    "generations", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2)), 3]
)
def test_all_synthetic_steps_are_self_training(generations):
    """p2 = 1 without shift: a chain of ridge fits, the subject of ridge-collapse."""
    shared = {k: v for k, v in GENERIC.items() if k in ridge_collapse.STUDY.declarations}
    errors = predict_study(
        STEPS,
        **(GENERIC | {"synthetic_fraction": 1.0, "synthetic_shift": 0.0, "num_steps": 9}),
    )["test_error"]
    chain = predict_study(
        ridge_collapse.STUDY,
        **shared,
        num_samples_generator=110,
        num_generations=generations,
        ridge_generator=0.03,
        noise_std=0.7,
        noise_std_generator=0.7,
    )
    close(errors[generations], chain["test_error"], rtol=1e-11)


@pytest.mark.parametrize("weighting", ["uniform", "mixing"])
@pytest.mark.parametrize(("num_samples", "ridge"), [(110, 0.03), (35, 0.03), (35, 0.0), (110, 0.0)])
def test_equal_covariances_are_the_single_covariance(weighting, num_samples, ridge):
    shared = {
        "weighting": weighting,
        "mixing_weight": 0.2,
        "num_samples": num_samples,
        "ridge": ridge,
        "shift_correlation": 0.0,
    }
    one = predict(CLASSICAL, **shared)
    two = predict_study(
        TWO,
        **{k: v for k, v in (GENERIC | shared).items() if k != "shift_correlation"},
        spectrum_synthetic="power_law",
        spectrum_exponent_synthetic=1.3,
    )
    if ridge == 0 and num_samples > 60 and weighting == "uniform":  # exact there, not here
        u = 60 / 50
        close(two["variance"], one["variance"] * 49 / 50)
        close(two["synthetic_error"], 0.8 * (0.35**2 + 0.35 * 0.65 * u))
        return
    for name, value in two.items():
        close(value, one[name], rtol=1e-10)


@pytest.mark.slow
def test_units_of_the_synthetic_inputs():
    """Rescaling both covariances and the penalty changes no error."""
    # Sigma_1 = 1, Sigma_2 = tau; measured in units of tau: Sigma_1 = 1/tau, Sigma_2 = 1.
    options = {
        "dim": 40,
        "num_samples": 90,
        "weighting": "mixing",
        "mixing_weight": 0.3,
        "noise_std_synthetic": 0.2,
    }
    tau = 3.7
    first = predict_study(TWO, **options, covariance_scale_synthetic=tau, ridge=0.2)
    # The source that is tested exchanges its role, hence only the resolvent can be compared.
    from simulator.studies.collapse.strong_collapse._two_covariances_fit import (
        two_covariances_fit,
    )

    with jax.enable_x64(True):
        ones = jnp.ones(40)
        weights = np.array([0.7 / 0.8, 0.3 / 0.2])
        shares = np.array([0.8, 0.2])
        a = two_covariances_fit(jnp.stack([ones, tau * ones]), 90.0, shares, weights, 0.2)
        b = two_covariances_fit(jnp.stack([ones / tau, ones]), 90.0, shares, weights, 0.2 / tau)
        close(a.h, b.h)
        close(a.resolvent * tau, b.resolvent)
        bias = 0.2**2 * jnp.mean(a.second)
    close(first["bias"], bias)


# --------------------------------------------------------------------------------------------
# The dossier's Monte-Carlo
# --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("study", [CLASSICAL, PROJECTED, STEPS, TWO], ids=lambda s: s.name)
def test_reference_values_within_five_errors_of_independent_simulations(study):
    """The battery holds the theory to ``expected``; here that is held to the dossier's runs."""
    compared = 0
    for case in load(study.name).cases:
        for name, (mean, error) in case.monte_carlo.items():
            z = (np.asarray(case.expected[name]) - mean) / np.asarray(error)
            assert np.all(np.abs(z) < 5), f"{case.label}: {name} off by {z} standard errors"
            compared += z.size
    assert compared >= 12


# --------------------------------------------------------------------------------------------
# Simulations
# --------------------------------------------------------------------------------------------
def replicate_values(study, cell, count, method, seed=4):
    setting = checked_setting(study, method=method, seed=seed, dtype="float64")
    run = Run(study, [study.canonical(cell)], setting, keep_values=True)
    run.extend(count)
    return {name: np.concatenate(values) for name, values in run.tallies[0].values.items()}


SMALL = {
    "dim": 9,
    "synthetic_fraction": 0.4,
    "spectrum": "power_law",
    "noise_std_real": 0.4,
    "noise_std_synthetic": 0.7,
    "signal_variance": 1.3,
}
CORRELATED = {"shift_correlation": -0.5, "shift_profile": "signal"}
MIXED = {"weighting": "mixing", "mixing_weight": 0.2}


def law(study, slow, **cell):
    marks = [pytest.mark.slow] if slow else []
    return pytest.param(study, SMALL | cell, id=study.name, marks=marks)


LAWS = [
    law(PROJECTED, False, num_samples=15, width=6, ridge=0.02, **CORRELATED, **MIXED),
    law(PROJECTED, True, num_samples=5, width=14, ridge=0.0, **CORRELATED),
    law(CLASSICAL, True, num_samples=15, ridge=0.05, **CORRELATED, **MIXED),
    law(CLASSICAL, True, num_samples=5, ridge=0.0, **CORRELATED),
    law(STEPS, True, num_samples=10, ridge=0.05, num_steps=2, **CORRELATED),
    law(TWO, True, num_samples=15, ridge=0.05, covariance_scale_synthetic=2.0, **MIXED),
]


@pytest.mark.parametrize(("study", "cell"), LAWS)
def test_fast_simulation_has_the_law_of_the_direct_one(study, cell):
    direct, fast = (replicate_values(study, cell, 4000, m) for m in ("direct", "fast"))
    for name in direct:
        columns = (values[name].T.reshape(-1, 4000) for values in (direct, fast))
        for x, y in zip(*columns, strict=True):
            assert stats.ks_2samp(x, y).pvalue > 1e-4, name


@pytest.mark.parametrize(("study", "cell"), [LAWS[0], LAWS[3], LAWS[5]])
def test_conditional_simulation_has_the_mean_of_the_fast_one_and_less_noise(study, cell):
    fast, averaged = (replicate_values(study, cell, 4000, m) for m in ("fast", "conditional"))
    for name in fast:
        gap = fast[name].mean() - averaged[name].mean()
        error = np.sqrt((fast[name].var() + averaged[name].var()) / 4000)
        assert abs(gap) < 5 * error, name
        assert averaged[name].var() < fast[name].var(), name


def test_zero_labels_cancel_in_every_replicate():
    """w2 = 0 and p2 = 1: |a + b|^2 is the signal variance, whatever the design."""
    cell = SMALL | MIXED | CORRELATED | {"num_samples": 15, "width": 6, "ridge": 0.03}
    cell |= {"synthetic_fraction": 1.0, "shift_correlation": -1.0, "synthetic_shift": 1.3}
    for method in ("direct", "fast", "conditional"):
        values = replicate_values(PROJECTED, cell, 8, method)
        total = values["bias"] + values["synthetic_error"] + values["cross_error"]
        close(total, 1.3, rtol=1e-10)


@pytest.mark.slow
def test_isotropic_projections_without_ridge_have_exact_means():
    """m < min(n - 1, d): bias v (1 - m/d)(n-1)/(n-m-1), variance sigma^2 m/(n-m-1)."""
    d, m, n, count = 12, 5, 14, 4000
    cell = {
        "dim": d,
        "width": m,
        "num_samples": n,
        "ridge": 0.0,
        "signal_variance": 1.3,
        "synthetic_fraction": 0.5,
        "noise_std_real": 0.3,
        "noise_std_synthetic": 0.6,
    }
    values = replicate_values(PROJECTED, cell, count, "conditional")
    exact = {
        "bias": 1.3 * (1 - m / d) * (n - 1) / (n - m - 1),
        "variance": (0.09 + 0.36) / 2 * m / (n - m - 1),
    }
    for name, value in exact.items():
        error = values[name].std() / np.sqrt(count)
        assert abs(values[name].mean() - value) < 5 * error, name
        assert error < 0.02 * value


@pytest.mark.parametrize("num_samples", [1, 4, 8, 9, 10, 30])
def test_every_corner_of_the_simulation_is_finite(num_samples):
    corners = [
        {"synthetic_fraction": p2, "mixing_weight": alpha, "ridge": ridge}
        for p2 in (0.0, 0.3, 1.0)
        for alpha in (0.0, 0.4, 1.0)
        for ridge in (0.0, 1e-3)
    ]
    for study, extra in ((CLASSICAL, {}), (PROJECTED, {"width": 4}), (PROJECTED, {"width": 20})):
        fixed = SMALL | {"shift_profile": "signal", "weighting": "mixing"} | extra
        cells = [
            study.canonical(fixed | {"num_samples": num_samples} | corner) for corner in corners
        ]
        run = Run(study, cells, checked_setting(study, method="fast", dtype="float64"))
        run.extend(3)
        for position, cell in enumerate(cells):
            summary = run.summary(position)
            assert all(np.isfinite(value.mean) for value in summary.values())
            n2 = int(np.floor(cell["synthetic_fraction"] * num_samples + 0.5))
            active = (num_samples - n2 > 0 and cell["mixing_weight"] < 1) or (
                n2 > 0 and (cell["mixing_weight"] > 0)
            )
            if not active:
                close(summary["test_error"].mean, 1.3)


def test_synthetic_samples_are_rounded_to_the_nearest_number():
    counts = jax.jit(counts_of)
    for n, p2, expected in (
        (10, 0.25, 3),
        (10, 0.249, 2),
        (6, 0.75, 5),
        (7, 1.0, 7),
        (7, 0.0, 0),
    ):
        with jax.enable_x64(True):
            found = counts(classical.Params(num_samples=n, synthetic_fraction=p2))
        np.testing.assert_array_equal(found, [n - expected, expected])


def test_a_billion_samples_cost_no_more_than_a_hundred():
    """Least squares on 1e9 samples: the plateau, exactly."""
    values = replicate_values(
        CLASSICAL,
        SMALL | MIXED | {"num_samples": 10**9, "ridge": 0.0, "shift_profile": "signal"},
        50,
        "fast",
    )
    close(values["test_error"], 0.2**2 * 0.5, rtol=1e-3)


# --------------------------------------------------------------------------------------------
# Extremes and ends
# --------------------------------------------------------------------------------------------
RIDGES = np.array([1e-12, 1e-28, 1e-32, 1e-65, 1e-300])


def test_tiny_ridges_at_as_many_samples_as_features():
    """Isotropic, n = d: kappa^2 = ridge (1 + kappa) and u = 1 / (kappa (2 + kappa))."""
    kappa = (RIDGES + np.sqrt(RIDGES**2 + 4 * RIDGES)) / 2
    inflation = 1 / (kappa * (2 + kappa))
    size = {"dim": 50, "num_samples": 50, "ridge": RIDGES}
    found = predict_study(CLASSICAL, **size, noise_std_real=0.3, noise_std_synthetic=0.3)
    close(found["kappa"], kappa, rtol=1e-10)
    close(found["omega"], kappa / (1 + kappa), rtol=1e-10, atol=0)
    close(found["variance_inflation"], inflation, rtol=1e-10)
    close(found["variance"], 0.09 * inflation, rtol=1e-10)
    close(found["bias"], (1 + inflation) * (kappa / (1 + kappa)) ** 2, rtol=1e-10, atol=0)
    chain = predict_study(ridge_collapse.STUDY, **size, num_generations=0, noise_std=0.3)
    close(chain["kappa"], kappa, rtol=1e-10)
    close(chain["variance"], 0.09 * inflation, rtol=1e-10)


def test_tiny_ridges_at_as_many_samples_as_random_features_and_inputs():
    """n = m = d: kappa^3 = ridge (1 + kappa)^2."""
    size = {"dim": 50, "num_samples": 50, "width": 50, "ridge": RIDGES}
    kappa = predict_study(PROJECTED, **size)["kappa"]
    close(kappa**3 / (1 + kappa) ** 2, RIDGES, rtol=1e-10, atol=0)


def test_two_covariances_refuse_what_rounding_spoils():
    size = {"dim": 50, "num_samples": 50}
    for ridge in (1e-20, 1e-28, 1e-32, 1e-65):
        with pytest.raises(NotConverged, match="residual"):
            predict_study(TWO, **size, ridge=ridge)
    equal = predict_study(CLASSICAL, **size, ridge=1e-10)
    close(predict_study(TWO, **size, ridge=1e-10)["variance"], equal["variance"], rtol=1e-8)


@pytest.mark.parametrize("study", [CLASSICAL, PROJECTED])
def test_nothing_is_left_at_the_interpolation_threshold(study):
    found = predict_study(study, dim=30, num_samples=30, ridge=0.0)
    assert found["omega"] == 0
    assert found["variance_inflation"] == np.inf


@pytest.mark.parametrize("study", [ridge_collapse.STUDY, CLASSICAL, STEPS, PROJECTED, TWO])
def test_spectra_that_underflow_are_refused(study):
    steep = {"dim": 200, "spectrum": "power_law", "spectrum_exponent": 150.0}
    with pytest.raises(ValueError, match="spectrum_exponent = 150 is not allowed with dim = 200"):
        predict_study(study, **steep)
    predict_study(study, **(steep | {"spectrum_exponent": 66.0}))
    if study is TWO:
        with pytest.raises(ValueError, match="spectrum_exponent_synthetic = 150 is not allowed"):
            predict_study(
                study, dim=200, spectrum_synthetic="power_law", spectrum_exponent_synthetic=150.0
            )


def test_steep_spectra_keep_every_direction():
    steep = {"dim": 200, "spectrum": "power_law", "spectrum_exponent": 66.0, "ridge": 0.0}
    found = predict_study(CLASSICAL, **steep, num_samples=400)
    close(found["variance"], 0.25 * 200 / 199, rtol=1e-12)
    close(predict_study(CLASSICAL, **steep, num_samples=150)["df1"], 150, rtol=1e-12)


def test_slope_where_synthetic_data_begin():
    """dim 10, n 30 and the defaults; by differences of an independent program."""
    found = slope_at(classical, "synthetic_fraction", 0.0, dim=10, num_samples=30)
    close(found, 0.171974411, rtol=1e-8)


def test_slope_where_a_ridge_begins():
    """Isotropic: d/d ridge of sigma^2 d / (n (1 + kappa)^2 - d) is -2 sigma^2 d n^2 / (n - d)^3."""
    change = {"dim": 10, "num_samples": 30, "synthetic_fraction": 0.0}
    found = slope_at(classical, "ridge", 0.0, **change)
    close(found, -2 * 0.25 * 10 * 30**2 / 20**3, rtol=1e-12)
    chain = {"dim": 10, "num_samples": 30, "num_generations": 0}
    close(slope_at(ridge_collapse, "ridge", 0.0, **chain), found, rtol=1e-12)


def slope_at(module, name, value, **change):
    """``jax.grad`` of the test error."""
    params = module.Params(**{n: p.default for n, p in module.STUDY.declarations.items()} | change)
    with float64_on_cpu():
        error = jax.jit(
            jax.grad(lambda x: module.STUDY.theory(replace(params, **{name: x}))["test_error"])
        )
        return error(value)
