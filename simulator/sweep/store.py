"""A sweep on disk: its manifest, its lock, and the records that survive a kill.

Layout of a store::

    zarr.json, theory/, mean/, standard_error/, status/    zarr v3: labelled arrays
    .simulator/manifest.json     what is swept: study, parameters, axes, seed, dtype, versions
    .simulator/layout.json       checksums of all metadata, coordinates and theory
    .simulator/records/*.rec     the state of cells: what was computed of them
    .simulator/lock              held by the sweep that writes

The records are the truth. One holds the running moments of the cells that advanced since the last
one; it appears whole (temporary file, fsync, rename), carries a checksum, and is never changed. A
cell counts as computed when a record says so. The arrays (`zarr_arrays`) are written from the
records, now and then and at the end. So a kill at any moment loses at most the work since the last
record, and nothing half-written is read as right.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
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
