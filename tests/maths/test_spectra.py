"""Named spectra: values, normalisation, range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.maths import spectra

# By name and size.
eigenvalues, named_spectrum, signal_profile = (
    jax.jit(f, static_argnums=(0, 1))
    for f in (spectra.eigenvalues, spectra.named_spectrum, spectra.signal_profile)
)


def test_power_law_values():
    with jax.enable_x64(True):
        got = named_spectrum("power_law", 7, 1.3, 0.7, 2.9)
    rank = np.arange(1, 8.0)
    signal = rank ** -(1 + 2 * 1.3 * 0.7)
    np.testing.assert_allclose(got.eigenvalues, rank**-1.3, rtol=1e-14)
    np.testing.assert_allclose(got.signal, 2.9 * signal / signal.sum(), rtol=1e-14)


def test_isotropic_ignores_the_exponents():
    got = named_spectrum("isotropic", 5, 9.0, 4.0, 1.7)
    np.testing.assert_array_equal(got.eigenvalues, np.ones(5, np.float32))
    np.testing.assert_allclose(got.signal, 1.7 / 5, rtol=1e-6)


@pytest.mark.parametrize("exponent, source", [(0.4, 0.2), (1.5, 0.5), (6.0, 5.0)])
def test_float32_keeps_the_total(exponent, source):
    """Steep profiles span far more decades than float32 has; their sum must not notice."""
    signal = signal_profile("power_law", 20_000, exponent, source, 3.7)
    assert signal.dtype == jnp.float32
    np.testing.assert_allclose(np.sum(signal, dtype=float), 3.7, rtol=1e-5)
    assert np.all(np.isfinite(eigenvalues("power_law", 20_000, exponent)))


def test_signal_is_the_source_condition():
    """Doubling the rank divides ``s_k`` by ``2^(1 + 2 beta r)``."""
    with jax.enable_x64(True):
        signal = signal_profile("power_law", 64, 1.7, 0.6, 1.3)
    np.testing.assert_allclose(signal[9] / signal[19], 2 ** (1 + 2 * 1.7 * 0.6), rtol=1e-12)


def test_gradient_in_the_exponents_is_finite():
    slopes = jax.grad(
        lambda b, r: jnp.sum(jnp.arange(30.0) * signal_profile("power_law", 30, b, r, 2.0)), (0, 1)
    )
    gradient = jax.jit(slopes)(1.4, 0.8)
    assert np.all(np.isfinite(gradient))
    assert gradient[0] < 0  # a steeper profile moves signal to lower ranks


def test_unknown_name_is_refused():
    with pytest.raises(ValueError, match="gaussian"):
        eigenvalues("gaussian", 5, 1.0)
    with pytest.raises(ValueError, match="gaussian"):
        signal_profile("gaussian", 5, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("exponent", [0.3, 1.3, 4.0, 6.0])
def test_a_compressed_power_law_has_the_sums_of_all_its_eigenvalues(exponent):
    dim = 1_000_003
    every = np.arange(1.0, dim + 1) ** -exponent
    with jax.enable_x64(True):
        found = jax.device_get(spectra.compressed_power_law(dim, exponent, 0.4, 1.7))
    assert len(found.eigenvalues) < 300
    np.testing.assert_allclose(found.multiplicity.sum(), dim, rtol=1e-14)
    np.testing.assert_allclose(found.signal.sum(), 1.7, rtol=1e-14)
    signal = np.arange(1.0, dim + 1) ** -(1 + 2 * exponent * 0.4)
    signal *= 1.7 / signal.sum()
    for log_kappa in np.linspace(np.log(every[-1]) - 2, 2, 12):
        kappa = np.exp(log_kappa)
        keep, kept = every / (every + kappa), found.eigenvalues / (found.eigenvalues + kappa)
        for power in (1, 2):
            df = found.multiplicity @ kept**power
            np.testing.assert_allclose(df, np.sum(keep**power), rtol=1e-12)
        error = found.signal @ (1 - kept) ** 2
        np.testing.assert_allclose(error, signal @ (1 - keep) ** 2, rtol=1e-12)
