"""Roots of increasing functions and their implicit derivatives."""

import jax
import jax.numpy as jnp
import numpy as np

from simulator.maths.fixed_point import increasing_root, newton_steps


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
