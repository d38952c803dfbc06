"""What lanes share is solved once, and does not depend on the lanes around."""

import jax
import jax.numpy as jnp
import numpy as np

from simulator.sampling.shared import once


def test_lanes_share_what_is_equal():
    solved = []

    def slow(arguments):
        jax.debug.callback(lambda x: solved.append(float(x)), arguments["x"])
        return jnp.linalg.solve(arguments["matrix"] + jnp.eye(3) * arguments["x"], jnp.ones(3))

    matrix = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)))
    lanes = jnp.asarray([0.5, 0.5, 0.5, 2.0, 2.0, 0.5])

    @jax.jit
    def together(lanes):
        return jax.vmap(lambda x: once(slow, {"x": x, "matrix": matrix}))(lanes)

    found = jax.block_until_ready(together(lanes))
    jax.effects_barrier()
    # The first lane is solved to start with; then only changes are.
    assert sorted(solved) == [0.5, 0.5, 2.0]
    alone = jax.jit(lambda x: once(slow, {"x": x, "matrix": matrix}))
    for x, value in zip(lanes, found, strict=True):
        np.testing.assert_allclose(value, alone(x), rtol=1e-6)


def test_numbers_do_not_depend_on_the_lanes_around():
    def root(x):
        return jnp.sqrt(x) * jnp.cos(x)

    @jax.jit
    def together(lanes):
        return jax.vmap(lambda x: once(root, x))(lanes)

    lanes = jnp.linspace(0.3, 4, 8)
    np.testing.assert_array_equal(together(lanes)[::-1], together(lanes[::-1]))
    np.testing.assert_array_equal(together(jnp.repeat(lanes[3], 8))[0], together(lanes)[3])


def test_each_lane_goes_on_from_what_is_shared():
    solved = []

    def draw(arguments):
        key, count = arguments
        jax.debug.callback(lambda n: solved.append(int(n)), count)
        return jax.random.normal(key, (3, 3)), count

    def then(found, own):
        matrix, count = found
        return {"sum": own * jnp.sum(matrix), "count": count}

    keys = jax.random.split(jax.random.key(0), 2)[jnp.array([0, 0, 0, 1, 1, 0])]
    counts, own = jnp.array([4, 4, 4, 4, 5, 5]), jnp.arange(6.0)
    apart = jax.vmap(lambda key, n, x: then(draw((key, n)), x))
    expected = jax.jit(apart)(keys, counts, own)
    jax.effects_barrier()
    solved.clear()
    together = jax.jit(jax.vmap(lambda key, n, x: once(draw, (key, n), then, x)))
    found = jax.block_until_ready(together(keys, counts, own))
    jax.effects_barrier()
    assert sorted(solved) == [4, 4, 5, 5]
    np.testing.assert_allclose(found["sum"], expected["sum"], rtol=1e-6)
    np.testing.assert_array_equal(found["count"], expected["count"])
