"""Multivariate-t increments against drawn least-squares fits."""

import functools

import jax
import numpy as np
import pytest

from simulator.sampling.increments import least_squares_increment
from tests.sampling.laws import CountTraces, assert_same_law, draws, minimum_norm_fit

COUNT = 12_000


# Defined once, with the sample size traced: one program each.
@functools.cache
def increment_sampler(dim, num_generations):
    return lambda key, n: least_squares_increment(key, n, dim, num_generations)


def direct(num_samples, dim, num_generations, count):
    """Whitened errors of a chain of fits on inputs with a covariance that must drop out."""
    rng = np.random.default_rng(6)
    std = np.sqrt(np.arange(1, dim + 1) ** -1.4)
    total = np.zeros((count, dim))
    for _ in range(num_generations):
        inputs = rng.standard_normal((count, num_samples, dim)) * std
        noise = rng.standard_normal((count, num_samples))
        total += minimum_norm_fit(inputs, noise) * std
    return total


@pytest.mark.parametrize(
    "num_samples, dim, num_generations",
    [
        (7, 6, 3),
        (40, 6, 3),
        *(pytest.param(*s, marks=pytest.mark.slow) for s in ((9, 4, 1), (6, 6, 1))),
    ],
)
def test_law(num_samples, dim, num_generations):
    expected = direct(num_samples, dim, num_generations, COUNT)
    got = draws(increment_sampler(dim, num_generations), COUNT, num_samples)
    # Logs: near num_samples = dim the squares have no mean.
    for index in (0, dim - 1):
        assert_same_law(np.log(np.abs(got[:, index])), np.log(np.abs(expected[:, index])))
        assert abs(np.mean(np.sign(got[:, index]))) < 5 / np.sqrt(COUNT)
    norm = np.log(np.sum(expected**2, axis=1))
    assert_same_law(np.log(np.sum(got.astype(float) ** 2, axis=1)), norm)


def test_mean_error_is_exact():
    """``n d / (N - d - 1)``."""
    parts = [draws(increment_sampler(40, 3), COUNT, 60, seed=seed) for seed in range(4)]
    sample = np.sum(np.concatenate(parts).astype(float) ** 2, axis=1)
    standard_error = sample.std() / np.sqrt(sample.size)
    assert abs(sample.mean() - 3 * 40 / 19) < 5 * standard_error


def test_no_generation_is_no_error():
    increment = jax.jit(lambda key: least_squares_increment(key, 9, 4, 0))(jax.random.key(0))
    np.testing.assert_array_equal(increment, np.zeros(4))


def test_one_compilation_and_a_billion_samples():
    sampler = CountTraces(lambda key, n: least_squares_increment(key, n, 1000, 4))
    for num_samples in (1000, 1070, 10**9):
        increment = np.asarray(sampler(jax.random.key(1), np.int32(num_samples)), float)
        assert np.all(np.isfinite(increment))
    assert sampler.traces == 1
    np.testing.assert_allclose(np.sum(increment**2), 4 * 1000 / 1e9, rtol=0.25)
