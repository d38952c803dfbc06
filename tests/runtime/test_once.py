"""What lanes share is computed once, and every lane has its own."""

import jax
import jax.numpy as jnp
import numpy as np

from simulator.runtime.once import once_per_value


def test_lanes_have_their_own_values():
    def slow(x, y):
        return {"sum": x + y, "product": x * y}

    once = once_per_value(slow)
    x = jnp.array([1.0, 1.0, 2.0, 2.0, 1.0])
    y = jnp.float32(3.0)
    found = jax.jit(jax.vmap(once, (0, None)))(x, y)
    np.testing.assert_array_equal(found["sum"], x + 3)
    np.testing.assert_array_equal(found["product"], 3 * x)
    assert once(x[0], y)["sum"] == 4


def test_it_is_called_where_arguments_change():
    calls = []

    def counted(x):
        jax.debug.callback(lambda value: calls.append(float(value)), x, ordered=False)
        return 2 * x

    x = jnp.array([1.0, 1.0, 1.0, 2.0, 2.0])
    jax.block_until_ready(jax.jit(jax.vmap(once_per_value(counted)))(x))
    jax.effects_barrier()
    assert sorted(calls) == [1.0, 2.0]
