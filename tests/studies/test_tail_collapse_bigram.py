"""tail-collapse.bigram: the two-term law, and the exact error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

import simulator
from simulator.runtime.compilation import jit_on_cpu
from simulator.studies.collapse.tail_collapse import _theory as _l1
from simulator.studies.collapse.tail_collapse import bigram as _bigram


def test_constants_of_the_two_term_law():
    betas = np.array([1.2, 1.5, 1.8, 2.5, 3.0, 4.0])
    constants = [10.875295, 6.420016, 9.890791, -2.236051, -0.896677, -0.345000]
    with jax.enable_x64(True):
        found, heads = jax.jit(
            lambda x: (jax.vmap(_l1.poisson_constant)(x), jax.vmap(_l1.head_bracket)(x))
        )(betas)
    np.testing.assert_allclose(found, constants, atol=1.1e-6)
    np.testing.assert_allclose(heads[1], -2.317491, atol=6e-7)
    np.testing.assert_allclose(heads[4], 1.823340, atol=6e-7)


def test_the_two_term_law_has_no_pole():
    """Around exponent 2, against the line through values where nothing cancels."""
    ends = 2 + np.array([-1e-3, 1e-3])
    exponents = 2 + np.array([-1e-10, 0.0, 4.4e-16, 1e-10])  # 2 + 4.4e-16 is in arange(1.1, 3, 0.1)
    found = bigram(zipf_exponent=np.concatenate([ends, exponents]), num_samples=1e6)
    values = found["l1_error_asymptotic"]
    np.testing.assert_allclose(values[2:], values[:2].mean(), rtol=1e-5)
    np.testing.assert_allclose(values[3:5], values[2], rtol=2e-9)
    np.testing.assert_allclose(values[3], 0.00539345, rtol=1e-6)


def bigram(**params):
    return simulator.predict("tail-collapse.bigram", **params)


@pytest.mark.slow
def test_two_term_law_approaches_the_exact_error():
    for beta, accuracy in ((1.2, 6e-6), (1.5, 4e-5), (1.9, 7e-4), (3.0, 5e-4)):
        out = bigram(zipf_exponent=beta, num_samples=1000.0)
        assert abs(out["l1_error_asymptotic"] / out["l1_error"] - 1) < accuracy
    for beta in (1.2, 1.5, 2.05):
        out = bigram(zipf_exponent=beta, num_samples=10_000.0)
        assert abs(out["l1_error_asymptotic"] / out["l1_error"] - 1) < 3e-5
    out = bigram(zipf_exponent=2.0, num_samples=1e6)
    assert abs(out["l1_error_asymptotic"] / out["l1_error"] - 1) < 1e-4


def test_exact_error_against_a_sum_over_ranks_past_the_kinks():
    """At T = 1e6 thousands of ranks have T p > 1 beyond the single ones."""
    beta, t, k = 1.5, 1_000_000.0, 3000
    lost = special.zeta(beta, k + 1) / special.zeta(beta)
    p = np.arange(1, k + 1.0) ** -beta / special.zeta(beta)
    q = p / (1 - lost)
    m = np.floor(t * p)
    cdf = stats.binom.cdf(m, t, q)
    fewer = stats.binom.pmf(m, t - 1, q)
    exact = np.sum((t * q - t * p) * (1 - 2 * cdf) + 2 * t * q * (1 - q) * fewer) / t + lost
    found = bigram(zipf_exponent=beta, num_samples=t, cutoff=k)["l1_error"]
    np.testing.assert_allclose(found, exact, rtol=2e-7)


def test_error_is_a_distance_of_laws_and_a_cut_costs_twice_its_mass():
    samples = np.array([1, 3, 40, 900, 2e5, 1e9, 1e12])
    for k in (1, 12, np.inf):
        error = bigram(zipf_exponent=1.6, num_samples=samples, cutoff=k)["l1_error"]
        assert np.all((error >= 0) & (error <= 2))
    out = bigram(zipf_exponent=1.6, num_samples=1e12, cutoff=12)
    np.testing.assert_allclose(out["l1_error"], out["plateau_error"], rtol=1e-5)


@pytest.mark.slow
def test_many_equal_tokens_make_contexts_of_equal_size():
    """Exponent 0+ of the contexts: E over N ~ Binomial(T, 1/3), summed by hand."""
    t, contexts = 30, 3
    with jax.enable_x64(True):
        law = _l1.cut_law(1.5, jnp.inf)
        errors = np.asarray(jax.jit(jax.vmap(lambda n: _l1.error(law, n)))(jnp.arange(t + 1.0)))
    expected = np.sum(stats.binom.pmf(np.arange(t + 1), t, 1 / contexts) * errors)
    out = bigram(num_samples=float(t), num_contexts=contexts, zipf_exponent_context=1e-12)
    np.testing.assert_allclose(out["l1_error"], expected, rtol=1e-7)


def test_an_empty_context_predicts_nothing():
    """One token for two contexts: an error of 1 where none fell, 2 (1 - p) where rank x did."""
    params = _bigram.Params(
        zipf_exponent=1.5,
        num_samples=1.0,
        num_contexts=2,
        zipf_exponent_context=1.6,
        cutoff=3.0,
    )
    with jax.enable_x64(True):
        draw = jit_on_cpu(jax.vmap(lambda key: _bigram.simulate_fast(key, params)["l1_error"]))
        found = draw(jax.random.split(jax.random.key(2), 100))
    weights = np.array([1, 2**-1.6]) / (1 + 2**-1.6)
    seen = 2 * (1 - np.arange(1, 4.0) ** -1.5 / special.zeta(1.5))
    possible = (weights[:, None] * seen + (1 - weights)[:, None]).ravel()
    nearest = possible[np.argmin(np.abs(np.asarray(found)[:, None] - possible), axis=1)]
    np.testing.assert_allclose(found, nearest, rtol=1e-6)
