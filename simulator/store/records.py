"""A sweep on disk: its lock, and the records that survive a kill.

Layout of a store::

    zarr.json, theory/, mean/, standard_error/, status/    zarr v3: labelled arrays
    .simulator/manifest.json     what is swept: study, parameters, axes, seed, dtype, versions
    .simulator/layout.json       checksums of all metadata, coordinates and theory
    .simulator/records/*.rec     the state of cells: what was computed of them
    .simulator/lock              held by the sweep that writes

The records are the truth. One holds the running moments of the cells that advanced since the last
one; it appears whole (temporary file, fsync, rename), carries a checksum, and is never changed. Its
name begins with a number above all that the writer knew: no clock decides which one is newer. A
cell counts as computed when a record says so. The arrays (`simulator.store.layout`) are written
from the records, now and then and at the end. So a kill at any moment loses at most the work since
the last record, and nothing half-written is read as right.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import math
import os
import re
import socket
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from simulator.store.files import (  # isort: skip
    PRIVATE, WAY_OUT, StoreError, entries_of, open_plain, read_file, reason, remove, write_file,
)  # fmt: skip
from simulator.engine.moments import Summary
from simulator.engine.regression import STATE, state_shapes
from simulator.engine.tally import Stalled, Tally
from simulator.study import Study

#: Records beyond this number are merged into one when the store is opened for writing.
MANY_RECORDS = 64


@dataclass
class CellState:
    """What is known of one cell.

    Attributes
    ----------
    moments : mapping output -> state of its running moments (`Moments.state`)
    replicates : int
    failure : str or None
        Why the cell cannot be computed.
    stalled : Stalled
    sequence : int
        Number of the record that says so.
    """

    replicates: int = 0
    moments: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    failure: str | None = None
    stalled: Stalled = field(default_factory=Stalled)
    sequence: int = 0

    def summaries(self) -> dict[str, Summary]:
        """Mean, variance and kurtosis of every output."""
        tally = Tally()
        tally.restore(self.replicates, self.moments, self.stalled)
        return tally.summary()


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
# Lock
# --------------------------------------------------------------------------------------------
@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the store for writing; the system releases it when the process ends, however it does."""
    file = path / PRIVATE / "lock"
    try:
        descriptor = open_plain(file, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise _unusable_lock(file, error) from error
    try:
        _hold(path, file, descriptor)
        yield
    finally:
        os.close(descriptor)


def _hold(path: Path, file: Path, descriptor: int) -> None:
    if os.fstat(descriptor).st_nlink > 1:  # what we write into it would be written into the other
        raise StoreError(f"{file} is a link to another file: {WAY_OUT}")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
    except BlockingIOError as error:
        holder = " ".join(os.pread(descriptor, 200, 0).decode(errors="replace").split())
        raise StoreError(
            f"{path} is in use by another sweep ({holder or 'unknown'}): "
            "wait for it, or give another folder"
        ) from error
    except OSError as error:
        raise _unusable_lock(file, error) from error


def _unusable_lock(file: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{file} cannot be locked ({reason(error)}): make it writable, or give a folder in a file "
        "system that has locks"
    )


# --------------------------------------------------------------------------------------------
# Records
# --------------------------------------------------------------------------------------------
_MOMENTS = ("mean", "m2", "m3", "m4")


_MERGED = "merged"
#: A reader that meets a merge begins again. There is one merge at most each time a sweep starts.
_ATTEMPTS = 100


class Records(NamedTuple):
    """What the records of a store say: the newest state of every cell, the speed so far."""

    states: dict[str, CellState]
    speed: Speed
    files: list[Path]
    shapeless: list[Path]  # `Shapeless`: not among the states


class Shapeless(StoreError):
    """Array outputs of fewer than 64 replicates, which earlier versions wrote without a shape."""


def write_record(
    path: Path, states: Mapping[str, CellState], speed: Speed, writer: str = "", after: int = 0
) -> Path:
    """Acknowledge the states of some cells (by identity hash) in a new file.

    The file's name begins with a number larger than ``after`` and those of all records there are,
    and ends with the ``writer``.
    """
    cells = []
    numbers: list[np.ndarray] = []
    for identity, state in states.items():
        outputs = []
        for name, moments in state.moments.items():
            shape, pending = np.shape(moments["mean"]), len(moments["pending"])
            # Of outputs from which control variates are regressed out, their number.
            controls = len(moments["z_mean"]) if STATE[0] in moments else None
            outputs.append([name, shape, pending, *([] if controls is None else [controls])])
            numbers += [np.ravel(moments[key]) for key in _arrays(shape, pending, controls)]
        cell = [identity, state.replicates, state.failure, outputs]
        # Versions that do not know of them read what has none.
        cells.append([*cell, *astuple(state.stalled)] if state.stalled.count else cell)
    header = {"cells": cells, "replicates": speed.replicates, "seconds": speed.seconds}
    payload = np.concatenate([*numbers, np.zeros(0)]).astype("<f8").tobytes()
    body = json.dumps(header, allow_nan=False).encode() + b"\n" + payload
    number = 1 + max([after, *map(_sequence, _record_files(path))])
    name = f"{number:020d}-{uuid.uuid4().hex[:12]}{writer and '-'}{writer}.rec"
    file = path / PRIVATE / "records" / name
    write_file(file, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    return file


def _record_files(path: Path, writer: str = "") -> list[Path]:
    """The records of a store, or of one writer, the oldest first."""
    ending = f"{writer and '-'}{writer}.rec"
    folder = path / PRIVATE / "records"
    if os.path.lexists(folder) and not folder.is_dir():  # or all would count as not computed
        raise StoreError(f"{folder} is no folder: {WAY_OUT}")
    found = [folder / e.name for e in entries_of(folder) if e.name.endswith(ending)]
    return sorted(found, key=lambda file: (_sequence(file), file.name))


def _sequence(file: Path) -> int:
    """The number that a record's name begins with (nanoseconds of a clock in earlier versions)."""
    match = re.match(r"\d+(?=-)", file.name)
    return int(match[0]) if match else 0


def read_record(file: Path) -> tuple[dict[str, CellState], Speed]:
    """The states in one record.

    Raises
    ------
    FileNotFoundError
        If it is gone: merged into another one.
    Shapeless
        If it cannot be read for want of a shape.
    StoreError
        If the file is not what was written.
    """
    digest, _, body = read_file(file).partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise _damaged_record(file, "its checksum does not fit")
    head, _, payload = body.partition(b"\n")
    try:
        header = json.loads(head)
        cells = [_checked_cell(*cell) for cell in header["cells"]]
        speed = Speed(_count(header["replicates"]), float(header["seconds"]))
        numbers = np.frombuffer(payload, "<f8")
        entries = [(state, *output) for _, state, outputs in cells for output in outputs]
        held = [shape for _, _, *entry in entries for shape in _arrays(*entry).values()]
        if sum(map(math.prod, held)) != numbers.size:
            if any(not entry[2] and entry[3] == entry[0].replicates for entry in entries):
                raise Shapeless(f"{file} was written without the shape of array outputs")
            raise ValueError("it does not hold as many numbers as it says")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _damaged_record(file, f"its content does not fit: {error}") from error
    position = 0

    def take(shape: Sequence[int]) -> np.ndarray:
        nonlocal position
        size = math.prod(shape)
        values = numbers[position : position + size].reshape(shape)
        position += size
        return values

    for state, name, shape, pending, *controls in entries:
        moments = {k: take(own) for k, own in _arrays(shape, pending, *controls).items()}
        moments["count"] = np.asarray(state.replicates - pending)
        state.moments = {**state.moments, name: moments}
    return {identity: state for identity, state, _ in cells}, speed


def _checked_cell(
    identity: Any,
    replicates: Any,
    failure: Any,
    outputs: Any,
    stalled: Any = 0,
    residual: Any = 0.0,
) -> tuple:
    """One cell of a record's header: its name, its state, and (name, shape, pending) of outputs.

    An output from which control variates are regressed out has their number, too.
    """
    if not isinstance(identity, str) or not isinstance(failure, str | None):
        raise TypeError("a cell without a name")
    found = []
    for name, shape, pending, *controls in outputs:
        if not isinstance(name, str) or _count(pending) > _count(replicates):
            raise ValueError(f"{pending} of {replicates} replicates of {name!r}")
        if len(controls) > 1:
            raise ValueError(f"{name!r} has too many numbers")
        found.append((name, tuple(map(_count, shape)), pending, *map(_count, controls)))
    if _count(stalled) > _count(replicates) or not 0 <= float(residual) < math.inf:
        raise ValueError(f"{stalled} of {replicates} replicates stalled at {residual}")
    state = CellState(replicates, {}, failure, Stalled(stalled, float(residual)))
    return identity, state, found


def _arrays(
    shape: tuple[int, ...], pending: int, controls: int | None = None
) -> dict[str, tuple[int, ...]]:
    """The arrays of an output's state in their order, and their shapes."""
    found = {**dict.fromkeys(_MOMENTS, shape), "pending": (pending, *shape)}
    return found if controls is None else found | state_shapes(shape, controls)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _damaged_record(file: Path, why: str) -> StoreError:
    return StoreError(
        f"{file} is damaged ({why}): delete it and run the same sweep again; what it held is "
        "computed anew"
    )


def _check_outputs(file: Path, states: Mapping[str, CellState], study: Study) -> None:
    """Refuse states that are not those of the outputs of ``study``."""
    simulated = [o for o in study.outputs if o.returned]
    for state in states.values():
        for output in simulated if state.replicates else ():
            moments = state.moments.get(output.name)
            if moments is None:
                raise _damaged_record(file, f"{output.name} is missing")
            if np.ndim(moments["mean"]) != len(output.dims):
                if moments["count"] == 0 and np.ndim(moments["mean"]) == 0:
                    raise Shapeless(f"{file} was written without the shape of {output.name}")
                raise _damaged_record(file, f"{output.name} has other dims")


def read_records(path: Path, study: Study, writer: str = "") -> Records:
    """What all records say of the cells of ``study``, or those of one ``writer``.

    Records of `Shapeless` outputs count as not there, and standard error says so.
    """
    for _ in range(_ATTEMPTS):
        files = _record_files(path, writer)
        try:
            records = _read(files, study)
        except FileNotFoundError:
            continue
        # While a folder changes, a listing may lack both what was merged and what holds it now.
        if writer or set(_record_files(path, _MERGED)) <= set(files):
            break
    else:
        raise StoreError(f"the records of {path} change while they are read: try again")
    if records.shapeless:
        print(
            f"{path}: {len(records.shapeless)} records of an earlier version lack the shape of "
            "array outputs and are not used: their cells are computed anew by the same sweep",
            file=sys.stderr,
        )
    return records


def _read(files: list[Path], study: Study) -> Records:
    states: dict[str, CellState] = {}
    shapeless = []
    replicates, seconds = 0, 0.0
    for file in files:
        try:
            found, speed = read_record(file)
            _check_outputs(file, found, study)
        except Shapeless:
            shapeless.append(file)
            continue
        for identity, state in found.items():
            state.sequence = _sequence(file)
            known = states.get(identity)
            # Later files win, unless they know less: two processes may have shared a cell.
            if known is None or state.failure or state.replicates >= known.replicates:
                states[identity] = state
        replicates += speed.replicates
        seconds += speed.seconds
    return Records(states, Speed(replicates, seconds), files, shapeless)


def merge_records(path: Path, study: Study) -> None:
    """Replace many records by one; a kill in between leaves both, which read the same."""
    records = read_records(path, study)
    if len(records.files) <= MANY_RECORDS and not records.shapeless:
        return
    write_record(path, records.states, records.speed, _MERGED)
    for file in records.files:
        remove(file)
