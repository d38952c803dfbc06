"""The Bradley-Terry fit against scikit-learn, and square roots that keep small rows."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from simulator.maths import bradley_terry
from simulator.runtime.compilation import float64_on_cpu

RNG = np.random.default_rng(5)


def fitted(wins, features, ridge, origin=None):
    dim = features.shape[-1]
    zero = jnp.zeros(dim)
    origin = zero if origin is None else jnp.asarray(origin)
    base = jnp.asarray(features @ np.asarray(origin))
    found = bradley_terry.fit(jnp.asarray(wins), jnp.asarray(features), base, origin, zero, ridge)
    return np.asarray(found[0]), float(found[1])


def test_the_fit_is_a_logistic_regression():
    """Without intercept, one row per pair; the penalty pulls the whole parameter to 0."""
    features = RNG.normal(size=(2, 4, 3))
    wins = RNG.integers(0, 9, size=(2, 4, 4)).astype(float)
    rows, labels, weights = [], [], []
    for x, a, b in zip(*np.nonzero(wins), strict=True):
        if a != b:
            rows.append(features[x, a] - features[x, b])
            labels.append(1)
            weights.append(wins[x, a, b])
    rows, weights = np.array(rows), np.array(weights)
    model = LogisticRegression(C=1 / 0.7, fit_intercept=False, tol=1e-10, max_iter=10_000)
    model.fit(np.r_[rows, -rows], np.r_[np.ones(len(rows)), np.zeros(len(rows))],
              np.r_[weights, weights] / 2)  # fmt: skip
    with float64_on_cpu():
        origin = np.array([0.3, -2.0, 0.5])
        ridge = 0.7 / wins.sum()
        u, residual = fitted(wins, features, ridge, origin)
    np.testing.assert_allclose(origin + np.asarray(u), model.coef_[0], rtol=1e-6, atol=1e-7)
    assert residual < 1e-10


def test_one_that_wins_everything_is_where_the_penalty_leaves_it():
    """``n σ(-s) = ridge s`` for one item against another."""
    with float64_on_cpu():
        features = np.array([[[1.0], [0.0]]])
        u, residual = fitted(np.array([[[0.0, 5.0], [0.0, 0.0]]]), features, 1e-9)
        s = float(u[0])
    assert 1 / (1 + np.exp(s)) == pytest.approx(1e-9 * s, rel=1e-6)
    assert residual < 1e-10


def test_from_far_away_newton_comes_back():
    with float64_on_cpu():
        features = jnp.asarray([[[1.0], [0.0]]])
        wins = jnp.asarray([[[0.0, 7.0], [3.0, 0.0]]])
        u, residual = bradley_terry.fit(
            wins, features, jnp.zeros((1, 2)), jnp.zeros(1), jnp.asarray([-40.0]), 1e-9
        )
        u, residual = np.asarray(u), float(residual)
    assert float(u[0]) == pytest.approx(np.log(7 / 3), rel=1e-6)
    assert residual < 1e-9


def test_triangles_keep_small_rows():
    """A direction that only rows of 1e-9 see; their squares would drown in rounding."""
    rows = np.array([[1e-9, 2e-9], [1.0, 1.0], [3e-9, -1e-9], [0.5, 0.5]])
    with float64_on_cpu():
        root = np.asarray(bradley_terry.triangle(jnp.asarray(rows)))
        error = float(bradley_terry.rounding(jnp.asarray(root)))
    exact = 1.25 * (1e-18 * 1 + 1e-18 * 16) + 1e-18 * 1e-18 * 49  # det of rowsᵀ rows, by minors
    assert np.prod(np.diag(root)) ** 2 == pytest.approx(exact, rel=1e-6)
    assert 1e-9 < error < 1e-5
    assert np.isinf(float(bradley_terry.rounding(jnp.zeros((2, 2)))))


def test_gaps_of_near_scores_keep_their_digits():
    with float64_on_cpu():
        x = jnp.asarray([30.0, -30.0, 0.4])
        gap = jnp.asarray([1e-12, -1e-12, 0.3])
        found = np.asarray(bradley_terry.sigmoid_gap(x, x - gap, gap))
    slope = 1 / (np.exp(30.0) * (1 + np.exp(-30.0)) ** 2)
    near = 1 / (1 + np.exp(-0.4)) - 1 / (1 + np.exp(-0.1))
    np.testing.assert_allclose(found, [slope * 1e-12, -slope * 1e-12, near], rtol=1e-10)
