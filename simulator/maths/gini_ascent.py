"""Generalised Gini functions of linear images, maximised: a linear programme, solved to rounding.

``max over a of <gain, a> + scale * min over w' in P(w) of <w', image(a)>``. The method of proximal
points in the weights ``w'`` has smooth subproblems and ends after finitely many; weights and point
certify each other.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from simulator.maths.concave_ascent import certificate, maximise
from simulator.maths.permutahedron import project
from simulator.maths.welfare import generalised_gini
from simulator.runtime.shapes import Scalar

_MOST = 16  # subproblems


class GiniMaximum(NamedTuple):
    """The maximum, and the saddle weights at it.

    Attributes
    ----------
    point : array (rows, items)
    weights : array (entries,)
    gap : scalar
        At least the distance of the value at ``point`` from the maximum.
    residual : scalar
        The same relative to the size of its terms, less rounding.
    """

    point: Float[Array, "rows items"]
    weights: Float[Array, " entries"]
    gap: Float[Array, ""]
    residual: Float[Array, ""]


def maximise_gini(
    image: Callable[[Array, Array], Array],
    data: Float[Array, "..."],
    gain: Float[Array, "rows items"],
    scale: Scalar,
    gini_weights: Float[Array, " entries"],
    weights: Float[Array, " items"],
) -> GiniMaximum:
    """Maximise over rows in the permutahedron of ``weights``.

    Parameters
    ----------
    image : callable
        ``(point, data) -> entries``, linear in the point (rows, items).
    data : array
        What the image depends on, and derivatives shall see.
    gain : array (rows, items)
    scale : scalar
        At least 0.
    gini_weights : array (entries,)
        Decreasing.
    weights : array (items,)
        Decreasing.
    """
    eps = float(jnp.finfo(gain.dtype).eps)

    def nearest(values, args):
        _, _, _, gini_weights, centre, softness = args
        return project(centre - values / softness, gini_weights)

    def objective(point, args):
        data, gain, scale, _, centre, softness = args
        values = image(point, data)
        chosen = nearest(values, args)
        smoothed = chosen @ values + softness / 2 * jnp.sum((chosen - centre) ** 2)
        return jnp.sum(gain * point) + scale * smoothed

    def gap_of(point, chosen, args):
        data, gain, scale, gini_weights, *_ = args

        def linear(point, args):
            return jnp.sum(gain * point) + scale * (chosen @ image(point, data))

        gap, size = certificate(linear, weights_, point, args)
        values = image(point, data)
        short = chosen @ values - generalised_gini(values, gini_weights)
        return gap + scale * jnp.maximum(short, 0), size + scale * jnp.sum(chosen * jnp.abs(values))

    weights_, *fixed = lax.stop_gradient((weights, data, gain, scale, gini_weights))
    rows, items = gain.shape
    start = jnp.full((rows, items), jnp.mean(weights_))

    def solved(point, centre, softness):
        args = (*fixed, centre, softness)
        point = maximise(objective, weights_, point, softness * rows, args).point
        chosen = nearest(image(point, fixed[0]), args)
        return point, chosen, gap_of(point, chosen, args)

    def unfinished(carry):
        count, _, _, _, (gap, size) = carry
        return (count < _MOST) & (gap > 200 * eps * size)

    def step(carry):
        count, point, centre, softness, _ = carry
        point, chosen, gap = solved(point, centre, softness)
        return count + 1, point, chosen, softness / 2, gap

    one = jnp.ones((), gain.dtype)
    first = (jnp.int32(0), start, fixed[3], one, (jnp.inf * one, one))
    _, point, centre, softness, _ = lax.while_loop(unfinished, step, first)
    args = (data, gain, scale, gini_weights, centre, softness)
    point = maximise(objective, weights, point, softness * rows, args).point
    chosen = nearest(image(point, data), args)
    gap, size = gap_of(*lax.stop_gradient((point, chosen, args)))
    return GiniMaximum(point, chosen, gap, jnp.maximum(gap / size - 1000 * eps, 0))
