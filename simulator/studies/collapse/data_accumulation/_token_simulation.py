"""Chains of token counts: literal, or by counts of all tokens at once.

Whatever happens to a token later depends on how often it occurs, so a text is the vector of its
counts, and a subset of a text too.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from simulator.sampling import counts
from simulator.sampling.row_factor import Quota
from simulator.studies.collapse.data_accumulation._policies import schedule

_CHUNK = 1024


def counted(key, params, p):
    """Counts of all tokens at once."""
    if params.sampling == "poisson":
        return _chain(key, params, p, _poisson, _thinned)
    return _chain(key, params, p, _multinomial, _subset)


def drawn(key, params, p):
    """Token by token."""
    poisson = params.sampling == "poisson"

    def draw(key, frequencies, size):
        key_number, key_tokens = jax.random.split(key)
        whole = frequencies.sum()
        number = counts.poisson(key_number, size * whole) if poisson else size
        return counts.draw_tokens(key_tokens, number, frequencies / jnp.maximum(whole, 1e-30))

    choose = _each_kept if poisson else _chosen
    return _chain(key, params, p, draw, choose)


def _poisson(key, frequencies, size):
    return counts.poisson(key, size * frequencies)


def _multinomial(key, frequencies, size):
    return counts.multinomial(key, size, frequencies / frequencies.sum())


def _subset(key, pool, share, wanted, _):
    return counts.subset(key, pool, share, wanted)


def _thinned(key, pool, share, _, __):
    return jnp.where(share < 1, counts.binomial(key, pool, share), pool)


def _each_kept(key, pool, share, _, __):
    """Each token of the pool, one by one, with chance ``share``."""
    return _sifted(
        pool,
        pool.sum(),
        None,
        lambda state, chunk, here: (state, here & (_uniform(key, chunk) < share)),
    )


def _chosen(key, pool, _, wanted, total):
    """``wanted`` tokens of the pool without replacement, one after the other."""

    def choose(quota, chunk, here):
        return quota.choose(jax.random.fold_in(key, chunk), here)

    return _sifted(pool, total, Quota(total, wanted), choose)


def _uniform(key, chunk):
    return jax.random.uniform(jax.random.fold_in(key, chunk), (_CHUNK,), float)


def _sifted(pool, total, state, choose):
    """Counts of the tokens that ``choose`` lets pass; the pool's ``total`` go by one by one."""
    last = jnp.cumsum(pool)  # tokens 0 .. last[0] - 1 are the first, and so on
    chunks = jnp.ceil(total / _CHUNK).astype(jnp.int32)

    def chunk_of(chunk, carry):
        found, state = carry
        place = (chunk * _CHUNK + jnp.arange(_CHUNK)).astype(pool.dtype)
        state, passed = choose(state, chunk, place < total)
        token = jnp.minimum(jnp.searchsorted(last, place, side="right"), len(pool) - 1)
        return found.at[token].add(passed.astype(pool.dtype)), state

    return lax.fori_loop(0, chunks, chunk_of, (jnp.zeros_like(pool), state))[0]


def _chain(key, params, p, draw, choose):
    """``draw(key, frequencies, size)`` draws a block, ``choose(key, pool, share,
    number, total)`` a subset of rows."""
    plan, b, n = schedule(params), params.synthetic_weight, params.num_generations
    first = draw(jax.random.fold_in(key, 0), p, plan.sizes[0])

    def subset(key, pool, here):
        return choose(key, pool, here.subset / here.totals, here.subset, here.totals)

    def generation(state, now):
        index, here = now
        frequencies, pool = state
        key_block, key_other = jax.random.split(jax.random.fold_in(key, index))
        new = draw(key_block, frequencies, here.sizes)
        if params.policy == "replace":
            seen = pool = new
        elif params.policy == "accumulate":
            seen = pool = pool + b * new
        elif params.policy == "keep_real":
            seen = pool + b * new
        elif params.policy == "fresh_mix":
            seen = draw(key_other, p, plan.sizes[0]) + b * new
        else:
            pool = pool + new
            seen = subset(key_other, pool, here)
        frequencies = seen / here.weights
        return (frequencies, pool), frequencies

    start = first
    if params.policy == "accumulate_subsample":
        start = subset(jax.random.fold_in(key, n), first, jax.tree.map(lambda x: x[0], plan))
    start = start / plan.weights[0]
    _, later = lax.scan(generation, (start, first), (jnp.arange(1, n), plan.later()[0]))
    return jax.vmap(partial(_outputs, p))(jnp.concatenate([start[None], later]))


def _outputs(p, frequencies):
    found = frequencies > 0
    return {
        "test_error": jnp.sum(jnp.where(found, 0, p)),
        "num_distinct_tokens": jnp.sum(found.astype(p.dtype)),
        "simpson_index": jnp.sum(frequencies**2),
        "squared_error": jnp.sum((frequencies - p) ** 2),
        "entropy": -jnp.sum(frequencies * jnp.log(jnp.where(found, frequencies, 1))),
    }
