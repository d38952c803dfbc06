"""Threads of XLA and of the BLAS that it calls, settled before JAX looks for devices.

Batched LAPACK calls of one program run side by side, and each waits for threads of the one pool
that runs them: on two threads, a Cholesky factorisation and a triangular solve wait for each
other for ever. More threads than calls cure it, on any number of cores. XLA takes the number from
the environment when JAX first looks for devices, so it is set then, not at import.

The calls themselves go to SciPy's OpenBLAS, whose own threads only collide on many small matrices;
on machines with very many cores they corrupt memory [1]_. One thread is right, and OpenBLAS takes
the number from the environment when SciPy loads it, at the first such call.

.. [1] https://github.com/jax-ml/jax/issues/39292
"""

import functools
import os
import sys
import warnings
from pathlib import Path

ENOUGH = 8
EACH = 4  # threads for a call, if several run side by side
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


def ensure_threads() -> None:
    """Ask for enough threads of XLA, and one of BLAS, unless the user did; warn if too late.

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
    _one_blas_thread()
    if "NPROC" in os.environ or cores() >= ENOUGH:
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


def _one_blas_thread() -> None:
    """For SciPy's library alone: NumPy has its own, which is the user's business."""
    if any(name in os.environ for name in BLAS_VARIABLES):
        return
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if "scipy.linalg" in sys.modules:  # loaded already: it will not look again
        from threadpoolctl import ThreadpoolController

        found = ThreadpoolController()
        loaded = [info["filepath"] for info in found.info() if "scipy" in info["filepath"]]
        found.select(filepath=[path for path in loaded if "numpy.libs" not in path]).limit(limits=1)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def calls_at_a_time() -> int:
    """How many calls may run side by side: there are more threads than what they wait for."""
    return min(cores(), max(cores(), ENOUGH) // EACH)


def _threads_of_xla() -> int:
    """Threads in XLA's pool; 0 before it has one, and where the system does not tell."""
    tasks = Path("/proc/self/task")
    if not tasks.exists():
        return 0
    names = [task / "comm" for task in tasks.iterdir()]
    return sum(name.read_text().strip() == "tf_XLAEigen" for name in names if name.exists())
