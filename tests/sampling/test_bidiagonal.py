"""Isotropic ridge regression: algebra of the sweep, and the law of a whole path."""

import functools

import jax
import numpy as np
import pytest

from simulator.sampling.bidiagonal import isotropic_ridge, squared_bidiagonal
from tests.sampling.laws import CountTraces, assert_same_law, draws

RIDGES = np.array([0.0, 1e-9, 1e-3, 0.3, 50.0, 1e4])
LAW_RIDGES = np.array([0.02, 0.4, 3.0])


@jax.jit
def drawn_path(key, num_samples):
    """The squared matrix of six features and its path."""
    matrix = squared_bidiagonal(key, num_samples, 6)
    return matrix, isotropic_ridge(squared_bidiagonal(key, num_samples, 6), num_samples, RIDGES)


@functools.cache
def path_sampler(dim):
    return lambda key, num_samples: isotropic_ridge(
        squared_bidiagonal(key, num_samples, dim), num_samples, LAW_RIDGES
    )


@pytest.mark.parametrize("num_samples", [9, 6, 4, 1])
def test_sweep_equals_dense_algebra(num_samples):
    """Given the bidiagonal matrix, all numbers from its eigendecomposition."""
    dim = 6
    with jax.enable_x64(True):
        (diagonal, above), path = jax.device_get(drawn_path(jax.random.key(3), num_samples))
    matrix = np.diag(np.sqrt(diagonal)) + np.diag(np.sqrt(above), 1)
    _, singular, right = np.linalg.svd(matrix)
    rank = min(num_samples, dim)
    variances = np.where(np.arange(dim) < rank, singular**2, 0)
    kept = variances[:rank]
    for ridge, bias, noise, df2 in zip(RIDGES, *path, strict=True):
        shrink = np.where(variances > 0, ridge / (variances + ridge + 1e-300), 1)
        expected = np.sum((shrink * right[:, 0]) ** 2)
        np.testing.assert_allclose(bias, expected, rtol=1e-11, atol=1e-60)
        expected = np.sum(kept / (kept + ridge) ** 2) / num_samples
        np.testing.assert_allclose(noise, expected, rtol=1e-11)
        # A difference of numbers of order variance / ridge.
        expected = np.sum((kept / (kept + ridge)) ** 2)
        np.testing.assert_allclose(df2, expected, rtol=1e-11, atol=1e-14 * dim)


@pytest.mark.parametrize(
    "num_samples, dim",
    [
        (5, 9),
        (9, 9),
        (30, 9),
        *(pytest.param(*s, marks=pytest.mark.slow) for s in ((1, 3), (4, 2))),
    ],
)
def test_law_of_the_path(num_samples, dim):
    """Against drawn inputs: every penalty alone, and two of them jointly."""
    count, ridges = 8000, LAW_RIDGES
    rng = np.random.default_rng(2)
    inputs = rng.standard_normal((count, num_samples, dim))
    teacher = np.linspace(0.3, 1.4, dim) / np.linalg.norm(np.linspace(0.3, 1.4, dim))
    gram = np.einsum("bni,bnj->bij", inputs, inputs) / num_samples
    bias, noise, df2 = [], [], []
    for ridge in ridges:
        resolvent = np.linalg.inv(gram + ridge * np.eye(dim))
        bias.append(ridge**2 * np.sum((resolvent @ teacher) ** 2, axis=1))
        noise.append(np.einsum("bij,bjk,bki->b", resolvent, resolvent, gram) / num_samples)
        fit = resolvent @ gram
        df2.append(np.einsum("bij,bji->b", fit, fit))
    path = draws(path_sampler(dim), count, num_samples)
    for index in range(len(ridges)):
        assert_same_law(path.bias[:, index], bias[index])
        assert_same_law(path.noise[:, index], noise[index])
        assert_same_law(path.df2[:, index], df2[index])
    assert_same_law(path.bias[:, 0] * path.noise[:, 2], bias[0] * noise[2])
    assert_same_law(path.bias[:, 0] * path.df2[:, 0], bias[0] * df2[0])
    assert_same_law(path.bias[:, 0] / path.bias[:, 1], bias[0] / bias[1])


def test_one_compilation_and_a_billion_samples():
    ridges = np.array([1e-6, 0.1, 2.0], np.float32)
    sampler = CountTraces(lambda key, n: isotropic_ridge(squared_bidiagonal(key, n, 8), n, ridges))
    for num_samples in (1, 7, 8, 9, 10**9):
        path = sampler(jax.random.key(7), np.int32(num_samples))
        assert np.all(np.isfinite(path.bias))
        assert np.all(np.isfinite(path.noise))
    assert sampler.traces == 1
    np.testing.assert_allclose(path.bias, (ridges / (1 + ridges)) ** 2, rtol=1e-3)
    np.testing.assert_allclose(path.noise, 8e-9 / (1 + ridges) ** 2, rtol=1e-3)


def test_single_precision_follows_double_at_tiny_penalties():
    """The same chi-squares in both precisions: only the sweep differs."""
    with jax.enable_x64(True):
        draw = jax.jit(lambda key: squared_bidiagonal(key, 40, 64))
        entries = jax.device_get(draw(jax.random.key(9)))
    ridges = np.array([1e-8, 1e-4, 1.0])

    def path(double):
        with jax.enable_x64(double):
            drawn = tuple(
                jax.numpy.asarray(x, np.float64 if double else np.float32) for x in entries
            )
            return jax.device_get(jax.jit(lambda: isotropic_ridge(drawn, 40, ridges))())

    single, double = path(False), path(True)
    np.testing.assert_allclose(single.bias, double.bias, rtol=1e-4)
    np.testing.assert_allclose(single.noise, double.noise, rtol=1e-4)
    np.testing.assert_allclose(single.df2, double.df2, rtol=1e-4)
