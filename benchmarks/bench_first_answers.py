"""What a first answer takes: processes that start, compute and print, beside JAX alone.

Cold is an empty cache of compiled programs, warm the same command again.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks.report import Row

JAX = "import jax; jax.jit(lambda x: x + 1)(1.0).block_until_ready()"
STUDIES = ("ridge-collapse", "adversarial-training", "strong-collapse.random-projections")
VERBS = {"predict": (), "simulate": ("--replicates", "8")}
REPEATS = 2


def run() -> Iterator[Row]:
    """No promises: a second of each is the import of JAX."""
    alone = _cold_and_warm("-c", JAX)
    for study in STUDIES:
        for verb, options in VERBS.items():
            both = _cold_and_warm("-m", "simulator", verb, study, *options)
            for cache, ours, theirs in zip(("cold", "warm"), both, alone, strict=True):
                yield Row(f"first {verb} {study}, {cache}", "import jax, x + 1", theirs, ours)


def _cold_and_warm(*command: str) -> tuple[float, float]:
    """Best times of a fresh process with an empty cache, and of the next one."""
    times = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as cache:
            times.append([_seconds(command, cache) for _ in range(2)])
    cold, warm = (min(column) for column in zip(*times, strict=True))
    return cold, warm


def _seconds(command: tuple[str, ...], cache: str) -> float:
    settings = {
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *command], env=os.environ | settings, check=True, capture_output=True
    )
    return time.perf_counter() - start
