"""The shipped data sets are what they say."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images

from simulator.data.datasets import digits, photograph_patches
from simulator.data.loading import DataError
from simulator.data.population import population, power_law

LABELS = load_digits().target


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("parity", np.where(LABELS % 2 == 1, 1, -1)),
        ("value", LABELS),
        (8, np.where(LABELS == 8, 1, -1)),
    ],
)
def test_digits(target, expected):
    table = digits(target)
    assert table.features.shape == (1797, 64)
    np.testing.assert_array_equal(table.targets, expected)


@pytest.mark.parametrize("size", [3, 6])
def test_patches_are_cut_from_the_photographs(size):
    """All patches in order: compare the last one of the first photograph's first row."""
    image = load_sample_images().images[0].mean(axis=2) / 255
    middle = size // 2
    centre = photograph_patches(size, None, "centre")
    columns = 640 - size + 1
    patch = image[:size, columns - 1 : columns - 1 + size]
    assert len(centre.features) == 2 * (427 - size + 1) * columns
    assert centre.targets[columns - 1] == patch[middle, middle]
    np.testing.assert_array_equal(
        centre.features[columns - 1], np.delete(patch.ravel(), middle * size + middle)
    )

    start = 640 - 2 * size  # the last patch of a row that has a neighbour
    ahead = photograph_patches(size, None, "next_patch")
    np.testing.assert_array_equal(ahead.features[start], image[:size, start : start + size].ravel())
    assert ahead.targets[start] == pytest.approx(image[:size, start + size :].mean())

    pixel = photograph_patches(size, None, "next_pixel")
    assert pixel.targets[5] == image[middle, 5 + size]


def test_patches_have_a_power_law_spectrum():
    data = population(photograph_patches(10, 20_000, seed=1))
    fit = power_law(data.eigenvalues, data.signal, first=8, last=50)
    assert 0.8 < fit.capacity < 1.4
    assert np.ptp(fit.local_capacity) < 0.5


def test_positions_are_distinct_and_repeatable():
    one, two = (photograph_patches(12, 500, seed=3).features for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert len(np.unique(one, axis=0)) > 490


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: digits("odd"), "allowed: parity, value, or a digit"),
        (lambda: digits(10), "a digit 0 to 9"),
        (lambda: photograph_patches(1), "allowed: 2 to 319"),
        (lambda: photograph_patches(8, 10**7), "num_patches = 10000000; allowed: 1 to"),
        (lambda: photograph_patches(8.5), "size = 8.5"),
        (lambda: photograph_patches(8, 10.5), "num_patches = 10.5"),
        (lambda: photograph_patches(8, 10, seed=-1), "seed = -1"),
        (lambda: photograph_patches(8, 100, "left"), "allowed: centre, next_pixel, next_patch"),
    ],
)
def test_defects(call, message):
    with pytest.raises(DataError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: digits(True), "target = True; allowed: parity, value"),
        (lambda: digits([1, 2]), r"target = \[1, 2\]; allowed"),
        (lambda: photograph_patches("8"), "size = 8; allowed"),
        (lambda: photograph_patches(8, seed=None), "seed = None"),
    ],
)
def test_what_is_of_another_type(call, message):
    with pytest.raises(TypeError, match=message):
        call()
