"""What `simulate` returns, and the estimates that a sweep has in each cell."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator import html
from simulator.engine.moments import Summary
from simulator.engine.run import Run
from simulator.engine.tables import aligned, long_table, written
from simulator.equality import ByValue
from simulator.study import Study

if TYPE_CHECKING:
    import pandas as pd


#: Rows, and entries of an array, that are printed.
SHOWN = 20


@dataclass(frozen=True, eq=False)
class Estimate(ByValue):
    """Monte-Carlo estimate of one output: mean, its standard error, number of replicates.

    ``controls`` is the number of control variates that were regressed out of the mean.

    The standard error of a single replicate is not known: NaN, printed as "unknown".
    """

    mean: np.ndarray
    standard_error: np.ndarray
    replicates: int
    controls: int = 0

    def __str__(self) -> str:
        if np.ndim(self.mean) == 0:
            sharpened = f" ({self.controls} control variates)" if self.controls else ""
            return written(float(self.mean), float(self.standard_error)) + sharpened
        pairs = zip(np.ravel(self.mean)[:SHOWN], np.ravel(self.standard_error)[:SHOWN], strict=True)
        numbers = [written(mean, error) for mean, error in pairs]
        more = [f"... {np.size(self.mean) - SHOWN} more"] * (np.size(self.mean) > SHOWN)
        return f"{', '.join(numbers + more)} (shape {np.shape(self.mean)})"


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
    grid : mapping parameter -> array of the grid's shape
        The values that make the grid; empty for a single point.
    dims : mapping output -> names of its own dims
    symbols : mapping parameter of the grid -> its symbol
    remarks : tuple of str
        What else there is to know, such as replicates whose solver stalled.
    controls : mapping output -> int
        Control variates that were regressed out of the mean; 0 where it is the plain one.
    """

    study: str
    method: str
    dtype: str
    seed: int
    params: Mapping[str, Any]
    mean: Mapping[str, np.ndarray]
    standard_error: Mapping[str, np.ndarray]
    replicates: Mapping[str, int]
    values: Mapping[str, np.ndarray] | None
    grid: Mapping[str, np.ndarray]
    dims: Mapping[str, tuple[str, ...]]
    symbols: Mapping[str, str]
    remarks: tuple[str, ...] = ()
    controls: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, output: str) -> Estimate:
        return Estimate(
            self.mean[output],
            self.standard_error[output],
            self.replicates[output],
            self.controls.get(output, 0),
        )

    @property
    def _title(self) -> str:
        counts = sorted(set(self.replicates.values()))
        return (
            f"{self.study}: {self.method} simulation, {self.dtype}, seed {self.seed}, "
            f"{' or '.join(map(str, counts))} replicates"
        )

    def __repr__(self) -> str:
        return f"<SimulationResult {self._title}{f', grid {self._shape}' if self.grid else ''}>"

    def __str__(self) -> str:
        notes = [f"note: {remark}" for remark in self.remarks]
        if not self.grid:
            return "\n".join(
                [self._title, *(f"  {name} = {self[name]}" for name in self.mean), *notes]
            )
        rows = self._rows(SHOWN)
        left = self._points - len(rows)
        more = [f"... {left} more points: `to_dataframe()` has them"] * (left > 0)
        return "\n".join([self._title, *aligned((*self.grid, *self.mean), rows), *more, *notes])

    def _repr_html_(self) -> str:
        """Estimates, by output or by point of the grid, for a notebook."""
        if not self.grid:
            outputs = [(name, self[name]) for name in self.mean]
            found = html.table(("output", "mean ± standard error"), outputs)
        else:
            names = [f"{name} {self.symbols[name]}" for name in self.grid]
            found = html.table((*names, *self.mean), self._rows(self._points))
        return html.heading(self._title, *self.remarks) + found

    @property
    def _shape(self) -> tuple[int, ...]:
        return next((values.shape for values in self.grid.values()), ())

    @property
    def _points(self) -> int:
        return math.prod(self._shape)

    def _rows(self, most: int) -> list[list[str]]:
        """The first points of the grid: its parameters, then what was estimated there."""
        positions = list(np.ndindex(self._shape))[:most]
        return [
            [f"{values[position]:g}" for values in self.grid.values()]
            + [self._at(name, position) for name in self.mean]
            for position in positions
        ]

    def _at(self, output: str, position: tuple[int, ...]) -> str:
        mean, error = self.mean[output][position], self.standard_error[output][position]
        return written(mean, error) if np.ndim(mean) == 0 else f"{np.size(mean)} values"

    def to_dataframe(self) -> "pd.DataFrame":
        """One row for each output at each point: ``mean``, ``standard_error``, ``replicates``."""
        import xarray as xr

        points = ("point",) if self.grid else ()
        grid = {name: (points, values.ravel()) for name, values in self.grid.items()}
        datasets = {}
        for name, own in self.dims.items():
            of_output = np.shape(self.mean[name])[len(self._shape) :]
            shape = (self._points,) * len(points) + of_output
            datasets[name] = xr.Dataset(
                {
                    "mean": ((*points, *own), np.reshape(self.mean[name], shape)),
                    "standard_error": (
                        (*points, *own),
                        np.reshape(self.standard_error[name], shape),
                    ),
                    "replicates": self.replicates[name],
                },
                coords=grid,
            )
        return long_table(datasets).drop(columns="point", errors="ignore")


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
            source = summary[output.name].best
            found[output.name] = (source.mean, source.standard_error, source.count)
    return found


def controls_of(study: Study, summary: Mapping[str, Summary]) -> dict[str, int]:
    """The number of control variates in the mean of every simulated output."""
    return {
        o.name: 0 if o.dispersion is not None else summary[o.name].best.controls
        for o in study.outputs
        if o.in_simulation
    }


def simulation_result(
    run: Run, shape: tuple[int, ...], params: Mapping[str, Any]
) -> SimulationResult:
    """Stack the cells of a broadcast grid."""
    summaries = [run.summary(i) for i in range(len(run.cells))]
    per_cell = [estimates(run.study, summary) for summary in summaries]

    def stacked(position: int) -> dict[str, np.ndarray]:
        arrays = {name: [np.asarray(c[name][position]) for c in per_cell] for name in per_cell[0]}
        return {
            name: np.stack(values).reshape(shape + values[0].shape)[()]
            for name, values in arrays.items()
        }

    values = None
    kept = run.values()
    if kept:
        values = {
            name: np.stack([cell[name] for cell in kept]).reshape(shape + first.shape)
            for name, first in kept[0].items()
        }
    declared = run.study.declarations
    gridded = {
        name: np.asarray(value)
        for name, value in params.items()
        if shape and declared[name].is_scalar_number and isinstance(value, np.ndarray)
    }
    return SimulationResult(
        study=run.study.name,
        **run.setting._asdict(),
        params=params,
        mean=stacked(0),
        standard_error=stacked(1),
        replicates={name: int(entry[2]) for name, entry in per_cell[0].items()},
        values=values,
        grid=gridded,
        dims={name: run.study.output(name).dims for name in per_cell[0]},
        symbols={name: declared[name].symbol for name in gridded},
        remarks=run.remarks,
        controls=controls_of(run.study, summaries[0]),
    )
