"""How often a loop of a program runs, where that follows from parameters before it runs.

A loop that counts, up to a number that the program works out from its arguments, is followed
without running it: of the program only the arithmetic of counting (`_RULES`) is done, in NumPy, on
what is known and small. What depends on anything else (random numbers, arrays, an iteration's
residual) stays unknown.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.extend import core

#: Values of variables, as far as they are known.
Known = Mapping[core.Var, Any]

_LARGEST = 4096  # numbers in a value that is followed: the lanes of a program
_MOST_STEPS = 2**62


def inner_jaxprs(params: Mapping[str, Any]) -> Iterator[core.Jaxpr]:
    """The programs inside of an equation: bodies of loops, branches, inner calls."""
    for value in params.values():
        for entry in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(entry, core.ClosedJaxpr):
                yield entry.jaxpr
            elif isinstance(entry, core.Jaxpr):
                yield entry


def known_values(jaxpr: core.Jaxpr, inputs: Sequence[Any]) -> dict[core.Var, Any]:
    """What follows from the ``inputs`` of a program; None stands for one that is not known."""
    known = {var: value for var, value in zip(jaxpr.invars, inputs, strict=True) if _small(value)}
    for equation in jaxpr.eqns:
        given = values_of(known, equation.invars)
        outputs: Sequence[Any] = ()
        if all(value is not None for value in given):
            rule = _RULES.get(equation.primitive.name)
            if rule is not None:
                with np.errstate(all="ignore"):
                    outputs = (rule(equation.params, *given),)
            elif equation.primitive.name in _CALLS:
                (inner,) = inner_jaxprs(equation.params)
                outputs = values_of(known_values(inner, given), inner.outvars)
        pairs = zip(equation.outvars, outputs, strict=False)
        known |= {var: value for var, value in pairs if _small(value)}
    return known


class Inner(NamedTuple):
    """A program inside of an equation, with what is known of its inputs."""

    jaxpr: core.Jaxpr
    first: list[Any]  # at the first step of a loop, and at all others but the last
    last: list[Any]


def programs_inside(equation: Any, known: Known, steps: int) -> Iterator[Inner]:
    """The programs inside of an equation, a loop of so many steps."""
    given = values_of(known, equation.invars)
    name, params = equation.primitive.name, equation.params
    for inner in inner_jaxprs(params):
        first: list[Any] = [None] * len(inner.invars)
        if name in _CALLS and len(given) == len(first):
            first = given
        elif name == "cond":
            first = given[1:]
        elif name == "scan" or (name == "while" and inner is params["body_jaxpr"].jaxpr):
            consts, start = _of_body(equation, given)
            strides = _strides(inner, consts, start)
            rest = [None] * (len(inner.invars) - len(consts) - len(start))
            counters = [None if by is None else at for at, by in zip(start, strides, strict=True)]
            yield Inner(
                inner,
                [*consts, *counters, *rest],
                [*consts, *_moved(counters, strides, steps - 1), *rest],
            )
            continue
        yield Inner(inner, first, first)


def _of_body(equation: Any, given: list[Any]) -> tuple[list[Any], list[Any]]:
    """Constants of a loop's body, and what it carries at the start."""
    params = equation.params
    if equation.primitive.name == "scan":
        end = params["num_consts"]
        return given[:end], given[end : end + params["num_carry"]]
    begin, end = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    return given[begin:end], given[end:]


def _strides(body: core.Jaxpr, consts: list[Any], start: list[Any]) -> list[Any]:
    """How much what a loop carries grows in a step; None for what is not known to count."""
    unknown = [None] * (len(body.invars) - len(consts) - len(start))

    def after(carry: list[Any]) -> list[Any]:
        found = known_values(body, [*consts, *carry, *unknown])
        return values_of(found, body.outvars[: len(start)])

    first = after(start)
    return [_stride(*values) for values in zip(start, first, after(first), strict=True)]


def _moved(carry: list[Any], strides: list[Any], steps: int) -> list[Any]:
    pairs = zip(carry, strides, strict=True)
    return [None if by is None else value + steps * by for value, by in pairs]


