"""What a store costs, and what a second process gains."""

import contextlib
import os
import pty
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
#: Cells of about a millisecond.
SMALL = {"grid": {"ridge": [0.01 * 1.01**i for i in range(1000)]}, "replicates": 8, "dim": 20}
REPEATS = 5


def run() -> Iterator[Row]:
    """Sweeps in memory against the same into a store, on a terminal; one process against two."""
    for options in (HEAVY, SMALL):
        num_cells = len(options["grid"]["ridge"])
        memory, store = _side_by_side(_sweep_in_memory, _sweep_to_store, options)
        per_cell = memory / num_cells
        task = f"{num_cells} cells of {per_cell:.2g} s"
        if options is HEAVY:
            yield Row(f"{task}: store, records, progress", "in memory", memory, store, 0.97)
        else:
            yield Row(f"{task}: in all", "in memory", memory, store)
            overhead = (store - memory) / num_cells
            yield Row(f"{task}: overhead of a cell", "promise of 1 ms", 1e-3, overhead, 1.0)
    yield _weak_scaling()


def _side_by_side(first: Callable, second: Callable, options: dict[str, Any]) -> tuple:
    """Best times of two tasks, run in turn: the machine is the same for both."""
    times: tuple[list[float], list[float]] = ([], [])
    for seed in range(REPEATS + 1):  # the first compiles
        for task, found in zip((first, second), times, strict=True):
            start = time.perf_counter()
            task(seed=seed, **options)
            found.append(time.perf_counter() - start)
    return min(times[0][1:]), min(times[1][1:])


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
