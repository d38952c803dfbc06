"""strong-collapse and its parts: identities, limits, closed forms."""

import jax
import numpy as np
import pytest

from simulator.engine.theory import predict_study
from simulator.maths.mixture_resolvent import mixture_fit
from simulator.studies.collapse.ridge_collapse import main as ridge_collapse
from tests.cases import load
from tests.studies.strong_collapse import (
    CLASSICAL,
    GENERIC,
    LIKE_THE_SIGNAL,
    PARTS,
    PROJECTED,
    STEPS,
    TWO,
    close,
    predict,
)

LINEAR = [(CLASSICAL, {}), (PROJECTED, {"width": 35}), (PROJECTED, {"width": 140})]
#: Mixing adds another program to each.
MIXING_LINEAR = [LINEAR[0], *(pytest.param(*case, marks=pytest.mark.slow) for case in LINEAR[1:])]


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
