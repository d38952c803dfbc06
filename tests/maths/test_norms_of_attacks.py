"""Norms of attacks: duality, projections and proximal maps, for every kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from simulator.maths.norms import ATTACK_NORMS, Norm

METRIC = np.array([0.4, 2.0, 1.1, 0.7, 3.0, 0.9])
KINDS = [(kind, 2.0) for kind in ATTACK_NORMS if kind != "lp"] + [("lp", p) for p in (1.3, 4.5)]

pytestmark = pytest.mark.usefixtures("float64")


def norm_of(kind, order):
    return Norm(kind, jnp.asarray(order), jnp.asarray(METRIC))


def vector(seed):
    return jnp.asarray(np.random.default_rng(seed).normal(size=6) * 1.7)


def sizes(kind, order, x):
    """Sizes of the rows, by NumPy."""
    if kind == "mahalanobis":
        return np.sqrt((METRIC * x**2).sum(axis=-1))
    return np.linalg.norm(x, {"l1": 1, "l2": 2, "linf": np.inf, "lp": order}[kind], axis=-1)


@pytest.mark.parametrize(("kind", "order"), KINDS)
def test_the_maximiser_attains_the_dual_norm_and_nothing_beats_it(kind, order):
    norm, w = norm_of(kind, order), vector(1)
    u, dual = norm.maximiser(w), float(norm.dual(w))
    assert float(norm.size(u)) == pytest.approx(1, rel=1e-14)
    assert float(u @ w) == pytest.approx(dual, rel=1e-14)
    others = np.random.default_rng(2).normal(size=(3000, 6))
    others /= sizes(kind, order, others)[:, None]
    assert np.max(others @ np.asarray(w)) <= dual * (1 + 1e-12)
    np.testing.assert_array_equal(norm.maximiser(jnp.zeros(6)), 0)
    assert float(norm.size(w)) == pytest.approx(sizes(kind, order, np.asarray(w)), rel=1e-14)


@pytest.mark.parametrize(("kind", "order"), KINDS)
def test_projections_are_the_nearest_points(kind, order):
    """Outside ``<v - P, y - P> <= 0`` for all ``y`` of the ball; inside nothing moves."""
    norm, v = norm_of(kind, order), vector(3)
    radius = 0.4 * norm.size(v)
    nearest = jax.jit(norm.projected)(v, radius)
    assert float(norm.size(nearest)) == pytest.approx(float(radius), rel=1e-12)
    gap = np.asarray(v - nearest)
    # The largest <gap, y> over the ball is its dual norm times the radius, and is attained.
    assert gap @ np.asarray(nearest) == pytest.approx(
        float(norm.dual(jnp.asarray(gap)) * radius), rel=1e-10
    )
    np.testing.assert_allclose(norm.projected(v, 1.1 * norm.size(v)), v, rtol=1e-15)
    np.testing.assert_array_equal(norm.projected(v, jnp.zeros(())), 0)


@pytest.mark.parametrize(("kind", "order"), KINDS)
def test_proximal_maps_of_dual_norms_are_minima(kind, order):
    norm, v, step = norm_of(kind, order), vector(4), 0.8
    w = norm.dual_proximal(v, jnp.asarray(step))

    def objective(w):
        return float(np.sum((w - np.asarray(v)) ** 2) / 2 + step * norm.dual(jnp.asarray(w)))

    best = objective(np.asarray(w))
    rng = np.random.default_rng(5)
    for scale in (1e-3, 1e-1, 1):
        for _ in range(20):
            assert objective(np.asarray(w) + scale * rng.normal(size=6)) > best
    found = minimize(objective, np.asarray(v), method="Nelder-Mead", options={"maxiter": 4000})
    assert best <= found.fun + 1e-12


@pytest.mark.parametrize("kind", ["l1", "mahalanobis", "lp"])
def test_projections_have_derivatives(kind):
    norm, v = norm_of(kind, 3.0), vector(6)
    radius, along = jnp.asarray(0.7), vector(7)

    def moved(t):
        return norm.projected(v + t * along, radius + 0.2 * t)

    exact = jax.jvp(moved, (jnp.zeros(()),), (jnp.ones(()),))[1]
    step = 1e-6
    numeric = (moved(jnp.asarray(step)) - moved(jnp.asarray(-step))) / (2 * step)
    np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-8)
