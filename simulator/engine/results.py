"""What `simulate` returns, and the estimates that a sweep has in each cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.engine.moments import Summary
from simulator.engine.run import Run
from simulator.equality import ByValue
from simulator.study import Study


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
    run: Run, shape: tuple[int, ...], params: Mapping[str, Any]
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
    kept = run.values()
    if kept:
        values = {
            name: np.stack([cell[name] for cell in kept]).reshape(shape + first.shape)
            for name, first in kept[0].items()
        }
    return SimulationResult(
        study=run.study.name,
        **run.setting._asdict(),
        params=params,
        mean=stacked(0),
        standard_error=stacked(1),
        replicates={name: int(entry[2]) for name, entry in per_cell[0].items()},
        values=values,
        remarks=run.remarks,
    )
