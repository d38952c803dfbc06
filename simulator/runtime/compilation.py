"""How programs are compiled for the CPU, so that their sums are right, and in which scope they run.

From jaxlib 0.10.2 on, XLA hands a product of matrices to one library call *together with* the sums
or maxima taken of its rows, and the results can be wrong without a word [1]_: rows beyond the
16,384th are not summed, and a factor of equal entries, such as the zeros that a training starts
from, is read past its end. With these options every such call is a single product.

A function that is compiled with them must not be called inside another compiled function.

Whatever the package computes, it computes in one of two scopes: `float64_on_cpu` or
`simulation_scope`. They set precision without touching JAX's global configuration, and see to it
that XLA has enough threads, which it counts when JAX first looks for devices.

.. [1] https://github.com/jax-ml/jax/issues/39103
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax

from simulator.runtime.threads import calls_at_a_time, ensure_threads

Item = TypeVar("Item")
Result = TypeVar("Result")

#: For ``jax.jit(..., compiler_options=...)`` of any program that runs on a CPU.
CPU_OPTIONS: dict[str, Any] = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT",
}

#: The same for small programs whose compilation takes longer than their run: half the time to
#: compile (one module, and the emitters of loops that are cheaper to compile), the same numbers.
QUICK_OPTIONS = CPU_OPTIONS | {
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}

#: The same for programs that run once or a few times: not optimised at all, compiled in a third.
ONCE_OPTIONS = QUICK_OPTIONS | {"xla_backend_optimization_level": 0}

#: `jax.jit` of what always runs on the CPU, theory above all: call it in `float64_on_cpu`.
jit_on_cpu = functools.partial(jax.jit, compiler_options=CPU_OPTIONS)


def compiler_options(platform: str) -> dict[str, Any]:
    """Options for a program that runs on ``platform`` ("cpu", "gpu", "tpu")."""
    return CPU_OPTIONS if platform == "cpu" else {}


def default_platform() -> str:
    """The kind of device that simulations run on: "cpu", "gpu", "tpu"."""
    ensure_threads()
    return jax.default_backend()


def local_devices() -> list[jax.Device]:
    """The devices of this process that simulations run on."""
    ensure_threads()
    return jax.local_devices()


@contextlib.contextmanager
def float64_on_cpu() -> Iterator[None]:
    """The scope of theory: double precision, on the CPU whatever accelerators there are."""
    ensure_threads()
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        yield


def overlapping(call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Results of calls of one program of `jit_on_cpu`, several at a time; the first compiles it."""

    def computed(item: Item) -> Result:
        with float64_on_cpu():
            return jax.block_until_ready(call(item))

    workers = min(len(items) - 1, calls_at_a_time())
    if workers < 2:
        return [computed(item) for item in items]
    with ThreadPoolExecutor(workers) as pool:
        return [computed(items[0]), *pool.map(computed, items[1:])]


@contextlib.contextmanager
def simulation_scope(dtype: str) -> Iterator[None]:
    """The scope of a simulation: the dtype asked for, products at full precision."""
    ensure_threads()
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        yield
