"""Random numbers whose last axis is short, as fast as those with a long one."""

import math
from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from simulator.runtime.shapes import RandomKey


def normal(key: RandomKey, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """`jax.random.normal` of ``shape``, to the bit."""
    return _in_one_row(jax.random.normal, key, shape)


def uniform(key: RandomKey, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """`jax.random.uniform` of ``shape``, to the bit."""
    return _in_one_row(jax.random.uniform, key, shape)


def _in_one_row(draw: Callable, key: RandomKey, shape: tuple[int, ...]) -> Array:
    """A CPU draws several numbers at a time along the last axis: one row takes half the time."""
    return draw(key, (math.prod(shape),), float).reshape(shape)
