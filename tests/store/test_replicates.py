"""However many replicates, however they came about: every way to have them gives the same bits."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from simulator.engine import program as program_module
from simulator.store import compute as stored
from simulator.store.contents import open_store
from simulator.store.netcdf import write_netcdf
from simulator.store.sweep import sweep_study
from tests.studies.battery import STUDIES, WITH_SIMULATION, cell, each, interior_floats
from tests.toy import ARRAYS

#: Around the 64 replicates of a block of moments.
COUNTS = (1, 2, 63, 64, 65, 130)


def contents(tree):
    """All numbers and labels of a sweep; the status is a store's alone."""
    return {
        f"{group}/{name}": (variable.dims, variable.shape, variable.values.tobytes())
        for group, node in tree.children.items()
        if group != "status"
        for name, variable in {**node.data_vars, **node.coords}.items()
    }


def sweep_around(study, values):
    """A sweep over two neighbouring points, as a function of the options."""
    names = interior_floats(study, values)
    name = names[0] if names else next(n for n, p in study.declarations.items() if not p.static)
    axis = [values[name], 1.01 * values[name]] if names else [values[name]]
    fixed = {n: value for n, value in values.items() if n != name}
    return lambda **options: sweep_study(study, {name: axis}, **fixed, **options)


def check_every_way(study, sweep, counts, folder, interrupted=None):
    """Stored, opened, exported, resumed and extended results are those in memory."""
    for count in counts:
        memory = contents(sweep(replicates=count))
        store = folder / str(count)
        assert contents(sweep(replicates=count, out=store)) == memory
        opened = open_store(store, study)
        assert contents(opened) == memory
        assert np.all(opened["status"]["replicates"].values == count)
        write_netcdf(opened, folder / "sweep.nc")
        with xr.open_datatree(folder / "sweep.nc", engine="h5netcdf") as exported:
            assert contents(exported.load()) == memory
        assert contents(sweep(replicates=count, out=folder / "extended")) == memory
        if interrupted is not None:
            interrupted(count, folder / f"resumed-{count}")
            assert contents(sweep(replicates=count, out=folder / f"resumed-{count}")) == memory


#: Simulations that differ in what they return; the slow test below takes those of all studies.
FEW = {
    "robust-pruning.finite-sample": "control variates, vectors, arrays for parameters",
    "concave-bandits": "tables of rounds and objectives",
    "tail-collapse": "counts",
    "jailbreaking": "control variates",
    "steepest-descent-margin.two-points": "numbers alone",
}


@each(FEW)
def test_few_replicates_are_stored_as_they_are(name, tmp_path):
    study = replace(STUDIES[name], theory=None)
    sweep = sweep_around(study, cell(study))
    for count in (20, 65):
        assert contents(sweep(replicates=count, out=tmp_path)) == contents(sweep(replicates=count))


@pytest.mark.slow
@each(WITH_SIMULATION)
def test_any_number_of_replicates_of_every_study_is_stored_as_it_is(name, tmp_path):
    study = STUDIES[name]
    check_every_way(study, sweep_around(study, cell(study)), COUNTS, tmp_path)


@pytest.mark.parametrize("batch", [1, pytest.param(8, marks=pytest.mark.slow), 256])
def test_any_number_of_replicates_is_stored_as_it_is(tmp_path, monkeypatch, batch):
    """Arrays of all ranks and lengths, in batches that end anywhere in a cell, killed anywhere."""
    monkeypatch.setattr(program_module, "batch_size", lambda _: batch)
    left = iter(np.random.default_rng(batch).integers(0, 30, len(COUNTS)).tolist())

    def sweep(**options):
        return sweep_study(ARRAYS, {"dim": [4, 6], "num_samples": [20, 40]}, **options)

    def interrupted(count, path):
        advanced, batches = stored._Recorder.advanced, next(left)

        def interrupt(recorder, index):
            nonlocal batches
            batches -= 1
            advanced(recorder, index)
            if batches < 0:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(stored._Recorder, "advanced", interrupt)
            try:
                sweep(replicates=count, out=path)
            except KeyboardInterrupt:
                interruptions.append(count)

    interruptions = []
    check_every_way(ARRAYS, sweep, COUNTS, tmp_path, interrupted)
    assert interruptions
