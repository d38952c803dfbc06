"""What the replicates of a cell share: solved once, not once for each of them.

A simulation is a function of one replicate, and `jax.vmap` makes it one of many. Whatever a
replicate computes from the parameters alone would be computed for every lane; `once` goes through
the lanes in their order and solves again only where the arguments change. The results of
a lane do not depend on the lanes around it, and are those of the single one up to rounding.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def once(function: Callable[[Any], Any], arguments: Any) -> Any:
    """``function(arguments)``, computed once for neighbouring lanes with equal arguments.

    Parameters
    ----------
    function : callable
        Of one pytree of arrays; it must not close over values that are traced.
    arguments : pytree of arrays
    """
    call = jax.custom_batching.custom_vmap(function)

    @call.def_vmap
    def over_lanes(axis_size, batched, arguments):
        leaves, tree = jax.tree.flatten(arguments)
        moving = jax.tree.leaves(batched)

        def lane_of(values):
            values = iter(values)
            return jax.tree.unflatten(
                tree, [next(values) if m else x for x, m in zip(leaves, moving, strict=True)]
            )

        lanes = [x for x, m in zip(leaves, moving, strict=True) if m]
        first = [x[0] for x in lanes]
        shapes = jax.eval_shape(function, lane_of(first))
        unknown = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

        def step(carry, values):
            known, previous, result = carry
            pairs = zip(values, previous, strict=True)
            same = known & jnp.all(jnp.stack([jnp.all(a == b) for a, b in pairs]))
            result = lax.cond(same, lambda: result, lambda: function(lane_of(values)))
            return (jnp.array(True), values, result), result

        # The function stands in the program once: solvers take long to compile.
        results = lax.scan(step, (jnp.array(False), first, unknown), lanes)[1]
        return results, jax.tree.map(lambda _: True, results)

    return call(arguments)
