"""strong-collapse and its parts: extremes, and slopes at the ends of ranges."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from simulator.engine.theory import NotConverged, predict_study
from simulator.runtime.compilation import float64_on_cpu
from simulator.studies.collapse.ridge_collapse import main as ridge_collapse
from simulator.studies.collapse.strong_collapse import main as classical
from tests.studies.strong_collapse import CLASSICAL, PROJECTED, STEPS, TWO, close

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
