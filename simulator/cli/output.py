"""Printing what took long to compute: it is not lost to a stream that cannot take it."""

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

DISAGREES = 1  # exit code of a verdict, or a doctor, that says so


def say(text: str) -> None:
    """Print a result. One that standard output does not take is printed to standard error.

    Raises
    ------
    OSError
        If standard output cannot be written, as on a full disk.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        _drop_what_is_left()
    except (OSError, ValueError) as error:  # ValueError: it was closed
        _drop_what_is_left()
        print(text, file=sys.stderr)
        reason = getattr(error, "strerror", None) or error
        raise OSError(
            f"standard output cannot be written ({reason}): the result stands above"
        ) from error


def _drop_what_is_left() -> None:
    """Python would try to write it again at its end."""
    if not sys.stdout.closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say_json(study: str, params: dict[str, Any], outputs: dict[str, Any]) -> None:
    """One JSON object: the study, all its parameters, and the outputs."""
    from simulator.engine.cells import broadcast_cells
    from simulator.registry import get

    complete = broadcast_cells(get(study), params)[1]
    shown = {name: plain(value) for name, value in complete.items()}
    say(json.dumps({"study": study, "params": shown, "outputs": outputs}))


def plain(value: Any) -> Any:
    """Plain Python values; infinities print as ``Infinity``, as Python's json reads them."""
    return value.tolist() if hasattr(value, "tolist") else value


def lines(outputs: Mapping[str, Any]) -> str:
    """One output a line; all together, as what is said at once is lost to no stream."""
    import numpy as np

    return "\n".join(
        f"{name} = {np.array2string(np.asarray(value), precision=10)}"
        for name, value in outputs.items()
    )
