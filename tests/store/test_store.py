"""Stores: what was acknowledged survives, what is damaged is noticed, other sweeps are refused."""

import importlib.util
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from simulator.store import records as store_module
from simulator.store.arrays import ArrayFile
from simulator.store.contents import open_store
from simulator.store.files import StoreError
from simulator.store.records import CellState, Speed, locked, read_record, write_record
from simulator.store.sweep import sweep_study, sweep_to_store
from tests.toy import STUDY, command_line

GRID = {"dim": [4, 6], "num_samples": [20, 40, 60]}


def sweep(path, grid=GRID, study=STUDY, replicates=100, **options):
    return sweep_study(study, grid, replicates=replicates, out=path, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A store and its results: tests that change it work on copies."""
    path = tmp_path_factory.mktemp("finished") / "store"
    return path, sweep(path)


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished store, and the results in it."""
    original, tree = finished
    return shutil.copytree(original, tmp_path / "store"), tree


def numbers(tree):
    return {
        f"{group}/{name}": variable.values
        for group in ("theory", "mean", "standard_error")
        for name, variable in tree[group].data_vars.items()
    }


def assert_same(a, b):
    assert numbers(a).keys() == numbers(b).keys()
    for name, values in numbers(a).items():
        assert np.array_equal(values, numbers(b)[name], equal_nan=True), name


def test_a_store_holds_what_a_sweep_in_memory_returns(finished):
    _, stored = finished
    assert_same(stored, sweep_study(STUDY, GRID, replicates=100))
    assert stored["status"]["replicates"].values.tolist() == [[100] * 3] * 2


def test_plain_xarray_reads_it(finished):
    path, stored = finished
    with xr.open_datatree(path, engine="zarr") as tree:
        assert_same(stored, tree)
        assert tree["mean"]["test_error"].dims == ("dim", "num_samples")
        assert tree.attrs["study"] == "toy"
    with xr.open_zarr(path, group="mean") as dataset:
        assert dataset["test_error"].encoding["chunks"] == (1, 1)


def test_the_same_command_computes_nothing_twice(tmp_path, capsys):
    first = sweep(tmp_path / "store")
    assert "computed 6, reused 0 of 6 cells" in capsys.readouterr().err
    second = sweep(tmp_path / "store")
    assert "computed 0, reused 6 of 6 cells" in capsys.readouterr().err
    assert_same(first, second)


def test_more_replicates_extend_and_equal_one_run(tmp_path):
    sweep(tmp_path / "store", replicates=70)
    assert_same(
        sweep(tmp_path / "store", replicates=200), sweep(tmp_path / "other", replicates=200)
    )


def test_more_grid_points_are_added(tmp_path, capsys):
    sweep(tmp_path / "store", {"dim": [4], "num_samples": [20, 60]})
    capsys.readouterr()
    extended = sweep(tmp_path / "store")
    assert "computed 4, reused 2 of 6 cells" in capsys.readouterr().err
    assert_same(extended, sweep_study(STUDY, GRID, replicates=100))


def test_points_that_nobody_asked_for_stay_missing(tmp_path):
    sweep(tmp_path / "store", {"dim": [4], "num_samples": [7]})
    tree = sweep(tmp_path / "store", {"dim": [6], "num_samples": [60]})  # (6, 7) is not legal
    assert tree["status"]["replicates"].values.tolist() == [[100, 0], [0, 100]]
    assert np.isnan(tree["mean"]["test_error"].values[1, 0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": 1}, "seed = 0 there and 1 here"),
        ({"noise_std": 0.7}, "noise_std = 0.5 there and 0.7 here"),
        ({"dtype": "float32"}, "dtype = float64 there and float32 here"),
        ({"grid": {"num_samples": [20]}}, "the grid's axes"),
        ({"study": replace(STUDY, schema_version=7)}, "schema = 1 there and 7 here"),
    ],
)
def test_another_sweep_is_refused(copy, options, words):
    path, _ = copy
    with pytest.raises(StoreError) as caught:
        sweep(path, **options)
    assert words in str(caught.value)


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StoreError, match="not empty and holds no sweep"):
        sweep(tmp_path)
    with pytest.raises(StoreError, match="is a file"):
        sweep(tmp_path / "thesis.tex")


