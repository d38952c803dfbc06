"""The labelled arrays of a store, as its records and its theory have them: laid out and mended."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.engine.labels import (  # isort: skip
    Arrays, Blocks, arrays_of, coordinates, estimated, filled, status_arrays,
)  # fmt: skip
from simulator.engine.cells import Values
from simulator.engine.run import Run, remarks
from simulator.engine.setting import Setting
from simulator.engine.theory import NotConverged, theory_of_cells
from simulator.store.arrays import ArrayFile, hierarchy, in_memory, read_layout, write_layout
from simulator.store.files import PRIVATE, StoreError, remove_partial_files, write_file
from simulator.store.plan import Plan
from simulator.store.records import CellState, merge_records, read_records
from simulator.study import Study

if TYPE_CHECKING:
    import xarray as xr

#: Seconds between two updates of the labelled arrays: at least this, and 100 times what one takes.
SHORTEST_REFRESH = 10.0


def mend(path: Path, plan: Plan, manifest: Mapping[str, Any]) -> None:
    """Lay out what is missing or damaged. Results are written anew at the end in any case."""
    remove_partial_files(path)
    merge_records(path, plan.study)
    _, damaged = _read(path, plan)
    if not damaged:
        return
    if (path / PRIVATE / "layout.json").exists():
        print(f"{path}: {len(damaged)} files were damaged and are mended", file=sys.stderr)
    write_layout(path, _layout_of(plan, manifest))
    states = read_records(path, plan.study).states
    if states:
        Results(path, plan).write(states)


def _layout_of(plan: Plan, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """All files of the empty hierarchy, with the theory in it."""
    import xarray as xr

    study, axes, cells = plan.study, plan.axes, plan.cells
    theory = _theory_where_there_is_one(study, cells) if study.theory else []
    run = Run(study, cells, Setting(**plan.options)) if study.methods() else None
    arrays = {"status": status_arrays(axes)}
    arrays |= arrays_of(study, axes, theory, run.shapes() if run else [])
    every = [array for members in arrays.values() for array in members.values()]
    files = hierarchy(
        list(axes),
        xr.Dataset(coords=coordinates(study, axes, cells, every)),
        arrays,
        _attributes(manifest),
    )
    laid_out: Arrays = {"theory": arrays.get("theory", {})}
    numbers = [{"theory": found} for found in theory]
    blocks = filled(laid_out, plan.positions if theory else (), numbers)
    for name, block in blocks["theory"].items():
        file = ArrayFile(files, "theory", name)
        files[file.name] = file.content(block, np.ones(plan.shape, bool))
    return files


def _attributes(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the tree says of its sweep: the axes it has anyway."""
    return {name: value for name, value in manifest.items() if name != "axes"}


def _theory_where_there_is_one(study: Study, cells: list[Values]) -> list[dict[str, np.ndarray]]:
    """The theory at each cell, or nothing: one bad cell does not stop the others."""
    try:
        return theory_of_cells(study, cells)
    except (NotConverged, ValueError):
        if len(cells) == 1:
            return [{}]
        middle = len(cells) // 2
        parts = (cells[:middle], cells[middle:])
        return [found for part in parts for found in _theory_where_there_is_one(study, part)]


class Results:
    """The labelled arrays of a store, as the records have them.

    Raises
    ------
    StoreError
        If the layout is damaged, or of another grid; the message names the file.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path, self.plan = path, plan
        self._files, damaged = _read(path, plan)
        for why in damaged.values():
            raise StoreError(
                f"{why} (or another sweep is laying it out just now): run the same sweep again and "
                "it is written anew"
            )
        self._results = {
            group: {name: ArrayFile(self._files, group, name) for name in names}
            for group, names in _results_of(plan.study).items()
        }
        self._next = time.monotonic() + SHORTEST_REFRESH

    def refresh(self) -> None:
        """Bring the arrays up to date, unless that was done a short while ago."""
        start = time.monotonic()
        if start < self._next:
            return
        self.write(read_records(self.path, self.plan.study).states)
        took = time.monotonic() - start
        self._next = start + max(SHORTEST_REFRESH, 100 * took)

    def write(self, states: Mapping[str, CellState]) -> Blocks:
        """Write all arrays, what is computed last: who looks in between sees no count too many."""
        blocks = self.blocks(states)
        known = blocks["status"]["replicates"] > 0
        known_or_failed = known | (blocks["status"]["failed"] > 0)
        for group in sorted(blocks, key=lambda group: group == "status"):
            present = known_or_failed if group == "status" else known
            for name, block in blocks[group].items():
                file = self._results[group][name]
                write_file(self.path / file.name, file.content(block, present), durable=False)
        return blocks

    def blocks(self, states: Mapping[str, CellState]) -> Blocks:
        """All arrays; not a number where nothing was computed."""
        arrays = {
            group: {name: file.array for name, file in members.items()}
            for group, members in self._results.items()
        }
        known = [states.get(name, CellState()) for name in self.plan.identities]
        numbers = [_numbers_of(self.plan.study, state) for state in known]
        return filled(arrays, self.plan.positions, numbers)

    def tree(
        self, blocks: Blocks, states: Mapping[str, CellState], manifest: Mapping[str, Any]
    ) -> "xr.DataTree":
        """Theory and coordinates as laid out, with the results in ``blocks`` and their remarks."""
        import xarray as xr

        with xr.open_datatree(in_memory(self._files), engine="zarr", chunks=None) as tree:
            for group, members in blocks.items():
                for name, block in members.items():
                    tree[group][name].variable.values = block
            tree.load()
        tree.attrs = _attributes(manifest) | self._remarks(states)
        return tree

    def _remarks(self, states: Mapping[str, CellState]) -> dict[str, str]:
        """What is to be said of the results, if anything."""
        found = [states[name] for name in self.plan.identities if name in states]
        replicates = sum(state.replicates for state in found)
        said = remarks(self.plan.study, [state.stalled for state in found], replicates)
        return {"remarks": "; ".join(said)} if said else {}


def _results_of(study: Study) -> dict[str, list[str]]:
    """The arrays that records fill, by group."""
    simulated = [output.name for output in study.outputs if output.in_simulation]
    groups = {"status": ["replicates", "failed"]}
    if study.methods():
        groups |= {"mean": simulated, "standard_error": simulated}
    return groups


def _read(path: Path, plan: Plan) -> tuple[dict[str, bytes], dict[Path, str]]:
    """The files of the layout, and what is wrong with others: arrays on another grid, too."""
    files, damaged = read_layout(path)
    for group, names in _results_of(plan.study).items() if not damaged else ():
        for name in names:
            file = f"{group}/{name}/zarr.json"
            if file not in files or not _is_on_grid(ArrayFile(files, group, name), plan):
                damaged[path / file] = f"{path / file} is damaged: it is not of the store's grid"
    return files, damaged


def _is_on_grid(file: ArrayFile, plan: Plan) -> bool:
    return file.array.shape[: len(plan.shape)] == plan.shape


def _numbers_of(study: Study, state: CellState) -> dict[str, dict[str, Any]]:
    """The numbers ``group -> name -> value`` of one cell."""
    status = {"replicates": state.replicates, "failed": state.failure is not None}
    results = estimated(study, state.summaries()) if state.replicates else {}
    return {"status": status} | results
