"""The trapezoidal factor: the law of the Gram matrix and of the labels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.sampling.trapezoid import active_rows, trapezoidal_factor
from tests.sampling.laws import CountTraces, assert_same_law, draws

COUNT = 6000
SIZES = [(3, 7), (7, 7), (8, 7), (40, 7), (1, 7), (2, 1)]  # two programs
TEACHER = np.linspace(0.5, 1.5, 7)


@functools.cache
def factor_sampler(dim):
    return lambda key, num_samples: trapezoidal_factor(key, num_samples, dim)


@functools.cache
def factors(num_samples, dim):
    return draws(factor_sampler(dim), COUNT, num_samples)


def draw_labelled(key, num_samples):
    """``X^T y`` and ``X^T X`` from the factor."""
    key_factor, key_noise = jax.random.split(key)
    factor = trapezoidal_factor(key_factor, num_samples, 7)
    noise = jnp.where(active_rows(num_samples, 7), jax.random.normal(key_noise, (7,)), 0)
    return factor.T @ (factor @ TEACHER + 0.7 * noise), factor.T @ factor


@pytest.mark.parametrize("num_samples, dim", SIZES)
def test_gram_matrix_has_the_law_of_the_direct_one(num_samples, dim):
    rng = np.random.default_rng(11)
    inputs = rng.standard_normal((COUNT, num_samples, dim))
    direct = np.einsum("bni,bnj->bij", inputs, inputs)
    factor = factors(num_samples, dim).astype(float)
    fast = np.einsum("bni,bnj->bij", factor, factor)
    last = dim - 1
    assert_same_law(fast[:, 0, last], direct[:, 0, last])
    assert_same_law(fast[:, last, last], direct[:, last, last])
    # A statistic of the whole matrix: the largest eigenvalue; and a mixed fourth moment.
    assert_same_law(np.linalg.eigvalsh(fast)[:, -1], np.linalg.eigvalsh(direct)[:, -1])
    weights = np.arange(1, dim + 1)
    assert_same_law((fast @ fast) @ weights @ weights, (direct @ direct) @ weights @ weights)


@pytest.mark.parametrize("num_samples", [4, 12])
def test_labels_have_the_joint_law(num_samples):
    """``X^T y`` with noise: its length and its angle to the Gram matrix."""
    rng = np.random.default_rng(4)
    inputs = rng.standard_normal((COUNT, num_samples, 7))
    labels = inputs @ TEACHER + 0.7 * rng.standard_normal((COUNT, num_samples))
    direct = np.einsum("bni,bn->bi", inputs, labels)
    direct_gram = np.einsum("bni,bnj->bij", inputs, inputs)
    fast, fast_gram = (x.astype(float) for x in draws(draw_labelled, COUNT, num_samples))
    assert_same_law(np.sum(fast**2, axis=1), np.sum(direct**2, axis=1))
    assert_same_law(
        np.einsum("bi,bij,bj->b", fast, fast_gram, fast),
        np.einsum("bi,bij,bj->b", direct, direct_gram, direct),
    )


@pytest.mark.parametrize("num_samples, dim", SIZES)
def test_shape_of_the_factor(num_samples, dim):
    factor = factors(num_samples, dim)[5]
    np.testing.assert_array_equal(np.tril(factor, -1), 0)
    np.testing.assert_array_equal(np.any(factor != 0, axis=1), active_rows(num_samples, dim))
    assert np.all(np.diag(factor)[:num_samples] > 0)
    entries = factor[np.triu_indices(dim, 1)]
    entries = entries[entries != 0]
    assert np.unique(entries).size == entries.size  # no number is used twice


def test_one_compilation_for_all_sample_sizes_up_to_a_billion():
    sampler = CountTraces(lambda key, n: trapezoidal_factor(key, n, 6))
    for num_samples in (1, 5, 6, 7, 1000, 10**9):
        factor = sampler(jax.random.key(1), np.int32(num_samples))
        assert factor.dtype == jnp.float32
        assert np.all(np.isfinite(factor))
    assert sampler.traces == 1
    np.testing.assert_allclose(np.diag(factor) / np.sqrt(1e9), 1, atol=1e-3)
