"""Keys that draw in rows: JAX's numbers to the bit, in programs of one axis."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import simulator
from simulator.parameters import parameters, traced
from simulator.runtime import threefry
from simulator.study import Study, both, exact
from tests.toy import TEXTBOOK

DRAWS = {
    "normal": lambda key: jax.random.normal(key, (3, 5)),
    "double": lambda key: jax.random.uniform(key, (4,), "float64"),
    "byte": lambda key: jax.random.bits(key, (), "uint8"),
    "none": lambda key: jax.random.normal(key, (0, 2)),
    "long": lambda key: jax.random.normal(key, (threefry.ROW + 3,)),
    "children": lambda key: jax.random.key_data(jax.random.split(key, (2, 3))),
    "folded": lambda key: jax.random.key_data(jax.random.fold_in(key, 2**32 - 1)),
    "of children": lambda key: jax.vmap(jax.random.exponential)(jax.random.split(key, 6)),
    "until": lambda key: jax.lax.while_loop(
        lambda state: state[1] < 1.5,
        lambda state: (jax.random.split(state[0])[0], jax.random.normal(state[0])),
        (key, jnp.array(0.0)),
    )[1],
}


def on(draw, implementation):
    return lambda raw: draw(jax.random.wrap_key_data(raw, impl=implementation))


@pytest.mark.parametrize("lanes", [1, 7, 500])
@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_numbers_are_those_of_jax_to_the_bit(draw, lanes):
    ours = threefry.key_implementation("cpu")
    assert ours != threefry.JAX
    lanes = lanes if draw is not DRAWS["long"] else min(lanes, 7)
    with jax.enable_x64(True):
        raw = jax.random.key_data(jax.random.split(jax.random.key(0), (lanes, 2)))
        found = jax.jit(jax.vmap(jax.vmap(on(draw, ours))))(raw)
        expected = jax.jit(jax.vmap(jax.vmap(on(draw, threefry.JAX))))(raw)
        alone = on(draw, ours)(raw[0, 0])
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(alone, expected[0, 0])


def test_a_key_of_a_number_is_that_of_jax():
    ours = jax.random.key(12, impl=threefry.key_implementation("cpu"))
    np.testing.assert_array_equal(
        jax.random.key_data(ours), jax.random.key_data(jax.random.key(12))
    )


@pytest.mark.parametrize(
    ("numbers", "axes"), [(8, {1}), (threefry.ROW, {2})], ids=["few in one row", "many as JAX does"]
)
def test_rounds_of_few_numbers_have_one_axis(numbers, axes):
    raw = np.zeros((16, 2), "uint32")
    draw = on(lambda key: jax.random.bits(key, (numbers,)), threefry.key_implementation("cpu"))
    program = jax.jit(jax.vmap(draw)).lower(raw).as_text()
    rounds = [line for line in program.splitlines() if "stablehlo.shift_left" in line]
    shapes = [re.search(r"tensor<((?:\d+x)+)ui32>", line).group(1) for line in rounds]
    assert {shape.count("x") for shape in shapes} == axes


@pytest.mark.parametrize("platform", ["gpu", "tpu", None])
def test_other_platforms_keep_the_keys_of_jax(platform):
    assert threefry.key_implementation(platform) == threefry.JAX


def test_keys_of_another_layout_are_those_of_jax():
    with jax.threefry_partitionable(False):
        assert threefry.key_implementation("cpu") == threefry.JAX


@parameters
class Rate:
    rate: float = traced(2.0, "rate of the counts")


def test_a_simulation_may_draw_what_jax_has_for_its_own_keys_only():
    study = Study(
        name="counted",
        title="Poisson counts",
        paper=TEXTBOOK,
        params=Rate,
        outputs=both(exact(), count="mean count"),
        theory=lambda params: {"count": params.rate},
        simulate_direct=lambda key, params: {
            "count": jax.random.poisson(key, params.rate).astype(float)
        },
    )
    assert simulator.check(study, replicates=1000, tolerance=0.2).status == "agrees"
