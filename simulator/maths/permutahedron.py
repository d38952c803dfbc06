"""The permutahedron of position weights: its vertices, its faces and projections onto it.

``P(w)`` is the convex hull of the permutations of ``w`` (sorted decreasingly): what randomised
rankings make of weights by position. The best vertex sorts (rearrangement inequality). The
projection of ``x`` is, in decreasing order of ``x``, ``x - iso(x - w)`` with the least-squares
decreasing fit ``iso`` (C. Lim, S. Wright, "Efficient Bregman projections onto the permutahedron",
AISTATS 2016); where the fit pools entries the projection may move, as long as their sum stays.
The simplex is the permutahedron of ``(1, 0, ..., 0)``.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from simulator.runtime.shapes import Scalar

_ONE_BY_ONE = 8  # slots up to which looking for the largest again and again beats a sort


def sort_to_exposure(
    scores: Float[Array, " items"], weights: Float[Array, " items"]
) -> Float[Array, " items"]:
    """The vertex with the largest product with ``scores``: the first weight goes to the largest.

    Parameters
    ----------
    scores : array (items,)
        Of equal ones the first goes first.
    weights : array (items,)
        Decreasing.
    """
    return weights[ranks(scores)]


def top_to_exposure(
    scores: Float[Array, " items"], weights: Float[Array, " items"], slots: int
) -> Float[Array, " items"]:
    """`sort_to_exposure` for weights that are 0 beyond the first ``slots``: few are found one by
    one.

    Inside a loop of many lanes this costs a third of a sort.
    """
    if slots > _ONE_BY_ONE:
        return sort_to_exposure(scores, weights)
    shown = jnp.zeros_like(weights)
    for slot in range(slots):
        top = jnp.argmax(scores)
        shown = shown.at[top].set(weights[slot])
        scores = scores.at[top].set(-jnp.inf)
    return shown


def ranks(scores: Float[Array, " items"]) -> Int[Array, " items"]:
    """The place of each score in decreasing order, from 0; of equal ones the first goes first."""
    # Not by comparing all pairs: XLA may compute the scores twice, with other last bits.
    place = jnp.arange(len(scores), dtype=jnp.int32)
    order = jnp.argsort(-scores, stable=True)
    return jnp.zeros_like(place).at[order].set(place, unique_indices=True)


def largest_product(scores: Float[Array, " items"], weights: Float[Array, " items"]) -> Array:
    """``max <scores, a>`` over the permutahedron: both sorted."""
    return jnp.sort(scores) @ weights[::-1]


class Pools(NamedTuple):
    """For every entry of a sequence, where its pool begins, and the place behind its end."""

    begin: Int[Array, " items"]
    end: Int[Array, " items"]


class Face(NamedTuple):
    """Where a projection landed: the pools of entries that may move against each other.

    Attributes
    ----------
    rank : array (items,)
        Places of the items in decreasing order of the projected point.
    order : array (items,)
        The items in this order.
    pool : Pools
        In this order.
    """

    rank: Int[Array, " items"]
    order: Int[Array, " items"]
    pool: Pools

    def centred(self, x: Float[Array, " items"]) -> Float[Array, " items"]:
        """``x`` minus its means over the pools: its part along the face."""
        return x - _pool_means(x[self.order], self.pool)[self.rank]


def face_of(x: Float[Array, " items"], weights: Float[Array, " items"]) -> Face:
    """The face onto which ``x`` projects; without derivatives."""
    x, weights = lax.stop_gradient((x, weights))
    place = jnp.arange(len(x), dtype=jnp.int32)
    order = jnp.argsort(-x, stable=True).astype(jnp.int32)
    rank = jnp.zeros_like(place).at[order].set(place, unique_indices=True)
    return Face(rank, order, decreasing_pools(x[order] - weights))


def onto_face(
    x: Float[Array, " items"], weights: Float[Array, " items"], face: Face
) -> Float[Array, " items"]:
    """The projection of ``x`` onto the affine hull of a face."""
    return x - _pool_means(x[face.order] - weights, face.pool)[face.rank]


def project(x: Float[Array, " items"], weights: Float[Array, " items"]) -> Float[Array, " items"]:
    """The nearest point of the permutahedron of ``weights`` (decreasing), with derivatives."""
    return onto_face(x, weights, face_of(x, weights))


def decreasing_fit(x: Float[Array, " items"]) -> Float[Array, " items"]:
    """The decreasing sequence nearest to ``x`` in least squares."""
    return _pool_means(x, decreasing_pools(lax.stop_gradient(x)))


def decreasing_pools(x: Float[Array, " items"]) -> Pools:
    """The pools over which the decreasing least-squares fit of ``x`` is constant.

    The fit is the slope of the least concave majorant of the cumulative sums. A pool begins where
    the majorant touches: where all slopes to the left exceed all to the right. That is a comparison
    of all pairs, without loops; compilers keep none of them.
    """
    size = len(x)
    total = _sums_before(x - jnp.mean(x))
    place = jnp.arange(size + 1, dtype=jnp.int32)
    apart = place[:, None] - place[None, :]
    run = jnp.where(apart == 0, 1, apart).astype(x.dtype)
    slope = (total[:, None] - total[None, :]) / run
    left = jnp.min(jnp.where(apart > 0, slope, jnp.inf), axis=1)
    right = jnp.max(jnp.where(apart < 0, slope, -jnp.inf), axis=1)
    begins = left > right
    begin = jnp.max(jnp.where((apart >= 0) & begins[None, :], place[None, :], 0), axis=1)
    end = jnp.min(jnp.where((apart < 0) & begins[None, :], place[None, :], size), axis=1)
    return Pools(begin[:-1], end[:-1])


def _sums_before(x: Float[Array, " items"]) -> Float[Array, " items_and_end"]:
    """Cumulative sums, from 0."""
    return jnp.concatenate([jnp.zeros(1, x.dtype), jnp.cumsum(x)])


def _pool_means(x: Float[Array, " items"], pool: Pools) -> Float[Array, " items"]:
    total = _sums_before(x)
    count = (pool.end - pool.begin).astype(x.dtype)
    return (total[pool.end] - total[pool.begin]) / count


def position_weights(items: int, slots: int) -> Float[Array, " items"]:
    """``1 / log2(1 + k)`` for the first ``slots`` ranks ``k = 1, 2, ...``, and 0 beyond."""
    rank = jnp.arange(1, items + 1)
    return jnp.where(rank <= slots, 1 / jnp.log2(1 + rank.astype(float)), 0)


def geometric_weights(items: int, decay: Scalar) -> Float[Array, " items"]:
    """``decay^(i - 1)``, normalised to the sum 1: weights of a generalised Gini function."""
    powers = decay ** jnp.arange(items).astype(float)
    return powers / jnp.sum(powers)
