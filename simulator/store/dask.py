"""Sweeps on a Dask cluster: workers compute cells and record them in the shared store.

A task holds cells that share one compiled program: enough replicates to be worth sending, few
enough that the work spreads. Dask gives the task of a worker that died to another one, which goes
on from what the first one has recorded. Records and numbers are those of a sweep on one machine.
"""

import ast
import contextlib
import functools
import importlib.util
import logging
import math
import os
import pickle
import re
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simulator import checks
from simulator.engine.cells import Values
from simulator.engine.progress import reported
from simulator.engine.run import Run
from simulator.engine.setting import Setting
from simulator.runtime.compilation import default_platform
from simulator.store.compute import Compute, compute_cells
from simulator.store.files import StoreError
from simulator.store.large import tokens, with_arrays
from simulator.store.manifest import read_manifest
from simulator.store.plan import Plan, missing, versions, work
from simulator.store.records import CellState, Speed, read_records, write_record

BATCHES_PER_TASK = 16  # some tenths of a second: far more than it takes to send and record a task
MOST_TASKS = 10_000  # of cells that share a program: a scheduler holds some 100,000
SECONDS_TO_CONNECT = 10
#: Two programs in one process compete for one thread pool, and may starve each other for ever.
_ONE_AT_A_TIME = threading.Lock()


# --------------------------------------------------------------------------------------------
# On the client
# --------------------------------------------------------------------------------------------
def compute_with_dask(cluster: str) -> Compute:
    """Compute on the workers of ``cluster``: ``local``, ``local:N``, or a scheduler's address.

    Raises
    ------
    ValueError
        If ``cluster`` is none of these, or Dask is not installed.
    """
    num_local = _checked_cluster(cluster)

    def compute(
        path: Path,
        plan: Plan,
        todo: list[int],
        states: Mapping[str, CellState],
        target: int,
        refresh: Callable[[], None],
    ) -> None:
        if not todo:
            return
        tasks = _tasks(plan.part(todo), states, target)
        with (
            _client(cluster, num_local) as client,
            reported(plan.study.name, work(plan, states, target)) as progress,
        ):
            send = functools.partial(_send, client, path.resolve(), _packed(plan))

            def advanced(task: _Task) -> None:
                refresh()
                progress(task.missing, len(task.plan.cells))

            killers = list(_finished(send, tasks, advanced))
            for task in _single_cells(path, killers):
                for _ in _finished(send, [task], advanced):
                    _record_failure(path, task)

    return compute


@dataclass(frozen=True)
class _Task:
    """Cells of one compiled program, and what is known of them."""

    plan: Plan
    states: Mapping[str, CellState]
    target: int
    name: str = field(default_factory=lambda: f"task-{uuid.uuid4().hex}")

    @property
    def missing(self) -> int:
        return missing(self.plan, self.states, self.target)


def _tasks(plan: Plan, states: Mapping[str, CellState], target: int) -> list[_Task]:
    """The work in pieces. They do not depend on the cluster, which may grow and shrink."""
    run = Run(plan.study, plan.cells, Setting(**plan.options))
    tasks = []
    for program in run.programs:
        members = program.members
        per_cell = missing(plan.part(members), states, target) / len(members)
        worth_sending = math.ceil(BATCHES_PER_TASK * program.lanes / max(per_cell, 1))
        size = max(worth_sending, math.ceil(len(members) / MOST_TASKS))
        for start in range(0, len(members), size):
            part = plan.part(members[start : start + size])
            known = {name: states[name] for name in part.identities if name in states}
            tasks.append(_Task(part, known, target))
    return tasks


def _send(client: Any, path: Path, packed: bytes, task: _Task) -> Any:
    cells = [tokens(cell) for cell in task.plan.cells]  # workers read large arrays in the store
    return client.submit(
        _run_task,
        *(path, packed, cells, task.plan.positions, task.states, task.target, task.name),
        key=task.name,
        pure=False,
    )


def _finished(
    send: Callable[[_Task], Any], tasks: Sequence[_Task], advanced: Callable[[_Task], None]
) -> Iterator[_Task]:
    """Run the tasks; return those whose workers died, again and again."""
    from distributed import KilledWorker, as_completed

    sent = {task.name: task for task in tasks}
    for future in as_completed([send(task) for task in tasks]):
        task = sent[future.key]
        try:
            future.result()
        except KilledWorker:
            yield task
        except (CancelledError, OSError) as error:
            raise ConnectionError(
                "the Dask scheduler was lost: what was stored is safe; run the same command again"
            ) from error
        except ImportError as error:
            raise StoreError(
                f"a Dask worker cannot import what it needs ({error}): install theory-simulator "
                "and its dependencies where the workers run"
            ) from error
        advanced(task)


def _single_cells(path: Path, tasks: Sequence[_Task]) -> Iterator[_Task]:
    """The cells of tasks whose workers died, for running one by one: that tells who is guilty."""
    if tasks:
        states = read_records(path, tasks[0].plan.study).states
    for task in tasks:
        for index, name in enumerate(task.plan.identities):
            known = {name: states[name]} if name in states else {}
            yield _Task(task.plan.part([index]), known, task.target)


def _record_failure(path: Path, task: _Task) -> None:
    """Record that the cell of ``task`` kills its workers."""
    name = task.plan.identities[0]
    found = read_records(path, task.plan.study, task.name).states
    known = found.get(name) or task.states.get(name, CellState())
    reason = "every Dask worker that computed it died (out of memory?): see the workers' logs"
    failed = replace(known, failure=reason)
    write_record(path, {name: failed}, Speed(), after=known.sequence)


