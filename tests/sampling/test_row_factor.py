"""Rows folded into a triangular factor; subsets chosen while rows go by."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.runtime.compilation import float64_on_cpu
from simulator.sampling.row_factor import (
    CHUNK,
    Quota,
    factor_of_rows,
    factor_of_subset,
    num_chunks,
    stacked,
)
from tests.sampling.laws import CountTraces, assert_same_law, draws


@pytest.mark.parametrize("count", [1, 3, CHUNK, CHUNK + 1, 3 * CHUNK - 1])
def test_the_factor_holds_the_sums_of_squares_of_all_rows(count):
    with float64_on_cpu():
        key = jax.random.key(3)

        def draw(chunk):
            return jax.random.normal(jax.random.fold_in(key, chunk), (CHUNK, 4), float)

        rows = np.concatenate([draw(chunk) for chunk in range(4)])[:count]
        factor = factor_of_rows(draw, count, jnp.zeros((4, 4), float))
        np.testing.assert_allclose(factor.T @ factor, rows.T @ rows, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(factor, np.triu(factor), atol=1e-13)
        assert num_chunks(count) == -(-count // CHUNK)


def test_stacked_factors_keep_digits_that_sums_of_squares_lose():
    small = np.diag([1.0, 1e-9])
    with float64_on_cpu():
        found = stacked(jnp.asarray(small), jnp.asarray([[1.0, 0.0]]))
    np.testing.assert_allclose(np.abs(np.diag(found)), [np.sqrt(2), 1e-9], rtol=1e-12)
    wide = stacked(jnp.ones((1, 3)))
    assert wide.shape == (3, 3)


def _chosen(key, count, wanted):
    quota = Quota(jnp.asarray(count, float), jnp.asarray(wanted, float))
    found = []
    for chunk in range(3):
        present = chunk * 4 + jnp.arange(4) < count
        quota, chosen = quota.choose(jax.random.fold_in(key, chunk), present)
        found.append(chosen)
    return jnp.concatenate(found).astype(float)


@pytest.mark.parametrize(("count", "wanted"), [(9, 4), (12, 12), (5, 1), (8, 0)])
def test_all_subsets_are_equally_likely(count, wanted):
    found = draws(_chosen, 6000, count, wanted)
    assert np.all(found.sum(axis=1) == wanted)
    assert np.all(found[:, count:] == 0)
    share = wanted / count
    error = np.sqrt(share * (1 - share) / 6000)
    assert np.all(np.abs(found[:, :count].mean(axis=0) - share) <= 5 * error)
    together = found[:, 0] * found[:, count - 1]
    both = share * (wanted - 1) / (count - 1)
    assert abs(together.mean() - both) <= 5 * np.sqrt(both * (1 - both) / 6000)


@pytest.mark.parametrize(("last", "number"), [(0, 5), (1, 40), (2, 5 + 2 * CHUNK)])
def test_a_subset_of_blocks_has_rows_of_theirs(last, number):
    """One-hot rows: their sums of squares count how often each is chosen, once at most."""
    sizes = np.array([5, CHUNK + 9, CHUNK - 9])
    starts = np.cumsum(sizes) - sizes
    width = sizes.sum()

    def factor(key):
        def draw(block, chunk):
            row = jnp.asarray(starts)[block] + chunk * CHUNK + jnp.arange(CHUNK)
            at = jax.random.fold_in(jax.random.fold_in(key, block), chunk)
            return jax.nn.one_hot(row, width, dtype=float), at

        nothing = jnp.zeros((width, width), float)
        return factor_of_subset(draw, jnp.asarray(sizes, float), last, number, nothing)

    with float64_on_cpu():
        found = np.asarray(jax.jit(factor)(jax.random.key(4)))
    gram = found.T @ found
    chosen = np.diag(gram)
    np.testing.assert_allclose(gram, np.diag(chosen), atol=1e-12)
    np.testing.assert_allclose(chosen, chosen.round(), atol=1e-12)
    assert chosen.max() <= 1 + 1e-12
    assert chosen.sum() == pytest.approx(number)
    assert chosen[sizes[: last + 1].sum() :].sum() == pytest.approx(0, abs=1e-12)


def test_numbers_are_traced():
    program = CountTraces(_chosen)
    key = jax.random.key(0)
    for count, wanted in ((9, 4), (7, 2), (12, 12)):
        assert program(key, count, wanted).sum() == wanted
    assert program.traces == 1


def test_the_mean_and_scatter_of_rows_beside_a_one():
    """The factor of rows ``(1, x)``, against Wishart's law in one dimension."""

    def scatter(key):
        def draw(chunk):
            x = jax.random.normal(jax.random.fold_in(key, chunk), (CHUNK, 1), float)
            return jnp.concatenate([jnp.ones_like(x), x], axis=1)

        factor = factor_of_rows(draw, 5, jnp.zeros((2, 2), float))
        return factor[1, 1] ** 2, factor[0, 1] / factor[0, 0]

    found, mean = draws(scatter, 4000)
    rng = np.random.default_rng(1)
    assert_same_law(found, rng.chisquare(4, 4000))
    assert_same_law(mean, rng.normal(size=4000) / np.sqrt(5))
