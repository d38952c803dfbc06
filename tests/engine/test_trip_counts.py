"""How long a loop is, where a parameter says so, without running it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from simulator.engine.batch_size import cost_of
from simulator.sampling import counts

CHUNK = 7


def steps_of(function, *inputs, known=None):
    jaxpr = jax.make_jaxpr(function)(*inputs).jaxpr
    return cost_of(jaxpr, inputs if known is None else known).steps


def chunks_left(n):
    """Counted down, in a wider stride."""
    return lax.while_loop(lambda c: c[0] > 0, lambda c: (c[0] - CHUNK, c[1] + 1.0), (n, 0.0))[1]


def up_to_a_product(n):
    return lax.while_loop(
        lambda c: (c[0] * CHUNK).astype(float) < n, lambda c: (c[0] + 1, c[1] * 0.5), (0, 1.0)
    )[1]


def rounded_up(n):
    return lax.fori_loop(0, (n - 1) // CHUNK + 1, lambda i, x: x + i, 0)


def inside_a_call(n):
    return jax.jit(lambda m: lax.fori_loop(2, jnp.minimum(m, 50), lambda i, x: x + i, 0))(n + 1)


@pytest.mark.parametrize("n", [1, 6, 7, 8, 1000, 2**31 - 1])
@pytest.mark.parametrize(
    ("function", "steps"),
    [
        (chunks_left, lambda n: -(-n // CHUNK)),
        (up_to_a_product, lambda n: -(-n // CHUNK)),
        (rounded_up, lambda n: -(-n // CHUNK)),
        (inside_a_call, lambda n: max(min(n + 1, 50) - 2, 1)),
    ],
)
def test_steps_of_counting_loops(function, steps, n):
    assert steps_of(function, n) == pytest.approx(steps(n), rel=1e-7)  # a float32 among them


def test_the_slowest_lane_counts():
    assert steps_of(jax.vmap(rounded_up), np.array([3, 700, 70])) == 100


def test_loops_within_loops():
    """A triangle: the first step stands for all but the last."""

    def triangle(n):
        def row(i, x):
            return lax.fori_loop(0, i + 5, lambda _, y: y + 1, x)

        return lax.fori_loop(0, n, row, 0)

    assert steps_of(triangle, 4) == 3 * 5 + 8

    def rectangle(n):
        def row(x, _):
            return lax.fori_loop(0, n, lambda _, y: y + 1, x), None

        return lax.scan(row, 0, length=6)[0]

    assert steps_of(rectangle, 9) == 54


def test_iterations_and_unknown_lengths_count_once():
    def halved(x):
        return lax.while_loop(lambda c: c[1] > 1e-9, lambda c: (c[0] + 1, c[1] / 2), (0, x))

    def random(key):
        return lax.fori_loop(0, jax.random.randint(key, (), 0, 9), lambda i, x: x + i, 0)

    assert steps_of(halved, 1.0) == 1
    assert steps_of(random, jax.random.key(0), known=[None]) == 1
    assert steps_of(rounded_up, 70, known=[None]) == 1


def test_tokens_drawn_one_by_one_are_as_many_as_expected():
    """Of a Poisson total its mean is known; the loop has room for all that it can be."""
    law = jnp.full(4, 0.25)

    def drawn(mean, key):
        return counts.draw_tokens(key, counts.poisson(key, mean), law, expected=mean)

    key = jax.random.key(3)
    found = steps_of(drawn, jnp.asarray(1e9), key, known=[1e9, None])
    assert found == pytest.approx(3 * 1e9 / 1024, rel=0.01)  # three to find a cell of four
    mean = jnp.asarray(5000.0)
    total = counts.poisson(key, mean)
    assert drawn(mean, key).sum() == total
    np.testing.assert_array_equal(drawn(mean, key), counts.draw_tokens(key, total, law))
