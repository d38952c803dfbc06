"""Many rounds: what is kept at log-spaced rounds, however the play is cut into blocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.maths.rounds import log_spaced, play


def test_log_spaced_rounds():
    assert log_spaced(1000, 4).tolist() == [125, 250, 500, 1000]
    assert log_spaced(7, 3).tolist() == [1, 3, 7]


@pytest.mark.parametrize("block", [1, 4, 5, 7, 20])
def test_a_sum_over_rounds(block):
    rounds = log_spaced(20, 4)

    def step(state, now, drawn):
        return state + now.astype(jnp.float32) * drawn

    def ones(key, count):
        return jnp.ones(count, jnp.float32)

    kept = play(
        jax.random.key(0), jnp.zeros((), jnp.float32), ones, step, lambda s: s, rounds, block
    )
    np.testing.assert_array_equal(kept, [n * (n + 1) / 2 for n in rounds])
