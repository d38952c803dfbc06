"""Results that hold arrays: ``==`` compares by value, ``repr`` shows arrays by their shapes."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np


class ByValue:
    """For dataclasses declared with ``eq=False``: equal if all fields are, to the bit.

    Not-a-number equals itself here, as a result equals its copy. With ``repr=False`` arrays and
    long tuples are shown by their shapes and lengths.
    """

    __hash__ = None  # type: ignore[assignment]  # as Python does beside __eq__

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            same(getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)  # type: ignore[arg-type]  # heirs are dataclasses
        )

    def __repr__(self) -> str:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]  # likewise
        held = [(name, getattr(self, name)) for name in names]
        return f"{type(self).__name__}({', '.join(f'{name}={_short(x)}' for name, x in held)})"


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<array {value.shape}>"
    if isinstance(value, tuple) and len(value) > 3:
        return f"<{len(value)} values>"
    return repr(value)


def same(one: Any, other: Any) -> bool:
    """Are two values equal, with all that they hold?"""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.shape(one) == np.shape(other) and np.array_equal(
            one, other, equal_nan=np.asarray(one).dtype.kind in "fc"
        )
    return bool(one == other or (one != one and other != other))
