"""Batches that do not fit into memory are halved, and never change a number that they give."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.engine import batch_size
from simulator.engine import program as program_module
from simulator.engine.batch_size import cost_of
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.simulation import simulate_study
from simulator.registry import get
from simulator.store.sweep import sweep_study
from tests.toy import STUDY

GRID = {"num_samples": [20, 33, 47]}


class TooLarge:
    """An array that turns out not to fit when somebody waits for it."""

    def block_until_ready(self):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")


def device_with_room_for(most, monkeypatch, when):
    """Programs run out of memory beyond ``most`` lanes; returns the sizes that were tried."""
    real, tried = program_module._compiled, []

    def compiled(*arguments):
        one, program = real(*arguments)

        def limited(keys, *others):
            tried.append(len(keys))
            if len(keys) <= most:
                return program(keys, *others)
            too_large = TooLarge()
            if when == "at the call":
                too_large.block_until_ready()
            return {"test_error": too_large}

        return one, limited

    monkeypatch.setattr(program_module, "_compiled", compiled)
    return tried


@pytest.mark.parametrize("when", ["at the call", "while waiting"])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(monkeypatch, when):
    monkeypatch.setattr(program_module, "batch_size", lambda _: 64)
    expected = sweep_study(STUDY, GRID, replicates=50)
    tried = device_with_room_for(16, monkeypatch, when)
    found = sweep_study(STUDY, GRID, replicates=50)
    assert tried[0] > 32
    assert tried[-1] == 16
    np.testing.assert_allclose(
        found["mean"]["test_error"], expected["mean"]["test_error"], rtol=1e-12
    )


@pytest.mark.parametrize("when", ["at the call", "while waiting"])
def test_memory_that_ends_in_the_middle_loses_no_replicate(monkeypatch, when):
    monkeypatch.setattr(program_module, "batch_size", lambda _: 64)
    expected = simulate_study(STUDY, replicates=300, keep_values=True)
    limit = iter([64, 64, 64])
    real = program_module._compiled

    def compiled(*arguments):
        one, program = real(*arguments)

        def limited(keys, *others):
            if len(keys) <= next(limit, 16):
                return program(keys, *others)
            too_large = TooLarge()
            if when == "at the call":
                too_large.block_until_ready()
            return {"test_error": too_large}

        return one, limited

    monkeypatch.setattr(program_module, "_compiled", compiled)
    found = simulate_study(STUDY, replicates=300, keep_values=True)
    np.testing.assert_allclose(
        found.values["test_error"], expected.values["test_error"], rtol=1e-12
    )


def test_a_replicate_that_does_not_fit_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(program_module, "batch_size", lambda _: 64)
    device_with_room_for(0, monkeypatch, "while waiting")
    with pytest.raises(
        MemoryError, match=r"toy: one replicate of dim = 10, num_samples = 20.*free"
    ):
        sweep_study(STUDY, GRID, replicates=50)


def test_a_cell_that_does_not_fit_is_recorded_and_the_others_go_on(tmp_path, monkeypatch):
    """Cells of another size are another program."""
    real = program_module._compiled

    def compiled(sampler, controls, params, static, devices):
        one, program = real(sampler, controls, params, static, devices)
        return one, program if dict(static)["dim"] < 12 else lambda *_: {"test_error": TooLarge()}

    with monkeypatch.context() as patch:
        patch.setattr(program_module, "_compiled", compiled)
        grid = {"dim": [10, 12], "num_samples": [20, 30]}
        tree = sweep_study(STUDY, grid, replicates=50, out=tmp_path / "store")
    assert tree["status"]["failed"].values.tolist() == [[0, 0], [1, 1]]
    assert tree["status"]["replicates"].values.tolist() == [[50, 50], [0, 0]]
    mended = sweep_study(STUDY, grid, replicates=50, out=tmp_path / "store", retry_failed=True)
    assert mended["status"]["replicates"].values.tolist() == [[50, 50], [50, 50]]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param("ridge-collapse", "fast", marks=pytest.mark.slow),
        ("steepest-descent-margin.trajectory", "direct"),
        pytest.param("strong-collapse.random-projections", "direct", marks=pytest.mark.slow),
        pytest.param("tail-collapse", "fast", marks=pytest.mark.slow),
    ],
)
def test_a_lane_needs_less_than_its_bound(name, method):
    """What the compiler plans for 16 lanes, against what the trace of one promises."""
    study, lanes = get(name), 16
    run = Run(study, [study.canonical({})], checked_setting(study, method=method))
    (program,) = run.programs
    bound = cost_of(program.lane.jaxpr.jaxpr).memory
    with program_module.simulation_scope(run.setting.dtype):
        arguments = program.arguments(np.zeros(lanes, int), np.arange(lanes))
        plan = program.batch.lower(*arguments).compile().memory_analysis()
    assert (plan.temp_size_in_bytes + plan.output_size_in_bytes) / lanes < bound


def vectors(x):
    return {"test_error": jnp.sum(jnp.sort(jnp.arange(4096.0) * x.num_samples))}


def test_a_machine_without_memory_is_noticed_before_the_run(monkeypatch):
    """The compiled program decides, because the bound may be far above its need."""
    study = dataclasses.replace(STUDY, simulate_fast=lambda key, params: vectors(params))
    expected = simulate_study(study, replicates=50, num_samples=[20, 30])
    monkeypatch.setattr(
        program_module, "fits_in_memory", tried := Recorded(batch_size.fits_in_memory)
    )
    monkeypatch.setattr(batch_size, "free_memory", lambda: 300_000.0)
    found = simulate_study(study, replicates=50, num_samples=[20, 30])
    assert tried.answers[0] is False
    assert tried.answers[-1] is True
    assert np.array_equal(found.mean["test_error"], expected.mean["test_error"])
    monkeypatch.setattr(batch_size, "free_memory", lambda: 3_000.0)
    with pytest.raises(MemoryError, match="does not fit"):
        simulate_study(study, replicates=50)


class Recorded:
    def __init__(self, function):
        self.function, self.answers = function, []

    def __call__(self, *arguments):
        self.answers.append(self.function(*arguments))
        return self.answers[-1]
