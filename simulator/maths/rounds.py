"""Many rounds in little memory: a scan in blocks that keeps its state at log-spaced rounds only."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def log_spaced(last: int, count: int) -> np.ndarray:
    """The rounds ``floor(last / 2^j)``, ``j = count - 1, ..., 0``, ascending.

    Parameters
    ----------
    last : int
        At least ``2^(count - 1)``.
    count : int
    """
    return np.array([last >> j for j in reversed(range(count))], np.int32)


def check_checkpoints(count: int, name: str, rounds: int) -> None:
    """Raise ``ValueError`` unless the first of so many checkpoints is at least 1."""
    if rounds >> (count - 1) < 1:
        raise ValueError(
            f"num_checkpoints = {count} is not allowed: 2^(num_checkpoints - 1) must be <= {name} "
            f"(here {name} = {rounds})"
        )


def play(
    key: jax.Array,
    state: Any,
    draw: Callable[[jax.Array, int], Any],
    step: Callable[[Any, jax.Array, Any], Any],
    kept: Callable[[Any], Any],
    rounds: np.ndarray,
    block: int,
) -> Any:
    """What is kept of a state at the given rounds.

    Parameters
    ----------
    key : PRNG key
    state : pytree
        Before the first round.
    draw : ``(key, count) -> pytree``
        The random numbers of so many rounds; their leading axis.
    step : ``(state, round, drawn) -> state``
        One round; they count from 1.
    kept : ``state -> pytree``
    rounds : array of int
        Ascending; the last one ends the play.
    block : int
        Rounds whose random numbers are drawn together.

    Returns
    -------
    pytree of arrays with the rounds first
    """
    last = int(rounds[-1])
    at_ends = bool(np.all(rounds % block == 0))  # of blocks: then nothing is kept in between
    shapes = jax.eval_shape(kept, state)
    memory = jax.tree.map(lambda x: jnp.zeros((len(rounds), *x.shape), x.dtype), shapes)

    def remember(memory, state, now):
        row = jnp.sum(jnp.asarray(rounds) < now)
        return jax.tree.map(lambda all, one: all.at[row].set(one), memory, kept(state))

    def one_block(carry, number, length):
        first = number * block

        def one_round(carry, drawn):
            state, memory = carry
            offset, drawn = drawn
            now = first + offset + 1
            state = step(state, now, drawn)
            return (state, memory if at_ends else remember(memory, state, now)), None

        drawn = draw(jax.random.fold_in(key, number), length)
        offsets = jnp.arange(length, dtype=jnp.int32)
        (state, memory), _ = lax.scan(one_round, carry, (offsets, drawn))
        return state, remember(memory, state, first + length) if at_ends else memory

    whole, rest = divmod(last, block)
    carry = (state, memory)
    if whole:
        carry = lax.fori_loop(
            0, whole, lambda number, carry: one_block(carry, number.astype(jnp.int32), block), carry
        )
    if rest:
        carry = one_block(carry, jnp.int32(whole), rest)
    return carry[1]
