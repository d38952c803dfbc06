"""Sweeps as NetCDF files: known beforehand to be possible, and written whole or not at all.

Such a file is a finished result. It opens as a store does, and says the same of its cells.
"""

import importlib.util
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.engine.cells import describe
from simulator.store.files import PRIVATE, StoreError, make_partial, reason, remove, write_file
from simulator.store.manifest import strict
from simulator.study import Study

if TYPE_CHECKING:
    import xarray as xr


def check_netcdf(path: Path, overwrite: bool = False) -> None:
    """Refuse before the computation what could not be written after it.

    Parameters
    ----------
    path : the file
    overwrite : bool
        It may be there already, and is then replaced.

    Raises
    ------
    ValueError
        If no NetCDF file can be written to ``path``; the message says why.
    """
    if path.suffix != ".nc":
        raise ValueError(f"{path} is not allowed: the file name must end in .nc")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path} is not allowed: the folder does not exist")
    if (path / PRIVATE).is_dir():
        raise ValueError(
            f"{path} is not allowed: it is the folder of a store, and .nc is for files. Rename the "
            "folder: the sweep in it then goes on, and opens"
        )
    if path.is_dir():
        raise ValueError(f"{path} is not allowed: it is a folder")
    if path.exists() and not overwrite:
        raise ValueError(
            f"{path} is there already: give another name, or replace it with overwrite=True "
            "(--overwrite)"
        )
    _check_installed()
    try:
        descriptor, partial = make_partial(_target(path))
    except OSError as error:
        raise ValueError(
            f"{path} is not allowed: it cannot be written ({reason(error)})"
        ) from error
    os.close(descriptor)
    remove(partial)


def _check_installed() -> None:
    if not all(importlib.util.find_spec(name) for name in ("h5netcdf", "h5py")):
        raise ValueError("NetCDF needs h5netcdf and h5py: pip install 'theory-simulator[netcdf]'")


def read_netcdf(path: Path) -> "xr.DataTree":
    """The tree in a file that `sweep` or `export` has written.

    Raises
    ------
    StoreError
        If it is another file. It is left as it is.
    """
    import xarray as xr

    _check_installed()
    try:
        with xr.open_datatree(_target(path), engine="h5netcdf") as tree:
            tree.load()
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is no NetCDF file that can be read ({error})") from error
    if "study" not in tree.attrs:
        raise StoreError(f"{path} holds no sweep: it is a NetCDF file of something else")
    return tree


def file_status(tree: "xr.DataTree", study: Study) -> dict[str, Any]:
    """What the file of a sweep holds, as :func:`simulator.store.contents.store_status` says it.

    A sweep in memory is written when it is complete; a store may be exported before it is.
    """
    target = int(tree.attrs["replicates"])
    if "status" in tree:
        found = np.asarray(tree["status"]["replicates"])
        failed = tree["status"]["failed"].astype(bool)
    else:
        sizes = {
            str(dim): size for group in tree.children.values() for dim, size in group.sizes.items()
        }
        grid = tuple(size for dim, size in sizes.items() if dim in study.declarations)
        found = np.full(grid, target)
        failed = None
    broken = np.zeros(found.shape, bool) if failed is None else failed.values
    alive = found[~broken]
    return {
        "study": tree.attrs["study"],
        "cells": int(found.size),
        "replicates": target,
        "done": int(np.sum(alive >= target)),
        "started": int(np.sum((alive > 0) & (alive < target))),
        "missing": int(np.sum((alive == 0) & (target > 0))),
        "failed": [
            (describe(_point(failed, position)), "the store knows the reason, a file does not")
            for position in np.argwhere(broken)
        ],
        "seconds_left": None,
    }


def _point(array: Any, position: Any) -> dict[str, Any]:
    """The coordinates of an entry."""
    at = dict(zip(array.dims, position, strict=True))
    return {name: value.item() for name, value in array[at].coords.items()}


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
