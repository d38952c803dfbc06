"""A sweep on disk: labelled arrays that anyone can open, and records that survive a kill.

Layout of a store::

    zarr.json, theory/, mean/, standard_error/, status/    zarr v3: labelled arrays
    .simulator/manifest.json     what is swept: study, parameters, axes, seed, dtype, versions
    .simulator/layout.json       checksums of all metadata, coordinates and theory
    .simulator/records/*.rec     the state of cells, written after their chunks: the done-markers
    .simulator/lock              held by the sweep that writes

The records are the truth. One holds the running moments of the cells that advanced since the last
one; it appears whole (temporary file, fsync, rename), carries a checksum, and is never changed. A
cell counts as computed when a record says so. The arrays are written from the records, now and then
and at the end: one file each, with one chunk per cell, so that a hundred thousand cells are not a
million files. Every chunk carries a crc32c that all zarr readers check. What no record holds
(metadata, coordinates, theory) has its checksums in the layout, written last, and is laid out anew
if one does not fit. So a kill at any moment loses at most the work since the last record, and
nothing half-written is read as right.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import socket
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simulator.sweep.moments import Moments, Summary

FORMAT = 1
PRIVATE = ".simulator"
#: Records beyond this number are merged into one when the store is opened for writing.
MANY_RECORDS = 64


class StoreError(RuntimeError):
    """A store that cannot be used as asked; the message names the file and the way out."""


@dataclass
class CellState:
    """What is known of one cell.

    Attributes
    ----------
    moments : mapping output -> state of its running moments (`Moments.state`)
    replicates : int
    failure : str or None
        Why the cell cannot be computed.
    """

    replicates: int = 0
    moments: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    failure: str | None = None

    def summaries(self) -> dict[str, Summary]:
        """Mean, variance and kurtosis of every output."""
        return {name: Moments.from_state(state).summary() for name, state in self.moments.items()}


@dataclass(frozen=True)
class Speed:
    """Replicates computed and the seconds they took, over all records."""

    replicates: int = 0
    seconds: float = 0.0


def check_installed() -> None:
    """Raise `StoreError` if what stores are written with is not installed: it is an extra."""
    absent = [name for name in ("zarr", "google_crc32c") if importlib.util.find_spec(name) is None]
    if absent:
        raise StoreError(
            f"a store needs {' and '.join(absent)}: pip install 'theory-simulator[store]'"
        )


# --------------------------------------------------------------------------------------------
# Manifest
# --------------------------------------------------------------------------------------------
def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the store at ``path``.

    Raises
    ------
    StoreError
        If there is no store, or its manifest is unreadable.
    """
    file = path / PRIVATE / "manifest.json"
    try:
        manifest = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise StoreError(f"{path} holds no sweep: {file} is missing") from error
    except (ValueError, OSError) as error:
        raise _damaged_manifest(file, f"unreadable: {error}") from error
    if not isinstance(manifest, dict) or manifest.pop("checksum", None) != _checksum(manifest):
        raise _damaged_manifest(file, "its checksum does not fit")
    if manifest.get("format") != FORMAT:
        raise StoreError(
            f"{file} has format {manifest.get('format')!r}; this version reads format {FORMAT}"
        )
    return manifest


def _damaged_manifest(file: Path, why: str) -> StoreError:
    return StoreError(
        f"{file} is damaged ({why}): delete it and run the same sweep again; what was computed is "
        "found in the records"
    )


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest, in one step."""
    content = {"format": FORMAT} | dict(manifest)
    text = json.dumps(content | {"checksum": _checksum(content)}, indent=1)
    write_file(path / PRIVATE / "manifest.json", text.encode())


def _checksum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def write_file(file: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file that appears whole or not at all."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with open(partial, "wb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(partial, file)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise StoreError(
            f"{file} could not be written ({error.strerror}): what was stored before is safe; "
            "make room or mend the folder, then run the same command again"
        ) from error


# --------------------------------------------------------------------------------------------
# Lock
# --------------------------------------------------------------------------------------------
@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the store for writing; the system releases it when the process ends, however it does."""
    file = path / PRIVATE / "lock"
    with open(file, "a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            raise StoreError(
                f"{path} is in use by another sweep ({stream.read().strip() or 'unknown'}): "
                "wait for it, or give another folder"
            ) from error
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {socket.gethostname()}")
        stream.flush()
        yield


