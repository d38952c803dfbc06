"""The processes of a distributed sweep: they wait for each other, and notice when one dies.

They share the folder of the store anyway, so they meet there: each writes its own small file again
and again, and looks at those of the others. A file counts once it repeats the token of who reads
it: so none of an earlier run does. (Waiting in a collective of JAX ends in an abort of all
processes when one dies, and says neither which one nor what to do.)
"""

import contextlib
import json
import math
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax

from simulator.engine.progress import duration
from simulator.store.files import PRIVATE, read_file, remove, write_file

#: Seconds between two signs of life, and without one until a process counts as dead.
SIGN_EVERY = 5.0
PATIENCE = 60.0


class PeerLost(ConnectionError):
    """Another process has died, or has failed; the message names it."""


@dataclass
class _Peer:
    """What is known of another process."""

    told: dict[str, Any] = field(default_factory=dict)
    met: bool = False
    last: float = field(default_factory=time.monotonic)

    def hear(self, told: dict[str, Any] | None, met: bool) -> None:
        """Take note of what its file says; None if there is none: it has left, if it was met."""
        if told is None:
            told = self.told | {"stage": math.inf} if self.met else {}
        if told != self.told and (met or self.met):
            self.met, self.last = True, time.monotonic()
        self.told = told

    @property
    def stage(self) -> float:
        return self.told["stage"] if self.met else 0

    @property
    def failure(self) -> str | None:
        return self.told["failure"] if self.met else None

    @property
    def is_silent(self) -> bool:
        """For too long; one that has left need say nothing."""
        return self.stage < math.inf and time.monotonic() - self.last > PATIENCE


class Processes:
    """All processes of this sweep, seen from this one; see :func:`meeting`."""

    def __init__(self, folder: Path) -> None:
        self.index, self.count = jax.process_index(), jax.process_count()
        self._folder = folder
        self._mine: dict[str, Any] = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "token": uuid.uuid4().hex,
            "met": {},
            "stage": 0,
            "failure": None,
            "sign": 0,
        }
        self._peers = {i: _Peer() for i in range(self.count) if i != self.index}
        self._lock = threading.RLock()
        self._over = threading.Event()

    def wait(self) -> None:
        """Wait until every other process is as far as this one.

        Raises
        ------
        PeerLost
            If one of them has died, or has failed.
        """
        if not self._peers:
            return
        self._tell(stage=self._mine["stage"] + 1)
        while True:
            self._listen()
            self.check()
            if all(peer.stage >= self._mine["stage"] for peer in self._peers.values()):
                return
            time.sleep(max(0.1, self.count / 50))

    def check(self) -> None:
        """Raise `PeerLost` if another process has died, or has failed."""
        for index, peer in self._peers.items():
            if peer.failure is not None:
                raise PeerLost(peer.failure)
            if peer.is_silent:
                where = _name(index, peer.told) if peer.met else f"process {index}"
                raise PeerLost(
                    f"{where} has died, or its machine has: no sign of it for "
                    f"{duration(time.monotonic() - peer.last)}. What was stored is safe; start all "
                    "processes again with the same command"
                )

    def _file(self, index: int) -> Path:
        return self._folder / f"{index}.json"

    def _tell(self, **news: Any) -> None:
        with self._lock:
            self._mine |= news | {"sign": self._mine["sign"] + 1}
            write_file(self._file(self.index), json.dumps(self._mine).encode(), durable=False)

    def _listen(self) -> None:
        with self._lock:
            for index, peer in self._peers.items():
                try:
                    told = json.loads(read_file(self._file(index)))
                except FileNotFoundError:
                    told = {}
                met = told.get("met", {}).get(str(self.index)) == self._mine["token"]
                peer.hear(told or None, met)
            met = {str(i): peer.told.get("token") for i, peer in self._peers.items()}
            if met != self._mine["met"]:
                self._tell(met=met)

    def _live(self) -> None:
        while not self._over.wait(SIGN_EVERY):
            with contextlib.suppress(OSError, RuntimeError, ValueError):  # the next one may succeed
                self._tell()
                self._listen()

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """Give signs of life; at the end leave, or say what has failed."""
        if not self._peers:
            yield
            return
        self._tell()
        thread = threading.Thread(target=self._live, name="signs of life", daemon=True)
        thread.start()
        try:
            yield
        except BaseException as error:
            self._over.set()
            thread.join()
            words = " ".join(str(error).split()) or type(error).__name__
            lost = isinstance(error, PeerLost)
            self._tell(failure=words if lost else f"{_name(self.index, self._mine)}: {words}")
            raise
        self._over.set()
        thread.join()
        remove(self._file(self.index))


def _name(index: int, told: dict[str, Any]) -> str:
    return f"process {index} (pid {told['pid']} on {told['host']})"


@contextlib.contextmanager
def meeting(path: Path) -> Iterator[Processes]:
    """The processes that compute the store at ``path``; a single one if JAX knows of no other."""
    processes = Processes(path / PRIVATE / "processes")
    with processes.alive():
        yield processes
