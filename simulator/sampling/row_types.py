"""Rows of a few types, each a mean plus standard normal noise, without drawing them one by one.

``n_j`` rows ``N(m_j, I)`` of type ``j`` (``j = 1..J``) are turned by an orthogonal matrix whose
first directions are the normalised sums of the types. Least squares does not notice, and of the
turned rows, exactly in law,

    one per type that has rows is ``g_j = sqrt(n_j) m_j + N(0, I)``  (its target: sqrt(n_j) y_j),
    the remaining ``n - J`` are centred normal noise with target 0,

of which only a trapezoidal factor matters (`trapezoid`). The cost is that of ``J + dim`` rows,
whatever the counts, and these may be traced.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import cho_factor, cho_solve

from simulator.sampling.trapezoid import trapezoidal_factor


class TurnedRows(NamedTuple):
    """Rows and targets with the Gram matrix and the correlations of all rows that were meant."""

    rows: Array  # (leading + dim, dim); the active ones first, the others zero
    targets: Array  # (leading + dim,)
    number: Array  # how many rows were meant


def rows_of_types(key: Array, counts: Array, means: Array, targets: Array) -> TurnedRows:
    """All rows of the types, turned.

    Parameters
    ----------
    counts : array (types,)
        Whole numbers ``n_j >= 0``, traced.
    means : array (types, dim)
    targets : array (types,)
        One number for all rows of a type.
    """
    num_types, dim = means.shape
    # Types with rows first: what is left of the others must not come between active rows.
    order = jnp.argsort(counts <= 0, stable=True)
    counts, means, targets = counts[order], means[order], targets[order]
    key_sums, key_rest = jax.random.split(key)
    root = jnp.sqrt(counts.astype(float))
    noise = jax.random.normal(key_sums, (num_types, dim), float)
    leading = jnp.where(counts[:, None] > 0, root[:, None] * means + noise, 0)
    return followed_by_noise(key_rest, leading, root * targets, jnp.sum(counts > 0), counts.sum())


def followed_by_noise(
    key: Array, leading: Array, targets: Array, active, count, noise_from: int = 0
) -> TurnedRows:
    """Leading rows, ``active`` of which are there, and ``count - active`` rows of noise below.

    Parameters
    ----------
    leading, targets : arrays (leading, dim) and (leading,)
        Zero beyond the first ``active`` rows.
    active, count : int
        Traced.
    noise_from : int
        The noise has the columns from here on; it is zero in the others.
    """
    num_leading, dim = leading.shape
    rest = trapezoidal_factor(key, count - active, dim - noise_from)
    rest = jnp.pad(rest, ((0, num_leading + noise_from), (noise_from, 0)))
    rows = jnp.pad(leading, ((0, dim), (0, 0))) + jnp.roll(rest, active, axis=0)
    return TurnedRows(rows, jnp.pad(targets, (0, dim)), count)


def ridge_fit(blocks: Sequence[TurnedRows], weights, ridge) -> Array:
    """``argmin sum_b weight_b |rows_b w - targets_b|^2 + ridge |w|^2``; shape (dim,).

    Without ridge it is the least-squares solution of smallest norm; without rows it is 0. By one
    Cholesky factorisation, of rows or of columns, whichever are fewer.

    Parameters
    ----------
    blocks : sequence of TurnedRows
    weights : sequence of scalars >= 0
        A block of weight 0 counts for nothing.
    ridge : scalar >= 0
    """
    dim = blocks[0].rows.shape[1]
    counts = [jnp.where(w > 0, block.number, 0) for block, w in zip(blocks, weights, strict=True)]
    total = sum(counts)
    few = total < dim  # then all active rows together are fewer than dim
    scaled = [
        (jnp.sqrt(w) * block.rows, jnp.sqrt(w) * block.targets)
        for block, w in zip(blocks, weights, strict=True)
    ]

    def stacked(parts):
        first, *rest = (part[:dim] for part in parts)
        before = counts[0]
        for part, count in zip(rest, counts[1:], strict=True):
            first = first + jnp.roll(part, jnp.minimum(before, dim).astype(int), axis=0)
            before = before + count
        return first

    rows, targets = stacked([r for r, _ in scaled]), stacked([t for _, t in scaled])
    there = jnp.arange(dim) < total
    by_rows = rows @ rows.T + jnp.diag(jnp.where(there, ridge, 1))
    by_columns = sum(r.T @ r for r, _ in scaled) + ridge * jnp.eye(dim, dtype=float)
    factor = cho_factor(jnp.where(few, by_rows, by_columns), lower=True)
    correlation = sum(r.T @ t for r, t in scaled)
    solution = cho_solve(factor, jnp.where(few, targets, correlation))
    return jnp.where(few, rows.T @ solution, solution)
