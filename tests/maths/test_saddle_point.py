"""The saddle-point solver: convergence, derivatives, warm starts, honest residuals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.maths.saddle_point import saddle_point, saddle_point_curve


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def ridge(ratio, strength):
    """kappa = strength + ratio kappa / (1 + kappa), the solution of a quadratic equation."""
    return lambda x: {"kappa": strength + ratio * x["kappa"] / (1 + x["kappa"])}


def exact(ratio, strength):
    b = strength + ratio - 1
    return (b + (b**2 + 4 * strength) ** 0.5) / 2


START = {"kappa": 1.0}


def test_solution_over_decades_as_one_batch():
    ratio, strength = (np.ravel(x) for x in np.meshgrid([0.3, 0.9, 1.7, 40], [1e-9, 1e-3, 5]))
    found = jax.device_get(
        jax.jit(jax.vmap(lambda a, s: saddle_point(ridge(a, s), START)))(ratio, strength)
    )
    assert np.all(found.residual < 1e-13)
    np.testing.assert_allclose(found.value["kappa"], exact(ratio, strength), rtol=1e-6)
    well = strength > 1e-6  # the root's own condition: 1e-15 / strength
    np.testing.assert_allclose(found.value["kappa"][well], exact(ratio, strength)[well], rtol=1e-11)
    assert found.steps.max() < 120


def test_derivatives_of_any_order_both_ways():
    def kappa(ratio):
        return saddle_point(ridge(ratio, 0.2), START).value["kappa"]

    def closed(ratio):
        return exact(ratio, 0.2)

    @jax.jit
    def derivatives(ratio):
        """Reverse, forward, second; and both of the closed form."""
        forward = jax.jvp(kappa, (ratio,), (1.0,))[1]
        solved = jax.grad(kappa)(ratio), forward, jax.jacfwd(jax.grad(kappa))(ratio)
        return *solved, jax.grad(closed)(ratio), jax.grad(jax.grad(closed))(ratio)

    reverse, forward, second, slope, curvature = derivatives(1.3)
    np.testing.assert_allclose(reverse, slope, rtol=1e-12)
    np.testing.assert_allclose(forward, slope, rtol=1e-12)
    np.testing.assert_allclose(second, curvature, rtol=1e-11)


def test_several_unknowns_that_damping_alone_leaves_oscillating():
    def update(x):
        a, b = x
        return 2.5 / (b**3 + 0.1), 1.3 / (a**2 + 0.4)

    found = jax.device_get(jax.jit(lambda: saddle_point(update, (1.0, 1.0)))())
    for value, again in zip(found.value, update(found.value), strict=True):
        np.testing.assert_allclose(value, again, rtol=1e-13)


def test_warm_starts_along_a_curve_save_steps_and_change_nothing():
    strengths = np.geomspace(1e-4, 1.0, 60)

    def update(x, strength):
        return ridge(0.8, strength)(x)

    @jax.jit
    def both(strengths):
        cold = jax.vmap(lambda s: saddle_point(lambda x: update(x, s), START))(strengths)
        return saddle_point_curve(update, START, strengths), cold

    curve, cold = jax.device_get(both(strengths))
    np.testing.assert_allclose(curve.value["kappa"], cold.value["kappa"], rtol=1e-12)
    assert curve.steps[1:].sum() < 0.8 * cold.steps[1:].sum()


def test_no_solution_is_reported():
    runaway = jax.jit(lambda: saddle_point(lambda x: (2 * x[0],), (1.0,), rounds=3))()
    np.testing.assert_allclose(runaway.residual, np.log(2), rtol=1e-6)
    undefined = jax.jit(lambda: saddle_point(lambda x: (jnp.log(-x[0]),), (1.0,), rounds=2))()
    assert undefined.residual == jnp.inf


def test_float32_reaches_its_rounding():
    with jax.enable_x64(False):
        found = jax.jit(lambda x: saddle_point(ridge(1.3, 0.2), x))({"kappa": np.float32(1.0)})
        assert found.value["kappa"].dtype == jnp.float32
    assert found.residual < 2e-6
    np.testing.assert_allclose(found.value["kappa"], exact(1.3, 0.2), rtol=2e-6)
