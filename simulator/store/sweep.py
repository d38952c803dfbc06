"""A sweep: theory and simulation on a grid, in memory or into a store.

Into a store it survives: killed at any moment and started again, it goes on where it was.
"""

import contextlib
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from simulator.store.plan import (  # isort: skip
    Plan, cells_to_compute, join_store, manifest_of, plan_of, whole_plan, work,
)  # fmt: skip
from simulator import checks
from simulator.defaults import REPLICATES
from simulator.engine import sizes
from simulator.engine.cells import Values, product_cells
from simulator.engine.labels import arrays_of, estimated, filled, labelled, replicate_arrays
from simulator.engine.progress import reported
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.theory import theory_of_cells
from simulator.store.compute import Compute, compute_here
from simulator.store.dask import compute_with_dask
from simulator.store.files import PRIVATE, StoreError, entries_of, make_folder, own_files
from simulator.store.large import keep_arrays, tokens
from simulator.store.layout import Results, mend
from simulator.store.manifest import read_manifest
from simulator.store.netcdf import attribute, check_netcdf, write_netcdf
from simulator.store.processes import meeting
from simulator.store.records import CellState, check_installed, locked, read_records
from simulator.study import Study

if TYPE_CHECKING:
    import xarray as xr


def sweep_study(
    study: Study,
    grid: Mapping[str, Sequence[Any]],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    method: str | None = None,
    dtype: str | None = None,
    keep_values: bool = False,
    out: str | Path | None = None,
    overwrite: bool = False,
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
        arguments are refused. A name that ends in ``.nc`` is a NetCDF file, written at the end.
    overwrite : bool
        Replace a NetCDF file that is there already.
    retry_failed : bool
        Compute cells that failed before again (in a store; others are unaffected).
    dask : str, optional
        Compute on Dask workers, which write to ``out`` themselves: the address of a scheduler, or
        ``"local"`` or ``"local:N"`` for N processes on this machine.
    allow_large : bool
        Compute also what is estimated to take days (on this machine; with ``dask`` nothing is
        assumed of the workers), a minute for the theory, or more memory than is free.
    **params
        Fixed values of the other parameters.

    Returns
    -------
    xarray.DataTree
        Children ``theory``, ``mean``, ``standard_error`` (and ``values`` with a trailing dim
        ``replicate`` behind the grid's, on request): datasets with one variable per output, whose
        dims are the grid's axes followed by the output's own. A study without a theory, or a
        sweep without replicates, lacks the corresponding children. With a store, also a child
        ``status`` (`open_store`), and a cell that cannot be computed does not stop the others.
        The attribute ``remarks`` says what else there is to know, such as replicates whose solver
        stalled.

    Raises
    ------
    TypeError, ValueError
        For a bad argument; the message names it, its value and what is allowed.
    StoreError
        If the store holds another sweep, is in use, damaged, or cannot be written.
    """
    checks.grid(grid)
    file, folder = _destination(out, checks.flag("overwrite", overwrite))
    count = checks.whole("replicates", replicates, 0 if folder is None else 1)
    seed = checks.seed(seed)
    keep_values = checks.flag("keep_values", keep_values)
    retry_failed = checks.flag("retry_failed", retry_failed)
    if folder is None and dask is not None:
        raise ValueError(
            f"dask = {checks.shown(dask)} needs out, a folder: the workers meet in a store"
        )
    if folder is not None and keep_values:
        raise ValueError("keep_values = True is not allowed with a store: it keeps moments")
    with sizes.allowing(allow_large):
        sizes.check_points(study, math.prod(map(len, grid.values())))
        axes, cells = product_cells(study, grid, params)
        if folder is not None:
            return sweep_to_store(
                study,
                axes,
                cells,
                folder,
                replicates=count,
                seed=seed,
                method=method,
                dtype=dtype,
                retry_failed=retry_failed,
                compute=compute_here if dask is None else compute_with_dask(dask),
            )
        tree = _sweep_in_memory(study, axes, cells, count, seed, method, dtype, keep_values)
    if file is not None:
        write_netcdf(tree, file)
    return tree


def _destination(out: str | Path | None, overwrite: bool) -> tuple[Path | None, Path | None]:
    """The NetCDF file, or the folder of the store, that ``out`` names."""
    if out is None:
        return None, None
    path = checks.path("out", out, "the folder of a store, or a NetCDF file (.nc)")
    if path.suffix == ".nc":
        check_netcdf(path, overwrite)
        return path, None
    if path.suffix != ".zarr" and path.suffix[1:].isalpha() and not path.exists():
        raise ValueError(
            f"out = {checks.shown(str(path))} is not allowed: give a file that ends in .nc, or the "
            "folder of a store (no ending, or .zarr)"
        )
    return None, path


def _sweep_in_memory(
    study: Study,
    axes: Mapping[str, list[Any]],
    cells: list[Values],
    count: int,
    seed: int,
    method: str | None,
    dtype: str | None,
    keep_values: bool,
) -> "xr.DataTree":
    attributes: dict[str, Any] = {"study": study.name, "seed": seed, "replicates": count}
    theory = theory_of_cells(study, cells) if study.theory is not None else []
    numbers: list[dict[str, Any]] = [{"theory": found} for found in theory] or [{} for _ in cells]
    arrays = arrays_of(study, axes, theory)
    if count and study.methods():
        setting = checked_setting(study, method=method, dtype=dtype, seed=seed)
        run = Run(study, cells, setting, keep_values=keep_values)
        with reported(study.name, run.work(count)) as progress:
            run.extend(count, progress=progress)
        attributes |= {
            "method": setting.method,
            "dtype": setting.dtype,
            "remarks": "; ".join(run.remarks),
        }
        arrays = arrays_of(study, axes, theory, run.shapes())
        for index, cell in enumerate(numbers):
            cell |= estimated(study, run.summary(index))
        if keep_values:
            kept = run.values()
            arrays["values"] = replicate_arrays(axes, arrays["mean"], kept[0])
            for cell, values in zip(numbers, kept, strict=True):
                cell["values"] = values
    attributes |= {name: value for name, value in cells[0].items() if name not in axes}
    positions = np.ndindex(*(len(values) for values in axes.values()))
    blocks = filled(arrays, positions, numbers)
    return labelled(study, axes, cells, arrays, blocks, _attributes(attributes))


def _attributes(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, as attributes that NetCDF can hold."""
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in tokens(values).items()}
    return {
        name: attribute(value)
        for name, value in plain.items()
        if not (hasattr(value, "__len__") and len(value) == 0)
    }


def sweep_to_store(
    study: Study,
    axes: Mapping[str, list[Any]],
    cells: list[Values],
    path: Path,
    *,
    replicates: int,
    seed: int,
    method: str | None,
    dtype: str | None,
    retry_failed: bool = False,
    compute: Compute,
) -> "xr.DataTree":
    """Sweep into the store at ``path``; see :func:`sweep_study`."""
    check_installed()
    setting = checked_setting(study, method=method, dtype=dtype, seed=seed)
    options = setting._asdict()
    run = Run(study, cells, setting)  # refuses cells that cannot be simulated
    if compute is compute_here:  # of the workers of a cluster nothing is known
        run.check_size([replicates] * len(cells))
    manifest = manifest_of(study, axes, cells[0], options, replicates)
    leader = jax.process_index() == 0
    with _prepared(path) if leader else contextlib.nullcontext(), meeting(path) as processes:
        if leader:
            manifest = join_store(path, manifest)
            keep_arrays(path, cells[0])
            whole = whole_plan(path, study, manifest)
            mend(path, whole, manifest)
        processes.wait()
        if not leader:
            manifest = read_manifest(path)
            whole = whole_plan(path, study, manifest)
        plan = plan_of(study, manifest, axes, cells, options)
        states = read_records(path, study).states
        processes.wait()  # nobody writes records before all have read them
        todo, reused = cells_to_compute(plan, states, replicates, retry_failed)
        results = Results(path, whole)

        def news() -> None:
            processes.check()
            if leader:
                results.refresh()

        try:
            compute(path, plan, todo, states, replicates, news)
        except KeyboardInterrupt:
            _report_interrupt(path, plan, replicates, read_records(path, study).states)
            raise
        processes.wait()
        states = read_records(path, study).states
        blocks = results.write(states) if leader else results.blocks(states)
        if leader:
            _report(path, plan, todo, reused, states)
    return results.tree(blocks, states, manifest)


def _report(
    path: Path, plan: Plan, todo: list[int], reused: int, states: Mapping[str, CellState]
) -> None:
    found = [states[name] for name in plan.identities if name in states]
    failed = sum(state.failure is not None for state in found)
    words = f"computed {len(todo)}, reused {reused}" + (f", failed {failed}" if failed else "")
    print(f"{path}: {words} of {len(plan.cells)} cells", file=sys.stderr)


def _report_interrupt(path: Path, plan: Plan, target: int, states: Mapping[str, CellState]) -> None:
    done = work(plan, states, target)
    print(
        f"{path}: interrupted; {done.cells_done} of {done.cells} cells are done and stored, "
        f"{done.replicates_done} of {done.replicates} replicates in all. The same command goes on "
        "from there",
        file=sys.stderr,
    )


@contextlib.contextmanager
def _prepared(path: Path) -> Iterator[None]:
    """The folder of the store, there and locked."""
    private = path / PRIVATE
    if os.path.exists(path) and not os.path.isdir(path):
        raise StoreError(f"{path} is a file: a store is a folder, give another name")
    if not os.path.isdir(private) and entries_of(path):
        raise StoreError(f"{path} is not empty and holds no sweep: give another folder")
    own_files(path)  # no link is followed
    make_folder(private / "records")
    with locked(path):
        yield
