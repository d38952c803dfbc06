"""`python -m benchmarks [NAME ...]`: run all benchmarks, or those named; `make bench` does all."""

import os
import sys

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ.setdefault("NPROC", "8")  # XLA's thread pool: few threads can starve each other
if __name__ == "__main__" and hasattr(os, "sched_setaffinity"):  # one core each, theirs and ours
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import importlib
import pkgutil

import benchmarks
from benchmarks.report import print_rows


def main() -> int:
    names = [m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name[:6] == "bench_"]
    chosen = sys.argv[1:] or [name.removeprefix("bench_") for name in names]
    missed = 0
    for name in chosen:
        if f"bench_{name}" not in names:
            print(f"unknown benchmark {name!r}: there are {', '.join(names)}", file=sys.stderr)
            return 2
        print(f"\n{name}", flush=True)
        rows = list(importlib.import_module(f"benchmarks.bench_{name}").run())
        print_rows(rows)
        missed += sum(not row.met for row in rows)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
