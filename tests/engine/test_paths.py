"""Cells that share their draws: those of a path, which differ in parameters that no draw needs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.engine.batches import Tasks
from simulator.engine.cells import draws_key
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.simulation import simulate_study
from simulator.sampling.shared import once
from simulator.store.sweep import sweep_study
from tests.toy import STUDY

POINT = {"dim": 6, "num_samples": 40}
NOISES = [0.5, 0.1, 2.0]


def drawn(arguments):
    key, num_samples = arguments
    inputs = jax.random.normal(key, (40, 6), float) * (jnp.arange(40) < num_samples)[:, None]
    return jnp.linalg.inv(inputs.T @ inputs)


def simulate_path(key, params):
    """Label noise of any size on one design."""
    return once(drawn, (key, params.num_samples), then=error, own=params.noise_std)


def error(inverse, noise_std):
    return {"test_error": noise_std**2 * jnp.trace(inverse)}


PATH = dataclasses.replace(
    STUDY, name="toy-path", simulate_path=simulate_path, along=("noise_std",)
)


def lanes(tasks, count):
    return [tuple(map(int, lane)) for lane in zip(*tasks.lanes(0, count), strict=True)]


def test_tasks_go_row_by_row_where_nothing_is_shared():
    tasks = Tasks.missing([0, 2, 3], [2, 3, 3], draws=[0, 1, 2])
    assert lanes(tasks, 4) == [(0, 0), (0, 1), (1, 2), (1, 2)]
    assert tasks.total == 3


def test_rows_that_share_their_draws_are_neighbours():
    tasks = Tasks.missing([0, 0, 0, 1, 0], [2, 2, 2, 2, 3], draws=[0, 1, 0, 0, 0])
    assert lanes(tasks, 10) == [
        *[(0, 0), (2, 0), (0, 1), (2, 1)],  # the same count and target
        *[(4, 0), (4, 1), (4, 2)],
        (3, 1),
        *[(1, 0), (1, 1)],
    ]


def test_the_key_of_a_path_does_not_depend_on_what_is_along_it():
    def key(method, **given):
        cell = PATH.canonical(POINT | given)
        return draws_key(PATH, cell, method=method, dtype="float64", seed=0).tolist()

    assert key("path", noise_std=0.1) == key("path", noise_std=0.2)
    assert key("path", noise_std=0.1) != key("path", noise_std=0.1, num_samples=41)
    assert key("fast", noise_std=0.1) != key("fast", noise_std=0.2)
    assert key("path", noise_std=0.1) != key("fast", noise_std=0.1)


def test_cells_along_a_path_have_the_same_draws():
    found = simulate_study(
        PATH, method="path", replicates=30, keep_values=True, noise_std=NOISES, **POINT
    )
    values = found.values["test_error"] / np.square(NOISES)[:, None]
    np.testing.assert_allclose(values, values[:1] * np.ones((3, 1)), rtol=1e-12)
    assert len(set(values[0])) == 30
    assert "path" in PATH.methods()
    assert "path" not in STUDY.methods()


@pytest.mark.parametrize("replicates", [20, 130])
def test_no_bit_depends_on_the_cells_around(replicates):
    together = simulate_study(PATH, method="path", replicates=replicates, noise_std=NOISES, **POINT)
    for i, noise_std in enumerate(NOISES):
        alone = simulate_study(
            PATH, method="path", replicates=replicates, noise_std=noise_std, **POINT
        )
        assert together.mean["test_error"][i] == alone.mean["test_error"]
        assert together.standard_error["test_error"][i] == alone.standard_error["test_error"]


def test_cells_are_extended_each_from_where_it_is():
    cells = [PATH.canonical(POINT | {"noise_std": noise}) for noise in NOISES]
    setting = checked_setting(PATH, method="path")
    whole, pieces = Run(PATH, cells, setting), Run(PATH, cells, setting)
    whole.extend(100)
    pieces.extend([7, 70, 7])
    pieces.extend(100)
    for i in range(3):
        one, other = (run.summary(i)["test_error"] for run in (whole, pieces))
        assert (one.mean, one.variance) == (other.mean, other.variance)


def test_a_store_of_a_path_holds_what_memory_does(tmp_path):
    grid = {"noise_std": NOISES, "num_samples": [30, 40]}
    options = {"method": "path", "dim": 6}
    memory = sweep_study(PATH, grid, replicates=100, **options)
    sweep_study(PATH, grid, replicates=30, out=tmp_path / "store", **options)
    stored = sweep_study(PATH, grid, replicates=100, out=tmp_path / "store", **options)
    for name in ("mean", "standard_error"):
        np.testing.assert_array_equal(stored[name]["test_error"], memory[name]["test_error"])
