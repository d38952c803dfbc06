"""Batch sizes follow the work of a program, not the number of lanes that are wanted."""

import jax
import jax.numpy as jnp
import pytest

from simulator.engine.batch_size import CPU, batch_size, cost_of, cost_of_lane
from simulator.engine.simulation import simulate_study
from tests.toy import STUDY


def jaxpr(function, *arguments):
    return jax.jit(function).trace(*arguments).jaxpr.jaxpr


def vector(x):
    return jnp.full(1024, x, jnp.float32) * 2


def repeated(x):
    return jax.lax.fori_loop(0, 1000, lambda _, y: y * x, jnp.float32(1))


def test_cost_counts_loop_bodies_once_in_memory_and_every_time_in_work():
    cost = cost_of(jaxpr(repeated, 0.5))
    assert cost.work > 1000 * 4
    assert cost.memory < 200


def test_cost_looks_into_inner_programs():
    assert cost_of(jaxpr(jax.jit(vector), 0.5)).memory >= 2 * 4096


@pytest.mark.parametrize(
    ("function", "low", "high"), [(jnp.sin, 4096, 4096), (vector, 64, 4096), (repeated, 64, 4096)]
)
def test_batches_are_powers_of_two_within_the_budget(function, low, high):
    one_lane = jaxpr(function, jnp.float32(0.5))
    lanes = batch_size(one_lane)
    assert low <= lanes <= high
    assert lanes & (lanes - 1) == 0
    assert lanes * cost_of(one_lane).work <= CPU.work


def iterated(steps, width=1):
    def powers(x):
        return jax.lax.fori_loop(0, steps, lambda _, y: y * x, jnp.ones(width) * x)

    return jaxpr(powers, jnp.float32(1))


def test_long_loops_share_their_steps_between_a_few_lanes():
    """However long, where a step is so short that one lane alone would take as long."""
    assert batch_size(iterated(2**23)) == CPU.few
    assert batch_size(iterated(2**30)) == CPU.few


def test_long_loops_of_wide_steps_share_them_between_fewer():
    longer = iterated(2**12, 2**14)
    lanes = batch_size(longer)
    assert 1 < lanes < CPU.few
    assert lanes * cost_of(longer).work <= CPU.long_work
    assert batch_size(iterated(2**18, 2**14)) == 1


def test_a_lane_beyond_the_budget_runs_alone():
    assert batch_size(jaxpr(lambda x: jnp.ones((2**14, 2**13)) * x, 0.5)) == 1


def test_a_program_is_read_once():
    """Reading takes longer than a short run: the second call with the same numbers does not."""
    simulate_study(STUDY, replicates=3)
    before = batch_size.cache_info().misses, cost_of_lane.cache_info().misses
    simulate_study(STUDY, replicates=5, seed=1)
    assert (batch_size.cache_info().misses, cost_of_lane.cache_info().misses) == before
