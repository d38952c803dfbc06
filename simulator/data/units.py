"""Columns freed from their units."""

import numpy as np

#: Values that differ by less than this share of the largest are constant up to rounding.
_ROUNDING = 4 * np.finfo(float).eps


def unit_columns(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of mean 0 and mean square 1; no unit is too large or too small for it.

    Returns
    -------
    columns : (num_rows, num_columns)
        Centred and scaled; 0 where a column is constant up to rounding.
    spreads : (num_columns,)
        The standard deviations of the given columns, divided by the root of the sum of their
        squares: ``columns * spreads`` is centred, with ``E||x||^2 = 1``.
    """
    size = np.max(np.abs(values), axis=0)
    scaled = values / np.where(size > 0, size, 1.0)
    varies = np.ptp(scaled, axis=0) > _ROUNDING
    centred = (scaled - scaled.mean(axis=0)) * varies
    centred -= centred.mean(axis=0)  # what rounding left of the mean
    deviation = np.sqrt(np.mean(centred**2, axis=0))
    columns = centred / np.where(varies, deviation, 1.0)
    if not varies.any():
        return columns, deviation
    size = np.where(varies, size, 0.0)
    spreads = deviation * (size / size.max())
    return columns, spreads / np.linalg.norm(spreads)
