"""Properties of steepest-descent-margin and its parts, off the battery's beaten track."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import simulator
from simulator.studies.robustness.steepest_descent_margin import two_layer
from simulator.studies.robustness.steepest_descent_margin._problem import (
    DATASET_A,
    DATASET_B,
    relu_network,
)

B = {"inputs": np.array(DATASET_B[0]), "labels": np.array(DATASET_B[1])}


def _values(name, **params):
    """One run's outputs as arrays."""
    found = simulator.simulate(f"steepest-descent-margin.{name}", replicates=1, seed=3, **params)
    return found.mean


# -- Gaussian data ---------------------------------------------------------------------------
def test_random_labels_follow_gardner():
    """``alpha E(h + xi)_+^2 = 1`` at h = M_2, by quadrature, for several alpha."""
    alphas = np.array([0.1, 0.5, 1.0, 1.5, 1.9])
    out = simulator.predict(
        "steepest-descent-margin", label_rule="random", sample_ratio=alphas
    )  # fmt: skip
    x, weight = np.polynomial.hermite_e.hermegauss(400)
    moments = (np.maximum(out["margin"][:, 1:2] + x, 0) ** 2) @ weight / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(alphas * moments, 1, rtol=2e-3)  # a kink: slow quadrature
    assert np.all(np.diff(out["margin"], axis=0) < 0)
    assert np.all(out["margin"][-1] < 0.05)


def test_teacher_labels_leave_a_larger_margin_than_random_ones():
    alphas = np.array([0.2, 0.6, 1.0, 1.7])
    teacher = simulator.predict("steepest-descent-margin", sample_ratio=alphas)
    random = simulator.predict("steepest-descent-margin", sample_ratio=alphas, label_rule="random")
    assert np.all(teacher["margin"] > random["margin"])
    # A teacher cannot be told from coins by few samples.
    few = simulator.predict("steepest-descent-margin", sample_ratio=0.004)["margin"]
    coins = simulator.predict(
        "steepest-descent-margin", sample_ratio=0.004, label_rule="random"
    )["margin"]  # fmt: skip
    np.testing.assert_allclose(few, coins, rtol=0.01)
    # ||w||_1 / d <= ||w||_2 / sqrt(d) <= ||w||_inf
    assert np.all(np.diff(teacher["margin"], axis=1) < 0)


def test_more_data_generalise_better_and_l2_is_best_for_dense_teachers():
    alphas = np.geomspace(0.05, 15, 7)
    error = simulator.predict("steepest-descent-margin", sample_ratio=alphas)[
        "generalization_error"
    ]
    assert np.all(np.diff(error, axis=0) < 0)
    assert np.all(np.argmin(error, axis=1) == 1)


def test_random_labels_beyond_capacity_are_refused():
    with pytest.raises(ValueError, match=r"sample_ratio = 2\.0 .* < 2"):
        simulator.predict("steepest-descent-margin", label_rule="random", sample_ratio=2.0)


# -- two layers ------------------------------------------------------------------------------
def test_teacher_labels_its_active_inputs():
    units = jnp.asarray(np.random.default_rng(2).normal(size=(2, 6)), jnp.float32)
    inputs, labels = two_layer._labelled(jax.random.key(1), units, 4000)
    scores = np.maximum(inputs @ units.T, 0) @ np.array([1, -1])
    np.testing.assert_array_equal(labels, np.sign(scores))
    assert np.all(scores != 0)


def test_student_separates_and_generalises():
    found = _values(
        "two-layer", dim=6, num_samples=40, num_samples_test=1000, width=20, num_steps=3000
    )  # fmt: skip
    assert found["separated"] == 1
    after = found["log_loss"] < 0
    rises = np.diff(found["smoothed_margin"][after][:, 1])
    assert rises.min() > -2e-3 * found["smoothed_margin"][-1, 1]
    assert np.all(found["smoothed_margin"] <= found["margin"])
    assert found["test_accuracy"][-1] > 0.7
    assert np.all(np.isfinite(found["slackness"][-1]))
