"""How many lanes (replicates or grid points) of a program fit into memory at once."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend import core

CPU_BUDGET = 256 * 2**20
ACCELERATOR_SHARE = 0.25
#: Batch sizes on offer: few, because each is a compilation, and fixed, because the compiled
#: program's last bits may depend on it.
SIZES = (1, 8, 64, 512, 4096)
ACCELERATOR_SIZES = (*SIZES, 32768)


def lanes_that_fit(program: Callable[..., Any], *arguments: Any, tasks: int) -> int:
    """Lanes for a batch: the smallest size that holds all tasks, or the largest that fits.

    The need of one lane is bounded by the sum of all intermediate values of the unbatched
    program, which tracing alone reveals; the compiler reuses buffers and needs less.
    """
    need = max(1, bytes_of_intermediates(jax.make_jaxpr(program)(*arguments).jaxpr))
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        budget, sizes = CPU_BUDGET, list(SIZES)
        if need > CPU_BUDGET // 512:  # matrices: LAPACK runs lane by lane, larger is no faster
            sizes = sizes[:3]
    else:
        statistics = device.memory_stats() or {}
        budget = int(ACCELERATOR_SHARE * statistics.get("bytes_limit", 4 * 2**30))
        sizes = list(ACCELERATOR_SIZES)
    fitting = [size for size in sizes if size * need <= budget] or [1]
    return next((size for size in fitting if size >= tasks), fitting[-1])


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
