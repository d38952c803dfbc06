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


def _found(found: Any, own: Any) -> Any:
    return found


def once(
    function: Callable[[Any], Any],
    arguments: Any,
    then: Callable[[Any, Any], Any] = _found,
    own: Any = (),
) -> Any:
    """``then(function(arguments), own)``, ``function`` computed once for neighbouring equal lanes.

    Parameters
    ----------
    function : callable
        Of one pytree of arrays; it must not close over values that are traced.
    arguments : pytree of arrays
        Lanes are equal if these are.
    then : callable, optional
        What each lane makes of it, one after the other: large matrices are held once, not copied
        for every lane. The result itself unless given.
    own : pytree of arrays
    """

    def named(arguments):
        return function(arguments)

    named.__name__ = "once" if then is _found else "once_in_place"  # for the engine to know
    computed = jax.jit(named)
    call = jax.custom_batching.custom_vmap(lambda both: then(computed(both[0]), both[1]))

    @call.def_vmap
    def over_lanes(axis_size, batched, both):
        leaves, tree = jax.tree.flatten(both)
        moving = jax.tree.leaves(batched)

        def lane_of(values):
            values = iter(values)
            return jax.tree.unflatten(
                tree, [next(values) if m else x for x, m in zip(leaves, moving, strict=True)]
            )

        lanes = [x for x, m in zip(leaves, moving, strict=True) if m]
        first = lane_of([x[0] for x in lanes])[0]
        shapes = jax.eval_shape(function, first)
        unknown = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

        def anew(arguments):
            """One step of a loop of one step, or of none: `cond` would copy the result.

            The index is 0. It is there because the compiler computes before a loop whatever does
            not depend on it.
            """
            return lambda index, _: computed(
                jax.tree.map(lambda x: _plus(jnp.asarray(x), index), arguments)
            )

        def step(carry, values):
            known, previous, result = carry
            arguments, own = lane_of(values)
            pairs = zip(*map(jax.tree.leaves, (arguments, previous)), strict=True)
            same = known & jnp.all(jnp.stack([jnp.all(a == b) for a, b in pairs]))
            result = lax.fori_loop(0, jnp.where(same, 0, 1), anew(arguments), result)
            return (jnp.array(True), arguments, result), then(result, own)

        # The function stands in the program once: solvers take long to compile.
        results = lax.scan(step, (jnp.array(False), first, unknown), lanes)[1]
        return results, jax.tree.map(lambda _: True, results)

    return call((arguments, own))


def _plus(x: jax.Array, zero: jax.Array) -> jax.Array:
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = _plus(jax.random.key_data(x), zero)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
    return x + zero.astype(x.dtype)
