"""Arguments of the functions on data, checked: one line names the argument and what is allowed."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.checks import plain_array
from simulator.data.files import DataError

if TYPE_CHECKING:
    from simulator.data.population import Population


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


def one_row(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> np.ndarray:
    """One finite number or a row of at least one, as a row; errors as those of `numbers`."""
    array = np.atleast_1d(numbers(name, value, low, high))
    if array.ndim != 1 or not len(array):
        raise DataError(
            f"{name} has shape {array.shape}; allowed: a number, or one row of at least one number"
        )
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


# --------------------------------------------------------------------------------------------
# What experiments and predictions take
# --------------------------------------------------------------------------------------------
def check_generations(num_generations: int) -> None:
    """An error unless the length of the chain is a whole number, at least 0."""
    whole_number("num_generations", num_generations, 0)


def noise_level(data: "Population", noise_std: float | None) -> float:
    """The standard deviation of label noise: the data's residual if none is given."""
    return (
        data.noise_std if noise_std is None else number("standard deviation of noise", noise_std, 0)
    )


def check_shift(data: "Population", shift: np.ndarray) -> np.ndarray:
    """The shift as an array, or an error if it is not one number per direction."""
    weights = numbers("shift", shift)
    if weights.shape != (data.dim,):
        raise DataError(
            f"shift has shape {weights.shape}; allowed: {data.dim} finite numbers, one per "
            "direction of the data"
        )
    return weights


def check_fractions(synthetic_fraction: float | Sequence[float]) -> np.ndarray:
    """The fractions as one row, or an error."""
    return one_row("synthetic_fraction", synthetic_fraction, 0, 1)


def check_penalties(
    data: "Population", ridge: float | Sequence[float], num_samples: int, name: str
) -> np.ndarray:
    """The penalties as one row, or an error if there is no unique fit."""
    if isinstance(num_samples, (int, float)) and num_samples < 1:
        raise DataError(f"number of samples {num_samples}; allowed: a whole number, at least 1")
    num_samples = whole_number("num_samples", num_samples, 1, 2**31 - 1)
    ridges = one_row(name, ridge, 0)
    if np.any(ridges == 0) and num_samples < data.dim + 2:
        raise DataError(
            f"{name} = 0 with {num_samples} samples of {data.dim} features; allowed: a positive "
            f"penalty, or at least {data.dim + 2} samples"
        )
    return ridges


def check_spectrum(data: "Population", dtype: Any) -> None:
    """A `DataError` if the smallest variance is lost in this precision."""
    smallest, least = data.eigenvalues[-1], 1e4 * np.finfo(dtype).tiny  # some room for its rows
    if smallest < least:
        raise DataError(
            f"{data.name}: the smallest variance is {smallest:.0e} of the total, which "
            f"{np.dtype(dtype).name} cannot hold; allowed: at least {least:.0e} (dtype = float64, "
            "other units, or apply_feature_map with columnwise=True)"
        )


def _refusal(name: str, value: Any, allowed: str) -> str:
    shown = " ".join(str(value).split())
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"{name} = {shown}; allowed: {allowed}"
