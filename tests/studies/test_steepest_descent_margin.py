"""Properties of steepest-descent-margin and its parts, off the battery's beaten track."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import simulator
from simulator.studies.robustness.steepest_descent_margin._problem import relu_network


def _values(name, **params):
    """One run's outputs as arrays."""
    found = simulator.simulate(f"steepest-descent-margin.{name}", replicates=1, seed=3, **params)
    return found.mean


# -- two points --------------------------------------------------------------------------------
def test_kinks_of_the_relu_margin():
    angles = np.array([1.0, 60, 119, 121, 179])
    same = simulator.predict("steepest-descent-margin.two-points", angle_degrees=angles)
    np.testing.assert_allclose(
        same["relu_margin_l2"], np.maximum(np.cos(np.deg2rad(angles) / 2), 0.5) / 2, rtol=1e-12
    )
    other = simulator.predict(
        "steepest-descent-margin.two-points", angle_degrees=angles, second_label=-1
    )
    assert other["relu_margin_l2"][2] == other["relu_margin_l2"][4] == 0.25
    assert np.all(other["relu_margin_l2"] < same["relu_margin_l2"] + 1e-12)


def test_relu_margin_of_two_points_is_the_minimax_over_neurons():
    """``max_{|u|=1} |sum_i pi_i y_i relu(u.x_i)| / 2``, minimised over pi: a grid in two angles."""
    direction = np.linspace(0, 2 * np.pi, 7201)
    share = np.linspace(0, 1, 401)
    for angle, sign in ((50.0, 1), (140.0, 1), (70.0, -1), (130.0, -1)):
        first = np.maximum(np.cos(direction), 0)
        second = np.maximum(np.cos(direction - np.deg2rad(angle)), 0)
        score = share[:, None] * first + sign * (1 - share[:, None]) * second
        dual = np.abs(score).max(1).min() / 2
        found = simulator.predict(
            "steepest-descent-margin.two-points", angle_degrees=angle, second_label=sign
        )["relu_margin_l2"]  # fmt: skip
        assert found == pytest.approx(dual, rel=2e-3)


@pytest.mark.parametrize("labels", [0, np.array([1, 0])])
def test_the_second_label_is_a_sign(labels):
    with pytest.raises(ValueError, match=r"second_label = 0 .* 1 or -1"):
        simulator.predict("steepest-descent-margin.two-points", second_label=labels)


@pytest.mark.parametrize(("angle", "label"), [(60.0, 1), (150.0, 1), (60.0, -1), (120.0, -1)])
def test_gradient_descent_finds_the_largest_margin_of_two_points(angle, label):
    at = {"angle_degrees": angle, "second_label": label}
    best = simulator.predict("steepest-descent-margin.two-points", **at)["relu_margin_l2"]
    found = _values("two-points", num_starts=8, dtype="float64", **at)
    assert found["relu_margin_l2"] == pytest.approx(best, rel=1e-5)
    assert found["relu_margin_l2"] < best + 1e-12


def test_network_is_homogeneous():
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        theta, inputs = jnp.asarray(rng.normal(size=7 * 4)), jnp.asarray(rng.normal(size=(5, 3)))
        outer, inner = theta[:7], theta[7:].reshape(7, 3)
        direct = sum(a * np.maximum(inputs @ w, 0) for a, w in zip(outer, inner, strict=True))
        np.testing.assert_allclose(relu_network(inputs, theta), direct, rtol=1e-12)
        np.testing.assert_allclose(
            relu_network(inputs, 1.7 * theta), 1.7**2 * relu_network(inputs, theta), rtol=1e-12
        )


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
