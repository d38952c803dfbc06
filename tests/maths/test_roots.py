"""Roots of increasing functions and their implicit derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from simulator.maths.roots import bisected, increasing_root, newton_steps, relative_error


def cubic(x, a, b):
    """Increasing for x > 0, convex far out, concave near 0 for a > 0."""
    return x**3 + a * jnp.sqrt(x) - b


def test_root_over_many_decades():
    solve = jax.jit(lambda a, b: increasing_root(cubic, jnp.float64(1e-30), jnp.float64(1e8), a, b))
    rng = np.random.default_rng(5)
    with jax.enable_x64(True):
        for _ in range(40):
            a, b = 10 ** rng.uniform(-3, 6), 10 ** rng.uniform(-6, 12)
            x = float(solve(a, b))
            np.testing.assert_allclose(x**3 + a * np.sqrt(x), b, rtol=1e-12)


def test_derivatives_of_the_root():
    with jax.enable_x64(True):

        def root(a, b):
            return increasing_root(cubic, jnp.float64(1e-6), jnp.float64(1e3), a, b)

        a, b = 1.3, 4.1
        x = float(jax.jit(root)(a, b))
        slope = 3 * x**2 + a / (2 * np.sqrt(x))
        gradient = jax.jit(jax.grad(root, (0, 1)))(a, b)
        np.testing.assert_allclose(gradient, [-np.sqrt(x) / slope, 1 / slope], rtol=1e-12)
        curvature = 6 * x - a / (4 * x**1.5)
        second = jax.jit(jax.grad(jax.grad(root, 1), 1))(a, b)
        np.testing.assert_allclose(second, -curvature / slope**3, rtol=1e-10)


def test_double_root_has_no_nan():
    def square(x, a):
        return (x - a) ** 2

    with jax.enable_x64(True):
        assert newton_steps(square, jnp.float64(2.0), 2.0) == 2
        assert np.isfinite(jax.grad(lambda a: newton_steps(square, jnp.float64(2.0), a))(2.0))


def test_no_value_above_the_root_is_above():
    """``log`` of what is negative, then a logarithmic singularity: bisected back to the root."""

    def barrier(x, a):
        return x / a - 1 - jnp.log(3 * a - x)

    def root(a):
        return increasing_root(barrier, jnp.float64(1e-6), jnp.float64(1e12), a)

    with jax.enable_x64(True):
        for a in (0.3, 1.7, 40.0):  # the root is positive for a > 1 / 3e
            x, slope = jax.jit(jax.value_and_grad(root))(a)
            assert np.isfinite(x)
            np.testing.assert_allclose(x / a - 1, np.log(3 * a - x), rtol=1e-12, atol=1e-14)
            by_x, by_a = 1 / a + 1 / (3 * a - x), -x / a**2 - 3 / (3 * a - x)
            np.testing.assert_allclose(slope, -by_a / by_x, rtol=1e-10)


def test_vmap_and_float32():
    a, b = jnp.float32([0.3, 20.0]), jnp.float32([2.0, 1e6])
    solve = jax.vmap(lambda a, b: increasing_root(cubic, jnp.float32(1e-6), jnp.float32(1e6), a, b))
    x = jax.jit(solve)(a, b)
    assert x.dtype == jnp.float32
    np.testing.assert_allclose(x**3 + a * np.sqrt(x), b, rtol=2e-6)


def test_relative_error_of_a_root():
    with jax.enable_x64(True):
        off = jnp.float64(2 + 1e-7)  # x^3 + a sqrt(x) = b at x = 2
        error = relative_error(cubic, off, 0.3, 8 + 0.3 * 2**0.5)
        np.testing.assert_allclose(error, 5e-8, rtol=1e-6)


def test_rounding_does_not_keep_the_search_going():
    """Newton steps between the two sides of a root, each of which has been seen already."""
    calls = []

    def function(x, root):
        calls.append(float(lax.stop_gradient(x)))
        coarse = jnp.where(x < root, -1e-9, 1e-9)  # what rounding leaves of the difference
        return jnp.where(jnp.abs(x - root) > 1e-9, x - root, x - lax.stop_gradient(x) + coarse)

    with jax.enable_x64(True), jax.disable_jit():
        found = increasing_root(function, jnp.asarray(0.1), jnp.asarray(1.0), jnp.asarray(1 / 3))
    assert float(found) == pytest.approx(1 / 3, abs=1e-8)
    assert len(calls) < 60


def test_a_bracket_is_halved_around_the_point():
    with jax.enable_x64(True):
        cubes = jnp.asarray([-8.0, 2.0])
        low, high = bisected(lambda x: x**3 > cubes, -3.0 * jnp.ones(2), 4.0 * jnp.ones(2), 50)
        np.testing.assert_allclose((low, high), [[-2, 2 ** (1 / 3)]] * 2, rtol=1e-14)
        assert jnp.all((low <= high) & (high**3 > cubes))
        assert bisected(lambda x: x > 1, 0.0, 4.0, 2) == (1.0, 2.0)