# --------------------------------------------------------------------------------------------
# Records
# --------------------------------------------------------------------------------------------
_MOMENTS = ("mean", "m2", "m3", "m4")


def write_record(
    path: Path, states: Mapping[str, CellState], speed: Speed, writer: str = ""
) -> Path:
    """Acknowledge the states of some cells (by identity hash) in a new file.

    The file's name begins with the time, so that names sort by age, and ends with the ``writer``.
    """
    cells = []
    numbers: list[np.ndarray] = []
    for identity, state in states.items():
        outputs = []
        for name, moments in state.moments.items():
            outputs.append([name, np.shape(moments["mean"]), len(moments["pending"])])
            numbers += [np.ravel(moments[key]) for key in (*_MOMENTS, "pending")]
        cells.append([identity, state.replicates, state.failure, outputs])
    header = {"cells": cells, "replicates": speed.replicates, "seconds": speed.seconds}
    payload = np.concatenate([*numbers, np.zeros(0)]).astype("<f8").tobytes()
    body = json.dumps(header).encode() + b"\n" + payload
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}{writer and '-'}{writer}.rec"
    file = path / PRIVATE / "records" / name
    write_file(file, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    return file


def read_record(file: Path) -> tuple[dict[str, CellState], Speed]:
    """The states in one record.

    Raises
    ------
    StoreError
        If the file is not what was written.
    """
    content = file.read_bytes()
    digest, _, body = content.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise StoreError(
            f"{file} is damaged (its checksum does not fit): delete it and run the same sweep "
            "again; what it held is computed anew"
        )
    head, _, payload = body.partition(b"\n")
    header = json.loads(head)
    numbers = np.frombuffer(payload, "<f8")
    position = 0

    def take(shape: Sequence[int]) -> np.ndarray:
        nonlocal position
        size = int(np.prod(shape))
        values = numbers[position : position + size].reshape(shape)
        position += size
        return values

    states = {}
    for identity, replicates, failure, outputs in header["cells"]:
        moments = {}
        for name, shape, pending in outputs:
            state = {key: take(shape) for key in _MOMENTS}
            state["pending"] = take((pending, *shape))
            state["count"] = np.asarray(replicates - pending)
            moments[name] = state
        states[identity] = CellState(replicates, moments, failure)
    return states, Speed(header["replicates"], header["seconds"])


def read_records(path: Path, writer: str = "") -> tuple[dict[str, CellState], Speed, list[Path]]:
    """The newest state of every cell, the speed so far, and the files read.

    With ``writer``, its records alone.
    """
    files = sorted((path / PRIVATE / "records").glob(f"*{writer and '-'}{writer}.rec"))
    states: dict[str, CellState] = {}
    replicates, seconds = 0, 0.0
    for file in files:
        found, speed = read_record(file)
        for identity, state in found.items():
            known = states.get(identity)
            # Later files win, unless they know less: two processes may have shared a cell.
            if known is None or state.failure or state.replicates >= known.replicates:
                states[identity] = state
        replicates += speed.replicates
        seconds += speed.seconds
    return states, Speed(replicates, seconds), files


def merge_records(path: Path) -> None:
    """Replace many records by one; a kill in between leaves both, which read the same."""
    states, speed, files = read_records(path)
    if len(files) <= MANY_RECORDS:
        return
    write_record(path, states, speed)
    for file in files:
        file.unlink()


# --------------------------------------------------------------------------------------------
# Arrays
# --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Array:
    """One array of the hierarchy: the grid's axes, then the output's own dims."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str = "<f8"
    meaning: str = ""


def create_arrays(
    path: Path,
    axes: Sequence[str],
    coordinates: Any,
    arrays: Mapping[str, Mapping[str, Array]],
    attributes: Mapping[str, Any],
) -> None:
    """Lay out the empty zarr hierarchy ``group -> name -> array``.

    Results have one chunk per cell and output, theory one per output. What stood there before is
    replaced. ``zarr.json`` with the consolidated metadata, without which nothing is found, goes
    first and comes last.
    """
    import zarr
    from zarr.codecs import Crc32cCodec

    with contextlib.suppress(FileNotFoundError):
        (path / "zarr.json").unlink()
    for group, members in arrays.items():
        shutil.rmtree(path / group, ignore_errors=True)
        coordinates.to_zarr(path / group, mode="w", zarr_format=3, consolidated=False)
        node = zarr.open_group(path / group, mode="a", zarr_format=3)
        for name, array in members.items():
            node.create_array(
                name,
                shape=array.shape,
                **_chunks_of(array, () if group == "theory" else axes),
                dtype=array.dtype,
                compressors=[Crc32cCodec()],
                fill_value=np.nan if array.dtype == "<f8" else 0,
                dimension_names=array.dims,
                attributes={"meaning": array.meaning},
            )
    with warnings.catch_warnings():
        # Consolidated metadata keeps readers out of our private folder; zarr says that it is not
        # in the specification yet, and that the private folder is no array. Both are meant.
        warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
        zarr.create_group(path, zarr_format=3, attributes=dict(attributes))
        zarr.consolidate_metadata(path, zarr_format=3)


def _chunks_of(array: Array, axes: Sequence[str]) -> dict[str, Any]:
    """One file for each array; in it, one chunk for each point of the ``axes``."""
    whole = tuple(max(size, 1) for size in array.shape)
    if not axes:
        return {"chunks": whole}
    cell = [1 if dim in axes else size for dim, size in zip(array.dims, whole, strict=True)]
    return {"chunks": tuple(cell), "shards": whole}


def write_layout(path: Path, groups: Iterable[str]) -> None:
    """Note the checksums of all files that are there before the first cell is computed."""
    members = [file for group in groups for file in sorted((path / group).rglob("*"))]
    sums = {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in [path / "zarr.json", *members]
        if file.is_file()
    }
    body = json.dumps(sums, indent=0).encode()
    digest = hashlib.sha256(body).hexdigest().encode()
    write_file(path / PRIVATE / "layout.json", digest + b"\n" + body)


def remove_layout(path: Path) -> None:
    """Have everything laid out anew by the next sweep that writes."""
    (path / PRIVATE / "layout.json").unlink(missing_ok=True)


def damaged_layout(path: Path) -> Iterator[Path]:
    """Files of the layout that are not what was written, or the layout itself."""
    file = path / PRIVATE / "layout.json"
    digest, _, body = file.read_bytes().partition(b"\n") if file.is_file() else (b"", b"", b"")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        yield file
        return
    for name, expected in json.loads(body).items():
        part = path / name
        if not part.is_file() or hashlib.sha256(part.read_bytes()).hexdigest() != expected:
            yield part


class ArrayFile:
    """Writes an array of the hierarchy as the one file that zarr expects.

    A file here is the little-endian values followed by their crc32c; for results, one such chunk
    per computed cell, and an index of where each lies (zarr's sharding). Going through zarr costs a
    tenth of a millisecond per cell and output, which for small cells is more than computing them.
    """

    def __init__(self, path: Path, group: str, name: str) -> None:
        metadata = json.loads((path / group / name / "zarr.json").read_text())
        self.shape = tuple(metadata["shape"])
        self.dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        self.fill = np.nan if self.dtype.kind == "f" else 0
        self.sharded = any(c["name"] == "sharding_indexed" for c in metadata["codecs"])
        self.file = path.joinpath(group, name, "c", *["0"] * len(self.shape))

    def empty(self) -> np.ndarray:
        """The array without any value."""
        return np.full(self.shape, self.fill, self.dtype)

    def write(self, block: np.ndarray, present: np.ndarray) -> None:
        """Write the values of the cells that are ``present``; the file appears whole."""
        cells = [values.tobytes() for values in block.reshape(present.size, -1)]
        if self.sharded:
            content = _sharded(cells, present.ravel())
        else:
            content = _with_checksum(b"".join(cells))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_file(self.file, content, durable=False)


def _with_checksum(content: bytes) -> bytes:
    import google_crc32c

    return content + int(google_crc32c.value(content)).to_bytes(4, "little")


def _sharded(cells: Sequence[bytes], present: np.ndarray) -> bytes:
    """The chunks of a shard, then the (offset, length) of each; all ones where there is none."""
    chunks = [_with_checksum(cell) for cell, there in zip(cells, present, strict=True) if there]
    index = np.full((len(cells), 2), 2**64 - 1, "<u8")
    size = len(chunks[0]) if chunks else 0
    index[present] = np.stack([np.arange(len(chunks)) * size, np.full(len(chunks), size)], axis=1)
    return b"".join(chunks) + _with_checksum(index.tobytes())
