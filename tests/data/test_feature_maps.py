"""Feature maps: kernels reproduced, random features unbiased, defects refused."""

import numpy as np
import pytest

from simulator.data.feature_maps import FEATURE_MAPS, apply_feature_map, standardise
from simulator.data.loading import DataError, from_arrays

RNG = np.random.default_rng(4)
TABLE = from_arrays(RNG.exponential(size=(60, 5)) * [1, 2, 3, 4, 5], RNG.normal(size=60), "toy")
INPUTS = standardise(TABLE.features)


def distances(x):
    return ((x[:, None] - x[None]) ** 2).sum(-1)


@pytest.mark.parametrize(
    ("kind", "kernel", "options"),
    [
        ("polynomial", (1 + INPUTS @ INPUTS.T / 5) ** 3, {"degree": 3}),
        ("polynomial", (1 + INPUTS @ INPUTS.T / 5) ** 2, {}),
        ("rbf", np.exp(-0.37 * distances(INPUTS)), {"gamma": 0.37}),
        ("rbf", np.exp(-distances(INPUTS) / 5), {}),
    ],
)
def test_as_many_landmarks_as_rows_reproduce_the_kernel(kind, kernel, options):
    phi = apply_feature_map(TABLE, kind, 60, **options).features
    np.testing.assert_allclose(phi @ phi.T, kernel, atol=1e-6 * kernel.max())


def test_fourier_features_estimate_the_rbf_kernel():
    phi = apply_feature_map(TABLE, "fourier", 40_000, gamma=0.1, seed=3).features
    error = phi @ phi.T - np.exp(-0.1 * distances(INPUTS))
    assert np.abs(error).max() < 6 / np.sqrt(40_000)


def test_relu_features_are_rectified_normals():
    phi = apply_feature_map(TABLE, "relu", 40_000, seed=3).features
    assert phi.min() == 0
    # Pre-activations are N(0, |x|^2/p + 1): the second moment of their positive part is half that.
    expected = (np.sum(INPUTS**2, axis=1) / 5 + 1) / 2
    np.testing.assert_allclose((phi**2).mean(axis=1), expected, rtol=0.06)


def test_standardise():
    assert np.mean(np.sum(INPUTS**2, axis=1)) == pytest.approx(5)
    np.testing.assert_allclose(INPUTS.mean(axis=0), 0, atol=1e-12)
    ratio = INPUTS.std(axis=0) / TABLE.features.std(axis=0)
    np.testing.assert_allclose(ratio, ratio[0])
    constant = np.column_stack([TABLE.features, np.ones(60)])
    np.testing.assert_allclose(
        standardise(constant, columnwise=True).std(axis=0), [1, 1, 1, 1, 1, 0]
    )


@pytest.mark.parametrize("kind", FEATURE_MAPS)
def test_targets_stay_and_seeds_repeat(kind):
    one, two = (apply_feature_map(TABLE, kind, 20, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.features, two.features)
    np.testing.assert_array_equal(one.targets, TABLE.targets)
    assert one.features.shape == (60, 5 if kind == "linear" else 20)
    assert one.name.startswith("toy, ")


def test_defects():
    with pytest.raises(DataError, match="'rbff' is unknown; allowed: linear, polynomial"):
        apply_feature_map(TABLE, "rbff")
    with pytest.raises(DataError, match="at most 60"):
        apply_feature_map(TABLE, "rbf", 61)
    with pytest.raises(DataError, match="num_features = 0"):
        apply_feature_map(TABLE, "relu", 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_features": 5.5}, "num_features = 5.5"),
        ({"num_features": "a"}, "num_features = a"),
        ({"degree": 0}, "degree = 0"),
        ({"gamma": -1.0}, "gamma = -1.0; allowed: finite and >= 0"),
        ({"gamma": "a"}, "gamma = a"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_odd_options_are_refused_by_name(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        apply_feature_map(TABLE, "rbf", **({"num_features": 20} | options))
