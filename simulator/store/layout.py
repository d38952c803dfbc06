"""The labelled arrays of a store, as its records and its theory have them: laid out and mended."""

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.engine.cells import Values
from simulator.engine.results import estimates, grid_coordinates
from simulator.engine.run import Run
from simulator.engine.setting import Setting
from simulator.engine.theory import NotConverged, theory_of_cells
from simulator.store import arrays as zarr_arrays
from simulator.store import records as store
from simulator.store.arrays import Array, ArrayFile
from simulator.store.files import PRIVATE, StoreError, remove_partial_files, write_file
from simulator.store.plan import Plan
from simulator.store.records import CellState
from simulator.study import Study

if TYPE_CHECKING:
    import xarray as xr

#: Seconds between two updates of the labelled arrays: at least this, and 100 times what one takes.
SHORTEST_REFRESH = 10.0

Blocks = dict[str, dict[str, np.ndarray]]


def mend(path: Path, plan: Plan, manifest: Mapping[str, Any]) -> None:
    """Lay out what is missing or damaged. Results are written anew at the end in any case."""
    remove_partial_files(path)
    store.merge_records(path, plan.study)
    _, damaged = _read(path, plan)
    if not damaged:
        return
    if (path / PRIVATE / "layout.json").exists():
        print(f"{path}: {len(damaged)} files were damaged and are mended", file=sys.stderr)
    zarr_arrays.write_layout(path, _layout_of(plan, manifest))
    states = store.read_records(path, plan.study).states
    if states:
        Results(path, plan).write(states)


def _layout_of(plan: Plan, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """All files of the empty hierarchy, with the theory in it."""
    import xarray as xr

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
        run = Run(study, plan.cells, Setting(**plan.options))
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
    files = zarr_arrays.hierarchy(list(axes), coordinates, arrays, attributes)
    for name in arrays.get("theory", {}):
        file = ArrayFile(files, "theory", name)
        block = file.empty()
        for position, found in zip(plan.positions, theory, strict=True):
            if not isinstance(found, str):
                _put(block, position, found[name])
        files[file.name] = file.content(block, np.ones(grid, bool))
    return files


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


def _simulated_shapes(study: Study, run: Run) -> list[dict[str, tuple[int, ...]]]:
    """Shapes of the outputs that a simulation estimates, dispersions included."""
    found = run.shapes()
    for output in study.outputs:
        if output.dispersion is not None and output.in_simulation:
            for shapes in found:
                shapes[output.name] = shapes[output.dispersion.of]
    return found


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
        self._names = plan.identities
        self._next = time.monotonic() + SHORTEST_REFRESH

    def refresh(self) -> None:
        """Bring the arrays up to date, unless that was done a short while ago."""
        start = time.monotonic()
        if start < self._next:
            return
        self.write(store.read_records(self.path, self.plan.study).states)
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
                file = ArrayFile(self._files, group, name)
                write_file(self.path / file.name, file.content(block, present), durable=False)
        return blocks

    def blocks(self, states: Mapping[str, CellState]) -> Blocks:
        """All arrays; not a number where nothing was computed."""
        blocks = {
            group: {name: ArrayFile(self._files, group, name).empty() for name in names}
            for group, names in _results_of(self.plan.study).items()
        }
        for cell, position in zip(self._names, self.plan.positions, strict=True):
            if cell in states:
                for group, name, values in _numbers_of(self.plan.study, states[cell]):
                    _put(blocks[group][name], position, values)
        return blocks

    def tree(self, blocks: Blocks, attributes: Mapping[str, Any]) -> "xr.DataTree":
        """Theory and coordinates as laid out, with the results in ``blocks``."""
        import xarray as xr

        with xr.open_datatree(
            zarr_arrays.in_memory(self._files), engine="zarr", chunks=None
        ) as tree:
            for group, members in blocks.items():
                for name, block in members.items():
                    tree[group][name].variable.values = block
            tree.load()
        tree.attrs = {name: value for name, value in attributes.items() if name != "axes"}
        return tree


def _results_of(study: Study) -> dict[str, list[str]]:
    """The arrays that records fill, by group."""
    simulated = [output.name for output in study.outputs if output.in_simulation]
    groups = {"status": ["replicates", "failed"]}
    if study.methods():
        groups |= {"mean": simulated, "standard_error": simulated}
    return groups


def _read(path: Path, plan: Plan) -> tuple[dict[str, bytes], dict[Path, str]]:
    """The files of the layout, and what is wrong with others: arrays on another grid, too."""
    files, damaged = zarr_arrays.read_layout(path)
    grid = tuple(len(values) for values in plan.axes.values())
    for group, names in _results_of(plan.study).items() if not damaged else ():
        for name in names:
            file = f"{group}/{name}/zarr.json"
            if file not in files or ArrayFile(files, group, name).shape[: len(grid)] != grid:
                damaged[path / file] = f"{path / file} is damaged: it is not of the store's grid"
    return files, damaged


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
