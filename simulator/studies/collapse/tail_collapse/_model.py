"""The ranks of an infinite law in finitely many cells: heads one by one, then geometric blocks.

Inside a block the mass that T tokens miss is a sum over hundreds of ranks or more: normal, with
the exact mean and variance. The number of cells does not grow with T.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from simulator.maths import zipf
from simulator.maths.quadrature import log_panel_rule

NUM_BLOCKS = 64
_REACH = 1e15  # the blocks cover ranks up to _REACH * num_heads: T q < 1e-4 beyond, at T = 1e12
_NODES = 8


class Cells(NamedTuple):
    """Real and training masses of heads, blocks and the last tail, and nodes inside the blocks."""

    p: Array  # (heads,)
    q: Array  # (heads,)
    block_p: Array  # (blocks, nodes) p at the nodes
    block_q: Array  # (blocks, nodes)
    ranks: Array  # (blocks, nodes) number of ranks that a node stands for
    last_p: Array  # sums over the ranks beyond all blocks
    last_q: Array

    def masses(self) -> Array:
        """Training probabilities of all cells: heads, blocks, the last tail."""
        blocks = jnp.sum(self.ranks * self.block_q, axis=1)
        return jnp.concatenate([self.q, blocks, self.last_q[None]])


def rank_cells(law: zipf.TrainingLaw, num_heads: int) -> Cells:
    """Cells of a training law; the cutoff is an edge, so that no block straddles it."""
    heads = jnp.arange(1, num_heads + 1, dtype=float)
    geometric = np.floor(num_heads * _REACH ** (np.arange(NUM_BLOCKS + 1) / NUM_BLOCKS))
    edges = jnp.array(geometric)
    edges = jnp.sort(jnp.append(edges, jnp.clip(law.cutoff, num_heads, edges[-1])))
    # Sums over a < i <= b by Gauss-Legendre in log rank on (a + 1/2, b + 1/2).
    rule = log_panel_rule(jnp.log(edges + 0.5), _NODES)
    rank, ranks = (values.reshape(-1, _NODES) for values in rule)
    before_cut = (edges[1:] <= law.cutoff)[:, None]
    synthetic = jnp.where(before_cut, law.synthetic_part(rank), 0.0)
    return Cells(
        p=law.p(heads),
        q=law.q(heads),
        block_p=law.p(rank),
        block_q=law.real_part(rank) + synthetic,
        ranks=ranks,
        last_p=zipf.tail_mass(law.beta, edges[-1]),
        last_q=law.q_beyond(edges[-1]),
    )


class Outcome(NamedTuple):
    """What a training sample misses and holds."""

    unseen_mass: Array
    num_distinct: Array


def poisson_outcome(key: Array, cells: Cells, rate: Array, seen_heads: Array) -> Outcome:
    """The outcome given which heads were seen, for ``Poisson(rate)`` tokens."""
    missed = jnp.exp(-rate * cells.block_q)
    return _outcome(key, cells, seen_heads, missed, 0.0, 0.0, rate * cells.last_q)


def multinomial_outcome(cells: Cells, key: Array, counts: Array) -> Outcome:
    """The outcome given the counts of all cells.

    Given that ``n`` tokens fell into a block of training mass Q, each missed rank i with
    probability ``(1 - q_i/Q)^n``, and the number of tokens being fixed takes
    ``n (sum_i f_i (q_i/Q) (1 - q_i/Q)^n)^2`` off the variance of a sum of ``f_i``.
    """
    num_heads = cells.p.shape[0]
    in_block = counts[num_heads:-1, None]
    total = jnp.sum(cells.ranks * cells.block_q, axis=1, keepdims=True)
    share = cells.block_q / jnp.where(total > 0, total, 1.0)
    missed = jnp.exp(in_block * jnp.log1p(-share))
    drag = cells.ranks * share * missed
    tied_mass = in_block[:, 0] * jnp.sum(drag * cells.block_p, axis=1) ** 2
    tied_number = in_block[:, 0] * jnp.sum(drag, axis=1) ** 2
    seen = counts[:num_heads] > 0
    return _outcome(key, cells, seen, missed, tied_mass, tied_number, counts[-1])


def _outcome(key, cells, seen_heads, missed, tied_mass, tied_number, num_last) -> Outcome:
    variance = cells.ranks * missed * (1 - missed)
    mass_std = jnp.sqrt(jnp.maximum(jnp.sum(variance * cells.block_p**2, 1) - tied_mass, 0))
    number_std = jnp.sqrt(jnp.maximum(jnp.sum(variance, 1) - tied_number, 0))
    # p hardly varies inside a block: missed mass and missed number move together.
    z = jax.random.normal(key, mass_std.shape, mass_std.dtype)
    block_mass = jnp.sum(cells.ranks * missed * cells.block_p, 1) + mass_std * z
    block_number = jnp.sum(cells.ranks * (1 - missed), 1) - number_std * z
    return Outcome(
        jnp.sum(jnp.where(seen_heads, 0.0, cells.p)) + jnp.sum(block_mass) + cells.last_p,
        jnp.sum(seen_heads) + jnp.sum(block_number) + num_last,
    )
