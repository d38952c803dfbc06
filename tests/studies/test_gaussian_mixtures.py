"""What the three papers on Gaussian mixtures share: printed Monte-Carlo means, slopes."""

import jax
import numpy as np
import pytest

import simulator
from tests.cases import load

PRINTED = (
    "verified-synthesis",
    "verified-synthesis.halfspace",
    "verified-synthesis.retraining",
    "verified-synthesis.best-of-k",
    "robust-pruning.finite-sample",
    "robust-pruning.high-dim",
    "group-aware-prior",
    "group-aware-prior.population",
    "group-aware-prior.last-layer",
)


@pytest.mark.parametrize("name", PRINTED)
def test_printed_monte_carlo_means_are_near_the_theory(name):
    """At 100 dimensions and thousands of samples, finite sizes stay below four standard errors."""
    compared = 0
    for case in load(name).cases:
        for output, (mean, error) in case.monte_carlo.items():
            theory = simulator.predict(name, **case.params)[output]
            assert np.all(np.abs(mean - theory) <= 4 * np.asarray(error)), (case.label, output)
            compared += 1
    assert compared


@pytest.mark.parametrize(
    ("name", "parameter", "output"),
    [
        ("verified-synthesis.halfspace", "verifier_angle", "test_accuracy"),
        ("verified-synthesis.retraining", "verifier_angle", "test_accuracy"),
        ("group-aware-prior.population", "perturbation_radius", "core_weight"),
        ("robust-pruning.high-dim", "density", "average_risk"),
    ],
)
def test_derivatives_where_not_all_combinations_are_allowed(name, parameter, output):
    """A traced point is judged inside the program, not refused for being traced."""
    theory = simulator.theory(name)
    at = float(simulator.get(name).declarations[parameter].default) + 0.03

    @jax.jit
    def value(x):
        return theory(**{parameter: x})[output].sum()

    with jax.enable_x64(True):
        difference = (float(value(at + 1e-4)) - float(value(at - 1e-4))) / 2e-4
        assert float(jax.grad(value)(at)) == pytest.approx(difference, rel=1e-6)
