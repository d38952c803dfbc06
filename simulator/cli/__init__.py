"""The `simulator` command: settings of an application, one-line errors, exit codes.

Nothing here imports NumPy or JAX, which read the settings when they are imported. `parser` finds
the verb and the study, and then reads everything with that study's flags; `verbs` has a module per
verb; `values` turns text into parameters; `output` prints what cannot be lost.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

USAGE_ERROR = 2
#: Errors whose message is meant for the user; anything else is a defect and keeps its traceback.
EXPECTED_ERRORS = (ValueError, TypeError, ArithmeticError, OSError, RuntimeError, MemoryError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    _settle_environment()
    _settle_streams()
    from simulator.cli.parser import complete, parse

    if "_ARGCOMPLETE" in os.environ:
        complete()
    try:
        with _warnings_of_one_line():
            options = parse(sys.argv[1:] if arguments is None else arguments)
            return options.act(options) or 0
    except EXPECTED_ERRORS as error:
        print(f"simulator: {_one_line(error)}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("simulator: interrupted", file=sys.stderr)
        return 130


def _settle_environment() -> None:
    """What NumPy, JAX and XLA read from the environment when they start, unless it is set."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # many small matrices: BLAS threads only collide
    # XLA's thread pool: on two threads LAPACK calls inside one program can starve each other.
    os.environ.setdefault("NPROC", str(max(8, os.cpu_count() or 1)))
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = _cache_folder()
    if folder is not None:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _cache_folder() -> Path | None:
    """Where compiled programs are kept for the next command; None where nothing can be."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base, "theory-simulator")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # no home, or a read-only one: programs are compiled every time
        return None
    return folder if folder.is_absolute() and os.access(folder, os.W_OK | os.X_OK) else None


def _settle_streams() -> None:
    """Streams that take every text; a closed one is replaced, whose number a file could get."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(number, True)
        os.close(number)
        sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115 - stays open
        sys.stdout = sys.stdout or sys.stderr  # a result is better there than lost
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # symbols and ± on a terminal that knows ASCII alone
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _warnings_of_one_line() -> Iterator[None]:
    """Warnings for who types commands: what is the matter, without the line of source."""

    def show(message: Any, *_: Any, **__: Any) -> None:
        print(f"simulator: warning: {_one_line(message)}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _one_line(error: Any) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.encode("utf-8", "backslashreplace").decode()  # words may be no valid unicode
