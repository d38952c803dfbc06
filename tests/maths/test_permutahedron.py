"""Vertices, faces and projections of the permutahedron, and concave functions on it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import isotonic_regression, minimize

from simulator.maths.concave_ascent import maximise
from simulator.maths.gini_ascent import maximise_gini
from simulator.maths.permutahedron import (
    decreasing_fit,
    geometric_weights,
    largest_product,
    position_weights,
    project,
    sort_to_exposure,
    top_to_exposure,
)

WEIGHTS = np.array([1.0, 0.63, 0.5, 0.0])


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_the_best_vertex_sorts_and_the_first_of_equals_goes_first():
    scores = jnp.array([0.3, 0.9, 0.3, -1.0])
    for vertex in (
        sort_to_exposure(scores, jnp.asarray(WEIGHTS)),
        top_to_exposure(scores, jnp.asarray(WEIGHTS), 3),
    ):
        np.testing.assert_array_equal(vertex, [0.63, 1.0, 0.5, 0.0])
    best = max(np.dot(scores, order) for order in itertools.permutations(WEIGHTS))
    assert largest_product(scores, jnp.asarray(WEIGHTS)) == pytest.approx(best, rel=1e-15)


@pytest.mark.parametrize("size", [2, 5, 30, 100])
def test_decreasing_fit(size):
    rng = np.random.default_rng(size)
    for x in (rng.normal(size=size), np.round(rng.normal(size=size), 0), np.arange(size) * 1.0):
        expected = -isotonic_regression(-x).x
        np.testing.assert_allclose(decreasing_fit(jnp.asarray(x)), expected, atol=1e-13 * size)


def test_projection_is_nearest_and_feasible():
    rng = np.random.default_rng(1)
    vertices = np.array(list(itertools.permutations(WEIGHTS)))
    for _ in range(20):
        x = rng.normal(size=4)
        found = np.asarray(project(jnp.asarray(x), jnp.asarray(WEIGHTS)))
        # Nothing in the polytope lies on x's side of the projection.
        assert np.max((vertices - found) @ (x - found)) <= 1e-13
        assert found.sum() == pytest.approx(WEIGHTS.sum(), rel=1e-14)
        sums = np.cumsum(np.sort(found)[::-1])
        assert np.all(sums <= np.cumsum(WEIGHTS) + 1e-13)


def test_projection_has_derivatives():
    x = jnp.array([0.4, 0.1, 0.35, 0.2])
    weights = jnp.asarray(WEIGHTS)
    jacobian = jax.jacfwd(project)(x, weights)
    for i in range(4):
        step = 1e-6 * np.eye(4)[i]
        change = (project(x + step, weights) - project(x - step, weights)) / 2e-6
        np.testing.assert_allclose(jacobian[:, i], change, atol=1e-8)


def test_weights():
    np.testing.assert_allclose(position_weights(4, 2), [1, 1 / np.log2(3), 0, 0])
    found = geometric_weights(3, jnp.asarray(0.5))
    np.testing.assert_allclose(found, np.array([4, 2, 1]) / 7)


def _gain(point, args):
    gains, weight = args
    exposure = jnp.mean(point, axis=0)
    return jnp.mean(jnp.sum(gains * point, axis=1)) + weight * jnp.mean(jnp.sqrt(0.1 + exposure))


def test_maximum_is_certified_and_has_derivatives():
    rng = np.random.default_rng(0)
    gains = jnp.asarray(rng.uniform(size=(3, 4)))
    weights = jnp.asarray(WEIGHTS)
    start = jnp.full((3, 4), jnp.mean(weights))

    def best(weight):
        found = maximise(_gain, weights, start, jnp.asarray(3.0), (gains, weight))
        return _gain(found.point, (gains, weight)), found

    value, found = jax.jit(best)(2.0)
    assert found.gap <= 1e-12
    assert found.residual == 0
    # Birkhoff: mixtures of permutations, by a quadratic programme.
    size = 3 * 16
    once = np.array([[(i, k) == (a, c) for a, b, c in np.ndindex(3, 4, 4)]
                     for i in range(3) for k in range(4)], float)  # fmt: skip
    # (Three columns a matrix: the fourth follows, and SLSQP fails with dependent constraints.)
    filled = np.array([[(i, j) == (a, b) for a, b, c in np.ndindex(3, 4, 4)]
                       for i in range(3) for j in range(3)], float)  # fmt: skip
    reference = minimize(
        lambda x: -float(_gain(jnp.asarray(x.reshape(3, 4, 4) @ WEIGHTS), (gains, 2.0))),
        np.full(size, 0.25), method="SLSQP", bounds=[(0, 1)] * size,
        constraints=[{"type": "eq", "fun": lambda x: once @ x - 1, "jac": lambda x: once},
                     {"type": "eq", "fun": lambda x: filled @ x - 1, "jac": lambda x: filled}],
        options={"ftol": 1e-13, "maxiter": 300},
    )  # fmt: skip
    assert float(value) == pytest.approx(-reference.fun, abs=2e-8)
    slope = jax.jit(jax.grad(lambda w: best(w)[1].point[0, 0]))(2.0)
    change = (best(2.0 + 1e-5)[1].point[0, 0] - best(2.0 - 1e-5)[1].point[0, 0]) / 2e-5
    assert float(slope) == pytest.approx(float(change), rel=1e-5, abs=1e-9)


def test_generalised_gini_is_maximised_with_its_dual():
    rng = np.random.default_rng(2)
    means = jnp.asarray(rng.uniform(size=(3, 4)))
    gini = geometric_weights(3, jnp.asarray(0.5))
    corner = jnp.array([1.0, 0, 0, 0])

    def image(point, means):
        return means @ point[0]

    one = jnp.ones(())
    found = jax.jit(lambda: maximise_gini(image, means, jnp.zeros((1, 4)), one, gini, corner))()
    value = gini @ jnp.sort(means @ found.point[0])
    # Both sides of the saddle meet.
    assert float(jnp.max(found.weights @ means)) == pytest.approx(float(value), abs=1e-12)
    assert found.gap <= 1e-12
