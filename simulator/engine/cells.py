"""Cells: the points of a grid, their parameters, and their random keys.

A cell's key is a hash of its content (study, schema version, parameters, method, dtype, seed).
Neither the grid around it, nor the order of its axes, nor chunking changes its numbers.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simulator import checks
from simulator.large_array import LargeArray
from simulator.parameters import Method
from simulator.study import Study

Values = dict[str, Any]


def broadcast_cells(study: Study, given: Mapping[str, Any]) -> tuple[tuple[int, ...], Values]:
    """Checked parameters in which arrays for scalar traced parameters are a grid.

    Returns
    -------
    shape : shape of the broadcast grid, ``()`` if every parameter is a single value.
    values : all parameters; gridded ones are float64 arrays of that shape.

    Raises
    ------
    TypeError, ValueError
        As :meth:`Study.canonical`; also if the arrays do not broadcast together.
    """
    grids: dict[str, np.ndarray] = {}
    given = study.completed(given)
    for name, value in given.items():
        parameter = study.check_name(name)
        if parameter.type == "array" or checks.dims(value) == 0:
            continue
        grids[name] = parameter.canonical_grid(value)
        if grids[name].size == 0:
            raise ValueError(f"{name} is an empty grid: give at least one value")
    try:
        shape = np.broadcast_shapes(*(grid.shape for grid in grids.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {grid.shape}" for name, grid in grids.items())
        raise ValueError(f"these grids do not broadcast together: {shapes}") from error
    values = {
        name: np.broadcast_to(grids[name], shape)
        if name in grids
        else parameter.canonical(given.get(name, parameter.default))
        for name, parameter in study.declarations.items()
    }
    for name, parameter in study.declarations.items():
        parameter.check_bounds(values[name], values)
    return shape, values


def single_cells(study: Study, shape: tuple[int, ...], values: Values) -> list[Values]:
    """One dict of plain numbers for each point of the broadcast grid, in C order."""
    gridded = {
        name: value.ravel()
        for name, value in values.items()
        if shape and study.declarations[name].is_scalar_number and isinstance(value, np.ndarray)
    }
    count = int(np.prod(shape))
    whole = {name for name, p in study.declarations.items() if p.type == "int"}
    return [
        values
        | {
            name: int(column[i]) if name in whole else float(column[i])
            for name, column in gridded.items()
        }
        for i in range(count)
    ]


def product_cells(
    study: Study, grid: Mapping[str, Sequence[Any]], fixed: Mapping[str, Any]
) -> tuple[dict[str, list[Any]], list[Values]]:
    """The outer product of the grid's axes, in C order, every cell checked.

    Returns
    -------
    axes : the checked values along each axis.
    cells : one dict of plain values for each point.
    """
    axes: dict[str, list[Any]] = {}
    for name, values in checks.grid(grid).items():
        parameter = study.check_name(name)
        if name in fixed:
            raise ValueError(f"{name} is given twice: in the grid and as a fixed value")
        if parameter.type == "array":
            raise ValueError(f"{name} is an array: it cannot be an axis of a grid")
        if len(values) == 0:
            raise ValueError(f"grid[{name!r}] is empty: give at least one value")
        axes[name] = [parameter.canonical(value) for value in values]
        if len(set(axes[name])) != len(axes[name]):
            raise ValueError(f"grid[{name!r}] = {axes[name]} holds a value twice")
    # Large arrays are copied and checked once, not for every point.
    fixed = {
        name: study.check_name(name).canonical(value) if study.check_name(name).large else value
        for name, value in fixed.items()
    }
    points: list[dict[str, Any]] = [{}]
    for name, axis in axes.items():
        points = [point | {name: value} for point in points for value in axis]
    return axes, [study.canonical({**fixed, **point}) for point in points]


def identity(study: Study, values: Values, *, method: str, dtype: str, seed: int) -> str:
    """Canonical JSON of a cell: equal for equal content, on every machine."""
    content = {
        "study": study.name,
        "schema": study.schema_version,
        "parameters": {
            name: _canonical_json(value) for name, value in sorted(study.mentioned(values).items())
        },
        "method": method,
        "dtype": dtype,
        "seed": int(seed),
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def draws_key(study: Study, values: Values, *, method: Method, dtype: str, seed: int) -> np.ndarray:
    """Raw threefry key (2 x uint32) of a cell: cells with common draws have a common one."""
    drawn = {name: values[name] for name in study.drawn_for(method)}
    return key_data(identity(study, drawn, method=method, dtype=dtype, seed=seed))


def describe(cell: Mapping[str, Any]) -> str:
    """The parameters of a cell in one line, without arrays that were not given."""
    return ", ".join(
        f"{name} = {value}"
        for name, value in cell.items()
        if not (isinstance(value, np.ndarray) and value.size == 0)
    )


def key_data(identity_json: str) -> np.ndarray:
    """Raw threefry key (2 x uint32) from the text that identifies a cell."""
    digest = hashlib.sha256(identity_json.encode()).digest()
    return np.frombuffer(digest[:8], dtype="<u4").astype(np.uint32)


def _canonical_json(value: Any) -> Any:
    if isinstance(value, LargeArray):
        return value.token
    if isinstance(value, np.ndarray):
        return [_canonical_json(entry) for entry in value.tolist()]
    if isinstance(value, (list, tuple)):
        return [_canonical_json(entry) for entry in value]
    return value.hex() if isinstance(value, float) else value
