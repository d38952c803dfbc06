"""Running moments against NumPy, whatever the chunks."""

import numpy as np
import pytest
from scipy import stats

from simulator.sweep.moments import Moments


@pytest.mark.parametrize("shape", [(), (3,)])
def test_moments_match_numpy_on_skewed_data(shape):
    values = np.random.default_rng(0).lognormal(0.3, 0.7, (777, *shape))
    moments = Moments()
    moments.update(values)
    summary = moments.summary()
    np.testing.assert_allclose(summary.mean, values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(summary.variance, values.var(0, ddof=1), rtol=1e-12)
    np.testing.assert_allclose(
        summary.kurtosis, stats.kurtosis(values, axis=0, fisher=False), rtol=1e-10
    )
    np.testing.assert_allclose(summary.skewness, stats.skew(values, axis=0), rtol=1e-10)
    np.testing.assert_allclose(
        summary.standard_error, values.std(0, ddof=1) / np.sqrt(777), rtol=1e-12
    )


def test_chunks_do_not_change_a_bit():
    values = np.random.default_rng(1).normal(3.0, 2.0, 1000)
    whole, pieces = Moments(), Moments()
    whole.update(values)
    for start, stop in ((0, 1), (1, 64), (64, 500), (500, 501), (501, 1000)):
        pieces.update(values[start:stop])
    assert whole.summary().mean == pieces.summary().mean
    assert whole.summary().variance == pieces.summary().variance
    assert whole.summary().kurtosis == pieces.summary().kurtosis
    assert whole.summary().skewness == pieces.summary().skewness


def test_dispersion_and_its_error():
    """Over many data sets, the sample std is off by its stated standard error."""
    rng = np.random.default_rng(2)
    scores = []
    for _ in range(400):
        moments = Moments()
        moments.update(rng.exponential(1.7, 2000))
        std, error = moments.summary().dispersion("std")
        scores.append((std - 1.7) / error)
    assert abs(np.mean(scores)) < 0.3
    assert 0.85 < np.std(scores) < 1.15


def test_constant_values_have_no_error():
    moments = Moments()
    moments.update(np.full(70, 4.25))
    assert moments.summary().standard_error == 0.0
    assert moments.summary().dispersion("std")[1] == 0.0


def test_an_infinite_replicate_makes_the_mean_infinite_and_its_error():
    values = np.random.default_rng(4).normal(2.0, 0.3, 300)
    values[100] = np.inf
    moments = Moments()
    moments.update(values[:150])
    moments.update(values[150:])
    summary = moments.summary()
    assert summary.mean == np.inf
    assert summary.standard_error == np.inf
    assert summary.dispersion("std") == (np.inf, np.inf)
