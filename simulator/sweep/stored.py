"""Sweeps into a store: killed at any moment and started again, they go on where they were."""

import contextlib
import functools
import hashlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from simulator.study import Study
from simulator.sweep import store
from simulator.sweep.cells import Values, identity
from simulator.sweep.predict import NotConverged, theory_of_cells
from simulator.sweep.progress import replicates_bar
from simulator.sweep.results import estimates, grid_coordinates
from simulator.sweep.run import Replicates, describe
from simulator.sweep.store import Array, CellState, Speed, StoreError

#: Seconds between two records, what a kill can cost: at least this, 1 % of the time so far, at most
#: a minute. A week leaves some ten thousand files.
INTERVAL = 1.0
LONGEST_INTERVAL = 60.0
#: Seconds between two updates of the labelled arrays: at least this, and 100 times what one takes.
SHORTEST_REFRESH = 10.0
#: What must be the same in all sweeps into one store, beside the parameters.
SAME = ("study", "schema", "method", "dtype", "seed", "platform")


@dataclass(frozen=True)
class Plan:
    """What to compute: cells of one study, where they lie in the store's grid, and how."""

    study: Study
    cells: list[Values]
    positions: list[tuple[int, ...]]
    axes: Mapping[str, list[Any]]
    options: Mapping[str, Any]  # method, dtype, seed

    def part(self, chosen: Sequence[int]) -> "Plan":
        """The same for some of the cells."""
        return replace(
            self,
            cells=[self.cells[i] for i in chosen],
            positions=[self.positions[i] for i in chosen],
        )

    @functools.cached_property
    def identities(self) -> list[str]:
        """A name for the content of each cell: what its records are filed under."""
        return [
            hashlib.sha256(identity(self.study, cell, **self.options).encode()).hexdigest()[:24]
            for cell in self.cells
        ]


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
    compute: "Compute",
) -> xr.DataTree:
    """Sweep into the store at ``path``; see :func:`simulator.sweep.sweep_study`."""
    store.check_installed()
    run = Replicates(study, cells, seed=seed, method=method, dtype=dtype)
    options = {"method": run.method, "dtype": run.dtype, "seed": run.seed}
    manifest = _manifest(study, axes, cells[0], options, replicates)
    leader = jax.process_index() == 0
    with _prepared(path) if leader else contextlib.nullcontext():
        if leader:
            manifest = _joined(path, manifest)
            whole = _whole_plan(study, manifest)
            _mend(path, whole, manifest)
        _all_processes("prepared")
        if not leader:
            manifest = store.read_manifest(path)
            whole = _whole_plan(study, manifest)
        plan = _plan(study, manifest, axes, cells, options)
        states, _, _ = store.read_records(path)
        _all_processes("read")
        todo, reused = _to_compute(plan, states, replicates, retry_failed)
        results = _Results(path, whole)
        compute(path, plan, todo, states, replicates, results.refresh if leader else _nothing)
        _all_processes("computed")
        states, _, _ = store.read_records(path)
        blocks = results.write(states) if leader else results.blocks(states)
        if leader:
            _report(path, plan, todo, reused, states)
    return _tree(path, blocks)


def open_store(path: Path, study: Study) -> xr.DataTree:
    """The labelled results of a store of ``study``, checked against its records.

    Returns
    -------
    xarray.DataTree
        As :func:`simulator.sweep.sweep_study`, and a child ``status`` with the number of
        ``replicates`` of each cell (0: not computed) and whether it ``failed``.

    Raises
    ------
    StoreError
        If there is no store, or something in it is damaged; the message names the file.
    """
    store.check_installed()
    plan = _whole_plan(study, store.read_manifest(path))
    for file in store.damaged_layout(path):
        raise StoreError(
            f"{file} is damaged or missing: run the same sweep again and it is written anew"
        )
    states, _, _ = store.read_records(path)
    return _tree(path, _Results(path, plan).blocks(states))


