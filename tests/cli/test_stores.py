"""`status` and `export`; `.nc` is a file, and never mistaken for a damaged store."""

import json

import pytest
import xarray as xr

import simulator
from simulator import registry
from tests.cli import run
from tests.toy import STUDY

GRID = ("--grid", "num_samples=20,40", "--replicates", "3")


@pytest.fixture
def store(capsys, tmp_path):
    assert run(capsys, "sweep", "toy", *GRID, "--out", str(tmp_path / "s"))[0] == 0
    return tmp_path / "s"


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setitem(registry._registered, "toy", STUDY)


def test_status(capsys, store):
    code, out, _ = run(capsys, "status", str(store))
    assert code == 0
    assert out == (
        f"{store}: toy, 2 cells of 3 replicates: 2 done, 0 started, 0 missing, 0 failed\n"
    )
    code, out, _ = run(capsys, "status", str(store), "--json")
    assert code == 0
    assert json.loads(out)["done"] == 2


def test_export_does_not_overwrite_unless_told(capsys, store, tmp_path):
    file = tmp_path / "s.nc"
    assert run(capsys, "export", str(store), str(file))[0] == 0
    before = file.read_bytes()
    code, _, err = run(capsys, "export", str(store), str(file))
    assert code == 2
    assert "s.nc is there already" in err
    assert "--overwrite" in err
    assert file.read_bytes() == before
    assert run(capsys, "export", str(store), str(file), "--overwrite")[0] == 0


@pytest.mark.usefixtures("known")
def test_a_file_has_a_status_and_opens(capsys, store, tmp_path):
    """Whatever wrote it: `sweep` in Python, `sweep` on the command line, or `export`."""
    python, command, export = (tmp_path / f"{name}.nc" for name in ("python", "command", "export"))
    tree = simulator.sweep("toy", {"num_samples": [20, 40]}, replicates=3, out=python)
    assert python.is_file()
    assert run(capsys, "sweep", "toy", *GRID, "--out", str(command))[0] == 0
    assert run(capsys, "export", str(store), str(export))[0] == 0
    for file in (python, command, export):
        code, out, _ = run(capsys, "status", str(file))
        assert code == 0
        assert "toy, 2 cells of 3 replicates: 2 done, 0 started, 0 missing, 0 failed" in out
        opened = simulator.open_sweep(file)
        for group in ("theory", "mean", "standard_error"):
            xr.testing.assert_equal(opened[group].to_dataset(), tree[group].to_dataset())
        code, _, err = run(capsys, "export", str(file), str(tmp_path / "other.nc"))
        assert code == 2
        assert "is a file, not the folder of a store: copy it" in err
    opened = simulator.open_sweep(python)
    assert opened.attrs == {name: value for name, value in tree.attrs.items() if name != "remarks"}


@pytest.mark.usefixtures("known")
def test_an_unfinished_store_that_was_exported_says_so(store, tmp_path):
    opened = simulator.open_sweep(store)
    opened["status"]["replicates"][1] = 0
    opened["status"]["failed"][1] = 1
    opened["status"]["replicates"][0] = 2
    from simulator.store.netcdf import write_netcdf

    write_netcdf(opened, tmp_path / "s.nc")
    found = simulator.sweep_status(tmp_path / "s.nc")
    assert (found["done"], found["started"], found["missing"]) == (0, 1, 0)
    assert found["failed"] == [("num_samples = 40", "the store knows the reason, a file does not")]


@pytest.mark.usefixtures("known")
def test_a_file_of_something_else_is_left_alone(capsys, tmp_path):
    (tmp_path / "text.nc").write_text("no NetCDF")
    xr.Dataset({"x": 1.0}).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    for name, message in (("text.nc", "is no NetCDF file"), ("x.nc", "holds no sweep")):
        for words in (("status", str(tmp_path / name)),):
            code, _, err = run(capsys, *words)
            assert code == 2
            assert message in err
            assert "delete" not in err
        with pytest.raises(simulator.StoreError, match=message):
            simulator.open_sweep(tmp_path / name)


@pytest.mark.usefixtures("known")
def test_the_folder_of_a_store_with_the_name_of_a_file(capsys, store, tmp_path):
    """Earlier versions made such folders: they open, and what to do is said."""
    store.rename(tmp_path / "s.nc")
    assert len(simulator.open_sweep(tmp_path / "s.nc")["mean"]["num_samples"]) == 2
    code, _, err = run(capsys, "sweep", "toy", *GRID, "--out", str(tmp_path / "s.nc"))
    assert code == 2
    assert "Rename the folder: the sweep in it then goes on" in err
