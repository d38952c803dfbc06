"""How many lanes (replicates) of a program run as one batch.

The size depends on the program and the kind of device alone, never on how many lanes are wanted:
one compilation serves every grid and every number of replicates, and the last bits of a number,
which may depend on the batch size of the compiled program, never change. Short runs are padded,
so a batch is kept to a small amount of work. Only a batch that does not fit into free memory is
halved until it does.
"""

import functools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jax.extend import core

from simulator.engine.trip_counts import inner_jaxprs, known_values, programs_inside, trip_count
from simulator.runtime.compilation import local_devices


class Budget(NamedTuple):
    """What one batch may take: bytes alive at once, bytes computed in all, lanes.

    A step of a vmapped loop costs much the same for one lane as for a few: ``few`` lanes may
    compute ``long_work`` together, and more where a step of theirs computes less than ``step``, so
    that a loop takes hardly longer for them than for one.
    """

    memory: float
    work: float
    lanes: int
    few: int
    long_work: float
    step: float


# Some tens of milliseconds on one core, and at most a second.
CPU = Budget(memory=2**28, work=2**26, lanes=4096, few=16, long_work=2**31, step=2**16)
ACCELERATOR = Budget(memory=2**32, work=2**33, lanes=32768, few=256, long_work=2**36, step=2**20)
MEMINFO = Path("/proc/meminfo")  # Linux
#: Names that `simulator.sampling.shared.once` gives to what is computed for several lanes at once.
COPIED, IN_PLACE = "once", "once_in_place"
STEPS_OF_A_WHILE_LOOP = 32  # unknown before it runs: what our solvers typically take

#: What takes longer than its result takes to be written, in bytes written in the same time: for
#: every byte of the result, and for every multiplication and addition of linear algebra.
SLOW = """
    acos acosh asin asinh atan atan2 atanh cbrt cos cosh digamma erf erf_inv erfc expm1 igamma
    igammac lgamma log log1p logistic polygamma pow regularized_incomplete_beta sin sinh tan tanh
"""
SLOWNESS = 8
PRODUCTS, FACTORISATIONS = 0.1, 1.0
#: For every byte of random bits, and of what is sorted, in every round.
RANDOM, SORTING = 30, 10


class Cost(NamedTuple):
    """Bytes of one lane: all values of the program, loop bodies counted once or every time.

    ``least`` and ``steps`` count what is computed at least, a loop that runs until it has converged
    with one step: arithmetic, in bytes that are written in the same time, and steps of loops.
    ``results`` are the bytes returned, ``common`` those that all lanes hold together.
    """

    memory: float
    work: float
    least: float
    steps: float
    results: float
    common: float


@functools.lru_cache(maxsize=256)  # reading a program takes as long as a short run of it
def batch_size(one_lane: core.Jaxpr) -> int:
    """Lanes per batch, a power of two.

    The need of a lane is bounded by the sum of all intermediate values of the unbatched program,
    which tracing alone reveals; the compiler reuses buffers and needs less.
    """
    cost = cost_of(one_lane)
    device = local_devices()[0]
    budget = CPU
    if device.platform != "cpu":
        free = (device.memory_stats() or {}).get("bytes_limit", 4 * ACCELERATOR.memory)
        budget = ACCELERATOR._replace(memory=min(ACCELERATOR.memory, free / 4))
    work = max(cost.work, 1)
    together = max(budget.long_work / work, budget.step * cost.steps / work)
    busy = max(budget.work / work, min(budget.few, together))
    lanes = min(budget.memory / max(cost.memory, 1), busy, budget.lanes)
    return 1 << (max(1, int(lanes)).bit_length() - 1)


