"""Declaring parameters: one line each in the ``Params`` of a study."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import jax
import numpy as np

from simulator import checks
from simulator.parameter import METHODS, SIMULATIONS, Bound, Method, Parameter
from simulator.vocabulary import VOCABULARY

__all__ = [
    "METHODS",
    "SIMULATIONS",
    "Bound",
    "Method",
    "Parameter",
    "array",
    "choice",
    "counted_fields",
    "padded_lengths",
    "parameters",
    "static",
    "traced",
    "unpadded",
]

RESERVED_PARAMETERS = frozenset(
    {"name", "grid", "seed", "replicates", "method", "dtype", "keep_values", "out", "retry_failed"}
    | {"dask", "overwrite", "tolerance", "max_replicates", "family_wise_error", "allow_large"}
    | {"study", "output", "over", "maximise", "equals", "which", "at", "points"}
)


def static(default: Any, symbol: str = "", meaning: str = "", **bounds: Any) -> Any:
    """Declare a static parameter: a new value means a new compilation.

    Symbol and meaning may be left out for names in `simulator.vocabulary`; ``detail`` adds what
    the meaning there does not say. With ``traced_in=("theory", "fast")`` the engine traces it on
    these sides, as a whole number.
    """
    return _declare(default, symbol, meaning, static=True, **bounds)


def traced(default: Any, symbol: str = "", meaning: str = "", **bounds: Any) -> Any:
    """Declare a traced parameter: a whole grid of values shares one compilation.

    ``static_in=("direct",)`` makes it static in the named simulation methods, and
    ``static_in=SIMULATIONS`` in all of them. Symbol and meaning as in :func:`static`.
    """
    return _declare(default, symbol, meaning, **bounds)


def choice(
    default: str, choices: Sequence[str], symbol: str = "", meaning: str = "", detail: str = ""
) -> Any:
    """Declare a (static) choice between named options; symbol and meaning as in :func:`static`."""
    return _declare(default, symbol, meaning, static=True, choices=tuple(choices), detail=detail)


def refuse_numbers(name: str, given: dict[str, Any], place: str) -> None:
    """Refuse numbers for what is a name, and say in which ``place`` numbers go."""
    if not isinstance(given.get(name, ""), str | jax.core.Tracer):
        raise ValueError(
            f"{name} = {checks.shown(given[name])} is not allowed: it is a name; numbers of your "
            f"own go into {place}"
        )


def array(
    default: Any,
    symbol: str = "",
    meaning: str = "",
    *,
    dims: Sequence[str],
    static: bool = False,
    large: bool = False,
    **bounds: Any,
) -> Any:
    """Declare an array parameter: traced values (unless ``static``) of static shape.

    ``default`` is a (nested) tuple; the empty tuple means "not given". ``large`` arrays, data of a
    user, are known by a digest of their content, which a sweep stores once. Symbol and meaning as
    in :func:`static`.
    """
    if static and large:
        raise ValueError("an array is static or large: a program would hold its numbers")
    bounds["large"] = large
    return _declare(default, symbol, meaning, dims=tuple(dims), static=static, **bounds)


def _declare(default: Any, symbol: str, meaning: str, **options: Any) -> Any:
    options.update(symbol=symbol, meaning=meaning)
    return field(default=default, metadata={"declaration": options})


def _with_vocabulary(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The declaration with what the vocabulary says of the name."""
    word = VOCABULARY.get(name)
    given = {key: value for key, value in options.items() if key != "detail"}
    if word is not None:
        given["symbol"] = given["symbol"] or word.symbol
        given["meaning"] = given["meaning"] or word.meaning
        given.setdefault("typical", word.typical)
    if options.get("detail"):
        given["meaning"] += f" ({options['detail']})"
    return given


_TYPES: dict[Any, str] = {int: "int", float: "float", str: "choice"}


def _only_what_was_given(params: Any) -> str:
    """``Params(ridge=0.5)``: what differs from the defaults, arrays by their shapes."""
    shown = []
    for name, parameter in params.declarations.items():
        value = getattr(params, name)
        if isinstance(value, jax.core.Tracer):
            shown.append(f"{name}=<traced>")
        elif parameter.optional and np.size(value) == 0:
            continue
        elif np.ndim(value) and not isinstance(value, tuple):
            shown.append(f"{name}=<array {np.shape(value)}>")
        elif value != parameter.default:
            shown.append(f"{name}={value!r}")
    return f"{type(params).__name__}({', '.join(shown)})"


def parameters(cls: type) -> Any:
    """Class decorator: turn declarations into a frozen dataclass registered as a pytree.

    Traced fields are leaves; static fields are part of the tree's structure, so that
    ``jax.jit``, ``jax.vmap`` and ``jax.grad`` apply to ``theory`` directly.
    """
    own = [name for name, value in vars(cls).items() if isinstance(value, dataclasses.Field)]
    for name in own:
        if vars(cls)[name].metadata["declaration"].get("padded"):
            setattr(cls, _counted(name), None)
            cls.__annotations__[_counted(name)] = "Any"
    cls = dataclass(frozen=True, kw_only=True, repr=False)(cls)
    declared: dict[str, Parameter] = {}
    for item in dataclasses.fields(cls):
        if "declaration" not in item.metadata:
            continue
        if item.name in RESERVED_PARAMETERS:
            raise ValueError(f"{cls.__qualname__}.{item.name}: the name is reserved")
        options = _with_vocabulary(item.name, item.metadata["declaration"])
        kind: Any = "array" if options.get("dims") else _TYPES[item.type]
        declared[item.name] = Parameter(name=item.name, type=kind, default=item.default, **options)
    # By name: the type checker does not know the attributes.
    setattr(cls, "declarations", MappingProxyType(declared))  # noqa: B010 - unknown to mypy
    setattr(cls, "__repr__", _only_what_was_given)  # noqa: B010 - likewise
    return jax.tree_util.register_dataclass(
        cls,
        data_fields=[
            *(name for name, p in declared.items() if not p.static),
            *(item.name for item in dataclasses.fields(cls) if item.name not in declared),
        ],
        meta_fields=[name for name, p in declared.items() if p.static],
    )


def _counted(name: str) -> str:
    """The field that tells how much of a padded length counts."""
    return f"{name}_counted"


def unpadded(params: Any, name: str) -> Any:
    """A length as a number, without the padding that the arrays of a theory may have."""
    counted = getattr(params, _counted(name))
    return getattr(params, name) if counted is None else counted


def counted_fields(declared: Mapping[str, Parameter]) -> dict[str, str]:
    """For each padded length the field of how much of it counts."""
    return {name: _counted(name) for name, parameter in declared.items() if parameter.padded}


def padded_lengths(declared: Mapping[str, Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Lengths as a theory takes them, padded for the largest of ``values``."""
    return {
        name: parameter.padding(np.max(values[name]))
        for name, parameter in declared.items()
        if parameter.padded
    }
