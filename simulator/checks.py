"""Checks of the arguments that the verbs share: each refusal is one line that names the argument,
its value and what is allowed. Parameters of studies are checked by their declarations.
"""

import errno
import math
import numbers
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

LONGEST_NAME = 500
DTYPES = ("float32", "float64")


def refusal(name: str, value: Any, allowed: str) -> str:
    """The line: what was given for what, and what would be allowed."""
    return f"{name} = {shown(value)} is not allowed: it must be {allowed}"


def shown(value: Any) -> str:
    """A value in one line of moderate length."""
    value = value.item() if isinstance(value, np.generic) else value
    try:
        array = isinstance(value, np.ndarray)
        text = np.array2string(value, threshold=6) if array else repr(value)
    except ValueError:  # Python writes no whole number of more than some thousand digits
        text = f"a {type(value).__name__} of very many digits"
    text = " ".join(text.split())
    return text if len(text) <= 120 else f"{text[:117]}..."


def whole(name: str, value: Any, least: int, most: int = 2**63 - 1) -> int:
    """A whole number, at least ``least``."""
    allowed = f"a whole number >= {least}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(refusal(name, value, allowed))
    if value < least:
        raise ValueError(refusal(name, value, allowed))
    if value > most:
        raise ValueError(refusal(name, value, f"{allowed} and <= {most}"))
    return int(value)


def seed(value: Any) -> int:
    """A seed: it may have a few hundred digits, as hashes do."""
    return whole("seed", value, 0, most=10**300)


def number(name: str, value: Any, *, above: float, below: float = math.inf) -> float:
    """A number strictly between two others."""
    bound = "" if below == math.inf else f" and < {below:g}"
    allowed = f"a finite number > {above:g}{bound}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(refusal(name, value, allowed))
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not above < found < below:
        raise ValueError(refusal(name, value, allowed))
    return found


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(refusal(name, value, "True or False"))
    return bool(value)


def text(name: str, value: Any, meaning: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise TypeError(refusal(name, value, f"{meaning}, a string"))
    if len(value) > LONGEST_NAME:
        raise ValueError(refusal(name, value, f"{meaning}, of at most {LONGEST_NAME} characters"))
    return value


def path(name: str, value: Any, meaning: str) -> Path:
    """The path of a file or folder."""
    allowed = f"{meaning}, a string or a path"
    found = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(found, str):
        raise TypeError(refusal(name, value, allowed))
    if not found or "\0" in found:
        raise ValueError(refusal(name, value, allowed))
    try:
        os.lstat(found)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError(refusal(name, value, allowed) + ", of a shorter name") from error
    return Path(found)


def grid(value: Any) -> Mapping[str, Sequence[Any]]:
    """A mapping from names of parameters to 1-D lists."""
    allowed = "a mapping from parameters to lists of values, such as {'ridge': [0.1, 1.0]}"
    if not isinstance(value, Mapping):
        raise TypeError(refusal("grid", value, allowed))
    for name, values in value.items():
        if not isinstance(name, str):
            raise TypeError(refusal("grid", value, allowed))
        if isinstance(values, np.ma.MaskedArray):
            raise TypeError(refusal(f"grid[{name!r}]", values, "a 1-D list without a mask"))
        if dims(values) != 1:
            raise TypeError(refusal(f"grid[{name!r}]", values, "a 1-D list"))
    return value


def dims(value: Any) -> int | None:
    """Number of dims of what may be an array; None for what NumPy cannot make one of."""
    if isinstance(value, (str, bytes)):
        return 0
    try:
        return np.ndim(value)
    except (TypeError, ValueError, OverflowError, Warning):  # ragged or masked lists, ...
        return None


def dtype(value: Any) -> str:
    """The name of a simulation's dtype."""
    name = None
    if isinstance(value, (str, type, np.dtype)):
        try:
            name = np.dtype(value).name
        except (TypeError, ValueError, SyntaxError, Warning):  # NumPy parses some strings
            name = None
    if name in DTYPES:
        return name
    wrong = ValueError if isinstance(value, str) else TypeError
    raise wrong(refusal("dtype", value, " or ".join(DTYPES)))


def plain_array(value: Any) -> np.ndarray:
    """``np.asarray``, but a mask is a ``TypeError``: what it hides would be read as data."""
    if holds_mask(value):
        raise TypeError("masked arrays are not allowed: fill, or drop, what is masked")
    return np.asarray(value)


def holds_mask(value: Any) -> bool:
    """Whether it is a masked array, or a list or tuple that has one inside."""
    if isinstance(value, (list, tuple)):
        return any(map(holds_mask, value))
    return isinstance(value, np.ma.MaskedArray)
