"""The labelled arrays of a sweep: which there are, and how the numbers of its cells fill them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.engine.cells import Values
from simulator.engine.moments import Summary
from simulator.engine.results import estimates
from simulator.study import Study

if TYPE_CHECKING:
    import xarray as xr

Blocks = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Array:
    """One array: the grid's axes, then dims of its own, as long as the largest cell needs."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str = "<f8"
    meaning: str = ""

    @property
    def fill(self) -> float:
        """What stands where there is no value: not a number, or a count of zero."""
        return np.nan if np.dtype(self.dtype).kind == "f" else 0

    def empty(self) -> np.ndarray:
        """The array without any value."""
        return np.full(self.shape, self.fill, self.dtype)


Arrays = Mapping[str, Mapping[str, Array]]


def arrays_of(
    study: Study,
    axes: Mapping[str, list[Any]],
    theory: Sequence[Mapping[str, np.ndarray]] = (),
    simulated: Sequence[Mapping[str, tuple[int, ...]]] = (),
) -> dict[str, dict[str, Array]]:
    """The arrays ``group -> output -> array`` of theory, means and standard errors.

    Parameters
    ----------
    study : Study
    axes : the grid's axes and the values along them
    theory : the values of each cell; a cell that has no theory lacks them all
    simulated : the shapes of one replicate of each cell (`Run.shapes`)
    """
    grid = _lengths(axes)

    def padded(cells: Sequence[Mapping[str, tuple[int, ...]]]) -> dict[str, Array]:
        found = {}
        for output in study.outputs:
            shapes = [cell[output.name] for cell in cells if output.name in cell]
            if shapes:
                largest = map(int, np.max(shapes, axis=0, initial=0))
                found[output.name] = Array(
                    (*axes, *output.dims), (*grid, *largest), meaning=output.meaning
                )
        return found

    predicted = [{name: np.shape(value) for name, value in cell.items()} for cell in theory]
    estimated_in = [_with_dispersions(study, cell) for cell in simulated]
    sides = {"theory": predicted, "mean": estimated_in, "standard_error": estimated_in}
    groups = {group: padded(cells) for group, cells in sides.items()}
    return {group: members for group, members in groups.items() if members}


def _with_dispersions(
    study: Study, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """The shapes of what is estimated: a spread over replicates has that of what spreads."""
    spreads = {
        output.name: shapes[output.dispersion.of]
        for output in study.outputs
        if output.dispersion is not None and output.in_simulation
    }
    return {**shapes, **spreads}


def status_arrays(axes: Mapping[str, list[Any]]) -> dict[str, Array]:
    """What is known of the cells of a sweep that goes on after one has failed."""
    dims, grid = tuple(axes), _lengths(axes)
    return {
        "replicates": Array(dims, grid, "<i8", "replicates computed (0: none yet)"),
        "failed": Array(dims, grid, "<i1", "1 where the cell cannot be computed"),
    }


def replicate_arrays(
    axes: Mapping[str, list[Any]], means: Mapping[str, Array], values: Mapping[str, np.ndarray]
) -> dict[str, Array]:
    """The arrays of all replicates, given those of their means and the ``values`` of one cell."""
    of_grid = len(axes)

    def array(mean: Array, of_cell: np.ndarray) -> Array:
        dims = (*axes, "replicate", *mean.dims[of_grid:])
        shape = (*mean.shape[:of_grid], len(of_cell), *mean.shape[of_grid:])
        return Array(dims, shape, of_cell.dtype.str)

    return {name: array(means[name], of_cell) for name, of_cell in values.items()}


def estimated(study: Study, summary: Mapping[str, Summary]) -> dict[str, dict[str, Any]]:
    """The numbers ``group -> output -> value`` that the replicates of a cell give."""
    found = estimates(study, summary)
    return {
        "mean": {name: mean for name, (mean, _, _) in found.items()},
        "standard_error": {name: error for name, (_, error, _) in found.items()},
    }


def filled(
    arrays: Arrays,
    positions: Iterable[tuple[int, ...]],
    cells: Iterable[Mapping[str, Mapping[str, Any]]],
) -> Blocks:
    """The values of the arrays, given the numbers ``group -> output -> value`` of each cell.

    What a cell lacks stays as it is in an empty array, and so does the end of a smaller cell.
    """
    blocks = {
        group: {name: array.empty() for name, array in members.items()}
        for group, members in arrays.items()
    }
    for position, cell in zip(positions, cells, strict=True):
        for group, numbers in cell.items():
            for name, value in numbers.items():
                inside: Any = (*position, *map(slice, np.shape(value)))
                blocks[group][name][inside] = value
    return blocks


def coordinates(
    study: Study, axes: Mapping[str, list[Any]], cells: Sequence[Values], arrays: Iterable[Array]
) -> dict[str, Any]:
    """Coordinates of the grid's axes and of the other dims of the arrays."""
    found: dict[str, Any] = {
        name: (name, _as_array(values), _axis_attributes(study, name))
        for name, values in axes.items()
    }
    dims = {dim for array in arrays for dim in array.dims}
    for dim, rule in study.coordinates.items():
        if dim in dims:
            candidates = [np.asarray(rule(study.params(**cell))) for cell in cells]
            found[dim] = max(candidates, key=len)
    return found


def labelled(
    study: Study,
    axes: Mapping[str, list[Any]],
    cells: Sequence[Values],
    arrays: Arrays,
    blocks: Blocks,
    attributes: Mapping[str, Any],
) -> "xr.DataTree":
    """The arrays with their values as a tree: one child per group."""
    import xarray as xr  # with pandas, it would double what importing the package takes

    children = {
        group: xr.Dataset(
            {
                name: (array.dims, blocks[group][name], array_attributes(group, array))
                for name, array in members.items()
            },
            coords=coordinates(study, axes, cells, members.values()),
        )
        for group, members in arrays.items()
    }
    tree = xr.DataTree.from_dict(children)
    tree.attrs.update(attributes)
    return tree


def array_attributes(group: str, array: Array) -> dict[str, Any]:
    """What an array is, and the ``long_name`` by which xarray labels it in a picture."""
    if not array.meaning:
        return {}
    of = "standard error of " if group == "standard_error" else ""
    return {"meaning": array.meaning, "long_name": of + array.meaning}


def _axis_attributes(study: Study, name: str) -> dict[str, str]:
    """xarray labels an axis "long_name [units]": numbers have no unit here, but a symbol."""
    declared = study.declarations[name]
    brief = re.split(r" \(|[;:]", declared.meaning)[0]
    found = {"symbol": declared.symbol, "long_name": brief}
    return found | ({"units": declared.symbol} if declared.is_scalar_number else {})


def _lengths(axes: Mapping[str, list[Any]]) -> tuple[int, ...]:
    return tuple(len(values) for values in axes.values())


def _as_array(values: list[Any]) -> np.ndarray:
    """The values along an axis; whole numbers beyond 64 bits become real ones."""
    if all(isinstance(value, int) for value in values):
        for dtype in (np.int64, np.uint64):
            if all(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max for value in values):
                return np.array(values, dtype)
        return np.array(values, np.float64)
    return np.array(values)
