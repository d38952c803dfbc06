"""What `optimise` and `solve` return: datasets whose dims are the grid of the other parameters."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.study import Study

if TYPE_CHECKING:
    import xarray as xr


def grids_of(study: Study, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The parameters that were given as a grid."""
    return {
        name: np.asarray(value)
        for name, value in params.items()
        if study.declarations[name].is_scalar_number and np.ndim(value)
    }


def labelled(
    study: Study,
    grids: Mapping[str, np.ndarray],
    variables: Mapping[str, tuple[np.ndarray, tuple[str, ...], Mapping[str, Any]]],
    attributes: Mapping[str, Any],
) -> "xr.Dataset":
    """Variables ``(values over the grid, further dims, attributes)`` with the grid's coordinates.

    An axis of the broadcast grid along which one parameter alone varies is a dim of its name; where
    several vary together it is ``axis_0``, ``axis_1``, ..., and they are coordinates along it.
    """
    import xarray as xr  # here: importing the package stays fast

    shape = np.broadcast_shapes(*(grid.shape for grid in grids.values()))
    own = {name: _own_axes(grid.shape, shape) for name, grid in grids.items()}
    dims = []
    for axis in range(len(shape)):
        here = [name for name, axes in own.items() if axis in axes]
        alone = len(here) == 1 and own[here[0]] == [axis]
        dims.append(here[0] if alone else f"axis_{axis}")
    coordinates: dict[str, Any] = {}
    for name, grid in grids.items():
        along = [dims[axis] for axis in own[name]]
        values = grid.reshape([shape[axis] for axis in own[name]])
        declared = study.declarations.get(name)
        symbol = {"symbol": declared.symbol} if declared else {}
        coordinates[name] = (along, values, symbol)
    data = {
        name: ((*dims, *further), values.reshape(shape + values.shape[1:]), attrs)
        for name, (values, further, attrs) in variables.items()
    }
    return xr.Dataset(data, coords=coordinates, attrs=dict(attributes))


def _own_axes(own: tuple[int, ...], shape: tuple[int, ...]) -> list[int]:
    """Axes of ``shape`` along which an array of shape ``own``, broadcast to it, varies."""
    first = len(shape) - len(own)
    return [first + i for i, size in enumerate(own) if size == shape[first + i]]
