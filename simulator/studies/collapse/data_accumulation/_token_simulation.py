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
        return _chain(key, params, p, counts.poisson, _thinned)
    return _chain(key, params, p, _multinomial, counts.subset)


def drawn(key, params, p):
    """Token by token."""
    poisson = params.sampling == "poisson"

    def draw(key, rates):
        key_number, key_tokens = jax.random.split(key)
        number = counts.poisson(key_number, rates.sum()) if poisson else rates.sum()
        return counts.draw_tokens(key_tokens, number, rates / jnp.maximum(rates.sum(), 1e-30))

    choose = _each_kept if poisson else _chosen
    return _chain(key, params, p, draw, choose)


def _multinomial(key, rates):
    total = jnp.round(rates.sum())
    return counts.multinomial(key, total, rates / jnp.maximum(rates.sum(), 1e-30))


def _thinned(key, pool, share, _):
    return jnp.where(share < 1, counts.binomial(key, pool, share), pool)


def _each_kept(key, pool, share, _):
    """Each token of the pool, one by one, with chance ``share``."""
    return _sifted(
        pool, None, lambda state, chunk, here: (state, here & (_uniform(key, chunk) < share))
    )


def _chosen(key, pool, _, wanted):
    """``wanted`` tokens of the pool without replacement, one after the other."""

    def choose(quota, chunk, here):
        return quota.choose(jax.random.fold_in(key, chunk), here)

    return _sifted(pool, Quota(pool.sum(), wanted), choose)


def _uniform(key, chunk):
    return jax.random.uniform(jax.random.fold_in(key, chunk), (_CHUNK,), float)


def _sifted(pool, state, choose):
    """Counts of the tokens that ``choose`` lets pass; the pool's go by one by one."""
    last = jnp.cumsum(pool)  # tokens 0 .. last[0] - 1 are the first, and so on

    def unfinished(carry):
        return (carry[0] * _CHUNK).astype(pool.dtype) < last[-1]

    def chunk_of(carry):
        chunk, found, state = carry
        place = (chunk * _CHUNK + jnp.arange(_CHUNK)).astype(pool.dtype)
        state, passed = choose(state, chunk, place < last[-1])
        token = jnp.minimum(jnp.searchsorted(last, place, side="right"), len(pool) - 1)
        return chunk + 1, found.at[token].add(passed.astype(pool.dtype)), state

    return lax.while_loop(unfinished, chunk_of, (0, jnp.zeros_like(pool), state))[1]


def _chain(key, params, p, draw, choose):
    """``draw(key, rates)`` draws a block, ``choose(key, pool, share, number)`` a subset of rows."""
    plan, b, n = schedule(params), params.synthetic_weight, params.num_generations
    first = draw(jax.random.fold_in(key, 0), plan.sizes[0] * p)

    def subset(key, pool, here):
        return choose(key, pool, here.subset / here.totals, here.subset)

    def generation(state, now):
        index, here = now
        frequencies, pool = state
        key_block, key_other = jax.random.split(jax.random.fold_in(key, index))
        new = draw(key_block, here.sizes * frequencies)
        if params.policy == "replace":
            seen = pool = new
        elif params.policy == "accumulate":
            seen = pool = pool + b * new
        elif params.policy == "keep_real":
            seen = pool + b * new
        elif params.policy == "fresh_mix":
            seen = draw(key_other, plan.sizes[0] * p) + b * new
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
