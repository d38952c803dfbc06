"""`python -m benchmarks.dask [N]`: what N Dask workers cost and save here; some minutes.

The same sweep of a dozen cells, in one process and on N workers (one per core unless given), short
and long. Wall time is of the whole command; processor time counts all of its processes, and tells
the same on a busy machine.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SWEEP = [
    *("sweep", "ridge-collapse", "--method", "direct", "--dim", "20", "--dtype", "float64"),
    *("--grid", "num_samples=40,50,60,70,80,90,100,110,120,130,140,150"),
]
REPLICATES = (10, 1000, 10_000)


def main() -> None:
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else len(os.sched_getaffinity(0))
    for who in (0, workers):
        seconds_of(1, who)  # programs are compiled once, and kept
    print("replicates       one process, wall and CPU    "
          f"{workers} workers, wall and CPU", flush=True)  # fmt: skip
    for replicates in REPLICATES:
        alone, together = seconds_of(replicates, 0), seconds_of(replicates, workers)
        columns = "".join(f"{wall:>15.0f} s {cpu:>9.0f} s" for wall, cpu in (alone, together))
        print(f"{replicates:>10} {columns}", flush=True)


def seconds_of(replicates: int, workers: int) -> tuple[float, float]:
    """Wall and processor time of one sweep; 0 workers are this one process."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*SWEEP, "--replicates", str(replicates), "--out", str(Path(folder, "store"))]
        words += ["--dask", f"local:{workers}"] if workers else []
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "simulator.cli", *words]
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.perf_counter() - start, cpu


if __name__ == "__main__":
    main()