# --------------------------------------------------------------------------------------------
# Clusters
# --------------------------------------------------------------------------------------------
ADDRESS = r"((tcp|tls|ws|wss|ucx)://)?(\[[0-9a-fA-F:.%]+\]|[^\s/:\[\]]+):\d{1,5}"


def _checked_cluster(cluster: Any) -> int:
    """The number of workers to start here; 0 for a cluster that is there already."""
    text = cluster if isinstance(cluster, str) else ""
    local = re.fullmatch(r"local(?::([1-9]\d{0,3}))?", text)
    if local is None and (text.startswith("local:") or not re.fullmatch(ADDRESS, text)):
        raise ValueError(
            f"dask = {checks.shown(cluster)} is not allowed: it must be local, local:N (N "
            "processes), or the address of a scheduler, as in tcp://host:8786"
        )
    if importlib.util.find_spec("distributed") is None:
        raise ValueError(
            "dask needs the package distributed: pip install 'theory-simulator[cluster]'"
        )
    if local is None:
        return 0
    _check_main_is_guarded(cluster)
    from dask.system import CPU_COUNT

    return int(local[1] or CPU_COUNT)


def _check_main_is_guarded(cluster: str) -> None:
    """Refuse to start processes from a script that each of them would run again: they import it."""
    main = sys.modules["__main__"]
    file, name = getattr(main, "__file__", None), getattr(main.__spec__, "name", "")
    if file is None or not file.endswith(".py") or name.endswith("__main__"):  # not imported
        return
    frame: Any = sys._getframe()
    while frame is not None and not (
        frame.f_globals is vars(main) and frame.f_code.co_name == "<module>"
    ):
        frame = frame.f_back
    if frame is None:  # its own code is not what calls us
        return
    guards = {"__name__", "current_process", "parent_process"}
    for node in ast.walk(ast.parse(Path(file).read_bytes())):
        if isinstance(node, ast.If) and node.lineno <= frame.f_lineno <= (node.end_lineno or 0):
            parts = ast.walk(node.test)
            if guards & {getattr(part, "id", getattr(part, "attr", "")) for part in parts}:
                return
    raise ValueError(
        f"dask = {cluster!r} starts processes that import {file}, and would run it again from its "
        'beginning: put what calls the simulator under `if __name__ == "__main__":`'
    )


#: Dask asks workers to give every freed page back at once, which costs us half of our speed.
KEEP_FREED_MEMORY = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}


@contextlib.contextmanager
def _client(cluster: str, num_local: int) -> Iterator[Any]:
    from distributed import Client

    if num_local:
        with local_cluster(num_local) as on, Client(on) as client:
            yield client
        return
    try:
        client = Client(cluster, timeout=SECONDS_TO_CONNECT)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no Dask scheduler answers at {cluster} ({error})") from error
    with client:
        yield client


@contextlib.contextmanager
def local_cluster(num_workers: int) -> Iterator[Any]:
    """So many processes on this machine."""
    from dask import config
    from distributed import Client, LocalCluster

    with (
        config.set(KEEP_FREED_MEMORY),
        # No limit of memory: the batch is sized to it, and Dask holds no data of ours.
        LocalCluster(
            n_workers=num_workers,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=":0",
            silence_logs=logging.ERROR,  # an interrupt would be a page of warnings
        ) as on,
        Client(on) as client,
    ):
        client.register_plugin(_own_cores(num_workers))
        yield on


def _own_cores(num_workers: int) -> Any:
    """Gives each local worker cores of its own: on shared ones their thread pools collide."""
    from distributed import WorkerPlugin

    class OwnCores(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            # Ctrl-C reaches all processes of a terminal: the client ends the workers.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if hasattr(os, "sched_setaffinity"):
                cores = sorted(os.sched_getaffinity(0))
                mine = cores[int(worker.name) % num_workers :: num_workers]
                os.sched_setaffinity(0, mine or cores)  # inherited by the threads to come

    return OwnCores()


# --------------------------------------------------------------------------------------------
# On a worker
# --------------------------------------------------------------------------------------------
def _packed(plan: Plan) -> bytes:
    """The plan without its cells. Functions written on the spot (lambdas) travel by value."""
    import cloudpickle

    return cloudpickle.dumps(replace(plan, cells=[], positions=[]))


@functools.lru_cache(maxsize=4)
def _unpacked(packed: bytes) -> Plan:
    """One study object per worker: a program belongs to it, and is compiled once."""
    return pickle.loads(packed)


def _run_task(
    path: Path,
    packed: bytes,
    cells: list[Values],
    positions: list[tuple[int, ...]],
    states: Mapping[str, CellState],
    target: int,
    name: str,
) -> None:
    """Compute the cells of one task and write them into the store."""
    _check_this_worker(path)
    plan = _unpacked(packed)
    large = with_arrays(path, plan.study, cells[0])  # the same in all cells
    names = [name for name, parameter in plan.study.declarations.items() if parameter.large]
    cells = [{**cell, **{name: large[name] for name in names}} for cell in cells]
    plan = replace(plan, cells=cells, positions=positions)
    with _ONE_AT_A_TIME:
        earlier = read_records(path, plan.study, name).states  # of a worker that died
        compute_cells(path, plan, {**states, **earlier}, target, writer=name)


def _check_this_worker(path: Path) -> None:
    """Refuse a worker whose numbers would differ, or that would write somewhere else."""
    try:
        manifest = read_manifest(path)
    except StoreError as error:
        raise StoreError(
            f"a Dask worker does not see the store ({error}): the folder must be in a file system "
            "that the client and all workers share"
        ) from error
    here = {"platform": default_platform(), "versions": versions()}
    for what, value in here.items():
        if manifest[what] != value:
            raise StoreError(
                f"a Dask worker has {what} {value}, and the sweep was started with "
                f"{manifest[what]}: use one environment and one kind of device for all"
            )
