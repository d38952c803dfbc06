"""Sweeps as NetCDF files: known beforehand to be possible, and written whole or not at all."""

import importlib.util
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.store.files import make_partial, reason, remove, write_file
from simulator.store.manifest import strict

if TYPE_CHECKING:
    import xarray as xr


def check_netcdf(path: Path) -> None:
    """Refuse before the computation what could not be written after it.

    Raises
    ------
    ValueError
        If no NetCDF file can be written to ``path``; the message says why.
    """
    if path.suffix != ".nc":
        raise ValueError(f"{path} is not allowed: the file name must end in .nc")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path} is not allowed: the folder does not exist")
    if path.is_dir():
        raise ValueError(f"{path} is not allowed: it is a folder")
    if not all(importlib.util.find_spec(name) for name in ("h5netcdf", "h5py")):
        raise ValueError("NetCDF needs h5netcdf and h5py: pip install 'theory-simulator[netcdf]'")
    try:
        descriptor, partial = make_partial(_target(path))
    except OSError as error:
        raise ValueError(
            f"{path} is not allowed: it cannot be written ({reason(error)})"
        ) from error
    os.close(descriptor)
    remove(partial)


def write_netcdf(tree: "xr.DataTree", path: Path) -> None:
    """Write a tree with its attributes (`attribute`) as one file, which appears whole.

    Raises
    ------
    StoreError
        If it cannot be written. What was there before is still there.
    """
    flat = tree.copy()
    flat.attrs = {name: attribute(value) for name, value in tree.attrs.items()}
    write_file(_target(path), bytes(flat.to_netcdf(engine="h5netcdf")))


def _target(path: Path) -> Path:
    """Where the file is: a link that the user has put there goes on leading to it."""
    return Path(os.path.realpath(path))


def attribute(value: Any) -> Any:
    """The value as an attribute that NetCDF can hold.

    Numbers, text and arrays of numbers of one kind are themselves. What has no type there is text:
    whole numbers beyond 64 bits their digits, anything else JSON.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, (float, str, np.ndarray)) or _is_array(value):
        return value
    return json.dumps(strict(value), allow_nan=False)


def _is_array(value: Any) -> bool:
    """A (nested) list of numbers that NumPy keeps as they are."""
    leaves = np.array(value, object).ravel() if isinstance(value, list) else ()
    kinds = {type(leaf) for leaf in leaves}
    return kinds == {float} or (kinds == {int} and all(-(2**63) <= n < 2**63 for n in leaves))
