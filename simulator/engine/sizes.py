"""What cannot be computed is refused before it is tried, with an estimate of what it would take.

Estimates of time are rough, and on the short side: an iteration that runs until it has converged
counts as one step (a loop that counts, as often as it will run: `trip_counts`), and nothing else
runs on the device. ``allow_large=True`` (on the command line ``--allow-large``) has it computed all
the same.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import jax
import numpy as np

from simulator import checks
from simulator.engine.batch_size import Cost, free_memory, memory_of
from simulator.engine.progress import duration
from simulator.runtime.compilation import default_platform, local_devices
from simulator.runtime.threads import calls_at_a_time
from simulator.study import Study

#: Seconds beyond which a theory is refused: nothing shows its progress, and nothing keeps its
#: beginning. Seconds beyond which a simulation is: a day.
LONGEST_THEORY = 60.0
LONGEST_SIMULATION = 86_400.0
#: Bytes per second that a device computes, seconds that one step of a loop takes at least, and
#: seconds that a replicate does.
CPU_SPEED, CPU_STEP, CPU_REPLICATE = 1e10, 1e-6, 1e-6
ACCELERATOR_SPEED, ACCELERATOR_STEP, ACCELERATOR_REPLICATE = 1e13, 1e-6, 1e-7
#: What a point of a grid takes as Python objects.
BYTES_OF_A_VALUE, SECONDS_OF_A_VALUE = 100, 2e-6
#: Ends of XLA's indices, and of whole numbers in a program.
LARGEST_SIZE = 2**31 - 1
LARGEST_LENGTH = 2**63 - 1

_allowed: ContextVar[bool] = ContextVar("large computations are allowed", default=False)


@contextlib.contextmanager
def allowing(allow_large: Any) -> Iterator[None]:
    """A scope in which nothing is refused for its size, or is, as before."""
    token = _allowed.set(checks.flag("allow_large", allow_large) or _allowed.get())
    try:
        yield
    finally:
        _allowed.reset(token)


def check_points(study: Study, count: int) -> None:
    """Refuse a grid of more points than can be held, or be looked at."""
    values = count * len(study.declarations)
    _refuse(
        f"{study.name}: a grid of {count} points",
        memory=BYTES_OF_A_VALUE * values,
        seconds=SECONDS_OF_A_VALUE * values,
        longest=LONGEST_THEORY,
    )


def check_static(study: Study, values: Mapping[str, Any], side: str) -> None:
    """Refuse whole numbers that no program could hold."""
    for name, parameter in study.declarations.items():
        if parameter.type != "int":
            continue
        largest = LARGEST_SIZE if parameter.is_static(side) else LARGEST_LENGTH
        if (parameter.static or parameter.is_static(side)) and np.max(values[name]) > largest:
            raise ValueError(
                f"{name} = {values[name]} is not allowed: {study.name} takes whole numbers up "
                f"to {largest} here"
            )


def check_theory(
    study: Study, values: Mapping[str, Any], program: Any, arguments: tuple, cost: Cost, calls: int
) -> None:
    """Refuse a theory that ``calls`` runs of a jitted program of known cost cannot give."""
    if _allowed.get():
        return
    what = f"{study.name}: the theory at {_sizes(study, values)}"
    seconds = calls * max(cost.least / CPU_SPEED, cost.steps * CPU_STEP)
    _refuse(what, seconds=seconds, longest=LONGEST_THEORY)
    at_once, kept = min(calls, calls_at_a_time()), 2 * calls * cost.results
    if at_once * cost.memory + kept > free_memory():
        _refuse(what, memory=at_once * memory_of(program, arguments) + kept)


def check_simulation(
    study: Study, cells: Sequence[Mapping[str, Any]], costs: Sequence[tuple[Cost, int, int]]
) -> None:
    """Refuse a simulation that would take too long.

    ``costs`` has, for each program, what a replicate costs, the replicates that are wanted, and
    those of a batch.
    """
    if _allowed.get():
        return
    on_cpu = default_platform() == "cpu"
    speed = CPU_SPEED if on_cpu else ACCELERATOR_SPEED
    step = CPU_STEP if on_cpu else ACCELERATOR_STEP
    replicate = CPU_REPLICATE if on_cpu else ACCELERATOR_REPLICATE
    seconds = sum(
        max(count * max(cost.least / speed, replicate), math.ceil(count / size) * cost.steps * step)
        for cost, count, size in costs
    )
    wanted = sum(count for _, count, _ in costs)
    _refuse(
        f"{study.name}: {wanted} replicates at {_sizes(study, cells[0])}",
        seconds=seconds / (len(local_devices()) * jax.process_count()),
        longest=LONGEST_SIMULATION,
    )


def check_values(study: Study, replicates: int, results: float) -> None:
    """Refuse to keep more values of replicates than fit into memory."""
    _refuse(f"{study.name}: the values of {replicates} replicates per cell", memory=2 * results)


def _refuse(
    what: str, *, memory: float = 0.0, seconds: float = 0.0, longest: float = math.inf
) -> None:
    if _allowed.get():
        return
    needs = []
    if memory > 2**30 and memory > (free := free_memory()):
        needs.append(f"about {_bytes(memory)} of memory, of which {_bytes(free)} are free")
    if seconds > longest:
        needs.append(f"about {duration(seconds)}")
    if needs:
        raise ValueError(
            f"{what} would take {' and '.join(needs)}: choose smaller sizes, or compute it all the "
            "same with allow_large=True (--allow-large)"
        )


def _sizes(study: Study, values: Mapping[str, Any]) -> str:
    """The parameters that decide what a computation takes."""
    named = []
    for name, parameter in study.declarations.items():
        value = values[name]
        if not (parameter.type == "int" or parameter.static or parameter.static_in):
            continue
        if isinstance(value, (int, float)):
            named.append(f"{name} = {value}")
        elif parameter.is_scalar_number and np.size(value):
            named.append(f"{name} <= {np.max(value):.12g}")
    return ", ".join(named) or "these parameters"


def _bytes(number: float) -> str:
    for unit in ("GB", "TB", "PB"):
        number /= 1e9 if unit == "GB" else 1e3
        if number < 1000 or unit == "PB":
            break
    return f"{number:.3g} {unit}"
