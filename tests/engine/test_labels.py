"""The labelled arrays of a sweep: their shapes, what fills them, and one layout for all sweeps."""

import jax
import numpy as np
import pytest

from simulator.engine.labels import arrays_of, coordinates, filled, replicate_arrays, status_arrays
from simulator.parameters import parameters, static, traced
from simulator.store.sweep import sweep_study
from simulator.study import Dispersion, Output, Study, exact
from tests.toy import TEXTBOOK


@parameters
class Params:
    dim: int = static(3, at_least=1)
    num_steps: int = static(2, at_least=1)
    noise_std: float = traced(0.5, at_least=0)


def theory(params):
    steps = jax.numpy.arange(1.0, params.num_steps + 1)
    return {"error": steps * params.dim, "limit": steps[-1] * params.dim}


def simulate(key, params):
    noise = params.noise_std * jax.random.normal(key, (params.num_steps,))
    return {"error": theory(params)["error"] + noise}


#: Cells of several sizes, an output of one side only, and a dispersion of an array.
STUDY = Study(
    name="ragged",
    title="outputs as long as a parameter says",
    paper=TEXTBOOK,
    params=Params,
    outputs=(
        Output("error", "error after each step", exact(), dims=("step",)),
        Output("limit", "where it ends", where="theory"),
        Output(
            "spread",
            "standard deviation of the error",
            dims=("step",),
            where="simulation",
            dispersion=Dispersion("std", "error"),
        ),
    ),
    theory=theory,
    simulate_direct=simulate,
    coordinates={"step": lambda params: range(1, params.num_steps + 1)},
)
AXES = {"dim": [1, 2, 5], "num_steps": [4, 2]}
CELLS = [
    STUDY.canonical({"dim": d, "num_steps": n}) for d in AXES["dim"] for n in AXES["num_steps"]
]


def test_arrays_are_as_long_as_the_largest_cell():
    theory = [{"error": np.ones(2), "limit": np.ones(())}, {}, {"error": np.ones(4)}]
    arrays = arrays_of(STUDY, AXES, theory, [{"error": (3,)}])
    assert {group: list(members) for group, members in arrays.items()} == {
        "theory": ["error", "limit"],
        "mean": ["error", "spread"],
        "standard_error": ["error", "spread"],
    }
    error, limit = arrays["theory"].values()
    assert (error.dims, error.shape) == (("dim", "num_steps", "step"), (3, 2, 4))
    assert (limit.dims, limit.shape) == (("dim", "num_steps"), (3, 2))
    assert arrays["mean"]["error"].shape == (3, 2, 3)
    assert error.meaning == "error after each step"
    replicates = replicate_arrays(AXES, arrays["mean"], {"error": np.ones((7, 2), np.float32)})
    assert replicates["error"].dims == ("dim", "num_steps", "replicate", "step")
    assert (replicates["error"].shape, replicates["error"].dtype) == ((3, 2, 7, 3), "<f4")


def test_a_side_that_a_sweep_lacks_has_no_arrays():
    assert arrays_of(STUDY, AXES) == {}
    assert arrays_of(STUDY, AXES, [{}, {}]) == {}
    assert list(arrays_of(STUDY, AXES, simulated=[{"error": (1,)}])) == ["mean", "standard_error"]


def test_what_a_cell_lacks_stays_empty():
    axes = {"dim": [1, 2, 5]}
    arrays = {"status": status_arrays(axes)} | arrays_of(STUDY, axes, [{"error": np.ones(2)}])
    cells = [
        {"status": {"replicates": 7, "failed": True}, "theory": {"error": [1.0]}},
        {"theory": {"error": [2.0, 3.0]}},
    ]
    blocks = filled(arrays, [(2,), (0,)], cells)
    assert blocks["status"]["replicates"].tolist() == [0, 0, 7]
    assert blocks["status"]["failed"].tolist() == [0, 0, 1]
    nan = np.nan
    np.testing.assert_array_equal(blocks["theory"]["error"], [[2, 3], [nan, nan], [1, nan]])


def test_coordinates_are_those_of_the_dims_there_are():
    arrays = arrays_of(STUDY, AXES, [{"error": np.ones(4), "limit": np.ones(())}])["theory"]
    assert list(coordinates(STUDY, AXES, CELLS, [arrays["limit"]])) == ["dim", "num_steps"]
    found = coordinates(STUDY, AXES, CELLS, arrays.values())
    assert found["step"].tolist() == [1, 2, 3, 4]
    assert found["dim"][2] == {"symbol": "d", "long_name": "dimension", "units": "d"}


@pytest.mark.parametrize("stored", [False, True])
def test_cells_of_several_sizes_are_padded(tmp_path, stored):
    tree = sweep_study(STUDY, AXES, replicates=5, out=tmp_path / "store" if stored else None)
    short, long = tree.sel(num_steps=2), tree.sel(num_steps=4)
    for group, name in (("theory", "error"), ("mean", "error"), ("standard_error", "spread")):
        assert tree[group][name].dims == ("dim", "num_steps", "step")
        assert np.isnan(short[group][name].sel(step=[3, 4])).all()
        assert not np.isnan(short[group][name].sel(step=[1, 2])).any()
        assert not np.isnan(long[group][name]).any()
    np.testing.assert_array_equal(long["theory"]["error"], np.outer([1, 2, 5], [1, 2, 3, 4]))


def test_replicates_of_cells_of_several_sizes_are_padded():
    tree = sweep_study(STUDY, AXES, replicates=5, keep_values=True)
    values = tree["values"]["error"]
    assert values.dims == ("dim", "num_steps", "replicate", "step")
    assert values.shape == (3, 2, 5, 4)
    np.testing.assert_allclose(values.mean("replicate"), tree["mean"]["error"], rtol=1e-12)


def test_a_sweep_is_the_same_in_memory_and_in_a_store(tmp_path):
    """Variables, dims, attributes, coordinates and numbers; two processes could not tell."""
    memory = sweep_study(STUDY, AXES, replicates=5)
    stored = sweep_study(STUDY, AXES, replicates=5, out=tmp_path / "store")
    for group, child in memory.children.items():
        for name, variable in child.ds.variables.items():
            other = stored[group].ds.variables[name]
            assert (variable.dims, variable.attrs) == (other.dims, other.attrs)
            np.testing.assert_array_equal(variable.values, other.values)
        assert set(child.ds.variables) <= set(stored[group].ds.variables)