Blocks = dict[str, dict[str, np.ndarray]]


def _tree(path: Path, blocks: Blocks) -> xr.DataTree:
    """The labelled arrays with the results that the records hold, which may be ahead of them."""
    with xr.open_datatree(path, engine="zarr", chunks=None) as tree:
        for group, members in blocks.items():
            for name, block in members.items():
                tree[group][name].variable.values = block
        return tree.load()


def store_status(path: Path, study: Study) -> dict[str, Any]:
    """What a store of ``study`` holds and what it still misses.

    Returns
    -------
    dict
        ``study``, ``cells`` (points of the grid), ``replicates`` (asked for), ``done``,
        ``started``, ``missing``, ``failed`` (list of (cell, reason)), ``seconds_left`` of one
        process (None before anything was computed).

    Raises
    ------
    StoreError
        If there is no store, or something in it is damaged; the message names the file.
    """
    manifest = store.read_manifest(path)
    plan = _whole_plan(study, manifest)
    states, speed, _ = store.read_records(path)
    target = manifest["replicates"]
    found = [states.get(name, CellState()) for name in plan.identities]
    alive = [state.replicates for state in found if not state.failure]
    left = sum(max(target - replicates, 0) for replicates in alive)
    return {
        "study": manifest["study"],
        "cells": len(found),
        "replicates": target,
        "done": sum(replicates >= target for replicates in alive),
        "started": sum(0 < replicates < target for replicates in alive),
        "missing": sum(replicates == 0 < target for replicates in alive),
        "failed": [
            (describe({name: cell[name] for name in plan.axes}), state.failure)
            for cell, state in zip(plan.cells, found, strict=True)
            if state.failure
        ],
        "seconds_left": left * speed.seconds / speed.replicates if speed.replicates else None,
    }


# --------------------------------------------------------------------------------------------
# Computing
# --------------------------------------------------------------------------------------------
#: Computes the cells ``todo`` of a plan, from their states to the target, into records; it calls
#: the last argument when there is something new.
Compute = Callable[[Path, Plan, list[int], Mapping[str, CellState], int, Callable[[], None]], None]


def compute_here(
    path: Path,
    plan: Plan,
    todo: list[int],
    states: Mapping[str, CellState],
    target: int,
    refresh: Callable[[], None],
) -> None:
    """Run this process's share of the cells ``todo`` on its devices."""
    mine = plan.part(todo[jax.process_index() :: jax.process_count()])
    if mine.cells:
        with replicates_bar(missing(mine, states, target), plan.study.name) as progress:
            compute_cells(path, mine, states, target, progress, refresh)


def compute_cells(
    path: Path,
    plan: Plan,
    states: Mapping[str, CellState],
    target: int,
    progress: Callable[[int], None] | None = None,
    refresh: Callable[[], None] | None = None,
    writer: str = "",
) -> None:
    """Run all cells of ``plan`` on this process's devices, from the ``states`` they are in."""
    run = Replicates(plan.study, plan.cells, **plan.options)
    for index, name in enumerate(plan.identities):
        if name in states:
            run.restore(index, states[name].replicates, states[name].moments)
    recorder = _Recorder(path, run, plan.identities, refresh or _nothing, writer)
    try:
        run.extend(target, progress, recorder.advanced)
    finally:
        recorder.flush()


def missing(plan: Plan, states: Mapping[str, CellState], target: int) -> int:
    """Replicates that the cells of ``plan`` still need."""
    known = [states.get(name, CellState()).replicates for name in plan.identities]
    return sum(max(target - replicates, 0) for replicates in known)


def _nothing() -> None:
    """What there is to refresh for a process that leads no sweep."""


