"""Rows drawn one by one, of which only the triangular factor of their QR decomposition is kept.

Chunks of rows are drawn and folded into the factor, so a number of rows may be traced and memory
does not grow with it. Of rows ``(1, x)`` the factor holds their mean and centred scatter, of rows
``(x, y)`` all that a linear fit needs, without the loss of digits of sums of squares. A subset
without replacement is chosen row by row while the rows go by.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from simulator.runtime.shapes import RandomKey, Scalar

CHUNK = 64


def stacked(*parts: Float[Array, "_ width"]) -> Float[Array, "rows width"]:
    """``R`` of the QR decomposition of all rows: as many rows as columns, ``R^T R = sum A^T A``."""
    rows = jnp.concatenate(parts)
    missing = max(rows.shape[1] - rows.shape[0], 0)
    return jnp.linalg.qr(jnp.pad(rows, ((0, missing), (0, 0))), mode="r")


def factor_of_rows(
    draw: Callable[[Array], Array], num_rows: Scalar, factor: Float[Array, "width width"]
) -> Float[Array, "width width"]:
    """The factor of the rows ``0 .. num_rows - 1``, stacked under ``factor``.

    Parameters
    ----------
    draw : function ``chunk -> (CHUNK, width)``
        The rows of a chunk, by its number; those beyond ``num_rows`` are left out.
    num_rows : int
        It may be traced.
    factor : array (width, width)
        Zero, or that of rows which came before.
    """

    def add(chunk, factor):
        row = chunk * CHUNK + jnp.arange(CHUNK)
        return stacked(factor, jnp.where((row < num_rows)[:, None], draw(chunk), 0))

    return lax.fori_loop(0, num_chunks(num_rows), add, factor)


def factor_of_subset(
    draw: Callable[[Array, Array], tuple[Array, RandomKey]],
    sizes: Float[Array, " blocks"],
    last: Scalar,
    number: Scalar,
    factor: Float[Array, "width width"],
) -> Float[Array, "width width"]:
    """The factor of ``number`` rows, chosen without replacement from all rows of some blocks.

    Parameters
    ----------
    draw : function ``(block, chunk) -> rows (CHUNK, width), key of the choice among them``
    sizes : rows of each block
    last : int
        Blocks ``0 .. last`` are chosen from; it may be traced.
    number : int
    factor : array (width, width)
        Zero, or that of rows which are there anyway.
    """

    def rows_of(block, carry):
        def add(chunk, carry):
            factor, quota = carry
            rows, key = draw(block, chunk)
            present = (chunk * CHUNK + jnp.arange(CHUNK)).astype(sizes.dtype) < sizes[block]
            quota, chosen = quota.choose(key, present)
            return stacked(factor, jnp.where(chosen[:, None], rows, 0)), quota

        return lax.fori_loop(0, num_chunks(sizes[block]), add, carry)

    quota = Quota(jnp.cumsum(sizes)[last], jnp.asarray(number, factor.dtype))
    return lax.fori_loop(0, last + 1, rows_of, (factor, quota))[0]


def num_chunks(num_rows: Scalar) -> Array:
    """How many chunks hold so many rows."""
    return jnp.ceil(jnp.asarray(num_rows, float) / CHUNK).astype(int)


class Quota(NamedTuple):
    """A choice without replacement under way."""

    left: Float[Array, ""]  # rows that are still to come
    wanted: Float[Array, ""]  # of which so many are to be chosen

    def choose(
        self, key: RandomKey, present: Bool[Array, " rows"]
    ) -> tuple["Quota", Bool[Array, " rows"]]:
        """Which of the next rows are chosen; only those that are present count.

        Each is chosen with chance ``wanted / left``, which makes all subsets equally likely.
        """

        def one(quota, now):
            uniform, here = now
            chosen = here & (uniform * quota.left < quota.wanted)
            left = quota.left - here.astype(quota.left.dtype)
            return Quota(left, quota.wanted - chosen.astype(quota.left.dtype)), chosen

        uniforms = jax.random.uniform(key, present.shape, self.left.dtype)
        return lax.scan(one, self, (uniforms, present))
