"""Words of the command line -> numbers, exactly."""

import argparse
import contextlib
import decimal
import math


def whole(text: str) -> int:
    """A whole number, also as 1e6: for argparse."""
    with contextlib.suppress(ValueError):
        found = number(text, whole=True)
        if isinstance(found, int):
            return found
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")


def real(text: str) -> float:
    """A number: for argparse."""
    with contextlib.suppress(ValueError):
        return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number")


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


def named_number(name: str, text: str) -> float | int:
    """A number given for ``name``."""
    try:
        return number(text)
    except ValueError as error:
        raise ValueError(f"{name} = {text!r} is not allowed: it must be a number") from error
