"""Dual norms and steepest-descent directions."""

import math

import jax
import numpy as np
import pytest

from simulator.maths import norms
from simulator.maths.norms import dual_order, soft_threshold

lp_norm, dual_norm, steepest_direction = (
    jax.jit(f, static_argnums=1) for f in (norms.lp_norm, norms.dual_norm, norms.steepest_direction)
)
slope_of_norm = jax.jit(jax.grad(norms.lp_norm), static_argnums=1)
ORDERS = (1, 1.3, 2, 3.7, math.inf)

pytestmark = pytest.mark.usefixtures("float64")


def _vector(seed, dim=7):
    return np.random.default_rng(seed).normal(size=dim) * 1.7


@pytest.mark.parametrize("order", ORDERS)
def test_norm_is_numpys(order):
    x = _vector(1)
    assert lp_norm(x, order) == pytest.approx(np.linalg.norm(x, order), rel=1e-14)


@pytest.mark.parametrize("order", ORDERS)
def test_direction_is_unit_and_dual(order):
    g = _vector(2)
    u = steepest_direction(g, order)
    assert lp_norm(u, order) == pytest.approx(1, rel=1e-14)
    assert np.asarray(u) @ g == pytest.approx(float(dual_norm(g, order)), rel=1e-14)


@pytest.mark.parametrize("order", ORDERS)
def test_no_unit_vector_does_better(order):
    g = _vector(3)
    others = np.random.default_rng(4).normal(size=(2000, 7))
    others /= np.linalg.norm(others, order, axis=1, keepdims=True)
    assert (others @ g).max() < dual_norm(g, order)


@pytest.mark.parametrize("order", ORDERS)
def test_step_of_steepest_descent_has_the_dual_norm(order):
    """``Delta = -||g||_* u``: ``<Delta, g> = -||g||_*^2`` and ``||Delta|| = ||g||_*``."""
    g = _vector(5)
    delta = -np.asarray(dual_norm(g, order)) * np.asarray(steepest_direction(g, order))
    assert delta @ g == pytest.approx(-(float(dual_norm(g, order)) ** 2), rel=1e-13)
    assert lp_norm(delta, order) == pytest.approx(float(dual_norm(g, order)), rel=1e-13)
    closed = {
        1: np.where(np.arange(7) == np.argmax(np.abs(g)), -np.asarray(g), 0),
        2: -np.asarray(g),
        math.inf: -np.abs(g).sum() * np.sign(g),
    }
    if order in closed:
        np.testing.assert_allclose(delta, closed[order], rtol=1e-13)
    else:
        dual = order / (order - 1)
        size = np.linalg.norm(g, dual)
        expected = -np.sign(g) * np.abs(g) ** (dual - 1) * size ** (2 - dual)
        np.testing.assert_allclose(delta, expected, rtol=1e-12)


def test_orders_are_conjugate():
    for order in ORDERS:
        assert dual_order(dual_order(order)) == pytest.approx(order)
    assert 1 / 3.7 + 1 / dual_order(3.7) == pytest.approx(1)
    with pytest.raises(ValueError, match=r"p >= 1.*0\.5"):
        dual_order(0.5)


@pytest.mark.parametrize("order", ORDERS)
def test_zero_is_safe(order):
    zero = np.zeros(7)
    assert lp_norm(zero, order) == 0
    np.testing.assert_array_equal(steepest_direction(zero, order), 0)
    assert np.all(np.isfinite(slope_of_norm(zero, order)))


@pytest.mark.parametrize("order", [1.3, 2, 3.7])
def test_gradient_of_a_norm_is_the_direction_of_the_dual(order):
    """``grad ||x||_p`` is the unit vector of the dual norm with ``<u, x> = ||x||_p``."""
    x = _vector(6)
    gradient = slope_of_norm(x, order)
    np.testing.assert_allclose(gradient, steepest_direction(x, dual_order(order)), rtol=1e-12)


def test_ties_and_zeros():
    g = np.array([0.0, -2.0, 2.0, 1.0])
    np.testing.assert_array_equal(steepest_direction(g, 1), [0, -1, 0, 0])
    np.testing.assert_array_equal(steepest_direction(g, math.inf), [0, -1, 1, 1])


def test_no_overflow():
    with jax.enable_x64(False):
        x = np.array([3e30, -4e30], np.float32)
        assert lp_norm(x, 2) == pytest.approx(5e30, rel=1e-6)


def test_soft_threshold_is_the_proximal_map():
    x = _vector(7)
    grid = np.linspace(-5, 5, 200_001)
    best = [grid[np.argmin((grid - xi) ** 2 / 2 + 0.8 * np.abs(grid))] for xi in np.asarray(x)]
    np.testing.assert_allclose(jax.jit(soft_threshold)(x, 0.8), best, atol=5e-5)
