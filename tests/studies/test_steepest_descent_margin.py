"""Properties of steepest-descent-margin and its parts, off the battery's beaten track."""

import numpy as np
import pytest

import simulator


def _values(name, **params):
    """One run's outputs as arrays."""
    found = simulator.simulate(f"steepest-descent-margin.{name}", replicates=1, seed=3, **params)
    return found.mean


# -- Adam ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("delta", "fractions"),
    [
        (0.0, [0.804, 0.924, 0.996]),
        (1e-2, [0.805, 0.925, 0.995]),
        (1.0, [0.913, 0.984, 0.850]),
        (100.0, [0.749, 0.860, 0.934]),
    ],
)
def test_geometry_of_adam_by_its_stability_constant(delta, fractions):
    found = _values("adam", stability_constant=delta, dtype="float64")
    np.testing.assert_allclose(found["margin_fraction"], fractions, atol=6e-4)


def test_adam_with_a_dead_feature_divides_no_zero():
    inputs = np.array([[2, 1, 0], [1, 3, 0], [1, 0.5, 0]])
    found = _values("adam", inputs=inputs, labels=np.array([1, 1, 1]), num_steps=500)
    assert np.all(np.isfinite(found["margin_fraction"]))
    assert np.all(found["margin_fraction"] > 0.5)
