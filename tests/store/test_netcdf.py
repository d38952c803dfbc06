"""NetCDF files and metadata: what is beyond their numbers is text, and nothing is half written."""

import errno
import json
import math
import os

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import open_sweep, sweep
from simulator.engine.labels import coordinates
from simulator.store import files
from simulator.store.files import StoreError
from simulator.store.netcdf import attribute, check_netcdf, write_netcdf
from simulator.store.sweep import sweep_study
from tests.toy import STUDY, command_line

GRID = ["sweep", "toy", "--grid", "num_samples=20,40", "--replicates", "2"]


def read(path):
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        return tree.load()


@pytest.mark.parametrize("seed", [2**63 - 1, 2**63, 2**64, 10**30])
def test_any_seed_can_be_written(tmp_path, seed):
    words = [*GRID, "--seed", str(seed), "--out"]
    assert command_line([*words, str(tmp_path / "sweep.nc")]) == 0
    assert command_line([*words, str(tmp_path / "store")]) == 0
    assert command_line(["export", str(tmp_path / "store"), str(tmp_path / "export.nc")]) == 0
    expected = sweep_study(STUDY, {"num_samples": [20, 40]}, replicates=2, seed=seed)
    for name in ("sweep.nc", "export.nc"):
        tree = read(tmp_path / name)
        assert int(tree.attrs["seed"]) == seed
        assert np.array_equal(tree["mean"]["test_error"], expected["mean"]["test_error"])


def test_whole_numbers_beyond_63_bits_along_an_axis_and_in_attributes(tmp_path):
    grid, largest = {"num_samples": [20, 2**63]}, 2**63
    tree = sweep_study(STUDY, grid, replicates=0, dim=5)
    tree.to_netcdf(tmp_path / "plain.nc", engine="h5netcdf")
    write_netcdf(tree, tmp_path / "sweep.nc")
    for name in ("plain.nc", "sweep.nc"):
        at = read(tmp_path / name)["theory"]["test_error"].sel(num_samples=largest)
        assert float(at) == pytest.approx(0.25 * 5 / largest)
    tree = sweep_study(STUDY, {"noise_std": [0.3]}, replicates=0, num_samples=largest)
    tree.to_netcdf(tmp_path / "plain.nc", engine="h5netcdf")
    assert int(read(tmp_path / "plain.nc").attrs["num_samples"]) == largest


@pytest.mark.parametrize(
    ("values", "kind"), [([3, 2**63 - 1], "i"), ([3, 2**64 - 1], "u"), ([3, 10**22], "f")]
)
def test_an_axis_of_whole_numbers_has_a_type_that_files_know(values, kind):
    _, labels, _ = coordinates(STUDY, {"num_samples": values}, [], [])["num_samples"]
    assert (labels.dtype.kind, labels.tolist()) == (kind, values)


edges = st.sampled_from([2**63, 2**64, -(2**63) - 1])
numbers = st.integers() | edges | st.floats() | st.booleans()
anything = st.recursive(
    numbers | st.none() | st.text("aσ", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(anything)
def test_any_attribute_can_be_written(value):
    tree = xr.DataTree()
    tree.attrs["it"] = attribute(value)
    found = xr.open_datatree(tree.to_netcdf(engine="h5netcdf"), engine="h5netcdf").attrs["it"]
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        assert type(value)(found) == value
    elif isinstance(value, float):
        assert found == value or math.isnan(value)
    elif isinstance(found, str):
        json.loads(found, parse_constant=pytest.fail)
    else:
        np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch, number):
    path = tmp_path / "sweep.nc"
    tree = sweep_study(STUDY, {"num_samples": [20, 40]}, replicates=2)
    path.write_text("an earlier one")

    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=rf"sweep.nc could not be written \({os.strerror(number)}"):
        write_netcdf(tree, path)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["an earlier one"]


def test_what_cannot_be_written_is_known_before_anything_is_computed(tmp_path, capsys, monkeypatch):
    (tmp_path / "folder.nc").mkdir()
    monkeypatch.setattr("simulator.sweep", None)  # so much for computing
    for name in ("folder.nc", "nowhere/sweep.nc"):
        with pytest.raises(ValueError, match="folder"):
            check_netcdf(tmp_path / name)

    def forbidden(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(files.os, "open", forbidden)
    with pytest.raises(ValueError, match=r"sweep.nc is not allowed.*\(Read-only file system\)"):
        check_netcdf(tmp_path / "sweep.nc")


def test_a_link_to_a_file_goes_on_leading_to_it(tmp_path):
    (tmp_path / "latest.nc").symlink_to("run-7.nc")
    write_netcdf(xr.DataTree(), tmp_path / "latest.nc")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["latest.nc", "run-7.nc"]
    assert (tmp_path / "latest.nc").is_symlink()


def test_metadata_of_a_store_is_json_without_extensions(tmp_path, capsys):
    """An infinite default, and infinity along an axis."""
    for name, grid in (("one", {"zipf_exponent": [1.5]}), ("two", {"cutoff": [50, math.inf]})):
        options = {"replicates": 2, "num_samples": 30, "out": tmp_path / name}
        first = sweep("tail-collapse", grid, **options)
        for file in (tmp_path / name).rglob("*.json"):
            text = file.read_text()
            text = text.partition("\n")[2] if file.name == "layout.json" else text
            json.loads(text, parse_constant=pytest.fail)
        opened = open_sweep(tmp_path / name)
        write_netcdf(opened, tmp_path / "export.nc")
        text = read(tmp_path / "export.nc").attrs["parameters"]
        given = json.loads(text, parse_constant=pytest.fail)
        if "cutoff" in grid:
            assert opened["mean"]["cutoff"].values.tolist() == grid["cutoff"]
        else:
            assert (opened.attrs["parameters"]["cutoff"], given["cutoff"]) == (math.inf, "Infinity")
        capsys.readouterr()
        again = sweep("tail-collapse", grid, **options)
        assert "computed 0" in capsys.readouterr().err
        assert np.array_equal(first["mean"]["test_error"], again["mean"]["test_error"])
