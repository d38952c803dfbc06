"""Records, manifests and studies of earlier versions."""

import hashlib
import json
import math
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import simulator
from simulator.store import records as store_module
from simulator.store.contents import open_store, store_status
from simulator.store.files import StoreError
from simulator.store.manifest import read_manifest
from simulator.store.records import (
    CellState,
    Speed,
    read_records,
    write_record,
)
from simulator.store.sweep import sweep_study
from tests.store.finished import sweep
from tests.toy import ARRAYS, STUDY

pytestmark = pytest.mark.timeout(300)

EARLIER = Path(__file__).parent / "earlier"


@pytest.mark.parametrize("name", ["ridge-collapse", "tail-collapse.generations"])
def test_a_store_that_an_earlier_version_wrote_opens_and_goes_on(name, tmp_path):
    """Written by version 0.1.0 of 2026-11-27, 40 replicates per cell."""
    with tarfile.open(EARLIER / f"{name}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    path = tmp_path / name
    manifest = read_manifest(path)
    cells = math.prod(len(values) for values in manifest["axes"].values())
    opened, status = simulator.open_sweep(path), simulator.sweep_status(path)
    assert (status["cells"], status["done"]) == (cells, cells)
    assert np.all(opened["status"]["replicates"] == 40)

    options = dict(replicates=70, **manifest["parameters"])
    extended = simulator.sweep(name, manifest["axes"], out=path, **options)
    axes = manifest["axes"]
    for index in np.ndindex(*map(len, axes.values())):
        position = dict(zip(axes, index, strict=True))
        cell = {axis: axes[axis][i] for axis, i in position.items()}
        drawn = simulator.simulate(name, keep_values=True, **cell, **options).values
        for output, values in drawn.items():  # begun without controls: the plain mean
            found, expected = extended["mean"][output].isel(position), np.mean(values, axis=-1)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


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
