"""`python -m benchmarks.dask [N]`: from which length on a sweep gains from N Dask workers here.

The same sweep of a dozen cells, in one process and on N workers (one per core unless given), for
runs that are longer and longer; wall time of the whole command, the start of Python and of the
workers included. It takes some minutes.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SWEEP = [
    *("sweep", "ridge-collapse", "--method", "direct", "--dim", "40", "--dtype", "float64"),
    *("--grid", "num_samples=60,70,80,90,100,110,120,130,140,150,160,170"),
]
REPLICATES = (100, 1000, 5000)


def main() -> None:
    workers = int(sys.argv[1]) if len(sys.argv) > 1 else len(os.sched_getaffinity(0))
    took(1, 0)  # programs are compiled once, and kept
    took(1, workers)
    print(
        f"{'replicates per cell':>20} {'one process':>12} {f'{workers} workers':>12} {'ratio':>6}"
    )
    for replicates in REPLICATES:
        alone, together = took(replicates, 0), took(replicates, workers)
        print(f"{replicates:>20} {alone:>10.0f} s {together:>10.0f} s {alone / together:>6.2f}")


def took(replicates: int, workers: int) -> float:
    """Seconds of one sweep; 0 workers are this one process."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*SWEEP, "--replicates", str(replicates), "--out", str(Path(folder, "store"))]
        words += ["--dask", f"local:{workers}"] if workers else []
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "simulator.cli", *words], check=True, capture_output=True
        )
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
