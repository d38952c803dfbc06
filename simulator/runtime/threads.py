"""Enough threads for XLA on a CPU of few cores.

Batched LAPACK calls of one program run side by side, and each waits for threads of the one pool
that runs them: on two threads, a Cholesky factorisation and a triangular solve wait for each
other for ever. More threads than calls cure it, on any number of cores. XLA takes the number from
the environment when JAX first looks for devices, so it is set then, not at import.
"""

import functools
import os
import warnings
from pathlib import Path

ENOUGH = 8


def ensure_threads() -> None:
    """Ask for enough threads unless the user did; warn if it is too late.

    Raises
    ------
    RuntimeError
        In a process that was forked from one that had computed: it would wait for ever for threads
        that the fork did not bring along.
    """
    if _forked:
        raise RuntimeError(
            "this process was forked from one in which JAX had started, and would hang: start it "
            "afresh, as multiprocessing.get_context('spawn') does"
        )
    _settle_threads()


_forked: list[int] = []  # the process, if it is such a fork


@functools.cache
def _settle_threads() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _forked.append(os.getpid()))
    if "NPROC" in os.environ or _cores() >= ENOUGH:
        return
    started = _threads_of_xla()
    if 0 < started < ENOUGH // 2:
        warnings.warn(
            f"JAX has started before and runs on {started} threads, with which programs can hang: "
            f"set the environment variable NPROC={ENOUGH} before the first computation",
            RuntimeWarning,
            stacklevel=4,
        )
    os.environ["NPROC"] = str(ENOUGH)


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _threads_of_xla() -> int:
    """Threads in XLA's pool; 0 before it has one, and where the system does not tell."""
    tasks = Path("/proc/self/task")
    if not tasks.exists():
        return 0
    names = [task / "comm" for task in tasks.iterdir()]
    return sum(name.read_text().strip() == "tf_XLAEigen" for name in names if name.exists())