class _Recorder:
    """Writes what a run has advanced."""

    def __init__(
        self,
        path: Path,
        run: Replicates,
        names: list[str],
        refresh: Callable[[], None],
        writer: str,
    ) -> None:
        self.path, self.run, self.names = path, run, names
        self.refresh, self.writer = refresh, writer
        self._waiting: set[int] = set()
        self._written = list(run.counts)
        self._started = self._last = time.monotonic()

    def advanced(self, index: int) -> None:
        self._waiting.add(index)
        now = time.monotonic()
        interval = min(max(INTERVAL, (now - self._started) / 100), LONGEST_INTERVAL)
        if now - self._last > interval:
            self.flush()
            self.refresh()

    def flush(self) -> None:
        if not self._waiting:
            return
        states = {
            self.names[index]: CellState(
                self.run.counts[index], self.run.state(index), self.run.failures.get(index)
            )
            for index in sorted(self._waiting)
        }
        advanced = sum(self.run.counts[i] - self._written[i] for i in self._waiting)
        now = time.monotonic()
        store.write_record(self.path, states, Speed(advanced, now - self._last), self.writer)
        for index in self._waiting:
            self._written[index] = self.run.counts[index]
        self._waiting.clear()
        self._last = time.monotonic()


class _Results:
    """The labelled arrays of a store, as the records have them."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path, self.plan = path, plan
        self._names = plan.identities
        self._next = time.monotonic() + SHORTEST_REFRESH

    def refresh(self) -> None:
        """Bring the arrays up to date, unless that was done a short while ago."""
        start = time.monotonic()
        if start < self._next:
            return
        self.write(store.read_records(self.path)[0])
        took = time.monotonic() - start
        self._next = start + max(SHORTEST_REFRESH, 100 * took)

    def write(self, states: Mapping[str, CellState]) -> Blocks:
        """Write all arrays; return them."""
        blocks = self.blocks(states)
        known = blocks["status"]["replicates"] > 0
        known_or_failed = known | (blocks["status"]["failed"] > 0)
        for group, members in blocks.items():
            for name, block in members.items():
                present = known_or_failed if group == "status" else known
                store.ArrayFile(self.path, group, name).write(block, present)
        return blocks

    def blocks(self, states: Mapping[str, CellState]) -> Blocks:
        """All arrays; not a number where nothing was computed."""
        simulated = [output.name for output in self.plan.study.outputs if output.in_simulation]
        groups = {"status": ["replicates", "failed"]}
        if self.plan.study.methods():
            groups |= {"mean": simulated, "standard_error": simulated}
        blocks = {
            group: {name: store.ArrayFile(self.path, group, name).empty() for name in names}
            for group, names in groups.items()
        }
        for cell, position in zip(self._names, self.plan.positions, strict=True):
            if cell in states:
                for group, name, values in _numbers_of(self.plan.study, states[cell]):
                    _put(blocks[group][name], position, values)
        return blocks


def _put(block: np.ndarray, position: tuple[int, ...], values: Any) -> None:
    """Set the values of one cell; a smaller cell leaves the rest not a number."""
    inside: Any = (*position, *map(slice, np.shape(values)))
    block[inside] = values


def _numbers_of(study: Study, state: CellState) -> Iterator[tuple[str, str, Any]]:
    yield "status", "replicates", state.replicates
    yield "status", "failed", state.failure is not None
    if state.replicates:
        for name, (mean, error, _) in estimates(study, state.summaries()).items():
            yield "mean", name, mean
            yield "standard_error", name, error


def _to_compute(
    plan: Plan, states: Mapping[str, CellState], target: int, retry_failed: bool
) -> tuple[list[int], int]:
    """Cells to compute, and how many need not be."""
    todo, reused = [], 0
    for index, name in enumerate(plan.identities):
        state = states.get(name, CellState())
        if state.failure and not retry_failed:
            continue
        if state.replicates < target:
            todo.append(index)
        else:
            reused += 1
    return todo, reused


def _report(
    path: Path, plan: Plan, todo: list[int], reused: int, states: Mapping[str, CellState]
) -> None:
    found = [states[name] for name in plan.identities if name in states]
    failed = sum(state.failure is not None for state in found)
    words = f"computed {len(todo)}, reused {reused}" + (f", failed {failed}" if failed else "")
    print(f"{path}: {words} of {len(plan.cells)} cells", file=sys.stderr)


def _all_processes(where: str) -> None:
    """Wait until every process of a distributed run is here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(f"sweep {where}")


