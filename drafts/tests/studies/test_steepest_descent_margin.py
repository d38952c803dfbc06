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
