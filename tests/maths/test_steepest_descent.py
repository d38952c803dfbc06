"""Steepest descent as optax transformations, and what it does to margins."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import softmax

from simulator.maths.margins import max_margin
from simulator.maths.norms import ORDERS, lp_norm
from simulator.maths.steepest_descent import (
    all_geometries,
    log_exponential_loss,
    margin_measures,
    scale_by_loss_decrease,
    scale_by_steepest_descent,
    steepest_descent,
)

_margin_measures = jax.jit(margin_measures, static_argnums=(3, 4))
GEOMETRIES = tuple(ORDERS.values())
ROWS = np.array([[3.0, 1, 0, 1], [1, 2, 1, 0], [2, -1, 1, -1], [0, -1, 2, 3], [-1, 4, 0, -2]])

pytestmark = pytest.mark.usefixtures("float64")


def _network(theta, inputs):
    """Two-layer ReLU network with three units, homogeneous of degree 2."""
    return jax.nn.relu(inputs @ theta[3:].reshape(3, -1).T) @ theta[:3]


def _point(seed, size):
    return np.random.default_rng(seed).normal(size=size)


@pytest.mark.parametrize("order", GEOMETRIES)
def test_update_is_the_unit_direction_of_the_whole_tree(order):
    gradient = {"a": _point(1, (2, 3)), "b": _point(2, (4,))}
    transformation = scale_by_steepest_descent(order)
    update = jax.jit(lambda g: transformation.update(g, transformation.init(g))[0])(gradient)
    flat, flat_gradient = (np.concatenate([x["a"].ravel(), x["b"]]) for x in (update, gradient))
    dual = {1: math.inf, 2: 2, math.inf: 1}[order]
    assert np.linalg.norm(flat, order) == pytest.approx(1)
    assert flat @ flat_gradient == pytest.approx(np.linalg.norm(flat_gradient, dual))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (1, [0, 0.3, 0]),
        (2, [-0.3 * 2 / 7, 0.3 * 6 / 7, -0.3 * 3 / 7]),
        (math.inf, [-0.3, 0.3, -0.3]),
    ],
)
def test_optimisers_descend(order, expected):
    """Coordinate, gradient and sign descent."""
    optimiser = steepest_descent(0.3, order)
    gradient = np.array([2.0, -6.0, 3.0])
    update = jax.jit(lambda g: optimiser.update(g, optimiser.init(g))[0])(gradient)
    np.testing.assert_allclose(update, expected, rtol=1e-12)


@pytest.mark.parametrize("order", GEOMETRIES)
def test_loss_decrease_is_the_learning_rate(order):
    """To first order each step lowers the objective by c, unless the gradient is tiny."""
    optimiser = optax.chain(scale_by_loss_decrease(order), optax.scale_by_learning_rate(1e-6))

    @jax.jit
    def steps(theta):
        def objective(theta):
            return log_exponential_loss(ROWS @ theta)

        gradient = jax.grad(objective)(theta)
        update, _ = optimiser.update(gradient, optimiser.init(theta))
        tiny, _ = optimiser.update(1e-9 * gradient, optimiser.init(theta))
        return objective(theta) - objective(theta + update), tiny

    decrease, tiny = jax.device_get(steps(_point(3, 4)))
    assert decrease == pytest.approx(1e-6, rel=1e-4)
    assert np.linalg.norm(tiny, order) == pytest.approx(1e-6 / 1e-3)


def test_any_order_decreases_a_quadratic():
    """An order that no study uses, with a schedule, inside jit."""
    optimiser = steepest_descent(lambda count: 0.5 / jnp.sqrt(1.0 + count.astype(float)), 3.0)
    theta = jnp.asarray(_point(4, 6))

    @jax.jit
    def step(theta, state):
        update, state = optimiser.update(2 * theta, state)
        return optax.apply_updates(theta, update), state

    state, sizes = optimiser.init(theta), []
    for _ in range(200):
        theta, state = step(theta, state)
        sizes.append(float(theta @ theta))
    assert sizes[-1] < 0.01 * sizes[0]
    assert step._cache_size() == 1


def test_loss_does_not_overflow():
    with jax.enable_x64(False):
        loss = jax.jit(log_exponential_loss)
        margins = np.array([5000.0, 5001.0, -3000.0], np.float32)
        assert loss(margins) == pytest.approx(3000.0)
        assert loss(margins[:2]) == pytest.approx(-5000 + math.log1p(math.exp(-1)), rel=1e-6)


@functools.partial(jax.jit, static_argnums=2)
def _measure(inputs, theta, order):
    labels = jnp.sign(_network(theta, inputs))  # separated, so that slackness is defined

    def margins(theta):
        return labels * _network(theta, inputs)

    descent = -jax.grad(lambda t: log_exponential_loss(margins(t)))(theta)
    return margin_measures(theta, margins(theta), descent, 2, order), theta, margins(theta), descent


def _measured(order, scale=1.0, seed=5):
    rng = np.random.default_rng(seed)
    inputs, theta = rng.normal(size=(6, 4)), scale * rng.normal(size=3 * 5)
    return jax.device_get(_measure(inputs, theta, order))


@pytest.mark.parametrize("order", GEOMETRIES)
def test_inequalities_and_euler_identity(order):
    found, theta, margins, descent = _measured(order)
    size = np.linalg.norm(theta, order) ** 2
    assert found.smoothed_margin <= found.margin
    assert found.margin <= found.smoothed_margin + math.log(6) / size
    assert abs(found.alignment) <= 1
    assert found.bregman == pytest.approx(1 - float(found.alignment))
    assert found.slackness >= 0
    # <theta, k> = L sum_i p_i m_i
    share = softmax(-margins)
    assert theta @ descent == pytest.approx(2 * float(share @ margins), rel=1e-12)


@pytest.mark.parametrize("order", GEOMETRIES)
def test_bregman_gap_is_the_fenchel_young_gap_of_the_kkt_conditions(order):
    """Rescaled to margin 1 with multipliers of dual norm ``||theta||``: gap / ||theta||^2."""
    found, theta, margins, descent = _measured(order)
    dual = {1: math.inf, 2: 2, math.inf: 1}[order]
    scaled = theta / np.sqrt(margins.min())
    size = np.linalg.norm(scaled, order)
    k = descent * (size / np.linalg.norm(descent, dual))
    gap = np.linalg.norm(k, dual) ** 2 / 2 + size**2 / 2 - scaled @ k
    assert found.bregman == pytest.approx(float(gap / size**2), rel=1e-10)
    if order == 2:
        assert gap == pytest.approx(float(((scaled - k) ** 2).sum() / 2), rel=1e-10)
    # The multipliers of the rescaled problem, from K = sum lambda_i y_i grad f_i.
    root = np.sqrt(margins.min())
    ratio = size / np.linalg.norm(descent / root, dual)
    slackness = ratio * (softmax(-margins) @ (margins / margins.min() - 1))
    assert found.slackness == pytest.approx(float(slackness), rel=1e-10)


@pytest.mark.parametrize("order", GEOMETRIES)
def test_margin_is_scale_free(order):
    one, theta, _, _ = _measured(order)
    margins = 2.3**2 * _measured(order)[2]
    other = _margin_measures(2.3 * theta, margins, theta, 2, order)
    assert other.margin == pytest.approx(float(one.margin), rel=1e-12)
    assert other.parameter_norm == pytest.approx(2.3 * float(one.parameter_norm))


def test_slackness_is_undefined_before_separation():
    found = _margin_measures(_point(6, 4), np.array([1.0, -0.2]), _point(7, 4), 1, 2)
    assert math.isnan(found.slackness)


@pytest.mark.parametrize("order", GEOMETRIES)
def test_linear_descent_tends_to_the_largest_margin(order):
    """The guarantee ``gamma* - log(n)/S1 - R^2 S2/(2 S1)`` of unit-norm steps, and the bound."""
    rows = jnp.asarray(ROWS)
    best = float(jax.jit(max_margin, static_argnums=1)(rows, order).margin)
    optimiser = steepest_descent(lambda count: 0.3 / jnp.sqrt(1.0 + count.astype(float)), order)
    steps = 4000

    def step(carry, _):
        w, state = carry
        update, state = optimiser.update(
            jax.grad(lambda w: log_exponential_loss(rows @ w))(w), state
        )
        w = optax.apply_updates(w, update)
        return (w, state), (rows @ w).min() / lp_norm(w, order)

    start = jnp.zeros(4)
    run = jax.jit(lambda: jax.lax.scan(step, (start, optimiser.init(start)), length=steps))
    (_, _), margins = run()
    eta = 0.3 / np.sqrt(1.0 + np.arange(steps))
    radius = np.linalg.norm(ROWS, {1: math.inf, 2: 2, math.inf: 1}[order], axis=1).max()
    first, second = np.cumsum(eta), np.cumsum(eta**2)
    guarantee = best - math.log(5) / first - radius**2 / 2 * second / first
    assert np.all(margins <= best + 1e-12)
    assert np.all(margins >= guarantee - 1e-12)
    assert margins[-1] > 0.97 * best


def test_each_optimiser_ends_with_the_largest_margin_in_its_own_norm():
    """Arguments of the table's diagonal: linear model, all three optimisers and norms."""
    rows = jnp.asarray(ROWS)

    def run(order):
        optimiser = optax.chain(scale_by_loss_decrease(order), optax.scale_by_learning_rate(0.02))
        objective = jax.grad(lambda w: log_exponential_loss(rows @ w))

        def step(_, carry):
            update, state = optimiser.update(objective(carry[0]), carry[1])
            return optax.apply_updates(carry[0], update), state

        w = jnp.zeros(4)
        w, _ = jax.lax.fori_loop(0, 6000, step, (w, optimiser.init(w)))
        return all_geometries(w, rows @ w, -objective(w), 1)

    found = [jax.jit(lambda order=order: run(order))() for order in GEOMETRIES]
    table = np.stack([f.margin for f in found])  # optimiser x norm
    np.testing.assert_array_equal(np.argmax(table, axis=0), [0, 1, 2])
    alignment = np.stack([f.alignment for f in found])
    np.testing.assert_array_equal(np.argmax(alignment, axis=1), [0, 1, 2])
