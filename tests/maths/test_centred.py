"""Control variates have mean 0 at every size, and products the covariance that is taken off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from simulator.maths.centred import (
    centred_beta,
    centred_chi_square,
    centred_products,
    centred_size,
)


def quantiles(law):
    """Points of equal weight."""
    return law.ppf((np.arange(200_000) + 0.5) / 200_000)


@pytest.mark.parametrize("freedom", [1.0, 2.5, 40.0])
def test_chi_square(freedom):
    found = centred_chi_square(quantiles(stats.chi2(freedom)), freedom)
    assert np.mean(found) == pytest.approx(0, abs=1e-4)
    assert np.mean(found**2) == pytest.approx(1, abs=2e-3)
    assert centred_chi_square(0.0, 0.0) == 0


@pytest.mark.parametrize("spread", [1.0, 0.3])
def test_size_of_a_normal_number(spread):
    found = centred_size(quantiles(stats.norm(scale=spread)), spread)
    np.testing.assert_allclose(np.mean(found, axis=1), 0, atol=1e-4)
    np.testing.assert_array_equal(centred_size(np.zeros(3), 0.0), np.zeros((2, 3)))


def test_the_size_of_a_normal_number_is_nearly_made_up():
    z = np.random.default_rng(0).normal(size=20_000)
    design = np.concatenate([np.ones((1, len(z))), centred_size(z)]).T
    left = np.abs(z) - design @ np.linalg.lstsq(design, np.abs(z))[0]
    assert np.var(np.abs(z)) > 55 * np.var(left)
    assert stats.kurtosis(left) < 1


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (2.5, 0.7)])
def test_beta(a, b):
    found = jax.vmap(lambda x: centred_beta(x, a, b))(quantiles(stats.beta(a, b)))
    np.testing.assert_allclose(np.mean(found, axis=0), 0, atol=1e-4)


def test_products():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(3, 3))
    drawn = rng.normal(size=(40_000, 3)) @ root.T
    covariance = jnp.asarray(root @ root.T)
    products = np.asarray(jax.vmap(lambda z: centred_products(z, covariance))(drawn))
    assert products.shape == (40_000, 6)
    z = products.mean(axis=0) / products.std(axis=0) * 200
    assert np.all(np.abs(z) < 4.5)
    plain = np.asarray(centred_products(jnp.asarray(drawn[0])))
    np.testing.assert_allclose(
        plain, np.outer(drawn[0], drawn[0])[np.triu_indices(3)] - [1, 0, 0, 1, 0, 1]
    )
