"""What a benchmark returns, and how it is timed."""

import time
from collections.abc import Callable
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
