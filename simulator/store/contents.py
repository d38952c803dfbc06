"""What a store holds: its labelled results, and what is still missing."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.engine.cells import describe
from simulator.store.layout import Results
from simulator.store.manifest import read_manifest
from simulator.store.plan import whole_plan
from simulator.store.records import CellState, check_installed, read_records
from simulator.study import Study

if TYPE_CHECKING:
    import xarray as xr


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
    check_installed()
    manifest = read_manifest(path)
    results = Results(path, whole_plan(path, study, manifest))
    states = read_records(path, study).states
    return results.tree(results.blocks(states), states, manifest)


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
    states, speed, *_ = read_records(path, study)
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
