"""One parameter: what it may be, and the errors that say so."""

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np

from simulator import checks
from simulator.checks import holds_mask, plain_array
from simulator.large_array import LargeArray
from simulator.spelling import suggestion
from simulator.vocabulary import VOCABULARY, Range

Method = Literal["direct", "fast", "conditional", "path"]
METHODS: tuple[Method, ...] = ("fast", "direct", "conditional", "path")
SIMULATIONS = METHODS  # for ``static_in``: a shape in every simulation, a number in the theory
Bound = float | str
#: Numbers beyond it are infinite to whatever is computed of them.
LARGEST = int(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Parameter:
    """Declaration of one parameter.

    Attributes
    ----------
    name, symbol, meaning : str
        Name in code, symbol in the paper, one line of prose.
    type : {"int", "float", "choice", "array"}
    default : value used when the parameter is not given.
    static : bool
        It fixes array shapes or program structure: a new value means a new compilation.
    static_in : tuple of str
        Simulation methods in which a traced parameter is static all the same, because it fixes
        the shape of drawn data: often ``("direct",)``, where rows are drawn one by one.
    traced_in : tuple of str
        Sides (``"theory"``, simulation methods) that take a static parameter traced all the same:
        a length over which they loop. Reverse differentiation through the loop needs it static.
    at_least, above, at_most, below : number or str, optional
        Closed and open bounds; a string names another parameter, as in ``"dim"`` or ``"dim + 2"``.
    multiple_of : int
        Whole numbers must be multiples of it.
    integer : bool
        The value must be a whole number (always true for ``int``).
    infinite : bool
        ``inf`` is a legal value.
    choices : tuple of str
    dims : tuple of str
        Dims of an array parameter; an empty array means "not given".
    large : bool
        An array such as the rows of a data set, as long as they come: checked values are a
        `LargeArray`, which is held once and known by a digest of its content.
    padded : bool
        The theory takes this length padded, to one of few: its arrays have the parameter's value,
        and :func:`unpadded` tells how much of them counts.
    resampled : bool
        An array with one entry per unit of size: at another size there are as many more or fewer,
        of the same law.
    typical : (low, high), optional
        A range in which most values of interest lie.
    grows : number, or function of the parameters that returns one
        The same problem at ``s`` times the size has this parameter times ``s**grows``: 1 for sizes,
        0 for what stays.
    """

    name: str
    type: Literal["int", "float", "choice", "array"]
    default: Any
    symbol: str
    meaning: str
    static: bool = False
    static_in: tuple[str, ...] = ()
    traced_in: tuple[str, ...] = ()
    at_least: Bound | None = None
    above: Bound | None = None
    at_most: Bound | None = None
    below: Bound | None = None
    multiple_of: int = 1
    integer: bool = False
    infinite: bool = False
    choices: tuple[str, ...] = ()
    dims: tuple[str, ...] = ()
    large: bool = False
    padded: bool = False
    resampled: bool = False
    typical: Range | None = None
    grows: float | Callable[[Any], float] = 0.0

    @property
    def optional(self) -> bool:
        """An array that need not be given: then no cell, key or store mentions it."""
        return self.type == "array" and np.size(self.default) == 0

    @property
    def is_scalar_number(self) -> bool:
        return self.type in ("int", "float")

    @property
    def is_whole(self) -> bool:
        """The values are whole numbers."""
        return self.integer or self.type == "int"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Its letter in the paper, and the one that most papers use."""
        word = VOCABULARY.get(self.name)
        return (self.symbol, word.symbol) if word else (self.symbol,)

    def is_static(self, side: str) -> bool:
        """Static on this side: ``"theory"`` or a simulation method."""
        if self.static:
            return side not in self.traced_in
        return side in self.static_in

    def describe_default(self) -> str:
        """The default in words, for help texts: of a large array its shape."""
        if not self.large:
            return str(self.default)
        return f"an example of {' x '.join(map(str, np.shape(self.default)))} numbers"

    def describe_range(self) -> str:
        """What is allowed, in words, for help texts and errors."""
        if self.type == "choice":
            return "one of " + ", ".join(self.choices)
        bounds = [
            f"{sign} {value:g}" if not isinstance(value, str) else f"{sign} {value}"
            for sign, value in ((">=", self.at_least), (">", self.above), ("<=", self.at_most))
            if value is not None
        ]
        if self.below is not None:
            bounds.append(f"< {self.below}")
        kind = "a whole number" if self.is_whole else "a finite number"
        if self.multiple_of > 1:
            kind = f"a multiple of {self.multiple_of}"
        if self.type == "array":
            kind = f"an array with dims ({', '.join(self.dims)}) of " + (
                "whole numbers" if self.integer else "finite numbers"
            )
        if self.infinite:
            kind = kind.replace("finite ", "") + " or inf"
        return f"{kind} {' and '.join(bounds)}".rstrip()

    # -- validation ---------------------------------------------------------------------------
    def canonical(self, value: Any) -> Any:
        """Check type and finiteness; return a Python number, string, or (tuple of) array values.

        Raises
        ------
        TypeError, ValueError
            Naming the parameter, the value and what is allowed.
        """
        if self.type == "choice":
            if not isinstance(value, str):
                raise TypeError(self._refusal(value))
            if value not in self.choices:
                raise ValueError(self._refusal(value) + suggestion(value, self.choices))
            return value
        if self.type == "array":
            if self.large and value is self.default:
                return self._large_default
            return self._canonical_array(value)
        return self._canonical_number(value)

    @functools.cached_property
    def _large_default(self) -> Any:
        return self._canonical_array(self.default)

    def _canonical_number(self, value: Any) -> float | int:
        number = value
        if type(value) is not int:  # of which NumPy takes no more than 64 bits
            array = self._numeric(value)
            if array.ndim != 0:
                raise TypeError(self._refusal(value))
            number = array.item()
        elif abs(value) > LARGEST:
            raise ValueError(self._refusal(value))
        if math.isnan(number) or (math.isinf(number) and not (self.infinite and number > 0)):
            raise ValueError(self._refusal(value))
        if self.is_whole and math.isfinite(number):
            if number != int(number) or int(number) % self.multiple_of:
                raise ValueError(self._refusal(value))
            if self.type == "int":
                return int(number)
        return float(number) + 0.0 if self.type == "float" else number  # -0.0 is 0.0

    def _canonical_array(self, value: Any) -> Any:
        array = self._numeric(value)
        if array.size == 0:
            empty = np.zeros((0,) * len(self.dims))
            return () if self.static else LargeArray.of(empty) if self.large else empty
        if array.ndim != len(self.dims):
            raise ValueError(
                f"{self._refusal(value)}; got {array.ndim} dims of shape {array.shape}"
            )
        if not np.all(np.isfinite(array)):
            raise ValueError(self._refusal(value))
        if self.integer and np.any(array != np.round(array)):
            raise ValueError(self._refusal(value))
        if self.large and isinstance(value, LargeArray) and not value.flags.writeable:
            return value
        array = array.astype(int) if self.integer else array.astype(float) + 0.0  # -0.0 is 0.0
        if self.large:
            return LargeArray.of(array)
        return _nested_tuple(array) if self.static else array

    def _numeric(self, value: Any) -> np.ndarray:
        """The array that ``value`` is: of numbers, none of which is masked."""
        if isinstance(value, (str, bytes)) or value is None:
            raise TypeError(self._refusal(value))
        if isinstance(value, jax.core.Tracer):
            raise TypeError(
                f"{self.name} is traced by a transformation of JAX (grad, vmap, jit), and must be "
                "a plain value here: what JAX transforms is the function that "
                "`simulator.theory(study)` returns"
            )
        try:
            array = plain_array(value)
        except (TypeError, ValueError, OverflowError, Warning) as error:
            raise TypeError(self._refusal(value)) from error
        if array.dtype.kind == "O" and all(type(v) is int for v in array.flat):
            if any(abs(v) > LARGEST for v in array.flat):
                raise ValueError(self._refusal(value))
            return array.astype(np.float64)  # more than 64 bits
        if array.size and array.dtype.kind not in "iuf":
            raise TypeError(self._refusal(value))
        return array

    def padding(self, largest: float) -> int:
        """The length that arrays get for values up to ``largest``: a power of two, at least 64."""
        return max(64, 1 << (int(largest) - 1).bit_length())

    def resized(self, array: np.ndarray, factor: float, power: float) -> np.ndarray:
        """``factor`` times as many entries, at equal ranks, each times ``factor**power``."""
        count = max(round(len(array) * factor), 1)
        ranks = np.floor((np.arange(count) + 0.5) * len(array) / count).astype(int)
        return array[ranks] * factor**power if count != len(array) else array

    def scaled(self, value: float, factor: float) -> float:
        """``value * factor``: rounded if it counts something, not below a numeric lower bound."""
        scaled = value * factor
        if self.integer or self.type == "int":
            step = self.multiple_of
            scaled = step * round(scaled / step) if math.isfinite(scaled) else scaled
        return max(scaled, self.at_least) if isinstance(self.at_least, (int, float)) else scaled

    def canonical_grid(self, given: Any) -> np.ndarray:
        """Check an array of values of a scalar traced parameter; return it as float64."""
        if self.static or not self.is_scalar_number:
            raise ValueError(
                f"{self.name} does not take a grid of values here: "
                + (f"it is {self.describe_range()}" if self.type != "array" else "it is an array")
                + (", static; sweep over it with `sweep`" if self.static else "")
            )
        grid = self._numeric(given).astype(np.float64) + 0.0  # -0.0 is 0.0
        legal = np.isfinite(grid) | (self.infinite & (grid == np.inf))
        if self.is_whole:
            steps = np.where(legal, grid, 0.0) / self.multiple_of
            legal &= np.isinf(grid) | (steps == np.round(steps))
        if not legal.all():
            raise ValueError(self._refusal(grid[~legal].flat[0]))
        return grid

    def check_bounds(self, value: Any, values: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` if ``value`` (or any entry of it) is out of range.

        Bounds may name other parameters, whose values are looked up in ``values``.
        """
        if self.type == "choice":
            return
        array = np.asarray(value, dtype=float)
        for bound, holds, limit in self.bounds(values) if array.size else ():
            wrong, limit = np.broadcast_arrays(~holds(array, limit), limit)
            if wrong.any():
                shown = np.broadcast_to(array, wrong.shape)[wrong].flat[0]
                where = f" (here {bound} = {limit[wrong].flat[0]:g})" * isinstance(bound, str)
                raise ValueError(self._refusal(f"{shown:g}", literal=True) + where)

    def bounds(
        self, values: Mapping[str, Any], numpy: Any = np
    ) -> Iterator[tuple[Bound, Callable, Any]]:
        """Each bound, the comparison that must hold, and the limit that the bound means.

        ``numpy`` is NumPy, or ``jax.numpy`` where a value is traced.
        """
        tests = (
            (self.at_least, numpy.greater_equal),
            (self.above, numpy.greater),
            (self.at_most, numpy.less_equal),
            (self.below, numpy.less),
        )
        for bound, holds in tests:
            if bound is not None:
                yield bound, holds, _bound_value(bound, values, numpy)

    def bounding(self) -> list[str]:
        """The parameters that bounds of this one name."""
        limits = (self.at_least, self.above, self.at_most, self.below)
        return [_named_in(bound)[0] for bound in limits if isinstance(bound, str)]

    def _refusal(self, value: Any, literal: bool = False) -> str:
        shown = value if literal else checks.shown(value)
        mask = ", without a mask: fill, or drop, what is masked" if holds_mask(value) else ""
        return f"{self.name} = {shown} is not allowed: it must be {self.describe_range()}{mask}"


def _nested_tuple(array: np.ndarray) -> Any:
    if array.ndim == 1:
        return tuple(array.tolist())
    return tuple(_nested_tuple(row) for row in array)


_BOUND_PATTERN = re.compile(r"^\s*(\w+)\s*(?:([+-])\s*(\d+))?\s*$")


def _bound_value(bound: Bound, values: Mapping[str, Any], numpy: Any) -> Any:
    if not isinstance(bound, str):
        return numpy.asarray(float(bound))
    name, offset = _named_in(bound)
    if name not in values:
        raise ValueError(f"the bound {bound!r} does not name a parameter")
    return numpy.asarray(values[name], dtype=float) + offset


def _named_in(bound: str) -> tuple[str, float]:
    """The parameter that a bound names, and what it adds: ``"dim + 2"``."""
    match = _BOUND_PATTERN.match(bound)
    if match is None:
        raise ValueError(f"the bound {bound!r} does not name a parameter")
    return match[1], float(match[3] or 0) * (-1 if match[2] == "-" else 1)
