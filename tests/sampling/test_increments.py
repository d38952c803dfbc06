"""Multivariate-t increments against drawn least-squares fits."""

import jax
import numpy as np
import pytest

from simulator.sampling.increments import least_squares_error, least_squares_increment
from tests.sampling.laws import CountTraces, assert_same_law, draws


def direct(num_samples, dim, num_generations, count):
    """Whitened errors of a chain of fits on inputs with a covariance that must drop out."""
    rng = np.random.default_rng(6)
    std = np.sqrt(np.arange(1, dim + 1) ** -1.4)
    total = np.zeros((count, dim))
    for _ in range(num_generations):
        inputs = rng.standard_normal((count, num_samples, dim)) * std
        noise = rng.standard_normal((count, num_samples, 1))
        total += (np.linalg.pinv(inputs) @ noise)[..., 0] * std
    return total


@pytest.mark.parametrize(
    "num_samples, dim, num_generations",
    [
        (7, 6, 2),
        (40, 3, 5),
        *(pytest.param(*s, marks=pytest.mark.slow) for s in ((9, 4, 1), (6, 6, 1))),
    ],
)
def test_law(num_samples, dim, num_generations):
    count = 12_000
    expected = direct(num_samples, dim, num_generations, count)
    got = draws(lambda key: least_squares_increment(key, num_samples, dim, num_generations), count)
    # Logs: near num_samples = dim the squares have no mean.
    for index in (0, dim - 1):
        assert_same_law(np.log(np.abs(got[:, index])), np.log(np.abs(expected[:, index])))
        assert abs(np.mean(np.sign(got[:, index]))) < 5 / np.sqrt(count)
    norm = np.log(np.sum(expected**2, axis=1))
    assert_same_law(np.log(np.sum(got.astype(float) ** 2, axis=1)), norm)
    scalar = draws(
        lambda key: least_squares_error(key, num_samples, dim, num_generations), count, seed=1
    )
    assert_same_law(np.log(scalar), norm)


def test_mean_error_is_exact():
    """``n d / (N - d - 1)``."""
    sample = draws(lambda key: least_squares_error(key, 60, 40, 3), 40_000).astype(float)
    standard_error = sample.std() / np.sqrt(sample.size)
    assert abs(sample.mean() - 3 * 40 / 19) < 5 * standard_error


def test_no_generation_is_no_error():
    assert least_squares_error(jax.random.key(0), 9, 4, 0) == 0
    np.testing.assert_array_equal(least_squares_increment(jax.random.key(0), 9, 4, 0), np.zeros(4))


def test_one_compilation_and_a_billion_samples():
    sampler = CountTraces(lambda key, n, d: least_squares_error(key, n, d, 4))
    for num_samples, dim in [(4, 4), (70, 30), (10**9, 1000)]:
        error = sampler(jax.random.key(1), np.int32(num_samples), np.int32(dim))
        assert np.isfinite(error)
    assert sampler.traces == 1
    np.testing.assert_allclose(error, 4 * 1000 / 1e9, rtol=0.25)
