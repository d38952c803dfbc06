"""The door of a study: what reaches its theory and its simulations are arrays.

So no study converts its parameters, whoever calls: the engine, a notebook, `jax.grad`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from simulator.parameters import Parameter


def as_arrays(params: Any, side: str) -> Any:
    """The parameters as theory and simulations have them: arrays, in the precision of the scope.

    A whole number is an integer in a simulation and a real number in a theory. What is static on
    this ``side``, or a length that it loops over, stays as it is given.
    """

    def array_of(parameter: Parameter, value: Any) -> Any:
        whole = parameter.type == "int" or (parameter.type == "array" and parameter.integer)
        found = jnp.asarray(value, jnp.int32 if whole and side != "theory" else float)
        missing = parameter.type == "array" and found.size == 0
        return found.reshape((0,) * len(parameter.dims)) if missing else found

    traced = {
        name: array_of(parameter, getattr(params, name))
        for name, parameter in params.declarations.items()
        if not parameter.static and not parameter.is_static(side)
    }
    return dataclasses.replace(params, **traced)


class OfArrays:
    """A theory or simulation of a study: whoever calls it, its traced parameters are arrays.

    ``__wrapped__`` is the function as its module has it; equal functions are equal here too.
    """

    __wrapped__: Callable

    def __init__(self, function: Callable, side: str) -> None:
        functools.update_wrapper(self, function)
        self.side = side

    def __call__(self, *arguments: Any) -> Any:
        *key, params = arguments
        return self.__wrapped__(*key, as_arrays(params, self.side))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OfArrays) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple:
        return self.__wrapped__, self.side


def of_arrays(function: Any, side: str) -> Any:
    """The function, whose traced parameters become arrays on their way in."""
    return function if isinstance(function, OfArrays) else OfArrays(function, side)
