"""The prior as an objective: its gradient, its optimum, any pytree, any optimiser."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import simulator
from simulator.maths.group_prior import balanced_rows, group_aware_objective, group_cost


def squared(params, batch):
    rows, targets = batch
    return jnp.mean((targets - rows @ params) ** 2)


def exact(second, first):
    """A batch of d rows whose mean square is that of the population (up to a constant)."""
    d = len(first)
    root = np.linalg.cholesky(second).T
    return jnp.asarray(np.sqrt(d) * root), jnp.asarray(np.sqrt(d) * np.linalg.solve(root.T, first))


def population(delta, c=1.0, s=1.5):
    second = np.array([[1 + c**2, delta * c * s], [delta * c * s, 1 + s**2]])
    return exact(second, np.array([c, delta * s]))


@pytest.mark.parametrize("radius", [0.0, 0.1])
def test_its_optimum_is_that_of_the_study(radius):
    found = simulator.predict(
        "group-aware-prior.population",
        perturbation_radius=radius,
        ridge=0.01,
        minority_fraction=0.05,
    )
    with jax.enable_x64(True):
        objective = group_aware_objective(squared, weight=1.0, radius=radius, decay=0.01)
        slope = jax.jit(jax.grad(objective))
        train, group = population(0.9), population(0.0)
        params, optimiser = jnp.asarray([0.4, 0.1]), optax.sgd(0.05)
        state = optimiser.init(params)
        for _ in range(600):
            updates, state = optimiser.update(slope(params, train, group), state)
            params = optax.apply_updates(params, updates)
    expected = [float(found["core_weight"]), float(found["spurious_weight"])]
    np.testing.assert_allclose(params, expected, rtol=1e-8)


def test_the_step_is_uphill_and_its_derivative_is_a_choice():
    with jax.enable_x64(True):
        group, params = population(0.3), jnp.asarray([0.2, 0.4])
        g = jax.grad(squared)(params, group)
        moved = params + 0.3 * g / jnp.linalg.norm(g)
        assert float(group_cost(squared, params, group, 0.3)) == pytest.approx(
            float(squared(moved, group)), rel=1e-14
        )
        stopped = jax.grad(lambda p: group_cost(squared, p, group, 0.3))(params)
        np.testing.assert_allclose(stopped, jax.grad(squared)(moved, group), rtol=1e-13)
        full = jax.grad(lambda p: group_cost(squared, p, group, 0.3, differentiated=True))
        for i in range(2):
            step = 1e-6 * jnp.eye(2)[i]
            difference = group_cost(squared, params + step, group, 0.3) - group_cost(
                squared, params - step, group, 0.3
            )
            assert float(full(params)[i]) == pytest.approx(float(difference) / 2e-6, rel=1e-7)


@pytest.mark.parametrize("differentiated", [False, True])
def test_no_step_and_no_nan_where_the_gradient_vanishes(differentiated):
    group = (jnp.eye(2), jnp.asarray([1.0, -1.0]))
    at = jnp.asarray([1.0, -1.0])
    value, slope = jax.value_and_grad(
        lambda p: group_cost(squared, p, group, 0.5, differentiated=differentiated)
    )(at)
    assert float(value) == 0
    assert np.all(np.isfinite(slope))


def test_any_pytree_of_parameters():
    """As a flax model has them: nested dicts of kernels and biases."""

    def loss(params, batch):
        hidden = jax.nn.relu(
            batch[0] @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"][None]
        )
        return jnp.mean((hidden @ params["Dense_1"]["kernel"] - batch[1]) ** 2)

    keys = jax.random.split(jax.random.key(0), 3)
    params = {
        "Dense_0": {"kernel": jax.random.normal(keys[0], (3, 4)), "bias": jnp.ones(4)},
        "Dense_1": {"kernel": jax.random.normal(keys[1], (4, 1))},
    }
    batch = jax.random.normal(keys[2], (8, 3)), jnp.ones((8, 1))
    objective = group_aware_objective(loss, weight=0.7, radius=0.05, decay=1e-3)
    optimiser = optax.adam(1e-2)
    with jax.numpy_dtype_promotion("standard"):  # optax needs it
        slope = jax.jit(jax.grad(objective))(params, batch, batch)
        updates, _ = optimiser.update(slope, optimiser.init(params), params)
    after = optax.apply_updates(params, updates)
    assert float(objective(after, batch, batch)) < float(objective(params, batch, batch))


def test_balanced_rows_hold_every_group_alike():
    groups = jnp.asarray([0] * 90 + [1] * 7 + [2] * 3)
    rows = balanced_rows(jax.random.key(1), groups, 300, 3)
    assert np.bincount(groups[rows]).tolist() == [100, 100, 100]
    assert set(np.asarray(rows[groups[rows] == 2]).tolist()) == {97, 98, 99}
