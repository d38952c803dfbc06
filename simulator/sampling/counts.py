"""How often each of K cells occurs among T draws, at a cost that does not grow with T.

`multinomial` draws the counts of T tokens from Poisson vectors: ``Poisson(m p_i)`` counts with
``m = T - 5 sqrt(T)`` are, given their sum N, the counts of N tokens; the missing ``T - N`` (about
``5 sqrt(T)``) are drawn in the same way, and after four rounds the last few hundred are drawn one
by one. T = 1e12 costs what T = 1e3 costs. `draw_tokens` is the same law taken literally, token by
token. Counts are floats: they pass 2^31, and in float32 those above 2^24 are right to 6e-8
relative.

`multinomial` needs no loop of data-dependent length, so replicates vectorise. `binomial` and
`subset` thin counts, at a cost that does not depend on them either.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from simulator.runtime.shapes import Numbers, RandomKey, Scalar

FEW = 448  # tokens that are drawn one by one
_LARGE_RATE = 16.0
_LARGEST_SMALL = 48  # P(Poisson(16) > 48) = 1e-10
_ROUNDS = 4
_MARGIN = 5.0  # P(N > T) = 3e-7 in a round
_CHUNK = 1024


def uniform(key: RandomKey, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Uniform on (0, 1] with relative precision near 0 (`jax.random.uniform` has steps of 1e-7).

    Events of probability 1e-9 then happen at the right rate in float32 too.
    """
    bits = jax.random.bits(key, shape, jnp.uint32).astype(float)
    return (bits + 0.5) * 2.0**-32


