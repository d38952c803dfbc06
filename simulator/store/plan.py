"""What a store sweeps over: its manifest, how a new sweep joins it, and which cells are left."""

import contextlib
import functools
import hashlib
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from simulator.engine.cells import Values, identity
from simulator.engine.progress import Work
from simulator.runtime.compilation import default_platform
from simulator.store.arrays import remove_layout
from simulator.store.files import PRIVATE, StoreError
from simulator.store.large import tokens, with_arrays
from simulator.store.manifest import damaged_manifest, read_manifest, write_manifest
from simulator.store.records import CellState
from simulator.study import Study

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

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(len(values) for values in self.axes.values())

    @functools.cached_property
    def identities(self) -> list[str]:
        """A name for the content of each cell: what its records are filed under."""
        return [
            hashlib.sha256(identity(self.study, cell, **self.options).encode()).hexdigest()[:24]
            for cell in self.cells
        ]


def manifest_of(
    study: Study,
    axes: Mapping[str, list[Any]],
    cell: Values,
    options: Mapping[str, Any],
    replicates: int,
) -> dict[str, Any]:
    """What the manifest of a new store says."""
    manifest = {
        "study": study.name,
        "schema": study.schema_version,
        **options,
        "platform": default_platform(),
        "matmul_precision": "highest",
        "parameters": tokens({n: v for n, v in study.mentioned(cell).items() if n not in axes}),
        "axes": axes,
        "replicates": replicates,
        "versions": versions(),
    }
    return json.loads(json.dumps(manifest, default=lambda array: array.tolist()))


def versions() -> dict[str, str]:
    """What the numbers were computed with."""
    return {name: version(name) for name in ("theory-simulator", "jax", "numpy")}


def join_store(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest of the store with the new grid points; refused if it is another sweep."""
    if not os.path.lexists(path / PRIVATE / "manifest.json"):
        remove_layout(path)  # whose grid it was, nobody knows
        write_manifest(path, manifest)
        return manifest
    old = read_manifest(path)
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
        remove_layout(path)  # positions change
    if old | joined != old:
        write_manifest(path, old | joined)
    return old | joined


def _joined_axis(old: list[Any], new: list[Any]) -> list[Any]:
    joined = old + [value for value in new if value not in old]
    numbers = all(isinstance(value, (int, float)) for value in joined)
    return sorted(joined) if numbers and old == sorted(old) else joined


def plan_of(
    study: Study,
    manifest: Mapping[str, Any],
    axes: Mapping[str, list[Any]],
    cells: list[Values],
    options: Mapping[str, Any],
) -> Plan:
    """The given cells, where they lie in the grid of the store."""
    where = {
        name: {value: i for i, value in enumerate(values)}
        for name, values in manifest["axes"].items()
    }
    positions = [tuple(where[name][cell[name]] for name in manifest["axes"]) for cell in cells]
    return Plan(study, cells, positions, manifest["axes"], options)


def whole_plan(path: Path, study: Study, manifest: Mapping[str, Any]) -> Plan:
    """Every legal point of the grid of the store at ``path``.

    Raises
    ------
    StoreError
        If the store is of another version of the study.
    """
    axes = manifest["axes"]
    there, here = {**manifest["parameters"], **axes}.keys(), study.declarations.keys()
    optional = {name for name, parameter in study.declarations.items() if parameter.optional}
    differ = [f"schema {manifest['schema']} there and {study.schema_version} here"]
    differ += [f"no {name} there" for name in here - there - optional]
    differ += [f"no {name} here" for name in there - here]
    same = (manifest["study"], manifest["schema"]) == (study.name, study.schema_version)
    if not same or len(differ) > 1:
        raise StoreError(
            f"{path} holds a sweep of another version of {manifest['study']} "
            f"({'; '.join(differ)}): use the version that wrote it, or give another folder"
        )
    cells, positions = [], []
    parameters = with_arrays(path, study, manifest["parameters"])
    try:
        for position in itertools.product(*(range(len(values)) for values in axes.values())):
            point = {name: axes[name][i] for name, i in zip(axes, position, strict=True)}
            # Joined grids may hold combinations that nobody asked for and that are not allowed.
            with contextlib.suppress(ValueError):
                cells.append(study.canonical(parameters | point))
                positions.append(position)
    except TypeError as error:
        raise damaged_manifest(path / PRIVATE / "manifest.json", str(error)) from error
    if not cells:
        raise damaged_manifest(path / PRIVATE / "manifest.json", "it has no legal point")
    options = {name: manifest[name] for name in ("method", "dtype", "seed")}
    return Plan(study, cells, positions, axes, options)


def cells_to_compute(
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


def work(plan: Plan, states: Mapping[str, CellState], target: int) -> Work:
    """What there is to do, and what is done: cells that failed are not, until they are retried."""
    known = [states.get(name, CellState()) for name in plan.identities]
    return Work(
        cells=len(known),
        replicates=target * len(known),
        cells_done=sum(state.replicates >= target and not state.failure for state in known),
        replicates_done=sum(min(state.replicates, target) for state in known),
    )


def missing(plan: Plan, states: Mapping[str, CellState], target: int) -> int:
    """Replicates that the cells of ``plan`` still need."""
    found = work(plan, states, target)
    return found.replicates - found.replicates_done
