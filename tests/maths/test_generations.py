"""The recursion over generations: against a literal NumPy recursion, and its identities."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.maths.generations import generation_errors, last_errors
from simulator.maths.resolvent import ridge_fit
from simulator.maths.spectra import Spectrum, named_spectrum

RNG = np.random.default_rng(5)
EIGENVALUES = np.sort(RNG.lognormal(0, 1.5, 70))[::-1]
SIGNAL = RNG.exponential(size=70) * EIGENVALUES
SPECTRUM = Spectrum(EIGENVALUES, SIGNAL)


@functools.partial(jax.jit, static_argnums=7, static_argnames="same_design")
def traced_errors(
    spectrum, num_samples, num_samples_generator, ridge, ridge_generator, std, std0, n, **kw
):
    downstream = ridge_fit(spectrum.eigenvalues, num_samples, ridge)
    generator = ridge_fit(spectrum.eigenvalues, num_samples_generator, ridge_generator)
    return generation_errors(spectrum, downstream, generator, std, std0, n, **kw)


def errors(spectrum, *numbers, **kw):
    """As NumPy arrays; one program for each number of generations."""
    *numbers, n = numbers
    numbers = [np.asarray(x, spectrum.signal.dtype) for x in numbers]
    return jax.device_get(traced_errors(spectrum, *numbers, n, **kw))


def literal(eigenvalues, signal, fits, stds):
    """Dossier recursion on b and l themselves; ``fits`` from the downstream one backwards."""
    b, l = eigenvalues.copy(), eigenvalues.copy()
    noise_parts = []
    for (num_samples, ridge), std in zip(fits, stds, strict=True):
        low, high = 0.0, ridge + eigenvalues.sum() / num_samples
        for _ in range(200):
            kappa = (low + high) / 2
            df1 = np.sum(eigenvalues / (eigenvalues + kappa))
            low, high = (kappa, high) if kappa * (1 - df1 / num_samples) < ridge else (low, kappa)
        keep = eigenvalues / (eigenvalues + kappa)
        spread = np.sum(b * eigenvalues / (eigenvalues + kappa) ** 2)
        spread /= num_samples - np.sum(keep**2)
        noise_parts.append(std**2 * spread)
        b = keep**2 * b + kappa**2 * eigenvalues / (eigenvalues + kappa) ** 2 * spread
        l = keep * l
    bias = np.sum(signal / eigenvalues * (b - 2 * l + eigenvalues))
    return bias, noise_parts[0], sum(noise_parts[1:])


@pytest.mark.parametrize(("num_samples", "num_samples_generator"), [(110, 45), (50, 160)])
def test_equals_the_literal_recursion(num_samples, num_samples_generator):
    with jax.enable_x64(True):
        found = errors(SPECTRUM, num_samples, num_samples_generator, 0.3, 0.07, 0.4, 0.9, 6)
        for n in (0, 1, 6):
            fits = [(num_samples, 0.3)] + [(num_samples_generator, 0.07)] * n
            bias, variance, generators = literal(EIGENVALUES, SIGNAL, fits, [0.4] + [0.9] * n)
            assert found.bias[n] == pytest.approx(bias, rel=1e-10)
            assert found.variance == pytest.approx(variance, rel=1e-10)
            assert found.generator_variance[n] == pytest.approx(generators, rel=1e-10)


def test_single_precision_does_not_cancel():
    with jax.enable_x64(True):
        spectrum = jax.device_get(named_spectrum("power_law", 150, 1.7, 1.4, 2.0))
        double = errors(spectrum, 900, 700, 1e-5, 2e-6, 0.1, 0.1, 4)
    single = errors(
        Spectrum(*(v.astype(np.float32) for v in spectrum)),
        900, 700, 1e-5, 2e-6, 0.1, 0.1, 4,
    )  # fmt: skip
    assert single.bias.dtype == np.float32
    np.testing.assert_allclose(single.bias, double.bias, rtol=1e-4)
    np.testing.assert_allclose(single.generator_variance, double.generator_variance, rtol=1e-4)


def test_least_squares_generators_accumulate_linearly_and_keep_the_bias():
    with jax.enable_x64(True):
        found = errors(SPECTRUM, 60, 200, 0.3, 0.0, 0.4, 0.9, 6)
        np.testing.assert_allclose(found.bias, found.bias[0], rtol=1e-12)
        np.testing.assert_allclose(
            found.generator_variance, np.arange(7) * found.collapse_slope, rtol=1e-12
        )
        # rho = df2 (T + d - 2 df1) / ((T - df2) (T0 - d - 1))
        fit = jax.device_get(jax.jit(ridge_fit)(EIGENVALUES, 60.0, 0.3))
        rho = fit.df2 * (60 + 70 - 2 * fit.df1) / ((60 - fit.df2) * (200 - 70 - 1))
        assert found.collapse_slope == pytest.approx(float(0.9**2 * rho), rel=1e-10)


@pytest.mark.parametrize("n", [1, 4])
def test_same_design_is_one_generator_with_the_noise_of_all(n):
    with jax.enable_x64(True):
        same = errors(SPECTRUM, 90, 40, 0.3, 0.0, 0.4, 0.9, n, same_design=True)
        one = errors(SPECTRUM, 90, 40, 0.3, 0.0, 0.4, 0.9 * np.sqrt(n), 1)
        assert same.bias[n] == pytest.approx(float(one.bias[1]), rel=1e-12)
        assert same.generator_variance[n] == pytest.approx(
            float(one.generator_variance[1]), rel=1e-12
        )
        clean = errors(SPECTRUM, 90, 40, 0.3, 0.0, 0.4, 0.9, 0, same_design=True)
        assert same.bias[0] == clean.bias[0]
        assert same.generator_variance[0] == 0


def test_divergence_is_infinite_only_with_noise():
    with jax.enable_x64(True):
        noisy = errors(SPECTRUM, 90, 70, 0.3, 0.0, 0.4, 0.9, 6)
        assert noisy.generator_variance[0] == 0
        assert np.all(np.isinf(noisy.generator_variance[1:]))
        assert np.all(np.isfinite(noisy.bias))
        silent = errors(SPECTRUM, 90, 70, 0.3, 0.0, 0.4, 0.0, 4, same_design=True)
        assert np.all(np.asarray(silent.generator_variance) == 0)


def test_gradient_in_the_ridge_matches_differences():
    with jax.enable_x64(True):

        @jax.jit
        @jax.value_and_grad
        def total(ridge):
            found = traced_errors(SPECTRUM, 90.0, 40.0, ridge, 0.5 * ridge, 0.4, 0.9, 3)
            return found.bias[3] + found.variance + found.generator_variance[3]

        step = 1e-5
        difference = (total(0.3 + step)[0] - total(0.3 - step)[0]) / (2 * step)
        assert total(0.3)[1] == pytest.approx(float(difference), rel=1e-7)


@pytest.mark.parametrize("same_design", [False, True])
def test_the_last_errors_are_the_end_of_all(same_design):
    """The number of generations traced, and static for the reverse gradient."""
    ridge = 0.0 if same_design else 0.07

    def last(std0, n):
        spectrum = Spectrum(*map(jnp.asarray, SPECTRUM))
        downstream = ridge_fit(spectrum.eigenvalues, 110.0, 0.3)
        generator = ridge_fit(spectrum.eigenvalues, 45.0, ridge)
        return last_errors(spectrum, downstream, generator, 0.4, std0, n, same_design=same_design)

    with jax.enable_x64(True):
        every = errors(SPECTRUM, 110, 45, 0.3, ridge, 0.4, 0.9, 6, same_design=same_design)
        found = jax.jit(jax.vmap(last, in_axes=(None, 0)))(0.9, np.arange(7))
        slope = jax.jit(jax.grad(lambda std0: last(std0, 6).generator_variance))(0.9)
    np.testing.assert_allclose(found.bias, every.bias, rtol=1e-13)
    np.testing.assert_allclose(found.generator_variance, every.generator_variance, rtol=1e-13)
    for name in ("variance", "collapse_slope"):
        np.testing.assert_allclose(getattr(found, name), getattr(every, name), rtol=1e-13)
    np.testing.assert_allclose(found.clean_bias, every.bias[0], rtol=1e-13)
    np.testing.assert_allclose(slope, 2 / 0.9 * every.generator_variance[6], rtol=1e-12)
