"""What all replicates of a cell share is computed once, although every lane asks for it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap


def once_per_value(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which under ``vmap`` is called anew only where its arguments change.

    Lanes of a batch come cell by cell, and replicates of a cell have equal parameters: an optimum,
    say, is found once for all of them. A lane's result does not depend on the others.

    Parameters
    ----------
    function : callable
        Of arrays, without closures over traced values; it is not differentiated.
    """
    shared = custom_vmap(function)

    @shared.def_vmap
    def in_turn(axis_size, in_batched, *arguments):
        leaves, tree = jax.tree.flatten(arguments)
        batched = jax.tree.leaves(in_batched)
        if not any(batched):
            results = function(*arguments)
            return results, jax.tree.map(lambda _: False, results)
        lanes = [leaf for leaf, moves in zip(leaves, batched, strict=True) if moves]

        def call(lane):
            mine = iter(lane)
            both = zip(leaves, batched, strict=True)
            given = [next(mine) if moves else leaf for leaf, moves in both]
            return function(*jax.tree.unflatten(tree, given))

        first = [leaf[0] for leaf in lanes]
        empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(call, first))

        def step(carry, lane):
            known, before, result = carry
            same = [jnp.all(a == b) for a, b in zip(lane, before, strict=True)]
            known = known & jnp.all(jnp.stack(same))
            result = lax.cond(known, lambda: result, lambda: call(lane))
            return (jnp.array(True), lane, result), result

        _, results = lax.scan(step, (jnp.array(False), first, empty), lanes, axis_size)
        return results, jax.tree.map(lambda _: True, results)

    return shared
