"""Binomial probabilities, deviations and averages, against SciPy."""

import jax
import numpy as np
import pytest
from scipy import stats

from simulator.maths import binomial

_deviation, _poisson_deviation, _log_probability, _nodes = map(
    jax.jit,
    (
        binomial.mean_absolute_deviation,
        binomial.poisson_mean_absolute_deviation,
        binomial.log_probability,
        binomial.expectation_nodes,
    ),
)


@pytest.mark.parametrize(
    ("n", "q"), [(1, 0.38), (10, 0.99), (300, 0.01), (300, 0.38), (5000, 0.1), (10**5, 0.01)]
)
@pytest.mark.parametrize("fraction", [1.0, 0.95, 0.6, 0.01])
def test_mean_absolute_deviation(n, q, fraction):
    a = n * q * fraction
    k = np.arange(n + 1)
    exact = np.sum(stats.binom.pmf(k, n, q) * abs(k - a))
    with jax.enable_x64(True):
        value = _deviation(float(n), q, a)
    np.testing.assert_allclose(value, exact, rtol=1e-8)


@pytest.mark.parametrize(("n", "q"), [(7, 0.3), (300, 0.25), (40_000, 0.02)])
def test_log_probability(n, q):
    k = np.unique(np.linspace(0, n, 40).astype(int))
    with jax.enable_x64(True):
        value = _log_probability(k.astype(float), float(n), q)
    np.testing.assert_allclose(value, stats.binom.logpmf(k, n, q), rtol=1e-10, atol=1e-9)


def test_derivative_of_the_probability_of_nothing():
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(lambda q: binomial.log_probability(0.0, 17.0, q)))(0.2)
    np.testing.assert_allclose(slope, -17 / (1 - 0.2), rtol=1e-12)


@pytest.mark.parametrize("rate", [0.3, 1.5, 20.2, 1000.0])
def test_poisson_mean_absolute_deviation(rate):
    k = np.arange(int(rate + 40 * np.sqrt(rate) + 50))
    exact = np.sum(stats.poisson.pmf(k, rate) * abs(k - rate))
    with jax.enable_x64(True):
        value = _poisson_deviation(rate)
    np.testing.assert_allclose(value, exact, rtol=1e-11)


@pytest.mark.parametrize(
    ("n", "q"), [(300.0, 0.2), (3.0, 0.3), (40.0, 1e-3), (1e12, 0.617), (1e4, 0.9999)]
)
def test_averages_over_a_binomial(n, q):
    with jax.enable_x64(True):
        k, weight, _ = jax.device_get(_nodes(np.float64(n), np.float64(q)))
    mean = np.sum(weight * k)
    variance = np.sum(weight * (k - n * q) ** 2)
    assert np.all(k % 1 == 0)
    np.testing.assert_allclose(mean, n * q, rtol=1e-9)
    np.testing.assert_allclose(variance, n * q * (1 - q), rtol=1e-9)
