"""Limits and refusals of ``robust-regression.least-squares``."""

import numpy as np
import pytest

import simulator
from tests.studies.test_robust_regression import BASE

STUDY = "robust-regression.least-squares"
GIVEN = BASE | {"attack_radius": 0.4, "noise_std": 0.3}
NORMS = [{"attack_norm": "linf"}, {"attack_norm": "lp", "attack_p": 1.4}]


@pytest.mark.parametrize("norm", [{"attack_norm": "l2"}, *NORMS], ids=str)
def test_many_samples_leave_the_ground_truth(norm):
    found = simulator.predict(STUDY, **GIVEN | norm, num_samples=10**10)
    assert float(found["risk_least_squares"]) == pytest.approx(
        float(found["risk_ground_truth"]), rel=1e-7
    )
    other = simulator.predict("robust-regression", **GIVEN | norm)
    assert float(found["risk_ground_truth"]) == pytest.approx(
        float(other["risk_ground_truth"]), rel=1e-12
    )


def test_more_samples_help_towards_a_limit_that_may_not_be_robust():
    numbers = np.array([210, 300, 1000, 10_000, 100_000])
    found = simulator.predict(
        STUDY, num_samples=numbers[:, None], signal_exponent=np.array([0.5, 1.5])[None, :]
    )
    risk, limit = found["risk_least_squares"], found["risk_ground_truth"]
    assert np.all(np.diff(risk, axis=0) < 0)
    assert np.all(risk > limit)
    best = simulator.predict(
        "robust-regression", signal_exponent=np.array([0.5, 1.5]), noise_std=0.5
    )["risk_optimal"]
    excess = (limit[0] - 0.25) / (best - 0.25)
    assert excess[0] > 1.5 * excess[1]


@pytest.mark.slow
def test_orders_at_which_norms_are_others():
    euclidean = simulator.predict(STUDY, **GIVEN, num_samples=40)["risk_least_squares"]
    for norm in (
        {"attack_norm": "lp", "attack_p": 2.0},
        {"attack_norm": "mahalanobis", "attack_metric_exponent": 0.0},
    ):
        found = simulator.predict(STUDY, **GIVEN | norm, num_samples=40)["risk_least_squares"]
        assert float(found) == pytest.approx(float(euclidean), rel=1e-10)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_samples": 13}, "num_samples = 13"),
        ({"num_samples": 20, "attack_norm": "lp", "attack_p": 1.1}, "must be > dim - 1"),
        ({"attack_norm": "l1"}, "attack_norm = 'l1'"),
    ],
)
def test_refusals(given, message):
    with pytest.raises(ValueError, match=message):
        simulator.predict(STUDY, **GIVEN | given)
