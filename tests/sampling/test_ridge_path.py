"""Ridge paths with a general covariance: algebra, law, and whole chains of fits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.maths.spectra import named_spectrum
from simulator.sampling.ridge_path import (
    _solve_decomposed,
    _solve_tridiagonal,
    draw_design,
    ridge_errors,
    ridge_path,
    ridge_weights,
)
from simulator.sampling.trapezoid import active_rows
from tests.sampling.laws import CountTraces, assert_same_law, draws

RIDGES = np.array([0.0, 1e-3, 0.2, 4.0])
LAW_RIDGES = np.array([0.01, 0.3, 2.0])


# Defined once, with the sample size traced: one program each.
@jax.jit
def drawn_fits(key, eigen, signal, num_samples):
    """A path, and the rows, labels (of signal, of noise) and weights of the same design."""
    path = ridge_path(key, eigen, signal, num_samples, RIDGES)
    design = draw_design(key, eigen, num_samples)
    noise = jnp.arange(7.0) * (jnp.arange(7) < num_samples)
    labels = jnp.stack([design.rows @ jnp.sqrt(signal / eigen), noise], 1)
    return path, design.rows, labels, ridge_weights(design, labels, RIDGES)


def draw_path(key, eigen, signal, num_samples):
    return ridge_path(key, eigen, signal, num_samples, LAW_RIDGES)


def draw_errors(key, eigen, signal, num_samples):
    return ridge_errors(key, eigen, signal, 0.8, num_samples, LAW_RIDGES)


@pytest.mark.parametrize("num_samples", [4, 7, 30])
def test_path_equals_dense_algebra(num_samples):
    """The factor's own ridge problems solved one by one; at ridge 0 with the pseudo-inverse."""
    eigen, signal = np.arange(1, 8) ** -1.3, 0.9 * np.arange(1, 8) ** -2.56
    with jax.enable_x64(True):
        path, rows, labels, weights = jax.device_get(
            drawn_fits(jax.random.key(2), eigen, signal, num_samples)
        )
    teacher = np.sqrt(signal / eigen)
    covariance = rows.T @ rows / num_samples
    for index, ridge in enumerate(RIDGES):
        inverse = np.linalg.pinv(covariance + ridge * np.eye(7), rcond=1e-13)
        error = inverse @ covariance @ teacher - teacher
        np.testing.assert_allclose(path.bias[index], eigen @ error**2, rtol=1e-8, atol=1e-24)
        response = inverse @ rows.T / num_samples
        np.testing.assert_allclose(path.noise[index], np.sum(eigen @ response**2), rtol=1e-8)
        np.testing.assert_allclose(weights[index], response @ labels, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("num_samples, dim, exponent", [(5, 8, 1.1), (24, 8, 2.0), (8, 8, 0.5)])
def test_law_of_the_path(num_samples, dim, exponent):
    count, ridges = 6000, LAW_RIDGES
    eigen = np.arange(1, dim + 1) ** -exponent
    teacher = np.linspace(0.3, 1.4, dim)
    rng = np.random.default_rng(8)
    inputs = rng.standard_normal((count, num_samples, dim)) * np.sqrt(eigen)
    gram = np.einsum("bni,bnj->bij", inputs, inputs) / num_samples
    path = draws(draw_path, count, eigen, eigen * teacher**2, num_samples)
    for index, ridge in enumerate(ridges):
        resolvent = np.linalg.inv(gram + ridge * np.eye(dim))
        bias = ridge**2 * np.sum(eigen * (resolvent @ teacher) ** 2, axis=1)
        squared = np.einsum("bij,j,bjk->bik", resolvent, eigen, resolvent)
        noise = np.einsum("bij,bji->b", squared, gram) / num_samples
        assert_same_law(path.bias[:, index], bias)
        assert_same_law(path.noise[:, index], noise)


def test_sampled_noise_has_the_law_of_direct_fits():
    """`ridge_weights` on labels with drawn noise, signal and noise in one column."""
    count, num_samples, ridge = 6000, 9, 0.15
    eigen, teacher = np.arange(1, 6) ** -1.2, np.array([0.4, -1.0, 0.7, 1.3, -0.2])
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((count, num_samples, 5)) * np.sqrt(eigen)
    labels = inputs @ teacher + 0.8 * rng.standard_normal((count, num_samples))
    normal = np.einsum("bni,bnj->bij", inputs, inputs) / num_samples + ridge * np.eye(5)
    moment = np.einsum("bni,bn->bi", inputs, labels) / num_samples
    direct = np.linalg.solve(normal, moment[..., None])[..., 0]

    def draw(key):
        key_design, key_noise = jax.random.split(key)
        design = draw_design(key_design, jnp.asarray(eigen), num_samples)
        noise = jax.random.normal(key_noise, (5,)) * active_rows(num_samples, 5)
        labels = design.rows @ teacher + 0.8 * noise
        return ridge_weights(design, labels[:, None], np.array([ridge]))[0, :, 0]

    fast = draws(draw, count)
    for index in range(5):
        assert_same_law(fast[:, index], direct[:, index])
    assert_same_law((fast - teacher) ** 2 @ eigen, (direct - teacher) ** 2 @ eigen)


@pytest.mark.parametrize("solve", [_solve_tridiagonal, _solve_decomposed])
@pytest.mark.parametrize("rank", [3, 9])
def test_shifted_systems_are_solved(solve, rank):
    rng = np.random.default_rng(rank)
    rows, moment = rng.standard_normal((rank, 9)), rng.standard_normal(9)
    covariance, ridges = rows.T @ rows, np.array([1e-3, 0.4, 30.0])
    with jax.enable_x64(True):
        found = jax.device_get(jax.jit(solve)(covariance, moment, ridges))
    for ridge, weights in zip(ridges, found, strict=True):
        expected = np.linalg.solve(covariance + ridge * np.eye(9), moment)
        np.testing.assert_allclose(weights, expected, rtol=1e-9, atol=1e-9 * abs(expected).max())


@pytest.mark.parametrize("num_samples", [4, 15])
def test_errors_of_single_fits_have_the_law_of_direct_ones(num_samples):
    count, ridges = 6000, LAW_RIDGES
    eigen, teacher = np.arange(1, 6) ** -1.2, np.array([0.4, -1.0, 0.7, 1.3, -0.2])
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((count, num_samples, 5)) * np.sqrt(eigen)
    labels = inputs @ teacher + 0.8 * rng.standard_normal((count, num_samples))
    gram = np.einsum("bni,bnj->bij", inputs, inputs) / num_samples
    moment = np.einsum("bni,bn->bi", inputs, labels) / num_samples
    # `ridge_errors` takes the teacher's squares: its signs do not matter, nor here.
    fast = draws(draw_errors, count, eigen, eigen * teacher**2, num_samples)
    for index, ridge in enumerate(ridges):
        weights = np.linalg.solve(gram + ridge * np.eye(5), moment[..., None])[..., 0]
        assert_same_law(fast[:, index], (weights - teacher) ** 2 @ eigen)


def test_one_compilation_and_a_billion_samples():
    spectrum = named_spectrum("power_law", 8, 1.5, 0.5, 1.3)
    ridges = np.array([1e-3, 0.1], np.float32)
    sampler = CountTraces(lambda key, n: ridge_path(key, *spectrum, n, ridges))
    for num_samples in (1, 7, 8, 9, 10**9):
        path = sampler(jax.random.key(7), np.int32(num_samples))
        assert np.all(np.isfinite(path.bias))
        assert np.all(np.isfinite(path.noise))
    assert sampler.traces == 1
    eigen, signal = map(np.asarray, spectrum)
    shrink = ridges[:, None] / (eigen + ridges[:, None])
    np.testing.assert_allclose(path.bias, shrink**2 @ signal, rtol=1e-3)
    np.testing.assert_allclose(path.noise, np.sum((1 - shrink) ** 2, axis=1) / 1e9, rtol=1e-3)
