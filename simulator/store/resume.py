"""Sweeps into a store: killed at any moment and started again, they go on where they were."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from simulator.engine.cells import Values, describe
from simulator.engine.progress import replicates_bar
from simulator.engine.run import Run
from simulator.engine.setting import Setting, checked_setting
from simulator.store import records as store
from simulator.store.files import PRIVATE, StoreError, entries_of, make_folder, own_files
from simulator.store.layout import Results, mend
from simulator.store.manifest import read_manifest
from simulator.store.plan import (
    Plan,
    cells_to_compute,
    join_store,
    manifest_of,
    missing,
    plan_of,
    whole_plan,
)
from simulator.store.records import CellState, Speed
from simulator.study import Study

if TYPE_CHECKING:
    import xarray as xr

#: Seconds between two records, what a kill can cost: at least this, 1 % of the time so far, at most
#: a minute. A week leaves some ten thousand files.
INTERVAL = 1.0
LONGEST_INTERVAL = 60.0


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
) -> "xr.DataTree":
    """Sweep into the store at ``path``; see :func:`simulator.sweep.sweep_study`."""
    store.check_installed()
    setting = checked_setting(study, method=method, dtype=dtype, seed=seed)
    options = setting._asdict()
    run = Run(study, cells, setting)  # refuses cells that cannot be simulated
    if compute is compute_here:  # of the workers of a cluster nothing is known
        run.check_size([replicates] * len(cells))
    manifest = manifest_of(study, axes, cells[0], options, replicates)
    leader = jax.process_index() == 0
    with _prepared(path) if leader else contextlib.nullcontext():
        if leader:
            manifest = join_store(path, manifest)
            whole = whole_plan(path, study, manifest)
            mend(path, whole, manifest)
        _all_processes("prepared")
        if not leader:
            manifest = read_manifest(path)
            whole = whole_plan(path, study, manifest)
        plan = plan_of(study, manifest, axes, cells, options)
        states = store.read_records(path, study).states
        _all_processes("read")
        todo, reused = cells_to_compute(plan, states, replicates, retry_failed)
        results = Results(path, whole)
        compute(path, plan, todo, states, replicates, results.refresh if leader else _nothing)
        _all_processes("computed")
        states = store.read_records(path, study).states
        blocks = results.write(states) if leader else results.blocks(states)
        if leader:
            _report(path, plan, todo, reused, states)
    return results.tree(blocks, manifest)


def open_store(path: Path, study: Study) -> "xr.DataTree":
    """The labelled results of a store of ``study``, checked against its records.

    Returns
    -------
    xarray.DataTree
        As :func:`simulator.sweep.sweep_study`, and a child ``status`` with the number of
        ``replicates`` of each cell (0: not computed) and whether it ``failed``.

    Raises
    ------
    StoreError
        If there is no store, or something in it is damaged or of another version of the study;
        the message names the file.
    """
    store.check_installed()
    manifest = read_manifest(path)
    results = Results(path, whole_plan(path, study, manifest))
    return results.tree(results.blocks(store.read_records(path, study).states), manifest)


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
        If there is no store, or something in it is damaged or of another version of the study;
        the message names the file.
    """
    manifest = read_manifest(path)
    plan = whole_plan(path, study, manifest)
    states, speed, *_ = store.read_records(path, study)
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
    run = Run(plan.study, plan.cells, Setting(**plan.options))
    for index, name in enumerate(plan.identities):
        if name in states:
            run.tallies[index].restore(states[name].replicates, states[name].moments)
    after = max((state.sequence for state in states.values()), default=0)
    recorder = _Recorder(path, run, plan.identities, refresh or _nothing, writer, after)
    try:
        run.extend(target, progress=progress, advanced=recorder.advanced, on_failure="note")
    finally:
        recorder.flush()


def _nothing() -> None:
    """What there is to refresh for a process that leads no sweep."""


class _Recorder:
    """Writes what a run has advanced."""

    def __init__(
        self,
        path: Path,
        run: Run,
        names: list[str],
        refresh: Callable[[], None],
        writer: str,
        after: int,
    ) -> None:
        self.path, self.run, self.names = path, run, names
        self.refresh, self.writer, self.after = refresh, writer, after
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
        tallies = {index: self.run.tallies[index] for index in sorted(self._waiting)}
        states = {
            self.names[index]: CellState(tally.count, tally.state(), tally.failure)
            for index, tally in tallies.items()
        }
        advanced = sum(tally.count - self._written[i] for i, tally in tallies.items())
        now = time.monotonic()
        speed = Speed(advanced, now - self._last)
        store.write_record(self.path, states, speed, self.writer, self.after)
        for index in self._waiting:
            self._written[index] = tallies[index].count
        self._waiting.clear()
        self._last = time.monotonic()


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
    with store.locked(path):
        yield
