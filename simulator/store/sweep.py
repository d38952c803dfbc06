"""A sweep: theory and simulation on a grid, in memory or into a store."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator import checks
from simulator.engine import sizes
from simulator.engine.cells import Values, product_cells
from simulator.engine.progress import replicates_bar
from simulator.engine.results import (
    estimates,
    labelled,
    simulation_result,
)
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.theory import theory_of_cells
from simulator.store.dask import compute_with_dask
from simulator.store.netcdf import attribute
from simulator.store.resume import compute_here, sweep_to_store
from simulator.study import Study

if TYPE_CHECKING:
    import xarray as xr


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
    allow_large: bool = False,
    **params: Any,
) -> "xr.DataTree":
    """Theory and simulation on the outer product of a grid.

    Parameters
    ----------
    study : str or Study
    grid : mapping parameter -> list of values
        Traced and static parameters alike; one compilation per combination of static values.
    replicates : int >= 0
        0 evaluates the theory only.
    seed, method, dtype, keep_values
        As in :func:`simulator.simulate`.
    out : path, optional
        Folder of a store (zarr v3) to write to while computing. Called again with the same
        arguments, the sweep goes on where it was; more replicates or grid points extend it; other
        arguments are refused.
    retry_failed : bool
        Compute cells that failed before again (with ``out``; others are unaffected).
    dask : str, optional
        Compute on Dask workers, which write to ``out`` themselves: the address of a scheduler, or
        ``"local"`` or ``"local:N"`` for N processes on this machine.
    allow_large : bool
        Compute also what is estimated to take days (on this machine; with ``dask`` nothing is
        assumed of the workers), five minutes for the theory, or more memory than is free.
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
    checks.grid(grid)
    count = checks.whole("replicates", replicates, 0 if out is None else 1)
    seed = checks.seed(seed)
    keep_values = checks.flag("keep_values", keep_values)
    retry_failed = checks.flag("retry_failed", retry_failed)
    if out is None and dask is not None:
        raise ValueError(f"dask = {checks.shown(dask)} needs out: the workers meet in a store")
    if out is not None and keep_values:
        raise ValueError("keep_values = True is not allowed with out: a store keeps moments")
    with sizes.allowing(allow_large):
        sizes.check_points(study, math.prod(map(len, grid.values())))
        axes, cells = product_cells(study, grid, params)
        if out is not None:
            return sweep_to_store(
                study,
                axes,
                cells,
                checks.path("out", out, "the folder of a store"),
                replicates=count,
                seed=seed,
                method=method,
                dtype=dtype,
                retry_failed=retry_failed,
                compute=compute_here if dask is None else compute_with_dask(dask),
            )
        return _in_memory(study, axes, cells, count, seed, method, dtype, keep_values)


def _in_memory(
    study: Study,
    axes: Mapping[str, list[Any]],
    cells: list[Values],
    count: int,
    seed: int,
    method: str | None,
    dtype: str | None,
    keep_values: bool,
) -> "xr.DataTree":
    groups: dict[str, list[Mapping[str, Any]]] = {}
    attributes: dict[str, Any] = {"study": study.name, "seed": seed, "replicates": count}
    if study.theory is not None:
        groups["theory"] = list(theory_of_cells(study, cells))
    if count and study.methods():
        setting = checked_setting(study, method=method, dtype=dtype, seed=seed)
        run = Run(study, cells, setting, keep_values=keep_values)
        attributes |= {"method": setting.method, "dtype": setting.dtype}
        with replicates_bar(count * len(cells), study.name) as progress:
            run.extend(count, progress=progress)
        attributes["remarks"] = run.remarks
        found = [estimates(study, run.summary(i)) for i in range(len(cells))]
        groups["mean"] = [{name: e[0] for name, e in cell.items()} for cell in found]
        groups["standard_error"] = [{name: e[1] for name, e in cell.items()} for cell in found]
    attributes |= {name: value for name, value in cells[0].items() if name not in axes}
    tree = labelled(study, axes, cells, groups, _attributes(attributes))
    if keep_values and "mean" in groups:
        tree["values"] = _replicate_values(study, run, axes, tree)
    return tree


def _replicate_values(study: Study, run: Run, axes: Mapping, tree: "xr.DataTree") -> Any:
    import xarray as xr

    result = simulation_result(run, tuple(len(v) for v in axes.values()), {})
    assert result.values is not None
    variables = {
        name: ((*axes, "replicate", *study.output(name).dims), block)
        for name, block in result.values.items()
    }
    return xr.DataTree(xr.Dataset(variables, coords=tree["mean"].coords))


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, as attributes that NetCDF can hold."""
    return {
        name: attribute(list(value) if isinstance(value, tuple) else value)
        for name, value in values.items()
        if not (hasattr(value, "__len__") and len(value) == 0)
    }
