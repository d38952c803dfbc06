"""What goes wrong around a store: full disks, clocks, merges under readers."""

import errno
import os
import re
import shutil
import threading
from dataclasses import replace

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
    merge_records,
    read_records,
    write_record,
)
from simulator.store.sweep import sweep_study
from tests.store.finished import GRID, means, sweep
from tests.store.test_damage import attempt
from tests.toy import STUDY

pytestmark = pytest.mark.timeout(300)


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
