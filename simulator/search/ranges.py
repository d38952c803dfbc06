"""Where to search: the ranges of the free parameters, as a user writes them."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator import checks
from simulator.engine.cells import Values, broadcast_cells, single_cells
from simulator.parameters import Parameter
from simulator.study import Study

SCALES = ("log", "linear")
#: Ends that are both positive and this far apart are searched on a logarithmic scale by default.
LOG_RATIO = 100.0
_NEAR_ENDS = 12
_KEY = re.compile(r"^(\w+)\s*(?:\[([\d\s,]+)\])?$")


@dataclass(frozen=True)
class Range:
    """The interval of one free parameter, or of one entry of an array parameter.

    The search moves a *coordinate*: the value itself, or its logarithm.
    """

    label: str
    parameter: Parameter
    entry: tuple[int, ...]
    low: float
    high: float
    scale: str

    def coordinates(self, points: int) -> np.ndarray:
        """Equidistant coordinates from end to end."""
        low, high = (math.log(e) if self.scale == "log" else e for e in (self.low, self.high))
        return np.linspace(low, high, points)

    def grid(self, points: int) -> np.ndarray:
        """Equidistant coordinates; on a linear scale geometrically denser towards both ends.

        Best values are often tiny fractions of a range that begins at 0.
        """
        even = self.coordinates(points)
        if self.scale == "log":
            return even
        near = (even[1] - even[0]) * 4.0 ** -np.arange(_NEAR_ENDS, 0, -1)
        return np.unique(np.concatenate([even, even[0] + near, even[-1] - near]))

    def values(self, coordinates: np.ndarray) -> np.ndarray:
        """The values at these coordinates; the ends are met exactly."""
        low, high = self.coordinates(2)
        inside = np.exp(coordinates) if self.scale == "log" else coordinates
        inside = np.clip(inside, self.low, self.high)
        return np.select([coordinates <= low, coordinates >= high], [self.low, self.high], inside)

    def stretch(self, values: np.ndarray) -> np.ndarray:
        """Change of the value per unit of its coordinate."""
        return values if self.scale == "log" else np.ones_like(values)

    def __str__(self) -> str:
        return f"{self.label} in [{self.low:g}, {self.high:g}]"


def at_ends(ranges: tuple[Range, ...], u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which coordinates ``u`` (points, parameters) are at the low and at the high end."""
    low, high = np.array([free.coordinates(2) for free in ranges]).T
    return u <= low, u >= high


def inside(ranges: tuple[Range, ...], u: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """The gradient of what is minimised, without what leads out of the ranges.

    A derivative that is not-a-number at an end says nothing against that end.
    """
    low, high = at_ends(ranges, u)
    outward = (low & ~(gradient < 0)) | (high & ~(gradient > 0))
    return np.where(outward, 0.0, gradient)


def checked_ranges(
    study: Study, over: Any, params: Mapping[str, Any]
) -> tuple[tuple[Range, ...], tuple[int, ...], Values]:
    """The free parameters, the shape of the grid of the others, and all checked values.

    Raises
    ------
    TypeError, ValueError
        For a bad range or parameter; the message names it, its value and what is allowed.
    """
    if not isinstance(over, Mapping) or not over or not all(isinstance(key, str) for key in over):
        allowed = "a mapping parameter -> (low, high), such as {'ridge': (1e-8, 10.0)}"
        raise TypeError(checks.refusal("over", over, allowed))
    ranges = tuple(_range(study, key, ends, params) for key, ends in over.items())
    if len({free.label for free in ranges}) < len(ranges):
        raise ValueError(f"over = {checks.shown(over)} is not allowed: it names a parameter twice")
    corners = [_corner(study, ranges, params, side) for side in ("high", "low")]
    if study.validate is not None:
        for shape, values in corners:
            for cell in single_cells(study, shape, values):
                study.validate(study.params(**cell), "theory")
    return ranges, *corners[-1]


def _range(study: Study, key: str, ends: Any, params: Mapping[str, Any]) -> Range:
    match = _KEY.match(key)
    parameter = study.check_name(match[1] if match else key)
    entry = tuple(int(i) for i in match[2].split(",")) if match and match[2] else ()
    name = parameter.name
    if parameter.type == "choice" or parameter.is_static("theory") or parameter.static:
        raise ValueError(
            f"over[{key!r}] is not allowed: {name} is {parameter.describe_range()}, static, and "
            "does not vary continuously; compare its values with `predict` or `sweep`"
        )
    if parameter.type == "array":
        _check_entry(parameter, entry, params.get(name, parameter.default), key)
    elif entry:
        raise ValueError(f"over[{key!r}] is not allowed: {name} is a single number")
    elif name in params:
        raise ValueError(f"{name} is given twice: in over and as a fixed value")
    refusal = f"over[{key!r}] = {checks.shown(ends)} is not allowed:"
    given = tuple(ends) if isinstance(ends, (tuple, list, np.ndarray)) else ()
    scale = given[2] if len(given) == 3 else None
    if not 2 <= len(given) <= 3 or (scale is not None and scale not in SCALES):
        raise ValueError(
            f"{refusal} write (low, high), or (low, high, 'log') or (low, high, 'linear')"
        )
    number = parameter if not entry else _number_like(parameter)
    low, high = (float(number.canonical(end)) for end in given[:2])
    if not low < high or not math.isfinite(high):
        raise ValueError(f"{refusal} it needs finite low < high")
    if scale == "log" and low <= 0:
        raise ValueError(f"{refusal} a log scale needs low > 0")
    if scale is None:
        scale = "log" if low > 0 and high / low >= LOG_RATIO else "linear"
    label = name + (f"[{', '.join(map(str, entry))}]" if entry else "")
    return Range(label, parameter, entry, low, high, str(scale))


def _number_like(parameter: Parameter) -> Parameter:
    """The declaration of one entry of an array."""
    return Parameter(parameter.name, "float", 0.0, parameter.symbol, parameter.meaning)


def _check_entry(parameter: Parameter, entry: tuple[int, ...], value: Any, key: str) -> None:
    shape = np.shape(parameter.canonical(value))
    if len(entry) != len(shape) or any(i >= n for i, n in zip(entry, shape, strict=True)):
        raise ValueError(
            f"over[{key!r}] is not allowed: name one entry of {parameter.name}, an array of shape "
            f"{shape}, as in '{parameter.name}[{', '.join('0' * len(parameter.dims))}]'"
        )


def _corner(
    study: Study, ranges: tuple[Range, ...], params: Mapping[str, Any], side: str
) -> tuple[tuple[int, ...], Values]:
    """The checked values with every free parameter at the same end of its range."""
    given = dict(params)
    for free in ranges:
        end = getattr(free, side)
        if free.entry:
            name = free.parameter.name
            array = np.array(given.get(name, free.parameter.default), dtype=float)
            array[free.entry] = end
            end = array
        given[free.parameter.name] = end
    return broadcast_cells(study, given)
