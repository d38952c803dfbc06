"""Generalised Gini functions of linear images, maximised: a linear programme, solved to rounding.

``max over a of <gain, a> + scale * min over w' in P(w) of <w', image(a)>``. The method of proximal
points in the weights ``w'`` has smooth subproblems and ends after finitely many; weights and point
certify each other.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from simulator.maths.concave_ascent import ascend, certificate, newton_step
from simulator.maths.permutahedron import project
from simulator.maths.slopes import only_slope
from simulator.maths.welfare import generalised_gini
from simulator.runtime.shapes import Scalar

_MOST = 16  # subproblems
_LITTLE = 1e-7


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

    def gap_of(weights, point, chosen, args):
        data, gain, scale, gini_weights, *_ = args

        def linear(point, args):
            return jnp.sum(gain * point) + scale * (chosen @ image(point, data))

        gap, size = certificate(linear, weights, point, args)
        values = image(point, data)
        short = chosen @ values - generalised_gini(values, gini_weights)
        return gap + scale * jnp.maximum(short, 0), size + scale * jnp.sum(chosen * jnp.abs(values))

    rows, items = gain.shape
    one = jnp.ones((), gain.dtype)

    @jax.custom_jvp
    def solved(weights, fixed):
        def subproblem(carry):
            count, point, centre, softness, step, _ = carry
            args = (*fixed, centre, softness)
            point, step = ascend(objective, weights, point, step, args)
            chosen = nearest(image(point, fixed[0]), args)
            gap = gap_of(weights, point, chosen, args)
            return count + 1, point, chosen, softness / 2, step, gap

        def unfinished(carry):
            count, _, _, _, _, (gap, size) = carry
            return (count < _MOST) & (gap > 200 * eps * size)

        start = jnp.full((rows, items), jnp.mean(weights))
        first = (jnp.int32(0), start, fixed[3], one, rows * one, (jnp.inf * one, one))
        _, point, centre, _, step, gap = lax.while_loop(unfinished, subproblem, first)
        return point, centre, step, gap

    @solved.defjvp
    def slope(primals, tangents):
        point, centre, step, gap = solved(*primals)

        def moved(weights, fixed):
            # Any softness has this saddle point; with little its derivatives are the programme's.
            args = (*fixed, centre, _LITTLE * one)
            near = point + only_slope(newton_step(objective, weights, point, step, args))
            return near, nearest(image(near, fixed[0]), args)

        _, moves = jax.jvp(moved, primals, tangents)
        still = jax.tree.map(jnp.zeros_like, (step, gap))
        return (point, centre, step, gap), (*moves, *still)

    point, chosen, _, (gap, size) = solved(weights, (data, gain, scale, gini_weights))
    return GiniMaximum(point, chosen, gap, jnp.maximum(gap / size - 1000 * eps, 0))
