"""Large arrays of a sweep (the rows of a data set): stored once beside the manifest, by digest.

So a store opens by itself, wherever it is, and whether the data set is still at hand or not.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from simulator.large_array import LargeArray
from simulator.store.files import PRIVATE, StoreError, read_file, write_file
from simulator.study import Study


def tokens(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with what a manifest says in place of large arrays."""
    return {
        name: value.token if isinstance(value, LargeArray) else value
        for name, value in values.items()
    }


def keep_arrays(path: Path, values: Mapping[str, Any]) -> None:
    """Write the large arrays that the store at ``path`` does not hold yet, or not intact."""
    for name, value in values.items():
        if isinstance(value, LargeArray):
            try:
                _read(path, name, value.token)
            except StoreError:
                packed = io.BytesIO()
                np.save(packed, value.view(np.ndarray), allow_pickle=False)
                write_file(_file(path, value.token), packed.getvalue())


def with_arrays(path: Path, study: Study, values: Mapping[str, Any]) -> dict[str, Any]:
    """What `tokens` was given, from the store at ``path``.

    Raises
    ------
    StoreError
        If an array is missing or damaged; the message names the file.
    """
    return {
        name: _read(path, name, value)
        if name in study.declarations
        and study.declarations[name].large
        and isinstance(value, Mapping)
        else value
        for name, value in values.items()
    }


def _read(path: Path, name: str, token: Mapping[str, Any]) -> LargeArray:
    file = _file(path, token)
    way_out = f"run the same sweep again, with the same {name}, and it is written anew"
    try:
        found = LargeArray.of(np.load(io.BytesIO(read_file(file)), allow_pickle=False))
    except FileNotFoundError as error:
        raise StoreError(f"{file} is missing: {way_out}") from error
    except (ValueError, OSError, EOFError) as error:
        raise StoreError(f"{file} is damaged ({error}): {way_out}") from error
    if found.token != token:
        raise StoreError(f"{file} is damaged (its content is another): {way_out}")
    return found


def _file(path: Path, token: Mapping[str, Any]) -> Path:
    digest = token.get("sha256")
    if not isinstance(digest, str) or not digest.isalnum():
        raise StoreError(f"{path} has a manifest that names no digest of an array: {digest!r}")
    return path / PRIVATE / "arrays" / f"{digest}.npy"
