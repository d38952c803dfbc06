"""Cells being simulated: the programs that compute them and the tallies that are kept."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from simulator.engine import sizes
from simulator.engine.batches import Batch, OneReplicateTooLarge, Tasks, batches
from simulator.engine.cells import Values, describe
from simulator.engine.devices import check_accelerators
from simulator.engine.moments import Summary
from simulator.engine.program import Program, programs
from simulator.engine.progress import Progress, Work
from simulator.engine.setting import Setting
from simulator.engine.tally import Stalled, Tally
from simulator.engine.theory import NotConverged
from simulator.parameters import Method
from simulator.study import CONTROLS, RESIDUAL, Study

LARGEST_INT32 = 2**31 - 1
UNCONVERGED = 1e-3  # share of a cell's replicates whose solver may stall


class Run:
    """Replicates of a list of cells; ask for more with :meth:`extend`.

    Parameters
    ----------
    study : Study
    cells : checked parameters, one dict of plain values per cell
    setting : Setting
    keep_values : bool
        Keep every replicate's value, not only the moments.

    Attributes
    ----------
    tallies : list of Tally, one per cell
    """

    def __init__(
        self,
        study: Study,
        cells: Sequence[Values],
        setting: Setting,
        *,
        keep_values: bool = False,
    ) -> None:
        self.study = study
        self.cells = list(cells)
        self.setting = setting
        self.tallies = [Tally(keep_values) for _ in self.cells]
        for cell in self.cells:
            _check_for_simulation(study, cell, setting.method)

    @functools.cached_property
    def programs(self) -> list[Program]:
        return programs(self.study, self.cells, self.setting)

    @property
    def counts(self) -> list[int]:
        return [tally.count for tally in self.tallies]

    def work(self, replicates: int | Sequence[int]) -> Work:
        """How much there is to do until each cell has that many, and how much of it is done."""
        targets = self._targets(replicates)
        return Work(
            cells=len(self.cells),
            replicates=sum(targets),
            cells_done=sum(c >= t for c, t in zip(self.counts, targets, strict=True)),
            replicates_done=sum(min(c, t) for c, t in zip(self.counts, targets, strict=True)),
        )

    def _targets(self, replicates: int | Sequence[int]) -> Sequence[int]:
        return [replicates] * len(self.cells) if isinstance(replicates, int) else replicates

    def shapes(self) -> list[dict[str, tuple[int, ...]]]:
        """Shapes of the simulated outputs of every cell, without running any."""
        found: dict[int, dict[str, tuple[int, ...]]] = {}
        for program in self.programs:
            found |= {index: dict(program.shapes) for index in program.members}
        return [found[index] for index in range(len(self.cells))]

    def values(self) -> list[dict[str, np.ndarray]]:
        """The value of every replicate of every cell, if they are kept."""
        return [
            {name: np.concatenate(blocks) for name, blocks in tally.values.items()}
            for tally in self.tallies
            if tally.values is not None
        ]

    def summary(self, index: int) -> dict[str, Summary]:
        """Moments of every output of one cell."""
        return self.tallies[index].summary()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the results has to know: replicates whose solver stalled."""
        return remarks(self.study, [tally.stalled for tally in self.tallies], sum(self.counts))

    def check_size(self, targets: Sequence[int]) -> None:
        """Refuse what would take days, or more memory than there is, before it begins."""
        costs, kept = [], 0.0
        for program in self.programs:
            count = sum(max(targets[i] - self.tallies[i].count, 0) for i in program.members)
            if count:
                costs.append((program.cost, count, program.lanes))
                kept += count * program.cost.results
        if costs:
            sizes.check_simulation(self.study, self.cells, costs)
        if any(tally.values is not None for tally in self.tallies):
            sizes.check_values(self.study, max(targets), kept)

    def extend(
        self,
        replicates: int | Sequence[int],
        *,
        progress: Progress | None = None,
        advanced: Callable[[int], None] | None = None,
        on_failure: Literal["raise", "note"] = "raise",
    ) -> None:
        """Run until each cell has (at least) the given number of replicates.

        Parameters
        ----------
        replicates : one number, or one per cell
        progress : called with the numbers of replicates and of cells finished, optional
        advanced : called with the index of a cell whenever there is news of it, optional
        on_failure : {"raise", "note"}
            A cell that cannot be computed stops the run, or is noted in its tally and the others
            go on.

        Raises
        ------
        WrongDevice
            Where an accelerator misses an exactly known mean.
        NotConverged, FloatingPointError, MemoryError
            With ``on_failure="raise"``.
        """
        check_accelerators(self.setting.dtype)
        targets = self._targets(replicates)
        if on_failure == "raise":
            self.check_size(targets)

        def failed(index: int, error: Exception) -> None:
            if on_failure == "raise":
                raise error
            self.tallies[index].failure = str(error)

        def digest(program: Program, batch: Batch) -> None:
            """Enter the replicates of a batch, cell by cell."""
            finished = 0
            starts = np.flatnonzero(np.r_[True, np.diff(batch.rows) != 0])
            for begin, end in zip(starts, [*starts[1:], len(batch.rows)], strict=True):
                index = program.members[batch.rows[begin]]
                if self.tallies[index].failure is not None:
                    continue
                mine = {name: values[begin:end] for name, values in batch.outputs.items()}
                most = max(1, int(UNCONVERGED * targets[index]))
                try:
                    usable, stalled = self._checked(index, mine, int(batch.replicates[begin]), most)
                    self.tallies[index].add(usable, last=int(batch.replicates[end - 1]))
                    self.tallies[index].stalled += stalled
                except (NotConverged, FloatingPointError) as error:
                    failed(index, error)
                tally = self.tallies[index]
                finished += tally.failure is not None or tally.count >= targets[index]
                if advanced is not None:
                    advanced(index)
            if progress is not None:
                progress(len(batch.rows), finished)

        for program in self.programs:
            counts = [self.tallies[i].count for i in program.members]
            tasks = Tasks.missing(counts, [targets[i] for i in program.members], program.draws)
            try:
                for batch in batches(program, tasks):
                    digest(program, batch)
            except OneReplicateTooLarge:
                for index in program.members:
                    tally = self.tallies[index]
                    if tally.count < targets[index] and tally.failure is None:
                        failed(index, MemoryError(self._too_large(index)))
                        if progress is not None:
                            progress(0, 1)
                        if advanced is not None:
                            advanced(index)

    def _too_large(self, index: int) -> str:
        return (
            f"{self.study.name}: one replicate of {describe(self.cells[index])} does not fit "
            f"into the memory that is free (method {self.setting.method}, {self.setting.dtype}); "
            "choose a smaller size, dtype='float32', another method, or a machine with more memory"
        )

    def _checked(
        self, index: int, out: Mapping[str, np.ndarray], first: int, most_stalled: int
    ) -> tuple[dict[str, Any], Stalled]:
        """The outputs of some replicates, refused together if one of them cannot be used.

        A few whose solver stalled are counted and kept: to leave them out would bias the mean,
        whereas a residual up to the square root of the tolerance in a thousandth of the replicates
        moves it by less than any error bar.
        """
        study, method = self.study, self.setting.method
        residual, stalled = out.get(RESIDUAL), Stalled()
        if residual is not None and not np.all(residual <= study.residual_tolerance):
            count = int(np.sum(~(residual <= study.residual_tolerance)))
            stalled = Stalled(count, float(np.max(residual)))
            usable = np.all(residual <= study.residual_tolerance**0.5)
            if not usable or self.tallies[index].stalled.count + count > most_stalled:
                raise NotConverged(
                    f"{study.name}: the {method} simulation did not converge (relative "
                    f"residual {stalled.residual:.1e} > {study.residual_tolerance:.0e}) "
                    f"at {describe(self.cells[index])}"
                )
        outputs = {name: values for name, values in out.items() if name != RESIDUAL}
        for name, values in outputs.items():
            undefined = np.isnan(values).reshape(len(values), -1).any(axis=1)
            if undefined.any() and (name == CONTROLS or not study.output(name).nan_where_undefined):
                raise FloatingPointError(
                    f"{study.name}: {name} came out as not-a-number in replicate "
                    f"{first + int(np.argmax(undefined))} of {describe(self.cells[index])} "
                    f"(method {method}, {self.setting.dtype}); try dtype='float64'"
                )
        return outputs, stalled


def remarks(study: Study, stalled: Iterable[Stalled], replicates: int) -> tuple[str, ...]:
    """What is to be said of so many ``replicates``, of which some ``stalled``."""
    total = sum(stalled, Stalled())
    if not total.count:
        return ()
    return (
        f"{total.count} of {replicates} replicates converged only to a relative residual of "
        f"{total.residual:.1e}, not {study.residual_tolerance:.0e}",
    )


def _check_for_simulation(study: Study, cell: Values, method: Method) -> None:
    side = study.sampler(method, study.params(**cell)).side
    sizes.check_static(study, cell, side)
    if study.validate is not None:
        study.validate(study.params(**cell), "simulation")
    for name, parameter in study.declarations.items():
        counted = parameter.type == "int" and not parameter.is_static(side)
        if counted and cell[name] > LARGEST_INT32:
            raise ValueError(
                f"{name} = {cell[name]} is not allowed: simulations take whole numbers "
                f"up to {LARGEST_INT32}"
            )