def cost_of(jaxpr: core.Jaxpr, inputs: Sequence[Any] | None = None) -> Cost:
    """Bytes that a jaxpr computes.

    ``inputs`` are values of its arguments, as far as they are known (the others are None): loops
    that count up to a number are as long as these say. Neither ``memory`` nor ``work`` depends on
    them.
    """
    known = known_values(jaxpr, [None] * len(jaxpr.invars) if inputs is None else inputs)
    memory = work = least = steps = common = 0.0
    for equation in jaxpr.eqns:
        own = sum(_bytes(variable.aval) for variable in equation.outvars)
        times = _least_steps(equation, known)
        inner = list(programs_inside(equation, known, times))
        first = [cost_of(program.jaxpr, program.first) for program in inner]
        last = [cost_of(program.jaxpr, program.last) for program in inner] if times > 1 else first
        common += max((cost.common for cost in first), default=0)
        if equation.params.get("name") in (COPIED, IN_PLACE):
            first = [cost._replace(work=0.0) for cost in first]
        if equation.params.get("name") == IN_PLACE:
            common += own + max((cost.memory for cost in first), default=0)
            first, own = [cost._replace(memory=0.0) for cost in first], 0
        # A loop holds what it carries twice: before a step and behind it.
        held = 2 * own if equation.primitive.name in ("scan", "while") else own
        memory += held + max((cost.memory for cost in first), default=0)
        work += own + _steps(equation) * max((cost.work for cost in first), default=0)
        least += _effort(equation, own)
        if times:
            least += (times - 1) * max((cost.least for cost in first), default=0)
            least += max((cost.least for cost in last), default=0)
            all_but_one = (times - 1) * max((cost.steps for cost in first), default=1)
            steps = max(steps, all_but_one + max((cost.steps for cost in last), default=1))
    results = sum(_bytes(variable.aval) for variable in jaxpr.outvars)
    return Cost(memory, work, least, max(steps, 1), results, common)


@functools.lru_cache(maxsize=256)
def cost_of_lane(one_lane: core.Jaxpr, numbers: tuple[Any, ...]) -> Cost:
    """`cost_of` where the inputs are numbers, or None."""
    return cost_of(one_lane, numbers)


def open_loops(jaxpr: core.Jaxpr) -> int:
    """How many loops of a jaxpr have a length that is not known before it runs."""
    return sum(
        (equation.primitive.name == "while") + sum(map(open_loops, inner_jaxprs(equation.params)))
        for equation in jaxpr.eqns
    )


def fits_in_memory(program: Any, arguments: tuple, bound: float) -> bool:
    """Can each device hold a run of the jitted ``program`` that needs at most ``bound`` bytes?

    The bound settles nearly every case. Where it does not, the memory analysis of the compiled
    program does.
    """
    free = free_memory()
    return bound <= free or memory_of(program, arguments) <= free


def memory_of(program: Any, arguments: tuple) -> float:
    """Bytes that a run of the jitted ``program`` takes; 0 where the compiler does not say."""
    found = program.lower(*arguments).compile().memory_analysis()
    return 0 if found is None else found.temp_size_in_bytes + found.output_size_in_bytes


def free_memory() -> float:
    """Bytes that each local device can still give; inf where the system does not say."""
    devices = local_devices()
    if devices[0].platform != "cpu":
        stats = [device.memory_stats() or {} for device in devices]
        return min(s.get("bytes_limit", math.inf) - s.get("bytes_in_use", 0) for s in stats)
    if not MEMINFO.exists():
        return math.inf
    available = re.search(r"MemAvailable:\s*(\d+) kB", MEMINFO.read_text())
    return int(available[1]) * 1024 / len(devices) if available else math.inf


def _steps(equation: Any) -> int:
    if equation.primitive.name == "scan":
        return equation.params["length"]
    return STEPS_OF_A_WHILE_LOOP if equation.primitive.name == "while" else 1


def _effort(equation: Any, own: int) -> float:
    """What an equation takes, in bytes that are written in the same time."""
    name = equation.primitive.name
    if name in SLOW.split():
        return SLOWNESS * own
    if name == "random_bits":
        return RANDOM * own
    shapes = [variable.aval.shape for variable in equation.invars if hasattr(variable, "aval")]
    if name == "sort":
        length = shapes[0][equation.params["dimension"]]
        return own * (1 + SORTING * math.log2(max(length, 1)))
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        terms = math.prod(shapes[0][axis] for axis in contracted)
        return own + PRODUCTS * 2 * terms * math.prod(equation.outvars[0].aval.shape)
    if name in _CUBIC:
        return own + FACTORISATIONS * _CUBIC[name] * math.prod(shapes[0]) * min(shapes[0][-2:])
    if name == "triangular_solve":
        return own + FACTORISATIONS * math.prod(shapes[1]) * shapes[0][-1]
    return own


#: Operations of a factorisation, over rows times columns times the smaller of them.
_CUBIC = {"cholesky": 1 / 3, "lu": 2 / 3, "qr": 2.0, "geqrf": 2.0, "eigh": 9.0, "svd": 9.0}
_CUBIC |= {"eig": 25.0, "schur": 25.0, "householder_product": 2.0}


def _least_steps(equation: Any, known: Any) -> int:
    if equation.primitive.name != "while":
        return _steps(equation)
    return trip_count(equation, known) or 1


def _bytes(aval: Any) -> int:
    return int(aval.size) * getattr(aval.dtype, "itemsize", 8) if hasattr(aval, "size") else 0
