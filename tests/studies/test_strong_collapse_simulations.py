"""strong-collapse and its parts: what the simulations draw."""

import jax
import numpy as np
import pytest
from scipy import stats

from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.studies.collapse.strong_collapse import main as classical
from simulator.studies.collapse.strong_collapse._model import counts_of
from tests.studies.strong_collapse import CLASSICAL, PROJECTED, STEPS, TWO, close


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