def test_two_sweeps_on_one_store_are_refused(copy):
    path, _ = copy
    with locked(path), pytest.raises(StoreError, match="in use by another sweep"):
        sweep(path)


def test_records_return_what_was_written(tmp_path):
    (tmp_path / ".simulator/records").mkdir(parents=True)
    state = {key: np.arange(6.0).reshape(2, 3) for key in ("mean", "m2", "m3", "m4")}
    state |= {"pending": np.ones((5, 2, 3)), "count": np.asarray(64)}
    states = {"a": CellState(69, {"error": state}), "b": CellState(0, {}, "diverged")}
    found, speed = read_record(write_record(tmp_path, states, Speed(69, 1.5)))
    assert speed == Speed(69, 1.5)
    assert found["b"] == states["b"]
    for key, values in state.items():
        assert np.array_equal(found["a"].moments["error"][key], values)


def first_record(path):
    """There may be more: one per second of computing."""
    return min((path / ".simulator/records").glob("*.rec"))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-9] + b"x" + b[-8:]])
def test_a_damaged_record_is_named_and_never_read(copy, damage):
    path, first = copy
    file = first_record(path)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(StoreError, match=f"{file.name} is damaged.*delete it"):
        sweep(path)
    file.unlink()  # the way out that the message names
    assert_same(first, sweep(path))


@pytest.mark.parametrize("damage", [lambda b: b[:5], lambda b: b"\0" + b[1:], lambda b: b""])
def test_a_damaged_result_is_noticed_by_everyone_and_mended(copy, damage):
    path, first = copy
    file = path / "mean/test_error/c/0/0"
    file.write_bytes(damage(file.read_bytes()))
    with xr.open_zarr(path, group="mean") as dataset, pytest.raises(ValueError):
        dataset["test_error"].load()
    assert_same(first, open_store(path, STUDY))  # the records know
    sweep(path)
    with xr.open_zarr(path, group="mean") as dataset:
        assert np.array_equal(dataset["test_error"], first["mean"]["test_error"])


@pytest.mark.parametrize("name", ["theory/test_error/c/0/0", "mean/num_samples/c/0", "zarr.json"])
@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"")])
def test_damage_to_what_no_record_holds_is_noticed_and_mended(copy, name, damage):
    path, first = copy
    damage(path / name)
    with pytest.raises(StoreError, match=f"{name} is damaged"):
        open_store(path, STUDY)
    assert_same(first, sweep(path))
    assert_same(first, open_store(path, STUDY))


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_sweep_killed_while_it_lays_out_has_its_theory_in_the_end(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ArrayFile, "content", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path / "store")
    assert_same(sweep(tmp_path / "store"), sweep_study(STUDY, GRID, replicates=100))


def test_a_manifest_that_is_lost_or_changed_costs_no_computation(copy, capsys):
    path, first = copy
    manifest = path / ".simulator/manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(StoreError, match=r"manifest.json is damaged.*delete it"):
        sweep(path)
    manifest.unlink()  # the way out that the message names
    capsys.readouterr()
    assert_same(first, sweep(path))
    assert "computed 0, reused 6" in capsys.readouterr().err


def test_many_records_are_merged(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "MANY_RECORDS", 2)
    path = tmp_path / "store"
    for replicates in (10, 70, 90, 130):
        sweep(path, replicates=replicates)
    tree = sweep(path, replicates=130)
    assert len(list((path / ".simulator/records").glob("*.rec"))) <= 3
    assert_same(tree, sweep(tmp_path / "other", replicates=130))


def diverging(key, params):
    outputs = STUDY.simulate_fast(key, params)
    return {"test_error": jnp.where(params.num_samples == 40, jnp.nan, outputs["test_error"])}


