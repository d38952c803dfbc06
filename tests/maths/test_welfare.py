"""Welfare functions: slopes and divergences against differences, smoothing against its
definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from simulator.maths import welfare
from simulator.maths.permutahedron import geometric_weights

X, Y = np.array([0.3, 0.9, 0.55]), np.array([0.5, 0.7, 0.62])


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("exponent", [-1.3, 0.0, 0.4, 1.0])
def test_alpha_fairness(exponent):
    alpha = jnp.asarray(exponent)
    slope = jax.vmap(jax.grad(lambda x: welfare.alpha_fair(x, alpha)))(jnp.asarray(X))
    np.testing.assert_allclose(welfare.alpha_fair_slope(X, alpha), slope, rtol=1e-13)
    bend = jax.vmap(jax.grad(lambda x: welfare.alpha_fair_slope(x, alpha)))(jnp.asarray(X))
    np.testing.assert_allclose(welfare.alpha_fair_curvature(X, alpha), -bend, atol=1e-13)
    apart = welfare.alpha_fair(X, alpha) + slope * (Y - X) - welfare.alpha_fair(Y, alpha)
    found = welfare.alpha_fair_divergence(X, Y, alpha)
    np.testing.assert_allclose(found, apart, atol=1e-14)


def test_soft_minimum_lies_between_minimum_and_mean():
    x, tau = jnp.asarray(X), jnp.asarray(2.7)
    assert float(welfare.soft_minimum(x, jnp.asarray(1e-7))) == pytest.approx(X.mean(), rel=1e-6)
    assert float(welfare.soft_minimum(x, jnp.asarray(1e4))) == pytest.approx(X.min(), rel=1e-3)
    slope = jax.grad(welfare.soft_minimum)(x, tau)
    np.testing.assert_allclose(welfare.soft_minimum_slope(x, tau), slope, rtol=1e-13)
    apart = (
        welfare.soft_minimum(x, tau) + slope @ (Y - X) - welfare.soft_minimum(jnp.asarray(Y), tau)
    )
    found = welfare.soft_minimum_divergence(x, jnp.asarray(Y), tau)
    assert float(found) == pytest.approx(float(apart), abs=1e-14)


def test_generalised_gini():
    weights = geometric_weights(3, jnp.asarray(0.6))
    x = jnp.asarray(X)
    value = welfare.generalised_gini(x, weights)
    assert float(welfare.generalised_gini_weights(x, weights) @ x) == pytest.approx(float(value))
    scale = 0.3

    def minus_envelope(y):
        return -(float(weights @ np.sort(y)) - np.sum((X - y) ** 2) / (2 * scale))

    best = minimize(
        minus_envelope, X, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14}
    )
    slope = (best.x - X) / scale
    found = welfare.smoothed_gini_slope(x, weights, jnp.asarray(scale))
    np.testing.assert_allclose(found, slope, atol=1e-6)


def test_gini_penalty():
    spread = np.abs(X[:, None] - X).sum() / 6
    weights = welfare.gini_penalty_weights(3, jnp.asarray(0.8))
    value = float(welfare.generalised_gini(jnp.asarray(X), weights))
    assert value == pytest.approx(X.mean() - 0.8 * spread, rel=1e-14)
