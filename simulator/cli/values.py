"""Words of the command line -> values of parameters and axes of grids."""

import argparse
import ast
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.cli.numbers import named_number, number, whole

if TYPE_CHECKING:
    from simulator.parameters import Parameter
    from simulator.study import Study


def parameter_value(parameter: "Parameter", text: str, lists: bool = False) -> Any:
    """The value of a parameter, read according to its declaration; with ``lists`` maybe several."""
    if parameter.type == "choice":
        return text
    if parameter.is_scalar_number and ("," in text or text.startswith(SPACINGS)):
        values = _axis(parameter, text)
        if lists:
            return np.asarray(values)
        raise ValueError(
            f"{parameter.name} = {text!r} is not allowed: one value is asked for here; "
            f"--grid {parameter.name}={text} makes an axis of several"
        )
    try:
        if parameter.large and text.endswith(".npy"):
            return np.load(text, allow_pickle=False)
        if parameter.type == "array":
            return _array(text)
        return number(text, whole=parameter.is_whole)
    except (ValueError, SyntaxError, OSError, RecursionError, MemoryError) as error:
        written = "; write 1,0.5,0.1 or [[1,0],[0,1]]" if parameter.type == "array" else ""
        raise ValueError(
            f"{parameter.name} = {text!r} is not allowed: it must be "
            f"{parameter.describe_range()}{written}"
        ) from error


def _array(text: str) -> np.ndarray:
    """Numbers with commas between them, or nested lists as Python and JSON write them."""
    if text.startswith("["):
        return np.asarray(ast.literal_eval(text))
    return np.asarray([number(item) for item in text.split(",")] if text.strip() else [])


def axes(study: "Study", entries: Sequence[str]) -> dict[str, list[Any]]:
    """The axes that ``--grid NAME=VALUES`` asks for."""
    found: dict[str, list[Any]] = {}
    for entry in entries:
        name, separator, text = entry.partition("=")
        name = name.strip().replace("-", "_")
        if not separator:
            raise ValueError(f"--grid {entry!r} is not allowed: write NAME=VALUES")
        parameter = study.check_name(name)
        if name in found:
            raise ValueError(f"--grid {name} is given twice")
        found[name] = _axis(parameter, text)
    return found


LONGEST_AXIS = 10**7
SPACINGS = ("lin:", "log:")


def _axis(parameter: "Parameter", text: str) -> list[Any]:
    spacing, _, rest = text.partition(":")
    refusal = f"{parameter.name}={text} is not allowed:"
    if spacing not in ("log", "lin"):
        if parameter.is_scalar_number and ":" in text:
            hint = f"; did you mean lin:{text}?" if text.count(":") == 2 else ""
            raise ValueError(
                f"{refusal} write a,b,c or lin:first:last:count or log:first:last:count{hint}"
            )
        return [parameter_value(parameter, item.strip()) for item in text.split(",")]
    try:
        first, last, count = rest.split(":")
        ends, size = (float(first), float(last)), whole(count)
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise ValueError(f"{refusal} write {spacing}:first:last:count") from error
    if size < 1 or not all(math.isfinite(e) for e in ends) or (spacing == "log" and min(ends) <= 0):
        raise ValueError(
            f"{refusal} it needs finite ends{' > 0' if spacing == 'log' else ''} and a count >= 1"
        )
    if size > LONGEST_AXIS:
        raise ValueError(f"{refusal} an axis holds at most {LONGEST_AXIS} values")
    with np.errstate(over="ignore", invalid="ignore"):
        values = (np.geomspace if spacing == "log" else np.linspace)(*ends, size)
    if not np.isfinite(values).all():
        raise ValueError(f"{refusal} its ends are too far apart")
    if parameter.is_whole:
        return list(dict.fromkeys(int(value) for value in np.rint(values)))
    return list(dict.fromkeys(values.tolist()))


def ranges(entries: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """The ranges that ``--over NAME=LOW:HIGH`` asks for."""
    found: dict[str, tuple[Any, ...]] = {}
    for text in entries:
        name, _, bounds = text.partition("=")
        name = name.strip().replace("-", "_")
        ends, scale = bounds.split(":")[:2], bounds.split(":")[2:]
        if len(ends) != 2 or len(scale) > 1:
            raise ValueError(
                f"--over {text!r} is not allowed: write NAME=LOW:HIGH, or NAME=LOW:HIGH:log or "
                "NAME=LOW:HIGH:linear"
            )
        if name in found:
            raise ValueError(f"--over {name} is given twice")
        found[name] = (*(named_number(f"--over {name}", end) for end in ends), *scale)
    return found


def entry(items: Sequence[str]) -> dict[str, Any]:
    """The coordinates that ``--at DIM=VALUE`` names."""
    found: dict[str, Any] = {}
    for item in items:
        dim, separator, text = item.partition("=")
        if not separator:
            raise ValueError(f"--at {item!r} is not allowed: write DIM=VALUE")
        try:
            found[dim.strip()] = number(text)
        except ValueError:
            found[dim.strip()] = text.strip()  # the coordinates of a dim may be names
    return found
