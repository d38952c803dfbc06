"""Arrays as they come from outside."""

from typing import Any

import numpy as np


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
