"""Functions of sample covariances: identities, and an ellipse in place of the parabola."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.maths.descent_equivalent import trained_law
from tests.references import early_stopping as reference

VALUES = np.geomspace(1.7, 0.05, 9)
TRUTH = np.array([0.4, -1.1, 0.3, 0.8, -0.2, 0.6, 1.0, -0.7, 0.1])


@pytest.fixture(autouse=True)
def float64():
    # Real and complex numbers are mixed on purpose; ranks stay strict.
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


def law(samples, noise, time, step):
    arguments = (samples, noise, time, step)
    return jax.jit(trained_law)(
        jnp.asarray(VALUES), jnp.asarray(TRUTH), *(jnp.asarray(float(x)) for x in arguments)
    )


@pytest.mark.parametrize("samples", [5, 14, 200])
@pytest.mark.parametrize(
    ("time", "step"), [(0.3, 0), (25.0, 0), (0.4, 0.2), (9.0, 0.2), (3.6, 0.3), (30.0, 0.3)]
)
def test_the_contours_agree(samples, time, step):
    if step * 1.05 * VALUES[0] * (1 + np.sqrt(9 / samples)) ** 2 >= 2:
        step = 0.1
    found = law(samples, 0.4, time, step)
    error, mean, variance = reference.law(VALUES, TRUTH, samples, 0.4, time, step)
    assert float(found.squared_distance) == pytest.approx(error, rel=1e-8)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-7, atol=1e-10)
    assert float(found.residual) < 1e-10


def test_the_beginning_and_the_end():
    start = law(14, 0.4, 0.0, 0)
    assert float(start.squared_distance) == pytest.approx(VALUES @ TRUTH**2, rel=1e-14)
    np.testing.assert_array_equal(start.mean, 0)
    end = law(14, 0.4, 1e7, 0)
    assert float(end.squared_distance) == pytest.approx(0.16 * 9 / (14 - 9), rel=1e-6)
    np.testing.assert_allclose(end.mean, TRUTH, rtol=1e-6)


def test_derivatives():
    def both(x):
        found = trained_law(
            jnp.asarray(VALUES) * (1 + x), jnp.asarray(TRUTH), 14 * (1 + x), 0.4 + x, 5 + x,
            jnp.zeros(()),
        )  # fmt: skip
        return jnp.stack([found.squared_distance, jnp.sum(found.variance), jnp.sum(found.mean)])

    run = jax.jit(both)
    exact = jax.jit(jax.jacfwd(both))(jnp.zeros(()))
    numeric = (run(jnp.asarray(1e-6)) - run(jnp.asarray(-1e-6))) / 2e-6
    np.testing.assert_allclose(exact, numeric, rtol=1e-6)
