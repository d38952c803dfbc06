"""Counts of T tokens at a cost that does not depend on T: whole laws against exact ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from simulator.sampling import counts
from tests.sampling.laws import assert_same_law, draws

_poisson, _uniform = jax.jit(counts.poisson), jax.jit(counts.uniform, static_argnums=1)
CELLS = np.arange(1, 22.0) ** -1.4 / np.sum(np.arange(1, 22.0) ** -1.4)


def _replicates(sampler, number, *arguments):
    return draws(sampler, number, *arguments).astype(float)


@pytest.mark.parametrize(
    "rate",
    [1e-3, 5.0, 15.9, 16.1, 1e6, *(pytest.param(r, marks=pytest.mark.slow) for r in (0.7, 100.0))],
)
def test_poisson_law(rate):
    number = 400_000
    drawn = np.asarray(_poisson(jax.random.key(3), np.full(number, rate)), dtype=float)
    mean_error = (drawn.mean() - rate) / np.sqrt(rate / number)
    variance_error = (drawn.var() / rate - 1) / np.sqrt((2 + 1 / rate) / number)
    assert abs(mean_error) < 5
    assert abs(variance_error) < 5
    low, high = stats.poisson.ppf([1e-4, 1 - 1e-4], rate)
    if high - low < 200:
        edges = np.arange(low, high + 1)
        inside = np.clip(drawn, low, high)
        expected = stats.poisson.pmf(edges, rate)
        expected[0] += stats.poisson.cdf(low - 1, rate)
        expected[-1] += stats.poisson.sf(high, rate)
        observed = np.array([(inside == k).sum() for k in edges])
        enough = expected * number > 10
        chi_square = np.sum(
            (observed - number * expected)[enough] ** 2 / (number * expected[enough])
        )
        assert stats.chi2.sf(chi_square, enough.sum() - 1) > 1e-5


@pytest.mark.parametrize("rate", [16.0, 57.3, 1e4])
def test_large_counts_are_the_quantiles_of_their_normals(rate, monkeypatch):
    """All but the stated share of them, which no sample would show; the grid resolves 5e-5."""
    chance = (np.arange(500_000) + 0.5) / 500_000
    normals = stats.norm.ppf(chance)
    monkeypatch.setattr(jax.random, "normal", lambda key, shape, dtype: normals)
    with jax.enable_x64(True):
        drawn = np.asarray(counts.poisson(jax.random.key(0), jnp.full(chance.size, rate)))
    wrong = drawn != stats.poisson.ppf(chance, rate)
    assert wrong.mean() < 2.3e-4 * (rate / 16) ** -1.5 + 5e-5
    assert np.abs(drawn.mean() - rate) < 1e-4 * np.sqrt(rate)


def test_rare_events_have_the_right_rate_in_single_precision():
    """Steps of 1e-7 in a uniform would make events of rate 1e-9 a hundred times too frequent."""
    v = np.asarray(_uniform(jax.random.key(0), (2_000_000,)))
    assert v.dtype == np.float32
    assert v.min() > 0
    assert (v < 2.0**-24).mean() < 2e-6
    drawn = np.asarray(_poisson(jax.random.key(1), np.full(2_000_000, 2e-9)))
    assert drawn.sum() <= 2


@pytest.mark.parametrize("sampler", [counts.multinomial, counts.draw_tokens])
@pytest.mark.parametrize("total", [0.0, 1.0, 7.0, 460.0, 1500.0])
def test_counts_have_the_mean_and_covariance_of_the_multinomial(sampler, total):
    number = 2500
    drawn = _replicates(sampler, number, total, CELLS.astype(np.float32))
    assert np.all(drawn.sum(axis=1) == total)
    error = np.sqrt(np.maximum(total, 1e-9) * CELLS * (1 - CELLS) / number)
    assert np.max(abs(drawn.mean(axis=0) - total * CELLS) / error) < 5
    if total < 100:  # too few tokens for Gaussian errors of a covariance
        return
    covariance = total * (np.diag(CELLS) - np.outer(CELLS, CELLS))
    # Var of a sample covariance of near-Gaussian counts: (c_ii c_jj + c_ij^2) / number
    diagonal = np.diag(covariance)
    spread = np.outer(diagonal, diagonal) + covariance**2 + np.outer(CELLS, CELLS) * total
    gap = abs(np.cov(drawn.T) - covariance) / np.sqrt(spread / number + 1e-30)
    assert np.max(gap) < 6


@pytest.mark.parametrize("total", [35.0, 900.0])
def test_the_number_of_distinct_cells_has_the_law_of_tokens_drawn_one_by_one(total):
    cells = np.arange(1, 101.0) ** -1.3
    cells = cells / cells.sum()
    number = 2000
    fast = _replicates(counts.multinomial, number, total, cells.astype(np.float32))
    fast = (fast > 0).sum(axis=1)
    rng = np.random.default_rng(5)
    tokens = rng.choice(100, size=(number, int(total)), p=cells)
    naive = 1 + (np.diff(np.sort(tokens, axis=1), axis=1) > 0).sum(axis=1)
    gap = fast.mean() - naive.mean()
    assert abs(gap) < 5 * np.sqrt((fast.var() + naive.var()) / number)
    assert abs(np.log(fast.var() / naive.var())) < 5 * np.sqrt(4 / number)
    assert stats.ks_2samp(fast, naive).pvalue > 1e-4


@pytest.mark.parametrize("total", [1e4, 1e8, 1e12])
def test_every_token_falls_into_a_cell(total):
    """The more tokens, the more rounds it takes until few enough are left to draw one by one."""
    with jax.enable_x64(True):
        drawn = _replicates(counts.multinomial, 100, total, CELLS)
    assert np.all(drawn.sum(axis=1) == total)


def test_more_tokens_than_expected_are_all_drawn():
    """A total that is random may be many times what was expected of it."""
    key = jax.random.key(3)
    with jax.enable_x64(True):
        cells = jnp.asarray(CELLS)
        for total in (0.0, 3.0, 1024.0, 50_000.0):
            drawn = jax.jit(counts.draw_tokens)(key, jnp.asarray(total), cells, jnp.asarray(100.0))
            assert drawn.sum() == total
            plain = counts.draw_tokens(key, jnp.asarray(total), cells)
            np.testing.assert_array_equal(drawn, plain)


def test_a_trillion_tokens():
    number = 500
    drawn = _replicates(counts.multinomial, number, 1e12, CELLS.astype(np.float32))
    np.testing.assert_allclose(drawn.sum(axis=1), 1e12, rtol=1e-6)
    error = np.sqrt(1e12 * CELLS * (1 - CELLS) / number)
    # Counts above 2^24 are right to 6e-8 in float32: a systematic share of that size is allowed.
    assert np.all(abs(drawn.mean(axis=0) - 1e12 * CELLS) < 5 * error + 4e-7 * 1e12 * CELLS)


def test_cells_that_cannot_occur_do_not():
    cells = np.zeros(21, np.float32)
    cells[[1, 3]] = 0.4, 0.6
    for total in (9.0, 5000.0):
        drawn = _replicates(counts.multinomial, 500, total, cells)
        assert np.all(drawn[:, cells == 0] == 0)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize(("total", "chance"), [(7.0, 0.3), (400.0, 0.02), (3e5, 0.7), (5.0, 1.0)])
def test_binomial_counts(dtype, total, chance):
    with jax.enable_x64(dtype == jnp.float64):
        found = counts.binomial(jax.random.key(5), jnp.full(4000, total, dtype), chance)
        nothing = counts.binomial(jax.random.key(5), jnp.zeros(3, dtype), chance)
    np.testing.assert_array_equal(nothing, 0)
    if chance == 1:
        assert np.all(np.asarray(found) == total)
    else:
        expected = np.random.default_rng(2).binomial(int(total), chance, 4000)
        assert_same_law(found, expected)


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [((3, 2, 0, 4), 5), ((40_000, 30_000, 20, 0), 30_000), ((900_000, 5, 2, 1), 40)],
)
def test_subsets_of_counts_are_hypergeometric(cells, wanted):
    share = wanted / sum(cells)
    given = np.asarray(cells, np.float32)
    found = np.asarray(draws(counts.subset, 2000, given, share, float(wanted), seed=4))
    np.testing.assert_array_equal(found.sum(axis=1), wanted)
    assert np.all((found >= 0) & (found <= given))
    literal = np.random.default_rng(3).multivariate_hypergeometric(cells, wanted, 2000)
    for mine, theirs in zip(found.T, literal.T, strict=True):
        if theirs.std() > 0:
            assert_same_law(mine, theirs)


def test_a_subset_of_everything_is_everything():
    cells = jnp.asarray([3.0, 0.0, 5.0])
    np.testing.assert_array_equal(counts.subset(jax.random.key(0), cells, 1.0, 8.0), cells)
