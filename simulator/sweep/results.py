"""What `simulate` and `sweep` return."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.equality import ByValue
from simulator.study import Study
from simulator.sweep.cells import Values
from simulator.sweep.moments import Summary
from simulator.sweep.run import Replicates

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Estimate(ByValue):
    """Monte-Carlo estimate of one output: mean, its standard error, number of replicates.

    The standard error of a single replicate is not known: NaN, printed as "unknown".
    """

    mean: np.ndarray
    standard_error: np.ndarray
    replicates: int

    def __str__(self) -> str:
        if np.ndim(self.mean) == 0:
            known = not np.isnan(self.standard_error)
            return f"{self.mean:.6g} ± " + (f"{self.standard_error:.2g}" if known else "unknown")
        return f"array of shape {np.shape(self.mean)}"


@dataclass(frozen=True, eq=False)
class SimulationResult(ByValue):
    """Estimates of all outputs, by name; arrays have shape (grid shape + output dims).

    Attributes
    ----------
    mean, standard_error : mapping output -> float64 array
        The standard error of a single replicate is NaN: it is not known.
    replicates : mapping output -> int
    values : mapping output -> array (grid shape + (replicates,) + output dims), or None
        Only with ``keep_values=True``.
    study, method, dtype, seed, params
        What produced them.
    remarks : tuple of str
        What else there is to know, such as replicates whose solver stalled.
    """

    study: str
    method: str
    dtype: str
    seed: int
    params: Mapping[str, Any]
    mean: Mapping[str, np.ndarray]
    standard_error: Mapping[str, np.ndarray]
    replicates: Mapping[str, int]
    values: Mapping[str, np.ndarray] | None = None
    remarks: tuple[str, ...] = ()

    def __getitem__(self, output: str) -> Estimate:
        return Estimate(self.mean[output], self.standard_error[output], self.replicates[output])

    def __str__(self) -> str:
        head = f"{self.study}: {self.method} simulation, {self.dtype}, seed {self.seed}"
        lines = [f"  {name} = {self[name]}" for name in self.mean]
        return "\n".join([head, *lines, *(f"note: {remark}" for remark in self.remarks)])


def estimates(study: Study, summary: Mapping[str, Summary]) -> dict[str, tuple]:
    """(mean, standard error, replicates) of every simulated output, dispersions included."""
    found: dict[str, tuple] = {}
    for output in study.outputs:
        if not output.in_simulation:
            continue
        if output.dispersion is not None:
            source = summary[output.dispersion.of]
            found[output.name] = (*source.dispersion(output.dispersion.statistic), source.count)
        else:
            source = summary[output.name]
            found[output.name] = (source.mean, source.standard_error, source.count)
    return found


def simulation_result(
    run: Replicates, shape: tuple[int, ...], params: Mapping[str, Any]
) -> SimulationResult:
    """Stack the cells of a broadcast grid."""
    per_cell = [estimates(run.study, run.summary(i)) for i in range(len(run.cells))]

    def stacked(position: int) -> dict[str, np.ndarray]:
        arrays = {name: [np.asarray(c[name][position]) for c in per_cell] for name in per_cell[0]}
        return {
            name: np.stack(values).reshape(shape + values[0].shape)[()]
            for name, values in arrays.items()
        }

    values = None
    if run.values is not None:
        joined = [{k: np.concatenate(v) for k, v in cell.items()} for cell in run.values]
        values = {
            name: np.stack([c[name] for c in joined]).reshape(shape + joined[0][name].shape)
            for name in joined[0]
        }
    return SimulationResult(
        study=run.study.name,
        method=run.method,
        dtype=run.dtype,
        seed=run.seed,
        params=params,
        mean=stacked(0),
        standard_error=stacked(1),
        replicates={name: int(entry[2]) for name, entry in per_cell[0].items()},
        values=values,
        remarks=run.remarks,
    )


def labelled(
    study: Study,
    axes: Mapping[str, list[Any]],
    cells: list[Values],
    groups: Mapping[str, list[Mapping[str, Any]]],
    attributes: Mapping[str, Any],
) -> "xr.DataTree":
    """A tree of labelled arrays: one child per kind of number (theory, mean, ...).

    ``groups`` maps the child's name to one mapping output -> array per cell. Output dims whose
    length differs between cells (a swept static parameter) are padded with NaN at the end.
    """
    import xarray as xr  # with pandas, it would double what importing the package takes

    shape = tuple(len(values) for values in axes.values())
    children = {}
    for group, per_cell in groups.items():
        variables: dict[str, Any] = {}
        for name in per_cell[0]:
            arrays = [np.asarray(cell[name], dtype=np.float64) for cell in per_cell]
            full = tuple(np.max([a.shape for a in arrays], axis=0, initial=0)) if arrays else ()
            block = np.full((len(arrays), *full), np.nan)
            for position, value in enumerate(arrays):
                corner: tuple[Any, ...] = (position, *map(slice, value.shape))
                block[corner] = value
            output = study.output(name)
            variables[name] = (
                (*axes, *output.dims),
                block.reshape(shape + full),
                {"meaning": output.meaning},
            )
        lengths: dict[str, int] = {
            dim: size
            for dims, block, _ in variables.values()
            for dim, size in zip(dims, block.shape, strict=True)
        }
        coordinates = grid_coordinates(study, axes, cells, lengths)
        children[group] = xr.Dataset(variables, coords=coordinates)
    tree = xr.DataTree.from_dict(children)
    tree.attrs.update(attributes)
    return tree


def grid_coordinates(
    study: Study, axes: Mapping[str, list], cells: list[Values], lengths: Mapping[str, int]
) -> dict[str, Any]:
    """Coordinates of the grid's axes and of the outputs' own dims (of the given lengths)."""
    coordinates: dict[str, Any] = {
        name: (name, _as_array(values), {"symbol": study.declarations[name].symbol})
        for name, values in axes.items()
    }
    for dim, rule in study.coordinates.items():
        if dim in lengths:
            candidates = [np.asarray(rule(study.params(**cell))) for cell in cells]
            coordinates[dim] = max(candidates, key=len)
    return coordinates


def _as_array(values: list[Any]) -> np.ndarray:
    """The values along an axis; whole numbers beyond 64 bits become real ones."""
    if all(isinstance(value, int) for value in values):
        for dtype in (np.int64, np.uint64):
            if all(np.iinfo(dtype).min <= value <= np.iinfo(dtype).max for value in values):
                return np.array(values, dtype)
        return np.array(values, np.float64)
    return np.array(values)
