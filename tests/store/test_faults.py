"""What goes wrong around a store: full disks, clocks, merges under readers, links, old records."""

import errno
import hashlib
import json
import math
import os
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from simulator.store import files, layout
from simulator.store import records as store_module
from simulator.store.contents import open_store, store_status
from simulator.store.files import StoreError, write_file
from simulator.store.manifest import read_manifest
from simulator.store.records import (
    CellState,
    Speed,
    locked,
    merge_records,
    read_records,
    write_record,
)
from simulator.store.sweep import sweep_study
from tests.store.test_damage import attempt
from tests.toy import ARRAYS, STUDY

GRID = {"num_samples": [20, 40], "noise_std": [0.3]}
pytestmark = pytest.mark.timeout(300)


def sweep(path, study=STUDY, replicates=20, grid=GRID, **options):
    return sweep_study(study, grid, replicates=replicates, out=path, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "store"
    return path, sweep(path)


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of a finished store, and the results in it."""
    original, tree = finished
    return shutil.copytree(original, tmp_path / "store"), tree


def means(tree):
    return tree["mean"]["test_error"].values.tolist()


# -- order -----------------------------------------------------------------------------------
def diverging(key, params):
    outputs = STUDY.simulate_fast(key, params)
    return {"test_error": jnp.where(params.num_samples == 40, jnp.nan, outputs["test_error"])}


def test_a_retry_is_newer_than_the_failure_whatever_the_clocks_say(tmp_path, monkeypatch):
    path = tmp_path / "store"
    sweep(path, replace(STUDY, simulate_fast=diverging))
    records = path / ".simulator/records"
    # Earlier versions began names with the time: here, that of a clock a century ahead.
    for number, file in enumerate(sorted(records.iterdir())):
        file.rename(records / f"{5 * 10**18 + number:020d}-{file.name[21:]}")
    monkeypatch.setattr("time.time_ns", lambda: 0)
    mended = sweep(path, retry_failed=True)
    assert mended["status"]["failed"].values.ravel().tolist() == [0, 0]
    assert means(open_store(path, STUDY)) == means(sweep_study(STUDY, GRID, replicates=20))


def test_a_record_comes_after_what_its_writer_knew(tmp_path):
    """Even where a shared file system does not show it the newest records yet."""
    states = {"a": CellState(0, {}, "diverged")}
    assert write_record(tmp_path, states, Speed(), after=7).name.startswith(f"{8:020d}-")
    assert write_record(tmp_path, states, Speed()).name.startswith(f"{9:020d}-")
    assert read_records(tmp_path, STUDY).states["a"].sequence == 9


def test_a_cell_resumed_by_a_worker_counts_from_its_last_record(copy):
    from simulator.engine.cells import product_cells
    from simulator.store.compute import compute_cells
    from simulator.store.plan import whole_plan

    path, _ = copy
    plan = whole_plan(path, STUDY, read_manifest(path))
    assert product_cells(STUDY, GRID, {})[1] == plan.cells
    states = read_records(path, STUDY).states
    for state in states.values():
        state.sequence = 1000
    compute_cells(path, plan, states, 30)
    assert {state.sequence for state in read_records(path, STUDY).states.values()} == {1001}


# -- merges ----------------------------------------------------------------------------------
def test_readers_do_not_mind_a_merge(copy, monkeypatch):
    path, whole = copy
    monkeypatch.setattr(store_module, "MANY_RECORDS", 0)
    states = read_records(path, STUDY).states
    merges = 0
    stop = threading.Event()

    def merge_again_and_again():
        nonlocal merges
        while not stop.is_set():
            for name, state in states.items():
                write_record(path, {name: state}, Speed())
            merge_records(path, STUDY)
            merges += 1

    writer = threading.Thread(target=merge_again_and_again)
    writer.start()
    try:
        while merges < 48:
            assert store_status(path, STUDY)["done"] == 2
            assert means(open_store(path, STUDY)) == means(whole)
    finally:
        stop.set()
        writer.join()


def test_a_listing_taken_in_the_middle_of_a_merge_is_taken_again(copy, monkeypatch):
    """It may lack the record that was merged and the one that holds it now."""
    path, _ = copy
    monkeypatch.setattr(store_module, "MANY_RECORDS", 0)
    merge_records(path, STUDY)
    real, early = store_module._record_files, [[]]
    monkeypatch.setattr(
        store_module, "_record_files", lambda *arguments: early.pop() if early else real(*arguments)
    )
    assert len(read_records(path, STUDY).states) == 2


def test_a_folder_that_never_rests_is_an_error(copy, monkeypatch):
    path, _ = copy

    def gone(file):
        raise FileNotFoundError(file)

    monkeypatch.setattr(store_module, "read_record", gone)
    with pytest.raises(StoreError, match=r"records of .*store change while they are read"):
        store_status(path, STUDY)


# -- what plain readers see ------------------------------------------------------------------
def test_a_plain_reader_sees_no_count_without_its_numbers(tmp_path, monkeypatch):
    seen = []

    def look(file, content, **options):
        write_file(file, content, **options)
        with xr.open_datatree(tmp_path / "store", engine="zarr") as tree:
            known = tree["status"]["replicates"].values > 0
            for group in ("mean", "standard_error"):
                assert not np.isnan(tree[group]["test_error"].values[known]).any()
            seen.append(int(known.sum()))

    monkeypatch.setattr(layout, "write_file", look)
    sweep(tmp_path / "store")
    assert (seen[0], seen[-1]) == (0, 2)


def test_coordinates_carry_checksums(tmp_path):
    """Whole numbers, real ones and text: a flipped bit is an error to a plain zarr reader."""
    from simulator.store.arrays import hierarchy, in_memory

    def read(files):
        tree = xr.open_datatree(in_memory(files), engine="zarr")
        return {name: tree["mean"][name].values.tolist() for name in axes}

    axes = {"n": [1, 2, 3], "noise": [0.1, 0.2], "law": ["gaussian", "power"]}
    whole = hierarchy(list(axes), xr.Dataset(coords=axes), {"mean": {}}, {})
    for name in axes:
        chunk = f"mean/{name}/c/0"
        for position in range(len(whole[chunk])):
            content = bytearray(whole[chunk])
            content[position] ^= 4
            with pytest.raises(ValueError, match="hecksum"):
                read(whole | {chunk: bytes(content)})
    assert read(whole) == axes


def test_what_killed_writers_left_is_removed_and_nothing_else(copy):
    path, _ = copy
    ours = [".zarr.json.7.0123abcd.partial", ".simulator/records/.x.rec.7.0123abcd.partial"]
    zarrs = "mean/test_error/zarr.0123456789abcdef0123456789abcdef.partial"
    for name in (*ours, zarrs, "thesis.partial"):
        (path / name).write_text("half")
    sweep(path)
    assert [file.name for file in path.rglob("*.partial")] == ["thesis.partial"]


# -- faults ----------------------------------------------------------------------------------
class Full:
    """A file on a disk that is full when something is written, or when it is closed."""

    def __init__(self, stream, inject):
        self.stream, self.inject = stream, inject

    def __enter__(self):
        self.stream.__enter__()
        return self

    def __exit__(self, *what):
        return self.stream.__exit__(*what)

    def write(self, content):
        self.inject("write")
        return self.stream.write(content)

    def __getattr__(self, name):
        return getattr(self.stream, name)


def injected(monkeypatch, path, position, number):
    """Have the ``position``-th touch of a file below ``path`` fail."""
    touches = [0]

    def inject(*what):
        touches[0] += 1
        if touches[0] - 1 == position:
            raise OSError(number, os.strerror(number))

    def failing(function):
        def called(first, *others, **options):
            if str(first).startswith(str(path)):
                inject()
            return function(first, *others, **options)

        return called

    for name in ("open", "replace", "mkdir", "scandir", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, failing(getattr(os, name)))
    monkeypatch.setattr(os, "fsync", lambda descriptor: inject())

    def full(descriptor, mode):
        return Full(os.fdopen(descriptor, mode), inject)

    monkeypatch.setattr(files, "open", full, raising=False)
    return touches


def check_fault(monkeypatch, path, position, number):
    """A sweep with one fault names a file or is right; the next one is right. False at the end."""
    with monkeypatch.context() as patch:
        touches = injected(patch, path, position, number)
        tree, error = attempt(sweep, path)
    if error is None:
        assert means(tree) == means(sweep_study(STUDY, GRID, replicates=20))
    else:
        assert re.search(rf"{path}\S* .*{os.strerror(number)}", str(error)), error
    return touches[0] > position


SLOWLY = pytest.mark.timeout(1200)
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)


@pytest.mark.parametrize(
    ("number", "stride"),
    [
        (errno.ENOSPC, 7),
        *[pytest.param(number, 1, marks=[pytest.mark.slow, SLOWLY]) for number in ERRORS],
    ],
)
def test_a_fault_anywhere_names_the_file_and_loses_nothing(
    tmp_path, monkeypatch, finished, number, stride
):
    _, whole = finished
    for position in range(number % stride, 10**6, stride):
        path = tmp_path / str(position)
        struck = check_fault(monkeypatch, path, position, number)
        assert means(sweep(path)) == means(whole)
        shutil.rmtree(path)
        if not struck:
            break
    assert position > 100


# -- links and locks -------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_link_in_place_of_the_lock_is_refused_and_its_target_left_alone(copy, tmp_path, kind):
    path, _ = copy
    precious = tmp_path / "thesis.tex"
    precious.write_text("precious")
    lock = path / ".simulator/lock"
    lock.unlink()
    (lock.symlink_to if kind == "symbolic" else lock.hardlink_to)(precious)
    with pytest.raises(StoreError, match=r"lock is a link.*delete it"):
        sweep(path)
    assert precious.read_text() == "precious"


def test_a_lock_swapped_for_a_link_at_the_last_moment_is_refused_too(copy, tmp_path):
    path, _ = copy
    (tmp_path / "thesis.tex").write_text("precious")
    (path / ".simulator/lock").unlink()
    (path / ".simulator/lock").symlink_to(tmp_path / "thesis.tex")
    with pytest.raises(StoreError, match=r"lock is no plain file"), locked(path):
        pass
    assert (tmp_path / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize("name", ["mean", ".simulator", ".simulator/records", "mean/test_error/c"])
def test_no_folder_behind_a_link_is_read_or_changed(copy, tmp_path, name):
    path, _ = copy
    outside = tmp_path / "outside"
    (path / name).rename(outside)
    (path / name).symlink_to(outside)
    before = {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()}
    for use in (sweep, lambda path: open_store(path, STUDY), lambda p: store_status(p, STUDY)):
        with pytest.raises(StoreError, match=f"{name} is a link"):
            use(path)
    assert {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()} == before


def test_the_store_itself_may_be_reached_through_a_link(copy, tmp_path):
    path, whole = copy
    (tmp_path / "link").symlink_to(path)
    assert means(sweep(tmp_path / "link")) == means(whole)


@pytest.mark.parametrize(
    ("function", "number"), [("open", errno.EACCES), ("open", errno.EROFS), ("flock", errno.ENOLCK)]
)
def test_a_lock_that_cannot_be_had_is_named(copy, monkeypatch, function, number):
    path, _ = copy
    module = {"open": os, "flock": store_module.fcntl}[function]
    real = getattr(module, function)

    def failing(what, *others):
        if function == "flock" or Path(what).name == "lock":
            raise OSError(number, os.strerror(number))
        return real(what, *others)

    monkeypatch.setattr(module, function, failing)
    with pytest.raises(StoreError, match=rf"lock cannot be locked \({os.strerror(number)}\)"):
        sweep(path)


def test_a_lock_full_of_garbage_is_no_obstacle(copy):
    path, _ = copy
    lock = path / ".simulator/lock"
    with locked(path):
        lock.write_bytes(b"\xff\n" * 1000)
        with pytest.raises(StoreError, match="in use by another sweep"):
            sweep(path)
    sweep(path)


@pytest.mark.parametrize("name", ["x" * 300, "loop", "file/store"])
def test_a_path_that_leads_nowhere_is_named(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    for use in (sweep, lambda path: open_store(path, STUDY), lambda p: store_status(p, STUDY)):
        with pytest.raises((StoreError, ValueError), match=f"{name[:10]}|of a shorter name"):
            use(tmp_path / name)


# -- records and studies of earlier versions -------------------------------------------------
def test_arrays_that_an_earlier_version_wrote_without_a_shape_are_computed_anew(tmp_path, capsys):
    grid, path = {"num_samples": [20, 40]}, tmp_path / "store"
    memory = sweep_study(ARRAYS, grid, replicates=70)
    sweep(path, ARRAYS, grid=grid)
    for file in (path / ".simulator/records").iterdir():
        states, speed = store_module.read_record(file)
        for state in states.values():  # the moments of no block had no shape
            state.moments = {
                name: moments | {key: np.zeros(()) for key in ("mean", "m2", "m3", "m4")}
                for name, moments in state.moments.items()
            }
        file.unlink()
        write_record(path, states, speed)
    opened = open_store(path, ARRAYS)
    assert opened["status"]["replicates"].values.tolist() == [0, 0]
    assert np.isnan(opened["mean"]["by_round"].values).all()
    assert "lack the shape of array outputs" in capsys.readouterr().err
    extended = sweep(path, ARRAYS, grid=grid, replicates=70)
    for name, values in memory["mean"].data_vars.items():
        assert np.array_equal(extended["mean"][name], values), name
    capsys.readouterr()
    open_store(path, ARRAYS)
    assert capsys.readouterr().err == ""


def test_one_number_in_a_row_without_its_shape_is_noticed_too(tmp_path):
    """Its record is as long as it should be."""
    study = replace(ARRAYS, outputs=(ARRAYS.output("by_group"),), theory=None)
    moments = {key: np.zeros(()) for key in ("mean", "m2", "m3", "m4")}
    state = CellState(5, {"by_group": moments | {"pending": np.ones((5, 1))}})
    write_record(tmp_path, {"a": state}, Speed())
    records = read_records(tmp_path, study)
    assert (records.states, len(records.shapeless)) == ({}, 1)


@pytest.mark.parametrize("use", [open_store, store_status, lambda path, study: sweep(path, study)])
def test_another_schema_of_the_study_is_refused_by_everyone(copy, use):
    path, _ = copy
    with pytest.raises(StoreError, match=r"schema (= )?1 there and 7 here"):
        use(path, replace(STUDY, schema_version=7))


@pytest.mark.parametrize("use", [open_store, store_status])
def test_a_parameter_more_or_less_is_another_version_of_the_study(copy, use):
    path, _ = copy
    without = {name: p for name, p in STUDY.declarations.items() if name != "dim"}
    study = replace(STUDY, params=SimpleNamespace(declarations=without))
    with pytest.raises(StoreError, match=r"another version of toy \(.*no dim here\)"):
        use(path, study)


def test_a_manifest_with_a_number_that_json_lacks_is_read_as_before(copy):
    """Earlier versions wrote infinity so."""
    path, _ = copy
    file = path / ".simulator/manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["checksum"]
    manifest["parameters"]["cutoff"] = math.inf
    text = json.dumps(manifest, sort_keys=True)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    file.write_text(json.dumps(manifest | {"checksum": checksum}))
    assert "Infinity," in file.read_text() or "Infinity}" in file.read_text()
    assert read_manifest(path)["parameters"]["cutoff"] == math.inf