# --------------------------------------------------------------------------------------------
# Preparing and mending
# --------------------------------------------------------------------------------------------
def _manifest(
    study: Study,
    axes: Mapping[str, list[Any]],
    cell: Values,
    options: Mapping[str, Any],
    replicates: int,
) -> dict[str, Any]:
    manifest = {
        "study": study.name,
        "schema": study.schema_version,
        **options,
        "platform": jax.default_backend(),
        "matmul_precision": "highest",
        "parameters": {name: value for name, value in cell.items() if name not in axes},
        "axes": axes,
        "replicates": replicates,
        "versions": versions(),
    }
    return json.loads(json.dumps(manifest, default=lambda array: array.tolist()))


def versions() -> dict[str, str]:
    """What the numbers were computed with."""
    return {name: version(name) for name in ("theory-simulator", "jax", "numpy")}


@contextlib.contextmanager
def _prepared(path: Path) -> Iterator[None]:
    """The folder of the store, there and locked."""
    private = path / store.PRIVATE
    if path.exists() and not path.is_dir():
        raise StoreError(f"{path} is a file: a store is a folder, give another name")
    if path.is_dir() and not private.is_dir() and any(path.iterdir()):
        raise StoreError(f"{path} is not empty and holds no sweep: give another folder")
    try:
        (private / "records").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be made ({error.strerror})") from error
    with store.locked(path):
        yield


