"""Evaluate theories and simulations over grids of parameters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.study import Study
from simulator.sweep.cells import broadcast_cells, product_cells, single_cells
from simulator.sweep.dask_cells import compute_with_dask
from simulator.sweep.predict import NotConverged, predict_study, theory_of_cells
from simulator.sweep.progress import replicates_bar
from simulator.sweep.results import (
    Estimate,
    SimulationResult,
    estimates,
    labelled,
    simulation_result,
)
from simulator.sweep.run import Replicates, checked_replicates, checked_seed
from simulator.sweep.store import StoreError, read_manifest
from simulator.sweep.stored import compute_here, open_store, store_status, sweep_to_store

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Estimate",
    "NotConverged",
    "Replicates",
    "SimulationResult",
    "StoreError",
    "open_store",
    "predict_study",
    "read_manifest",
    "simulate_study",
    "store_status",
    "sweep_study",
]


def simulate_study(
    study: Study,
    *,
    replicates: int,
    seed: int = 0,
    method: str | None = None,
    dtype: str | None = None,
    keep_values: bool = False,
    **params: Any,
) -> SimulationResult:
    """Monte-Carlo of ``study`` at one point, or on a grid of scalar traced parameters.

    Parameters
    ----------
    replicates : int >= 1
        Independent replicates per point. Asking for more later repeats the first ones exactly.
    seed : int >= 0
    method : {"fast", "direct", "conditional"}, optional
        The preferred one unless given; ``study.methods()`` lists what there is.
    dtype : {"float32", "float64"}, optional
        float64 on CPU and float32 on accelerators unless given.
    keep_values : bool
        Return every replicate's value too.
    **params
        As in :func:`predict_study`.

    Raises
    ------
    TypeError, ValueError
        For a bad argument; the message names it, its value and what is allowed.
    """
    count = checked_replicates(replicates)
    shape, values = broadcast_cells(study, params)
    run = Replicates(
        study,
        single_cells(study, shape, values),
        seed=seed,
        method=method,
        dtype=dtype,
        keep_values=keep_values,
    )
    with replicates_bar(count * len(run.cells), study.name) as progress:
        run.extend(count, progress)
    return simulation_result(run, shape, values)


def sweep_study(
    study: Study,
    grid: Mapping[str, Sequence[Any]],
    *,
    replicates: int,
    seed: int = 0,
    method: str | None = None,
    dtype: str | None = None,
    keep_values: bool = False,
    out: str | Path | None = None,
    retry_failed: bool = False,
    dask: str | None = None,
    **params: Any,
) -> "xr.DataTree":
    """Theory and simulation on the outer product of a grid.

    Parameters
    ----------
    grid : mapping parameter -> list of values
        Traced and static parameters alike; one compilation per combination of static values.
    replicates : int >= 0
        0 evaluates the theory only.
    seed, method, dtype, keep_values
        As in :func:`simulate_study`.
    out : path, optional
        Folder of a store (zarr v3) to write to while computing. Called again with the same
        arguments, the sweep goes on where it was; more replicates or grid points extend it; other
        arguments are refused.
    retry_failed : bool
        Compute cells that failed before again (with ``out``; others are unaffected).
    dask : str, optional
        Compute on Dask workers, which write to ``out`` themselves: the address of a scheduler, or
        ``"local"`` or ``"local:N"`` for N processes on this machine.
    **params
        Fixed values of the other parameters.

    Returns
    -------
    xarray.DataTree
        Children ``theory``, ``mean``, ``standard_error`` (and ``values`` with a trailing dim
        ``replicate`` behind the grid's, on request): datasets with one variable per output, whose
        dims are the grid's axes followed by the output's own. A study without a theory, or a
        sweep without replicates, lacks the corresponding children. With ``out``, also a child
        ``status`` (`open_store`), and a cell that cannot be computed does not stop the others.

    Raises
    ------
    TypeError, ValueError
        For a bad argument; the message names it, its value and what is allowed.
    StoreError
        If the store holds another sweep, is in use, damaged, or cannot be written.
    """
    axes, cells = product_cells(study, grid, params)
    if out is None and dask is not None:
        raise ValueError(f"dask = {dask!r} needs out: the workers meet in a store")
    if out is not None:
        if keep_values:
            raise ValueError("keep_values = True is not allowed with out: a store keeps moments")
        return sweep_to_store(
            study,
            axes,
            cells,
            Path(out),
            replicates=checked_replicates(replicates),
            seed=seed,
            method=method,
            dtype=dtype,
            retry_failed=retry_failed,
            compute=compute_here if dask is None else compute_with_dask(dask),
        )
    count = checked_replicates(replicates, least=0)
    checked_seed(seed)
    groups: dict[str, list[Mapping[str, Any]]] = {}
    attributes: dict[str, Any] = {"study": study.name, "seed": seed, "replicates": replicates}
    if study.theory is not None:
        groups["theory"] = list(theory_of_cells(study, cells))
    if count and study.methods():
        run = Replicates(
            study, cells, seed=seed, method=method, dtype=dtype, keep_values=keep_values
        )
        attributes |= {"method": run.method, "dtype": run.dtype}
        with replicates_bar(count * len(cells), study.name) as progress:
            run.extend(count, progress)
        attributes["remarks"] = run.remarks
        found = [estimates(study, run.summary(i)) for i in range(len(cells))]
        groups["mean"] = [{name: e[0] for name, e in cell.items()} for cell in found]
        groups["standard_error"] = [{name: e[1] for name, e in cell.items()} for cell in found]
    attributes |= {name: value for name, value in cells[0].items() if name not in axes}
    tree = labelled(study, axes, cells, groups, _plain(attributes))
    if keep_values and "mean" in groups:
        tree["values"] = _replicate_values(study, run, axes, tree)
    return tree


def _replicate_values(study: Study, run: Replicates, axes: Mapping, tree: "xr.DataTree") -> Any:
    import xarray as xr

    result = simulation_result(run, tuple(len(v) for v in axes.values()), {})
    assert result.values is not None
    variables = {
        name: ((*axes, "replicate", *study.output(name).dims), block)
        for name, block in result.values.items()
    }
    return xr.DataTree(xr.Dataset(variables, coords=tree["mean"].coords))


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that NetCDF can hold."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in attributes.items()
        if not (hasattr(value, "__len__") and len(value) == 0)
    }