def trip_count(equation: Any, known: Known) -> int | None:
    """Steps of a while loop that only counts; None where it does anything else."""
    given = values_of(known, equation.invars)
    consts, start = _of_body(equation, given)
    condition = equation.params["cond_jaxpr"].jaxpr
    strides = _strides(equation.params["body_jaxpr"].jaxpr, consts, start)

    def goes_on(steps: int) -> bool | None:
        inputs = given[: equation.params["cond_nconsts"]] + _moved(start, strides, steps)
        (answer,) = values_of(known_values(condition, inputs), condition.outvars)
        return None if answer is None else bool(np.any(answer))

    if goes_on(0) is None:
        return None
    if not goes_on(0):
        return 0
    high = next((n for n in (2**k for k in range(63)) if not goes_on(n)), _MOST_STEPS)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if goes_on(middle) else (low, middle)
    return high


def values_of(known: Known, variables: Sequence[Any]) -> list[Any]:
    """Values of variables and literals, None where not known."""
    return [v.val if isinstance(v, core.Literal) else known.get(v) for v in variables]


def _stride(start: Any, first: Any, second: Any) -> Any:
    """How much a whole number grows in a step; None where it is no counter."""
    if any(value is None for value in (start, first, second)):
        return None
    start, first, second = (np.asarray(value) for value in (start, first, second))
    if start.dtype.kind not in "iu":
        return 0 if np.array_equal(start, first) and np.array_equal(first, second) else None
    step = first.astype(np.int64) - start
    return step if np.array_equal(second - first, step) else None


def _small(value: Any) -> bool:
    return value is not None and math.prod(np.shape(value)) <= _LARGEST


def _plain(function: Callable) -> Callable:
    return lambda params, *values: function(*values)


def _reduction(function: Callable) -> Callable:
    return lambda params, value: function(np.asarray(value), axis=tuple(params["axes"]))


def _wide(params: Mapping[str, Any], value: Any) -> Any:
    """Whole numbers stay as wide as they are: a counter is followed beyond its type's end."""
    kind = np.dtype(params["new_dtype"]).kind
    return np.asarray(value).astype({"i": np.int64, "u": np.int64}.get(kind, params["new_dtype"]))


def _divided(params: Mapping[str, Any], left: Any, right: Any) -> Any:
    """Towards zero, as XLA divides whole numbers."""
    if np.asarray(left).dtype.kind == "f":
        return np.divide(left, right)
    quotient = np.abs(left) // np.maximum(np.abs(right), 1)
    return np.sign(left) * np.sign(right) * quotient


def _broadcast(params: Mapping[str, Any], value: Any) -> Any:
    shape, axes = params["shape"], params["broadcast_dimensions"]
    if math.prod(shape) > _LARGEST:
        return None
    sizes = dict(zip(axes, np.shape(value), strict=True))
    return np.broadcast_to(
        np.reshape(value, [sizes.get(axis, 1) for axis in range(len(shape))]), shape
    )


def _selected(params: Mapping[str, Any], which: Any, *cases: Any) -> Any:
    return np.choose(np.asarray(which).astype(int), cases)


_CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat")
_RULES: dict[str, Callable] = {
    "add": _plain(np.add),
    "sub": _plain(np.subtract),
    "mul": _plain(np.multiply),
    "div": _divided,
    "rem": _plain(np.fmod),
    "neg": _plain(np.negative),
    "sign": _plain(np.sign),
    "max": _plain(np.maximum),
    "min": _plain(np.minimum),
    "sqrt": _plain(np.sqrt),
    "ceil": _plain(np.ceil),
    "floor": _plain(np.floor),
    "round": _plain(np.round),
    "lt": _plain(np.less),
    "le": _plain(np.less_equal),
    "gt": _plain(np.greater),
    "ge": _plain(np.greater_equal),
    "eq": _plain(np.equal),
    "ne": _plain(np.not_equal),
    "and": _plain(np.bitwise_and),
    "or": _plain(np.bitwise_or),
    "not": _plain(np.bitwise_not),
    "select_n": _selected,
    "convert_element_type": _wide,
    "broadcast_in_dim": _broadcast,
    "squeeze": lambda params, value: np.squeeze(value, tuple(params["dimensions"])),
    "reshape": lambda params, value: np.reshape(value, params["new_sizes"]),
    "stop_gradient": _plain(lambda value: value),
    "copy": _plain(lambda value: value),
    "reduce_or": _reduction(np.any),
    "reduce_and": _reduction(np.all),
    "reduce_max": _reduction(np.max),
    "reduce_min": _reduction(np.min),
}
