"""What a benchmark returns, and how it is timed."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax


@dataclass(frozen=True)
class Row:
    """One comparison.

    ``baseline`` and ``ours`` are seconds for the same task; ``target`` is the ratio we promise
    (0: reported without a promise).
    """

    task: str
    against: str
    baseline: float
    ours: float
    target: float = 0.0

    @property
    def ratio(self) -> float:
        return self.baseline / self.ours

    @property
    def met(self) -> bool:
        return self.ratio >= self.target


@contextlib.contextmanager
def on_cores(number: int) -> Iterator[None]:
    """All threads of this process on so many cores, and then on one again."""

    def settle(number: int) -> None:
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(ProcessLookupError):  # a thread may have ended since
                os.sched_setaffinity(int(thread), range(number))

    settle(number)
    try:
        yield
    finally:
        settle(1)


def seconds(task: Callable[[], Any], repeats: int = 5) -> float:
    """Median wall time of ``task`` after one warm-up call (compilation stays out)."""
    jax.block_until_ready(task())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(task())
        times.append(time.perf_counter() - start)
    return sorted(times)[repeats // 2]


def print_rows(rows: list[Row]) -> None:
    width = max(len(row.task) for row in rows)
    against = max(len(row.against) for row in rows)
    print(f"{'task':<{width}}  {'against':<{against}}  {'theirs':>10}  {'ours':>10}  {'ratio':>8}")
    for row in rows:
        promise = f"  (promised {row.target:g})" if row.target else ""
        missed = "" if row.met else "  MISSED"
        print(
            f"{row.task:<{width}}  {row.against:<{against}}  {row.baseline:>9.3g}s  "
            f"{row.ours:>9.3g}s  {row.ratio:>8.3g}{promise}{missed}"
        )
