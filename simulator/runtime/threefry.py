"""Threefry keys whose draws compile sooner on a CPU: JAX's own numbers, to the bit.

`jax.vmap` makes one array of many axes of what its lanes draw, and XLA unrolls the loops over the
short ones: the rounds of threefry are then most of a program, and of the time that it takes to
compile. These keys draw a few numbers in one row, and many of them as JAX does.
"""

import functools
import math
from collections.abc import Hashable

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jax.extend.random import define_prng_impl, threefry2x32_p

JAX = "threefry2x32"

#: Numbers in a row, at most. In longer ones the keys, one for each number, cost time.
ROW = 2**14


def key_implementation(platform: str | None) -> Hashable:
    """The implementation of threefry for `jax.random.wrap_key_data` on ``platform`` (or any)."""
    in_rows = platform == "cpu" and jax.threefry_partitionable.value
    return _in_rows() if in_rows else JAX


@functools.cache
def _in_rows() -> Hashable:
    return define_prng_impl(
        key_shape=(2,), seed=_seed, split=_split, random_bits=_random_bits, fold_in=_fold_in,
        name="threefry2x32_in_rows", tag="fryr",
    )  # fmt: skip


def _seed(seed):
    return jax.random.key_data(jax.random.key(seed, impl=JAX))


def _split(key, shape):
    return jnp.stack(_hashed(key, _counts(shape)), axis=-1).reshape(*shape, 2)


def _fold_in(key, data):
    return jnp.concatenate(_hashed(key, jnp.asarray(data, "uint32")[None]))


def _random_bits(key, bit_width, shape):
    if math.prod(shape) > ROW:
        return jax.random.bits(jax.random.wrap_key_data(key, impl=JAX), shape, f"uint{bit_width}")
    high, low = _hashed(key, _counts(shape))
    if bit_width == 64:
        bits = high.astype("uint64") << 32 | low.astype("uint64")
    else:
        bits = (high ^ low).astype(f"uint{bit_width}")
    return bits.reshape(shape)


def _counts(shape):
    return jax.lax.iota("uint32", math.prod(shape))


def _hashed(key, counts):
    return _hashes(key[:1], key[1:], jnp.zeros_like(counts), counts)


@custom_vmap
def _hashes(key_1, key_2, high, low):
    """Two words for each of the counts (n,), with one key (1,) for all or one for each (n,)."""
    return tuple(threefry2x32_p.bind(key_1, key_2, high, low))


@_hashes.def_vmap
def _hashes_of_lanes(size, in_batched, *words):
    lanes, numbers = size, words[-1].shape[-1]
    if lanes * numbers > ROW:
        axes = [0 if batched else None for batched in in_batched]
        found = jax.vmap(lambda *words: tuple(threefry2x32_p.bind(*words)), axes)(*words)
    else:
        row = (jnp.broadcast_to(each, (lanes, numbers)).reshape(-1) for each in words)
        found = tuple(bits.reshape(lanes, numbers) for bits in _hashes(*row))
    return found, (True, True)
