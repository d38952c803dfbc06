"""What reaches a study's theory and simulations are arrays, whoever calls."""

import pickle
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import simulator
from simulator.parameters import array, parameters, static, traced
from simulator.study import Study
from tests import toy

KINDS = {"theory": "f", "fast": "i", "direct": "i"}


@parameters
class Params:
    length: int = static(3, "L", "a length", at_least=1)
    steps: int = static(2, "t", "a loop", at_least=1, traced_in=("theory",))
    count: int = traced(7, "n", "a number of samples", static_in=("direct",))
    level: float = traced(0.5, "s", "a level")
    inputs: tuple = array(((1, 2), (3, 4)), "x", "data", dims=("point", "axis"))
    marks: tuple = array((1, -1), "y", "labels", dims=("point",), integer=True)
    nothing: tuple = array((), "z", "not given", dims=("point", "axis"))


def seen_by(side, **options):
    """The parameters as a function at the door's other side has them."""
    found = []

    def theory(params):
        found.append(params)
        return {"test_error": params.level}

    def simulate(key, params):
        return theory(params)

    sides = {"theory": theory} if side == "theory" else {f"simulate_{side}": simulate}
    study = Study("door", "door", toy.TEXTBOOK, Params, (), **sides)
    key = () if side == "theory" else (jax.random.key(0),)
    getattr(study, *sides)(*key, Params(**options))
    return found[0]


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("side", KINDS)
def test_traced_parameters_are_arrays_in_the_precision_of_the_scope(side, double):
    with jax.enable_x64(double):
        params = seen_by(side)
        assert params.level.dtype == params.inputs.dtype == (jnp.float64 if double else jnp.float32)
        assert not params.level.weak_type
        assert params.marks.dtype.kind == KINDS[side]
        assert params.nothing.shape == (0, 0)
        if side != "direct":
            assert params.count.dtype.kind == KINDS[side]
    assert (type(params.length), type(params.steps)) == (int, int)
    assert type(params.count) is int or side != "direct"


def test_a_theory_can_be_differentiated_through_the_door():
    slope = jax.grad(lambda s: toy.STUDY.theory(toy.Params(noise_std=s))["test_error"])(0.5)
    assert slope == pytest.approx(2 * 0.5 * 10 / (40 - 10 - 1), rel=1e-6)


def test_the_function_behind_the_door_can_be_told():
    study = replace(toy.STUDY, tolerance=0.5)
    assert study.theory == toy.STUDY.theory
    assert study.theory.__wrapped__ is toy.theory
    assert hash(study.simulate_fast) == hash(toy.STUDY.simulate_fast)
    assert study.theory != study.simulate_fast
    assert pickle.loads(pickle.dumps(study.theory)) == study.theory


def test_shortcuts_have_the_same_door():
    study = simulator.get("ridge-collapse")
    params = study.params(num_generations=0, ridge=0.0)
    sampler = study.sampler("fast", params)
    assert sampler != study.simulate_fast
    assert np.isfinite(sampler(jax.random.key(0), params)["test_error"])
