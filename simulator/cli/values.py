"""Words of the command line -> values of parameters and axes of grids."""

import argparse
import contextlib
import decimal
import json
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from simulator.parameters import Parameter
from simulator.study import Study

_NEGATIVE_NUMBER = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)


def joined(words: Sequence[str]) -> list[str]:
    """The words, with each negative number joined to its flag: argparse takes -5e-1 for a flag."""
    found: list[str] = []
    for word in words:
        flag = found[-1] if found else ""
        if _NEGATIVE_NUMBER.match(word) and flag.startswith("--") and "=" not in flag:
            found[-1] = f"{flag}={word}"
        else:
            found.append(word)
    for word in found:
        if word.startswith("--") and word.endswith("=--"):  # to argparse a flag without a value
            raise ValueError(f"{word} is not allowed: the value is missing")
    return found


def whole(text: str) -> int:
    """A whole number, also as 1e6: for argparse."""
    with contextlib.suppress(ValueError):
        found = number(text, whole=True)
        if isinstance(found, int):
            return found
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")


def number(text: str, whole: bool = False) -> float | int:
    """The number that ``text`` spells; one that may be ``whole`` is exact, however long."""
    try:
        return int(text)
    except ValueError:
        found = float(text)
    if whole and math.isfinite(found):
        exact = decimal.Decimal(text)
        if exact == exact.to_integral_value():
            return int(exact)
    return found


def parameter_value(parameter: Parameter, text: str) -> Any:
    """The value of a parameter, read according to its declaration."""
    if parameter.type == "choice":
        return text
    try:
        if parameter.type == "array":
            return np.asarray(json.loads(text if text.startswith("[") else f"[{text}]"))
        return number(text, whole=parameter.is_whole)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{parameter.name} = {text!r} is not allowed: it must be {parameter.describe_range()}"
        ) from error


def axes(study: Study, entries: Sequence[str]) -> dict[str, list[Any]]:
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


def _axis(parameter: Parameter, text: str) -> list[Any]:
    spacing, _, rest = text.partition(":")
    if spacing not in ("log", "lin"):
        return [parameter_value(parameter, item.strip()) for item in text.split(",")]
    refusal = f"--grid {parameter.name}={text} is not allowed:"
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


def named_number(name: str, text: str) -> float | int:
    """A number given for ``name``."""
    try:
        return number(text)
    except ValueError as error:
        raise ValueError(f"{name} = {text!r} is not allowed: it must be a number") from error
