"""strong-collapse: iterated mixing, and two covariances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.engine.theory import predict_study
from simulator.studies.collapse.ridge_collapse import main as ridge_collapse
from tests.studies.strong_collapse import CLASSICAL, GENERIC, STEPS, TWO, close, predict


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
