"""Large arrays of a sweep: known by their content, held once, and stored with the sweep."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

import simulator
from simulator.engine.cells import identity, product_cells
from simulator.engine.program import programs
from simulator.engine.setting import checked_setting
from simulator.engine.theory import predict_study
from simulator.large_array import LargeArray
from simulator.paper import Paper
from simulator.parameters import array, parameters, traced
from simulator.store.contents import open_store, store_status
from simulator.store.files import StoreError
from simulator.store.large import tokens, with_arrays
from simulator.store.sweep import sweep_study
from simulator.study import Study, both, exact

ROWS = np.arange(6.0).reshape(3, 2) / 7
GRID = {"noise_std": [0.1, 0.2, 0.3]}


@parameters
class Params:
    rows: tuple = array(((1.0, 2.0), (3.0, 5.0)), "X", "rows", dims=("row", "feature"), large=True)
    small: tuple = array((1.0, 2.0), "v", "a short one", dims=("feature",))
    noise_std: float = traced(0.5, at_least=0)


def _theory(params):
    return {"mean": params.rows.mean() + params.small.sum()}


def _simulate(key, params):
    noise = params.noise_std * jax.random.normal(key, (), float)
    return {"mean": params.rows.mean() + params.small.sum() + noise}


STUDY = Study(
    name="toy.rows",
    title="a mean",
    paper=Paper("None", ("Nobody",), year=2024, venue="none", arxiv="0000.00000"),
    params=Params,
    outputs=both(exact(), mean="mean of the rows"),
    theory=_theory,
    simulate_direct=_simulate,
)


def sweep(path, rows=ROWS, replicates=100, **options):
    return sweep_study(STUDY, GRID, replicates=replicates, out=path, rows=rows, **options)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "store"
    return path, sweep(path)


def manifest_of(path):
    return json.loads((path / ".simulator" / "manifest.json").read_text())


def array_file(path):
    (file,) = (path / ".simulator" / "arrays").iterdir()
    return file


# --------------------------------------------------------------------------------------------
# What stands for an array
# --------------------------------------------------------------------------------------------
def test_a_digest_is_of_the_content():
    digest = LargeArray.of(ROWS).digest
    assert digest == LargeArray.of(np.asfortranarray(ROWS)).digest == LargeArray.of(ROWS * 1).digest
    assert digest == LargeArray.of(ROWS.astype(">f8")).digest
    others = (ROWS.T, ROWS.ravel(), ROWS + 1e-16, ROWS.astype(np.float32), np.zeros((3, 2)))
    assert len({digest, *(LargeArray.of(other).digest for other in others)}) == 6


def test_nobody_writes_to_a_large_array():
    mine = ROWS.copy()
    held = STUDY.canonical({"rows": mine})["rows"]
    mine[0, 0] = 99
    assert held[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        held[0, 0] = 1
    assert STUDY.canonical({"rows": held})["rows"] is held
    changed = held * 1.0  # it may be written to, and is another array
    changed[0, 0] = 5
    assert STUDY.canonical({"rows": changed})["rows"].digest != held.digest


def test_large_arrays_are_checked_as_others_are():
    for wrong in (np.full((3, 2), np.nan), np.zeros(3), "rows", [[1, "x"]]):
        with pytest.raises((TypeError, ValueError), match=r"rows = .* is not allowed"):
            STUDY.canonical({"rows": wrong})
    with pytest.raises(ValueError, match="static or large"):
        array((), "X", "rows", dims=("row",), static=True, large=True)


def test_all_cells_hold_the_same_object():
    _, cells = product_cells(STUDY, GRID, {"rows": ROWS})
    assert len({id(cell["rows"]) for cell in cells}) == 1
    _, cells = product_cells(STUDY, GRID, {})
    assert len({id(cell["rows"]) for cell in cells}) == 1
    (program,) = programs(STUDY, cells, checked_setting(STUDY))
    assert program.arguments(np.zeros(4, int), np.arange(4))[3]["rows"].shape == (2, 2)
    first, again = (program.arguments(np.zeros(4, int), np.arange(4))[3] for _ in range(2))
    assert first["rows"] is again["rows"]  # sent to the device once


def test_identity_says_the_digest_of_large_arrays_and_the_numbers_of_others():
    cell = STUDY.canonical({"rows": ROWS})
    said = json.loads(identity(STUDY, cell, method="direct", dtype="float64", seed=0))["parameters"]
    assert said["rows"] == {"sha256": LargeArray.of(ROWS).digest, "shape": [3, 2]}
    assert said["small"] == [(1.0).hex(), (2.0).hex()]


def test_cells_of_other_rows_have_other_keys_and_programs():
    grid = {"noise_std": [0.1]}
    one = sweep_study(STUDY, grid, replicates=50, rows=ROWS)["mean"]["mean"].values
    other = sweep_study(STUDY, grid, replicates=50, rows=ROWS + 1)["mean"]["mean"].values
    assert abs(other - one - 1) > 1e-6  # other noise
    cells = [STUDY.canonical({"rows": rows}) for rows in (ROWS, ROWS + 1, ROWS.copy())]
    assert [p.members for p in programs(STUDY, cells, checked_setting(STUDY))] == [[0, 2], [1]]


def test_messages_do_not_print_the_numbers():
    broken = replace(STUDY, theory=lambda params: {"mean": params.rows.mean() * np.nan})
    with pytest.raises(Exception, match="not-a-number") as caught:
        predict_study(broken, rows=np.arange(1000.0).reshape(50, 20))
    assert "50 x 20 numbers" in str(caught.value)
    assert len(str(caught.value)) < 400


# --------------------------------------------------------------------------------------------
# Stores
# --------------------------------------------------------------------------------------------
def test_a_store_holds_its_arrays_once_and_opens_by_itself(store, tmp_path):
    path, tree = store
    assert manifest_of(path)["parameters"]["rows"]["shape"] == [3, 2]
    assert np.array_equal(np.load(array_file(path)), ROWS)
    elsewhere = shutil.copytree(path, tmp_path / "elsewhere")
    opened = open_store(elsewhere, STUDY)
    assert opened["mean"]["mean"].identical(tree["mean"]["mean"])
    assert store_status(elsewhere, STUDY)["done"] == 3


def test_a_store_goes_on_with_equal_rows_and_refuses_others(store, capsys):
    path, tree = store
    again = sweep(path, rows=ROWS.tolist())
    assert "computed 0, reused 3" in capsys.readouterr().err
    assert again["mean"]["mean"].identical(tree["mean"]["mean"])
    more = sweep(path, replicates=200)
    assert np.array_equal(more["mean"]["mean"], sweep_study(
        STUDY, GRID, replicates=200, rows=ROWS)["mean"]["mean"])  # fmt: skip
    with pytest.raises(StoreError, match=r"rows = .*sha256.* there and .*sha256.* here"):
        sweep(path, rows=ROWS + 1)


@pytest.mark.parametrize("harm", ["missing", "cut", "another"])
def test_a_damaged_array_is_named_and_the_same_sweep_mends_it(store, harm):
    path, tree = store
    file = array_file(path)
    if harm == "missing":
        file.unlink()
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[:-8])
    else:
        np.save(file, ROWS + 1)
    with pytest.raises(StoreError, match=f"{file.name}.*run the same sweep again"):
        open_store(path, STUDY)
    assert sweep(path)["mean"]["mean"].identical(tree["mean"]["mean"])
    assert np.array_equal(np.load(file), ROWS)
    assert open_store(path, STUDY)["mean"]["mean"].identical(tree["mean"]["mean"])


def test_a_manifest_with_a_strange_digest_leads_nowhere(store):
    path, _ = store
    file = path / ".simulator" / "manifest.json"
    from simulator.store.manifest import read_manifest, write_manifest

    manifest = read_manifest(path)
    manifest["parameters"]["rows"] = {"sha256": "../../secret", "shape": [3, 2]}
    write_manifest(path, manifest)
    assert file.exists()
    with pytest.raises(StoreError, match="names no digest"):
        open_store(path, STUDY)


def test_tasks_of_a_cluster_travel_without_the_arrays(store):
    path, _ = store
    cell = STUDY.canonical({"rows": ROWS})
    sent = tokens(cell)
    assert json.loads(json.dumps(sent["rows"])) == cell["rows"].token
    received = with_arrays(path, STUDY, sent)
    assert received["rows"].digest == cell["rows"].digest
    assert np.array_equal(received["small"], cell["small"])


def test_a_sweep_with_rows_can_be_exported(tmp_path):
    pytest.importorskip("h5netcdf")
    from simulator.store.netcdf import write_netcdf

    tree = sweep_study(STUDY, GRID, replicates=20, rows=ROWS)
    assert json.loads(tree.attrs["rows"])["sha256"] == LargeArray.of(ROWS).digest
    write_netcdf(tree, tmp_path / "file.nc")
    stored = sweep(tmp_path / "store")
    write_netcdf(stored, tmp_path / "other.nc")


def test_verbs_take_rows():
    assert simulator.predict(STUDY, rows=ROWS)["mean"] == pytest.approx(ROWS.mean() + 3)
    assert simulator.check(STUDY, rows=ROWS, replicates=4000, tolerance=0.5).status == "agrees"
