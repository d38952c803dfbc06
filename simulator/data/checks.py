"""Arguments of the functions on data, checked: one line names the argument and what is allowed."""

import math
from typing import Any

import numpy as np

from simulator.checks import plain_array
from simulator.data.files import DataError


def numbers(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, finite: bool = True
) -> np.ndarray:
    """An array of real numbers from ``low`` to ``high`` as float64.

    Raises
    ------
    TypeError
        If it holds something else than real numbers, or a mask.
    DataError
        If one of them is out of range.
    """
    kind = "finite" if finite else "numbers"
    if high < math.inf:
        kind = f"from {low:g} to {high:g}"
    elif low > -math.inf:
        kind += f" and >= {low:g}"
    try:
        array = plain_array(value)
    except (TypeError, ValueError) as error:
        raise TypeError(_refusal(name, value, f"{kind} ({error})")) from error
    if array.dtype.kind not in "iuf" and array.size:
        raise TypeError(_refusal(name, value, kind))
    array = array.astype(np.float64)
    legal = (array >= low) & (array <= high) & (np.isfinite(array) | (not finite))
    if not np.all(legal):
        raise DataError(_refusal(name, array[~legal].flat[0], kind))
    return array


def number(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, *, finite: bool = True
) -> float:
    """One real number from ``low`` to ``high``; errors as those of `numbers`."""
    array = numbers(name, value, low, high, finite=finite)
    if array.ndim:
        raise TypeError(_refusal(name, value, "one number"))
    return float(array)


def whole_number(name: str, value: Any, low: int, high: int = 2**63 - 1) -> int:
    """One whole number from ``low`` to ``high`` (64 bits); errors as those of `numbers`."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        exact: float | int = int(value)
    else:
        exact = number(name, value)
    if exact != int(exact) or not low <= exact <= high:
        bounded = high < 2**63 - 1 or exact > high
        allowed = f"a whole number, at least {low}" + f", below {high + 1}" * bounded
        raise DataError(_refusal(name, value, allowed))
    return int(exact)


def _refusal(name: str, value: Any, allowed: str) -> str:
    shown = " ".join(str(value).split())
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{name} = {shown}; allowed: {allowed}"
