"""Replicates whose solver stalled near its tolerance are counted, and a store keeps the count."""

import hashlib
import json
from dataclasses import replace
from unittest import mock

import jax
import jax.numpy as jnp
import pytest
import xarray as xr

from simulator import registry
from simulator.cli import main
from simulator.engine.tally import Stalled
from simulator.store.contents import open_store, store_status
from simulator.store.files import PRIVATE, StoreError
from simulator.store.netcdf import write_netcdf
from simulator.store.records import CellState, Speed, read_record, write_record
from simulator.store.sweep import sweep_study
from simulator.study import RESIDUAL
from tests.toy import STUDY


def stalling(share, residual=3e-6):
    """The toy with a solver that stalls in a share of the replicates; its tolerance is 1e-6."""

    def draw(key, params):
        stalled = jax.random.uniform(jax.random.fold_in(key, 1)) < share
        return {**STUDY.simulate_fast(key, params), RESIDUAL: jnp.where(stalled, residual, 0.0)}

    return replace(STUDY, simulate_fast=draw)


STALLING = stalling(3e-4)


def swept(replicates, **options):
    grid = {"noise_std": [0.3, 0.7]}
    return sweep_study(STALLING, grid, replicates=replicates, dim=4, num_samples=10, **options)


def test_a_store_says_what_memory_says(tmp_path):
    store, count = tmp_path / "store", 20_000
    said = swept(count).attrs["remarks"]
    assert "of 40000 replicates converged only to a relative residual of 3.0e-06, not 1e-06" in said
    assert int(said.split()[0]) > 2  # several steps, cells and records share them
    for replicates in (5_000, 11_000, count):  # resumed and extended
        stored = swept(replicates, out=store)
    assert stored.attrs["remarks"] == said
    opened = open_store(store, STALLING)
    assert opened.attrs["remarks"] == said
    write_netcdf(opened, tmp_path / "sweep.nc")
    with xr.open_datatree(tmp_path / "sweep.nc", engine="h5netcdf") as exported:
        assert exported.attrs["remarks"] == said


def test_more_than_a_thousandth_fails_the_cell(tmp_path):
    study = stalling(0.5)
    tree = sweep_study(study, {"dim": [4]}, replicates=1000, num_samples=10, out=tmp_path / "store")
    assert "remarks" not in tree.attrs
    ((_, reason),) = store_status(tmp_path / "store", study)["failed"]
    assert "did not converge" in reason


def cells_of(record):
    """The header of a record, as every version reads it."""
    return json.loads(record.read_bytes().split(b"\n")[1])["cells"]


def test_records_without_stalled_replicates_are_those_of_before(tmp_path):
    sweep_study(STUDY, {"dim": [4, 5]}, replicates=70, num_samples=10, out=tmp_path / "store")
    for record in (tmp_path / "store" / PRIVATE / "records").iterdir():
        assert {len(cell) for cell in cells_of(record)} == {4}
        states, _ = read_record(record)
        assert {state.stalled for state in states.values()} == {Stalled()}


@pytest.mark.parametrize("more", [[9, 1e-5], [1, -1.0], [-1, 1e-5], [1, "x"], [1.5, 1e-5], [None]])
def test_an_impossible_count_is_damage(tmp_path, more):
    (tmp_path / PRIVATE / "records").mkdir(parents=True)
    file = write_record(tmp_path, {"a": CellState(5, {}, None, Stalled(2, 1e-5))}, Speed())
    assert read_record(file)[0]["a"].stalled == Stalled(2, 1e-5)
    header = {"cells": [["a", 5, None, [], *more]], "replicates": 5, "seconds": 1.0}
    body = json.dumps(header).encode() + b"\n"
    file.write_bytes(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    with pytest.raises(StoreError, match="is damaged"):
        read_record(file)


@pytest.mark.parametrize("more", [["--json"], []])
def test_the_command_line_says_it(capsys, more):
    words = ["--dim", "4", "--num-samples", "10", "--replicates", "20000", *more]
    with mock.patch.dict(registry._registered, {STALLING.name: STALLING}):
        assert main(["simulate", STALLING.name, *words]) == 0
    said = capsys.readouterr()
    assert "note: " in (said.err if more else said.out)
    if more:
        assert json.loads(said.out)["outputs"]["test_error"]["replicates"] == 20_000