def _joined(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest of the store with the new grid points; refused if it is another sweep."""
    if not (path / store.PRIVATE / "manifest.json").exists():
        store.remove_layout(path)  # whose grid it was, nobody knows
        store.write_manifest(path, manifest)
        return manifest
    old = store.read_manifest(path)
    differ = [(field, old[field], manifest[field]) for field in SAME]
    names = {**old["parameters"], **manifest["parameters"]}
    if list(old["axes"]) != list(manifest["axes"]):
        differ.append(("the grid's axes", list(old["axes"]), list(manifest["axes"])))
    else:
        differ += [
            (name, old["parameters"].get(name), manifest["parameters"].get(name)) for name in names
        ]
    for field, before, now in differ:
        if before != now:
            raise StoreError(
                f"{path} holds another sweep: {field} = {before} there and {now} here; "
                "give the same value, or another folder"
            )
    joined = {
        "axes": {
            name: _joined_axis(old["axes"][name], manifest["axes"][name]) for name in old["axes"]
        },
        "replicates": max(old["replicates"], manifest["replicates"]),
        "versions": manifest["versions"],
    }
    if joined["axes"] != old["axes"]:
        store.remove_layout(path)  # positions change
    if old | joined != old:
        store.write_manifest(path, old | joined)
    return old | joined


def _joined_axis(old: list[Any], new: list[Any]) -> list[Any]:
    joined = old + [value for value in new if value not in old]
    numbers = all(isinstance(value, (int, float)) for value in joined)
    return sorted(joined) if numbers and old == sorted(old) else joined


def _plan(
    study: Study,
    manifest: Mapping[str, Any],
    axes: Mapping[str, list[Any]],
    cells: list[Values],
    options: Mapping[str, Any],
) -> Plan:
    where = {
        name: {value: i for i, value in enumerate(values)}
        for name, values in manifest["axes"].items()
    }
    positions = [tuple(where[name][cell[name]] for name in manifest["axes"]) for cell in cells]
    return Plan(study, cells, positions, manifest["axes"], options)


def _whole_plan(study: Study, manifest: Mapping[str, Any]) -> Plan:
    """Every legal point of the store's grid."""
    axes = manifest["axes"]
    cells, positions = [], []
    for position in itertools.product(*(range(len(values)) for values in axes.values())):
        point = {name: axes[name][i] for name, i in zip(axes, position, strict=True)}
        # Joined grids may hold combinations that nobody asked for and that are not allowed.
        with contextlib.suppress(ValueError):
            cells.append(study.canonical(manifest["parameters"] | point))
            positions.append(position)
    options = {name: manifest[name] for name in ("method", "dtype", "seed")}
    return Plan(study, cells, positions, axes, options)


def _mend(path: Path, plan: Plan, manifest: Mapping[str, Any]) -> None:
    """Lay out what is missing or damaged. Results are written anew at the end in any case."""
    store.merge_records(path)
    damaged = list(store.damaged_layout(path))
    if not damaged:
        return
    if (path / store.PRIVATE / "layout.json").exists():
        print(f"{path}: {len(damaged)} files were damaged and are mended", file=sys.stderr)
    _lay_out(path, plan, manifest)
    states, _, _ = store.read_records(path)
    if states:
        _Results(path, plan).write(states)


def _lay_out(path: Path, plan: Plan, manifest: Mapping[str, Any]) -> None:
    """The empty hierarchy, with the theory in it."""
    store.remove_layout(path)
    study, axes = plan.study, plan.axes
    grid = tuple(len(values) for values in axes.values())
    status = {
        "replicates": Array(tuple(axes), grid, "<i8", "replicates computed (0: none yet)"),
        "failed": Array(tuple(axes), grid, "<i1", "1 where the cell cannot be computed"),
    }
    theory = _theory_or_reasons(study, plan.cells) if study.theory else []
    values = [found for found in theory if not isinstance(found, str)]
    shapes = {"theory": [{name: np.shape(v) for name, v in cell.items()} for cell in values]}
    if study.methods():
        run = Replicates(study, plan.cells, **plan.options)
        shapes["mean"] = shapes["standard_error"] = _simulated_shapes(study, run)
    arrays = {"status": status}
    lengths = dict(zip(axes, grid, strict=True))
    for group, per_cell in shapes.items():
        for name in per_cell[0] if per_cell else ():
            output = study.output(name)
            sizes = [cell[name] for cell in per_cell]
            full = tuple(int(n) for n in np.max(sizes, axis=0, initial=0))
            lengths |= dict(zip(output.dims, full, strict=True))
            arrays.setdefault(group, {})[name] = Array(
                (*axes, *output.dims), (*grid, *full), meaning=output.meaning
            )
    attributes = {name: value for name, value in manifest.items() if name != "axes"}
    coordinates = xr.Dataset(coords=grid_coordinates(study, axes, plan.cells, lengths))
    store.create_arrays(path, list(axes), coordinates, arrays, attributes)
    for name in arrays.get("theory", {}):
        file = store.ArrayFile(path, "theory", name)
        block = file.empty()
        for position, found in zip(plan.positions, theory, strict=True):
            if not isinstance(found, str):
                _put(block, position, found[name])
        file.write(block, np.ones(grid, bool))
    store.write_layout(path, arrays)


def _theory_or_reasons(study: Study, cells: list[Values]) -> list[dict[str, np.ndarray] | str]:
    """The theory at each cell, or why it has none: one bad cell does not stop the others."""
    try:
        return list(theory_of_cells(study, cells))
    except (NotConverged, ValueError) as error:
        if len(cells) == 1:
            return [str(error)]
        middle = len(cells) // 2
        parts = (cells[:middle], cells[middle:])
        return [found for part in parts for found in _theory_or_reasons(study, part)]


def _simulated_shapes(study: Study, run: Replicates) -> list[dict[str, tuple[int, ...]]]:
    """Shapes of the outputs that a simulation estimates, dispersions included."""
    found = run.shapes()
    for output in study.outputs:
        if output.dispersion is not None and output.in_simulation:
            for shapes in found:
                shapes[output.name] = shapes[output.dispersion.of]
    return found
