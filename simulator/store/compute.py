"""Cells computed into the records of a store, from the state that these say they are in."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jax

from simulator.engine.progress import Progress, Work, reported
from simulator.engine.run import Run
from simulator.engine.setting import Setting
from simulator.store.plan import Plan, work
from simulator.store.records import CellState, Speed, write_record

#: Seconds between two records, what a kill can cost: at least this, 1 % of the time so far, at most
#: a minute. A week leaves some ten thousand files.
INTERVAL = 1.0
LONGEST_INTERVAL = 60.0

#: Computes the cells ``todo`` of a plan, from their states to the target, into records; it calls
#: the last argument when there is something new.
Compute = Callable[[Path, Plan, list[int], Mapping[str, CellState], int, Callable[[], None]], None]


def compute_here(
    path: Path,
    plan: Plan,
    todo: list[int],
    states: Mapping[str, CellState],
    target: int,
    refresh: Callable[[], None],
) -> None:
    """Run this process's share of the cells ``todo`` on its devices."""
    mine = plan.part(todo[jax.process_index() :: jax.process_count()])
    if mine.cells:
        with reported(*_share(plan, mine, states, target)) as progress:
            compute_cells(path, mine, states, target, progress, refresh)


def _share(
    plan: Plan, mine: Plan, states: Mapping[str, CellState], target: int
) -> tuple[str, Work]:
    """What this process reports: the whole grid if it is alone, else its own share of the rest."""
    if jax.process_count() == 1:
        return plan.study.name, work(plan, states, target)
    label = f"{plan.study.name}, process {jax.process_index()} of {jax.process_count()}"
    return label, work(mine, states, target)


def compute_cells(
    path: Path,
    plan: Plan,
    states: Mapping[str, CellState],
    target: int,
    progress: Progress | None = None,
    refresh: Callable[[], None] = lambda: None,
    writer: str = "",
) -> None:
    """Run all cells of ``plan`` on this process's devices, from the ``states`` they are in."""
    run = Run(plan.study, plan.cells, Setting(**plan.options))
    for index, name in enumerate(plan.identities):
        if name in states:
            state = states[name]
            run.tallies[index].restore(state.replicates, state.moments, state.stalled)
    after = max((state.sequence for state in states.values()), default=0)
    recorder = _Recorder(path, run, plan.identities, refresh, writer, after)
    try:
        run.extend(target, progress=progress, advanced=recorder.advanced, on_failure="note")
    finally:
        recorder.flush()


class _Recorder:
    """Writes what a run has advanced."""

    def __init__(
        self,
        path: Path,
        run: Run,
        names: list[str],
        refresh: Callable[[], None],
        writer: str,
        after: int,
    ) -> None:
        self.path, self.run, self.names = path, run, names
        self.refresh, self.writer, self.after = refresh, writer, after
        self._waiting: set[int] = set()
        self._written = list(run.counts)
        self._started = self._last = time.monotonic()

    def advanced(self, index: int) -> None:
        self._waiting.add(index)
        now = time.monotonic()
        interval = min(max(INTERVAL, (now - self._started) / 100), LONGEST_INTERVAL)
        if now - self._last > interval:
            self.flush()
            self.refresh()

    def flush(self) -> None:
        if not self._waiting:
            return
        tallies = {index: self.run.tallies[index] for index in sorted(self._waiting)}
        states = {
            self.names[index]: CellState(tally.count, tally.state(), tally.failure, tally.stalled)
            for index, tally in tallies.items()
        }
        advanced = sum(tally.count - self._written[i] for i, tally in tallies.items())
        now = time.monotonic()
        speed = Speed(advanced, now - self._last)
        write_record(self.path, states, speed, self.writer, self.after)
        for index in self._waiting:
            self._written[index] = tallies[index].count
        self._waiting.clear()
        self._last = time.monotonic()
