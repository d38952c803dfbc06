"""How many lanes (replicates or grid points) of a program fit into memory at once."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend import core

CPU_BUDGET = 256 * 2**20
ACCELERATOR_SHARE = 0.25
MOST_LANES_CPU = 4096
MOST_LANES_ACCELERATOR = 65536


def lanes_that_fit(program: Callable[..., Any], *arguments: Any, tasks: int) -> int:
    """Lanes for a batch: a power of two, no more than needed for ``tasks``.

    The need of one lane is bounded by the sum of all intermediate values of the unbatched
    program, which tracing alone reveals; the compiler reuses buffers and needs less.
    """
    need = max(1, bytes_of_intermediates(jax.make_jaxpr(program)(*arguments).jaxpr))
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        budget, most = CPU_BUDGET, MOST_LANES_CPU
    else:
        statistics = device.memory_stats() or {}
        budget = int(ACCELERATOR_SHARE * statistics.get("bytes_limit", 4 * 2**30))
        most = MOST_LANES_ACCELERATOR
    return max(1, min(_power_of_two_below(budget // need), most, _power_of_two_above(tasks)))


def bytes_of_intermediates(jaxpr: core.Jaxpr) -> int:
    """Sum of the sizes of everything a jaxpr computes; loop bodies count once."""
    total = 0
    for equation in jaxpr.eqns:
        total += sum(_bytes(variable.aval) for variable in equation.outvars)
        total += max((bytes_of_intermediates(sub) for sub in _inner(equation.params)), default=0)
    return total


def _inner(params: dict[str, Any]) -> Iterator[core.Jaxpr]:
    for value in params.values():
        for entry in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(entry, core.ClosedJaxpr):
                yield entry.jaxpr
            elif isinstance(entry, core.Jaxpr):
                yield entry


def _bytes(aval: Any) -> int:
    return int(aval.size) * getattr(aval.dtype, "itemsize", 8) if hasattr(aval, "size") else 0


def _power_of_two_below(number: int) -> int:
    return 1 << max(0, number.bit_length() - 1)


def _power_of_two_above(number: int) -> int:
    return 1 << max(0, (number - 1).bit_length())