def test_a_failing_cell_is_recorded_and_does_not_stop_the_others(tmp_path, capsys):
    path, grid = tmp_path / "store", {"dim": [6], "num_samples": [20, 40, 60]}
    tree = sweep(path, grid, study=replace(STUDY, simulate_fast=diverging))
    assert tree["status"]["failed"].values.tolist() == [[0, 1, 0]]
    assert tree["status"]["replicates"].values.tolist() == [[100, 0, 100]]
    assert "failed 1" in capsys.readouterr().err
    sweep(path, grid)
    assert "computed 0, reused 2, failed 1" in capsys.readouterr().err
    mended = sweep(path, grid, retry_failed=True)
    assert "computed 1, reused 2 of" in capsys.readouterr().err
    assert_same(mended, sweep_study(STUDY, grid, replicates=100))


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "store"
    sweep(path, replicates=50)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(StoreError, match=r"No space left on device.*is safe"):
            sweep(path, replicates=90)
    assert open_store(path, STUDY)["status"]["replicates"].values.tolist() == [[50] * 3] * 2
    assert not list(path.rglob("*.partial"))
    assert_same(sweep(path, replicates=90), sweep(tmp_path / "other", replicates=90))


SCRIPT = """
import sys
from simulator.store import compute as stored
from tests.toy import command_line
stored.INTERVAL = 0.01
sys.exit(command_line())
"""
COMMAND = ["sweep", "toy", "--grid", "dim=4,6", "--grid", "num_samples=20,40,60"]


def killed_sweep(path, words, moments, deadline=20):
    """Start a command again and again; kill it so long after it has stored something."""
    # JAX's cache of compiled programs does not survive a kill: not the one that other tests use.
    own_cache = {"JAX_COMPILATION_CACHE_DIR": str(path.parent / "cache")}
    records = path / ".simulator/records"
    for moment in moments:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *words],
            stderr=subprocess.DEVNULL,
            env=os.environ | own_cache,
        )
        before = len(list(records.glob("*.rec")))
        started = time.monotonic()
        while process.poll() is None and time.monotonic() - started < deadline:
            if len(list(records.glob("*.rec"))) > before:
                time.sleep(moment)
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_sweeps_equal_an_undisturbed_one(tmp_path, kills):
    moments = np.random.default_rng(3).uniform(0, 0.3, kills)
    words = [*COMMAND, "--replicates", str(12_000 * math.ceil(kills / 3)), "--out"]
    killed_sweep(tmp_path / "killed", [*words, str(tmp_path / "killed")], moments)
    for name in ("killed", "undisturbed"):
        assert command_line([*words, str(tmp_path / name)]) == 0
    chunks = [
        file.relative_to(tmp_path / "undisturbed")
        for file in (tmp_path / "undisturbed").rglob("c/**/*")
        if file.is_file()
    ]
    assert len(chunks) > 12
    for chunk in chunks:
        ours, theirs = (tmp_path / name / chunk for name in ("killed", "undisturbed"))
        assert ours.read_bytes() == theirs.read_bytes(), chunk


def test_status_and_export(tmp_path, capsys):
    store, file = tmp_path / "store", tmp_path / "sweep.nc"
    words = ["sweep", "toy", "--dim", "4", "--grid", "num_samples=30,50", "--replicates", "20"]
    assert command_line([*words, "--out", str(store)]) == 0
    assert command_line(["status", str(store), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["cells"], status["done"], status["missing"]) == (2, 2, 0)
    assert command_line(["export", str(store), str(file)]) == 0
    with xr.open_datatree(file, engine="h5netcdf") as tree:
        assert tree["mean"]["test_error"].shape == (2,)
    assert command_line(["status", str(tmp_path / "nothing")]) == 2
    assert "holds no sweep" in capsys.readouterr().err


def test_processes_share_the_cells(tmp_path):
    """Any compute function that covers ``todo`` serves: here, one that does every other cell."""
    from simulator.engine.cells import product_cells
    from simulator.store.compute import compute_here

    def in_halves(path, plan, todo, *others):
        compute_here(path, plan, todo[::2], *others)
        compute_here(path, plan, todo[1::2], *others)

    axes, cells = product_cells(STUDY, GRID, {})
    tree = sweep_to_store(
        STUDY, axes, cells, tmp_path / "store",
        replicates=100, seed=0, method=None, dtype=None, compute=in_halves,
    )  # fmt: skip
    assert_same(tree, sweep_study(STUDY, GRID, replicates=100))


def test_without_zarr_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StoreError, match=r"needs zarr and google_crc32c.*\[store\]"):
        sweep(tmp_path / "store", replicates=20)