def poisson(key: RandomKey, rate: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Poisson counts (as floats) for any array of rates >= 0, one per entry.

    Below rate 16 by inversion, exact. Above by the expansion of the quantile function in
    ``rate^-1/2`` (Giles, ACM TOMS 42, 2016, eq. 20): the count is right except with probability
    2.3e-4 at rate 16 (falling as rate^-3/2), where it is off by one; its mean is right to 2e-8.
    """
    rate = jnp.asarray(rate, float)
    key_small, key_large = jax.random.split(key)
    large = rate >= _LARGE_RATE

    low = jnp.where(large, 0.0, rate)
    v = uniform(key_small, rate.shape)

    def count_up(j, carry):
        count, above, mass = carry  # above = P(N > j), mass = P(N = j)
        count = count + (v <= above).astype(count.dtype)
        mass = mass * low / (j + 1).astype(mass.dtype)
        return count, above - mass, mass

    start = (jnp.zeros_like(rate), -jnp.expm1(-low), jnp.exp(-low))
    small_count = lax.fori_loop(0, _LARGEST_SMALL, count_up, start, unroll=8)[0]

    high = jnp.where(large, rate, _LARGE_RATE)
    w = jax.random.normal(key_large, rate.shape, rate.dtype)
    quantile = (
        high
        + jnp.sqrt(high) * w
        + (2 + w**2) / 6
        - (2 * w + w**3) / (72 * jnp.sqrt(high))
        + (3 * w**4 + 7 * w**2 - 16) / (810 * high)
    )
    return jnp.where(large, jnp.maximum(jnp.floor(quantile), 0), small_count)


def multinomial(
    key: RandomKey, total: Scalar, probabilities: Float[Array, " cells"]
) -> Float[Array, " cells"]:
    """Counts of ``total`` independent draws from ``probabilities`` (1-d, summing to 1).

    Parameters
    ----------
    total : float
        Whole number of draws T, traced, up to 1e12.
    probabilities : array (cells,)

    Returns
    -------
    array (cells,) of float counts that sum to ``total`` (to float precision).
    """
    key_rounds, key_last = jax.random.split(key)

    def draw_most(carry, key):
        counts, left = carry
        expected = jnp.maximum(left - _MARGIN * jnp.sqrt(left), 0)
        new = poisson(key, expected * probabilities)
        return (counts + new, jnp.maximum(left - new.sum(), 0)), None

    start = (jnp.zeros_like(probabilities), jnp.asarray(total, probabilities.dtype))
    (counts, left), _ = lax.scan(draw_most, start, jax.random.split(key_rounds, _ROUNDS))
    return counts + multinomial_of_few(key_last, left, probabilities)


def multinomial_of_few(
    key: RandomKey, total: Scalar, probabilities: Float[Array, " cells"]
) -> Float[Array, " cells"]:
    """The same one by one, for ``total`` up to `FEW`: a tenth of the cost, whatever the number."""
    cells = categorical(uniform(key, (FEW,)), probabilities)
    drawn = jnp.arange(FEW, dtype=probabilities.dtype) < total
    return jnp.zeros_like(probabilities).at[cells].add(drawn.astype(probabilities.dtype))


def binomial(
    key: RandomKey, total: Float[Array, "*shape"], chance: Numbers
) -> Float[Array, "*shape"]:
    """How many of ``total`` trials succeed (as floats), one number per entry; exact in law."""
    return jax.random.binomial(key, total, jnp.clip(chance, 0, 1), dtype=total.dtype)


def subset(
    key: RandomKey, counts: Float[Array, " cells"], share: Scalar, number: Scalar
) -> Float[Array, " cells"]:
    """Counts of a random subset of tokens, without replacement (multivariate hypergeometric).

    Independent binomial counts are, given their sum, those of a subset of that size: nearly all are
    drawn so, in rounds, and the last few hundred one by one. The cost does not grow with the
    numbers of tokens.

    Parameters
    ----------
    counts : array (cells,)
        How often each token occurs among all.
    share, number : float
        Size of the subset over that of all tokens, and the size itself.
    """
    key_rounds, key_last = jax.random.split(key)

    def choose_most(carry, key):
        left, chosen, wanted = carry
        expected = jnp.maximum(wanted - _MARGIN * jnp.sqrt(wanted), 0)
        new = binomial(key, left, expected / jnp.maximum(left.sum(), 1))
        return (left - new, chosen + new, jnp.maximum(wanted - new.sum(), 0)), None

    start = (counts, jnp.zeros_like(counts), jnp.asarray(number, counts.dtype))
    carry, _ = lax.scan(choose_most, start, jax.random.split(key_rounds, _ROUNDS))

    def choose_one(carry, v):
        left, chosen, wanted = carry
        below = jnp.cumsum(left)
        cell = jnp.searchsorted(below, (1 - v) * below[-1], side="right")
        taken = ((jnp.arange(len(left)) == cell) & (wanted > 0)).astype(left.dtype)
        return (left - taken, chosen + taken, wanted - 1), None

    (_, chosen, _), _ = lax.scan(choose_one, carry, uniform(key_last, (FEW,)))
    return jnp.where(share < 1, chosen, counts)


def draw_tokens(
    key: RandomKey,
    total: Scalar,
    probabilities: Float[Array, " cells"],
    expected: Scalar | None = None,
) -> Float[Array, " cells"]:
    """The counts of `multinomial`, drawn token by token: cost proportional to ``total``.

    A ``total`` that is itself random says about how large it is, ``expected``, so that the cost is
    known beforehand; what is beyond that is drawn by a second loop.
    """
    total = jnp.asarray(total, probabilities.dtype)
    beyond = cells_beyond(probabilities)
    chunks = jnp.ceil((total if expected is None else expected) / _CHUNK).astype(jnp.int32)

    def draw_chunk(chunk, counts):
        v = uniform(jax.random.fold_in(key, chunk), (_CHUNK,))
        left = total - chunk.astype(total.dtype) * _CHUNK
        wanted = jnp.arange(_CHUNK, dtype=total.dtype) < left
        return counts.at[_locate(v, beyond)].add(wanted.astype(counts.dtype))

    def unfinished(carry):
        return carry[0].astype(total.dtype) * _CHUNK < total

    def next_chunk(carry):
        return carry[0] + 1, draw_chunk(*carry)

    drawn = lax.fori_loop(0, chunks, draw_chunk, jnp.zeros_like(probabilities))
    if expected is None:
        return drawn
    return lax.while_loop(unfinished, next_chunk, (chunks, drawn))[1]


def categorical(
    v: Float[Array, "*shape"], probabilities: Float[Array, " cells"]
) -> Int[Array, "*shape"]:
    """Cells of tokens with uniforms ``v``, by inversion of the upper tail."""
    return _locate(v, cells_beyond(probabilities))


def cells_beyond(probabilities: Float[Array, " cells"]) -> Float[Array, " cells"]:
    """``sum_{j>i} p_j``: tail sums, which keep the relative precision of rare last cells."""
    return jnp.cumsum(probabilities[::-1])[::-1] - probabilities


def _locate(v: Array, beyond: Array) -> Array:
    """The first cell ``i`` with ``sum_{j>i} p_j < v``."""
    last = beyond.shape[0] - 1
    return jnp.clip(last + 1 - jnp.searchsorted(beyond[::-1], v, side="left"), 0, last)
