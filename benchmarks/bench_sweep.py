"""What a store costs, and what a second process gains."""

import contextlib
import os
import pty
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import simulator
from benchmarks.report import Row, on_cores

STUDY = "ridge-collapse"
#: Cells of about a quarter of a second on one core.
HEAVY = {"grid": {"ridge": [0.01 * 1.1**i for i in range(40)]}, "replicates": 800, "dim": 60}
#: The same number of blocks in a tenth of the time.
LIGHT = HEAVY | {"dim": 15}
#: Cells of about a millisecond.
SMALL = {"grid": {"ridge": [0.01 * 1.01**i for i in range(1000)]}, "replicates": 8, "dim": 20}
REPEATS = 5


def run() -> Iterator[Row]:
    """Sweeps in memory against the same into a store, on a terminal; one process against two."""
    num_cells = len(HEAVY["grid"]["ridge"])
    # A difference of 3 % drowns in what else the machine does. Cells of the same replicates, blocks
    # and records that take a tenth of the time show it ten times as large.
    added = statistics.median(store - memory for memory, store in _side_by_side(LIGHT))
    heavy = min(_seconds(_sweep_in_memory, seed, HEAVY) for seed in range(3))
    task = f"{num_cells} cells of {heavy / num_cells:.2g} s: store, records, progress"
    yield Row(task, "in memory", heavy, heavy + added, 0.97)

    num_cells = len(SMALL["grid"]["ridge"])
    memory, store = (min(times) for times in zip(*_side_by_side(SMALL), strict=True))
    task = f"{num_cells} cells of {memory / num_cells:.2g} s"
    yield Row(f"{task}: in all", "in memory", memory, store)
    overhead = (store - memory) / num_cells
    yield Row(f"{task}: overhead of a cell", "promise of 1 ms", 1e-3, overhead, 1.0)
    yield _weak_scaling()


def _side_by_side(options: dict[str, Any]) -> list[tuple[float, float]]:
    """Times in memory and into a store, run in turn: the machine is the same for both."""
    tasks = (_sweep_in_memory, _sweep_to_store)
    times = []
    for seed in range(REPEATS + 1):  # the first compiles
        first, second = (_seconds(task, seed, options) for task in tasks[:: (-1) ** seed])
        times.append((second, first) if seed % 2 else (first, second))
    return times[1:]


def _seconds(task: Callable, seed: int, options: dict[str, Any]) -> float:
    start = time.perf_counter()
    task(seed=seed, **options)
    return time.perf_counter() - start


def _sweep_in_memory(**options: Any) -> None:
    simulator.sweep(STUDY, **options)


def _sweep_to_store(**options: Any) -> None:
    with tempfile.TemporaryDirectory() as folder, _on_a_terminal():
        simulator.sweep(STUDY, **options, out=Path(folder) / "store")


@contextlib.contextmanager
def _on_a_terminal() -> Iterator[None]:
    """Let the progress bar be drawn, for nobody."""
    ours, theirs = pty.openpty()

    def drain() -> None:
        with contextlib.suppress(OSError):  # what a terminal says when it is closed
            while os.read(ours, 65536):
                pass

    reader = threading.Thread(target=drain)
    reader.start()
    stderr = sys.stderr
    with os.fdopen(theirs, "w") as sys.stderr:
        try:
            yield
        finally:
            sys.stderr = stderr
    reader.join()
    os.close(ours)


def _weak_scaling() -> Row:
    """Twice the cells on two Dask workers on a core each, against one worker on one core."""

    def cells(number: int) -> dict[str, Any]:
        return HEAVY | {"grid": {"ridge": [0.01 * 1.1**i for i in range(number)]}}

    times = []
    for workers in (1, 2):
        with on_cores(workers):  # Dask's own threads start the workers
            times.append(_best_on_workers(workers, cells(20 * workers)))
    return Row(
        "40 cells on 2 workers, 2 cores", "20 on 1, 1 core, twice", 2 * times[0], times[1], 1.8
    )


def _best_on_workers(workers: int, options: dict[str, Any]) -> float:
    from simulator.store.dask import local_cluster

    times = []
    with local_cluster(workers) as cluster:
        for seed in range(REPEATS + 1):  # the first compiles
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                out = Path(folder) / "store"
                simulator.sweep(
                    STUDY, **options, seed=seed, out=out, dask=cluster.scheduler_address
                )
                times.append(time.perf_counter() - start)
    return min(times[1:])
