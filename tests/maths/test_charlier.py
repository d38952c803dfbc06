"""Charlier polynomials of counts: their means, and what functions are made of, against SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from simulator.maths import charlier

ORDERS = 4


@jax.enable_x64(True)
def _centred(counts, rate, total):
    rates = jnp.full(len(counts), rate)
    return np.array(charlier.centred(jnp.array(counts, float), rates, ORDERS, total))


@pytest.mark.parametrize("rate", [0.3, 1.7, 11.0])
def test_means_are_zero(rate):
    counts = np.arange(120)
    for law, total in (
        (stats.poisson(rate), np.inf),
        (stats.binom(13, rate / 13), 13.0),
        (stats.binom(1, rate / 13), 1.0),
    ):
        mean = law.mean()
        found = _centred(counts, mean, total)
        size = np.sqrt(found**2 @ law.pmf(counts))
        np.testing.assert_allclose(found @ law.pmf(counts) / size, 0, atol=1e-10)


@pytest.mark.parametrize("rate", [0.3, 1.7, 11.0])
def test_polynomials_are_scipys(rate):
    counts = np.arange(9)
    for k, found in enumerate(_centred(counts, rate, np.inf), 1):
        terms = [special.binom(counts, j) * (-rate) ** (k - j) / special.factorial(k - j)
                 for j in range(k + 1)]  # fmt: skip
        np.testing.assert_allclose(found, sum(terms), rtol=1e-10, atol=1e-10)


def _slopes(values, rate):
    """``E[D^k f]`` of Poisson counts, ``values`` being f(0), f(1), ..."""
    return [
        np.diff(values, k) @ stats.poisson.pmf(np.arange(len(values) - k), rate)
        for k in range(1, ORDERS + 1)
    ]


@pytest.mark.parametrize(("rate", "decay"), [(0.4, 0.3), (3.1, 1.0)])
def test_coefficients_of_powers(rate, decay):
    with jax.enable_x64(True):
        found = np.array(charlier.of_power(jnp.array([rate]), ORDERS, decay))[:, 0]
    np.testing.assert_allclose(found, _slopes((1 - decay) ** np.arange(90.0), rate), rtol=1e-10)


@pytest.mark.parametrize(
    ("rate", "point", "error"), [(0.9, 0.7, 1e-10), (400.0, 397.3, 0.05), (400.0, 371.6, 0.05)]
)
def test_coefficients_of_distances(rate, point, error):
    """A normal law is right up to ``rate^-1/2``."""
    with jax.enable_x64(True):
        found = charlier.of_distance(jnp.array([rate]), jnp.array([point]), ORDERS)
    exact = np.array(_slopes(np.abs(np.arange(900) - point), rate))
    scale = np.sqrt(rate) ** np.arange(ORDERS)  # of one standard deviation
    np.testing.assert_allclose(np.array(found)[:, 0] * scale, exact * scale, atol=error)
