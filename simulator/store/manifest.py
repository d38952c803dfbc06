"""What a store says of its sweep: study, parameters, axes, seed, dtype, versions.

Strict JSON with a checksum. It has no number for infinity: there, text stands for it.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator import checks
from simulator.parameters import METHODS
from simulator.store.files import PRIVATE, StoreError, own_files, read_file, write_file

FORMAT = 1


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the store at ``path``.

    Raises
    ------
    StoreError
        If there is no store, or its manifest is unreadable.
    """
    own_files(path)  # no link is followed
    file = path / PRIVATE / "manifest.json"
    try:
        manifest = json.loads(read_file(file))
        whole = isinstance(manifest, dict) and manifest.pop("checksum", None) == _checksum(manifest)
    except FileNotFoundError as error:
        what = f"{file} is missing" if os.path.isdir(path) else "there is no such file or folder"
        raise StoreError(f"{path} holds no sweep: {what}") from error
    except StoreError:
        if not os.path.isdir(path):
            raise StoreError(f"{path} holds no sweep: it is no folder") from None
        raise
    except (ValueError, RecursionError) as error:
        raise damaged_manifest(file, f"unreadable: {error}") from error
    if not whole:
        raise damaged_manifest(file, "its checksum does not fit")
    if manifest.get("format") != FORMAT:
        raise StoreError(
            f"{file} has format {manifest.get('format')!r}; this version reads format {FORMAT}"
        )
    wrong = _not_as_written(manifest)
    if wrong is not None:
        raise damaged_manifest(file, f"{wrong} is not what a sweep writes")
    return manifest | {name: _with_infinities(manifest[name]) for name in ("parameters", "axes")}


_FIELDS: Mapping[str, Any] = {
    **dict.fromkeys(("study", "method", "dtype", "platform"), str),
    **dict.fromkeys(("schema", "seed", "replicates"), int),
    **dict.fromkeys(("parameters", "axes", "versions"), dict),
}


_CHOICES: Mapping[str, Any] = {
    "method": METHODS,
    "dtype": checks.DTYPES,
}


def _not_as_written(manifest: Mapping[str, Any]) -> str | None:
    """The first entry that no sweep could have written."""
    for name, kind in _FIELDS.items():
        value: Any = manifest.get(name)
        if type(value) is not kind or (kind is int and value < 0):
            return name
        if value not in _CHOICES.get(name, (value,)):
            return name
    for name, values in manifest["axes"].items():
        plain = isinstance(values, list) and all(type(v) in (int, float, str) for v in values)
        if not plain or not 0 < len(values) == len(set(values)) or name in manifest["parameters"]:
            return f"the axis {name}"
    return None


def damaged_manifest(file: Path, why: str) -> StoreError:
    return StoreError(
        f"{file} is damaged ({why}): delete it and run the same sweep again; what was computed is "
        "found in the records"
    )


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest, in one step."""
    content = {"format": FORMAT} | strict(manifest)
    text = json.dumps(content | {"checksum": _checksum(content)}, indent=1, allow_nan=False)
    write_file(path / PRIVATE / "manifest.json", text.encode())


def _checksum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


INFINITY = "Infinity"  # as zarr writes it: JSON has no number for it


def strict(value: Any) -> Any:
    """The same with text in place of numbers that JSON lacks."""
    if isinstance(value, Mapping):
        return {name: strict(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else INFINITY if value > 0 else f"-{INFINITY}"
    return value


def _with_infinities(value: Any) -> Any:
    """What `strict` was given."""
    if isinstance(value, dict):
        return {name: _with_infinities(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_with_infinities(entry) for entry in value]
    return math.inf if value == INFINITY else value
