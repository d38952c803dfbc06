"""The effective penalty and the operators of one fit, against independent references."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax import lax

from simulator.maths.resolvent import (
    degrees_of_freedom,
    effective_penalty,
    no_fit,
    noise_variance,
    residual_fraction,
    ridge_fit,
)
from simulator.maths.spectra import named_spectrum

PENALTY = jax.jit(effective_penalty)
FIT = jax.jit(ridge_fit)


def reference_penalty(eigenvalues, num_samples, ridge):
    """Largest root by bisection in log kappa, 40 digits."""
    with mpmath.workdps(40):
        eigen = [mpmath.mpf(float(x)) for x in eigenvalues]
        samples, ridge = mpmath.mpf(float(num_samples)), mpmath.mpf(float(ridge))

        def residual(log_kappa):
            kappa = mpmath.exp(log_kappa)
            return kappa * (1 - sum(x / (x + kappa) for x in eigen) / samples) - ridge

        upper = mpmath.log(ridge + sum(eigen) / samples) + 1
        lower = upper - 120
        for _ in range(125):  # the residual is negative exactly below the largest root
            middle = (lower + upper) / 2
            lower, upper = (middle, upper) if residual(middle) < 0 else (lower, middle)
        return float(mpmath.exp(upper))


def random_problem(seed):
    rng = np.random.default_rng(seed)
    dim = (5, 24)[seed % 2]  # two shapes, two compilations
    eigen = np.arange(1, dim + 1) ** -rng.uniform(0.1, 5) * rng.uniform(0.5, 2, dim)
    num_samples = float(rng.integers(1, 60)) if seed % 3 else float(dim + rng.integers(-1, 2))
    return eigen, max(num_samples, 1.0), 10 ** rng.uniform(-10, 2)


@pytest.mark.parametrize("seed", range(12))
def test_penalty_matches_forty_digits(seed):
    eigen, num_samples, ridge = random_problem(seed)
    expected = reference_penalty(eigen, num_samples, ridge)
    with jax.enable_x64(True):
        np.testing.assert_allclose(PENALTY(eigen, num_samples, ridge), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_penalty_in_single_precision(seed):
    """Well conditioned: samples away from the dimension."""
    eigen, num_samples, ridge = random_problem(seed)
    num_samples += 2 * eigen.size
    eigen, ridge = eigen.astype(np.float32), np.float32(ridge)
    got = PENALTY(eigen, np.float32(num_samples), ridge)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, reference_penalty(eigen, num_samples, ridge), rtol=1e-5)


def test_edges():
    eigen = np.arange(1, 21) ** -1.7
    with jax.enable_x64(True):
        for num_samples in (20.0, 20.5, 33.0, np.inf):
            assert PENALTY(eigen, num_samples, 0.0) == 0
        for num_samples in (1.0, 7.0, 19.0, 19.9):
            kappa = PENALTY(eigen, num_samples, 0.0)
            np.testing.assert_allclose(degrees_of_freedom(eigen, kappa), num_samples, rtol=1e-13)
        np.testing.assert_allclose(PENALTY(eigen, np.inf, 0.37), 0.37, rtol=1e-15)
        # T = d: a double root at 0, kappa^2 sum 1/lambda_k / d ~ ridge.
        expected = np.sqrt(1e-14 * 20 / np.sum(1 / eigen))
        np.testing.assert_allclose(PENALTY(eigen, 20.0, 1e-14), expected, rtol=1e-3)


@pytest.mark.parametrize("ratio, ridge", [(0.4, 0.03), (1.7, 0.2), (1.0, 1e-3), (2.5, 0.0)])
def test_isotropic_closed_form(ratio, ridge):
    """Quadratic equation; also invariant when covariance and ridge are rescaled together."""
    b = ridge + ratio - 1
    expected = (b + np.sqrt(b**2 + 4 * ridge)) / 2
    with jax.enable_x64(True):
        eigen = np.full(50, 3.1)
        got = PENALTY(eigen, 50 / ratio, 3.1 * ridge)
    np.testing.assert_allclose(got, 3.1 * expected, rtol=1e-12, atol=1e-300)


def test_multiplicities_and_null_directions():
    eigen, count = np.array([2.0, 0.7, 0.05]), np.array([3, 11, 6])
    full = np.concatenate([np.repeat(eigen, count), np.zeros(4)])
    with jax.enable_x64(True):
        for num_samples, ridge in [(8.0, 0.3), (14.0, 0.0), (20.0, 0.0), (21.0, 1e-3)]:
            got = PENALTY(eigen, num_samples, ridge, weights=count)
            np.testing.assert_allclose(got, PENALTY(full, num_samples, ridge), rtol=1e-12)
        assert PENALTY(full, 20.0, 0.0) == 0  # rank 20, not 24


@pytest.mark.parametrize(
    "num_samples, ridge", [(13.0, 0.2), (13.0, 0.0), (40.0, 0.02), (40.0, 0.0), (20.0, 1e-4)]
)
def test_first_derivatives(num_samples, ridge):
    eigen = np.arange(1, 21) ** -1.2
    with jax.enable_x64(True):
        kappa = PENALTY(eigen, num_samples, ridge)
        by_eigen, by_samples, by_ridge = jax.jit(jax.grad(effective_penalty, (0, 1, 2)))(
            eigen, num_samples, ridge
        )
        slope = residual_fraction(jnp.asarray(eigen), kappa, num_samples, 2)
        np.testing.assert_allclose(by_ridge, 1 / slope, rtol=1e-12)
        keep = eigen / (eigen + kappa)
        expected = -kappa * np.sum(keep) / num_samples**2 / slope
        np.testing.assert_allclose(by_samples, expected, rtol=1e-10, atol=1e-300)
        expected = kappa**2 / (eigen + kappa) ** 2 / num_samples / slope
        np.testing.assert_allclose(by_eigen, expected, rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("ridge", [0.0, 0.15])
def test_second_derivatives(ridge):
    eigen = np.arange(1, 21) ** -1.2
    with jax.enable_x64(True):
        first = jax.jit(jax.grad(effective_penalty, 1))
        second = jax.jit(jax.grad(jax.grad(effective_penalty, 1), 1))
        numeric = (first(eigen, 13.001, ridge) - first(eigen, 12.999, ridge)) / 0.002
        np.testing.assert_allclose(second(eigen, 13.0, ridge), numeric, rtol=1e-6)


def test_gradients_at_the_double_root_are_not_nan():
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(effective_penalty, (0, 1, 2)))(jnp.arange(1.0, 6.0), 5.0, 0.0)
    assert all(np.all(np.isfinite(g)) for g in gradient)
    assert float(gradient[2]) > 1e20  # infinite in mathematics


def test_vmap_equals_loop():
    eigen = np.arange(1, 31) ** -1.5
    ridges = np.concatenate([[0.0], np.logspace(-8, 2, 9)])
    with jax.enable_x64(True):
        together = jax.vmap(lambda r: effective_penalty(eigen, 17.0, r))(ridges)
        np.testing.assert_allclose(
            together, [PENALTY(eigen, 17.0, float(r)) for r in ridges], rtol=1e-14
        )


# ------------------------------------------------------------------------------------------------
# Chains of fits
# ------------------------------------------------------------------------------------------------
@jax.jit
def chain(spectrum, num_samples, samples_generator, generations, ridge, ridge_generator, noises):
    """Bias, variance and generator variance by the recursion, last fit first (10 generators)."""
    eigen, signal = spectrum
    downstream = ridge_fit(eigen, num_samples, ridge)
    generator = ridge_fit(eigen, samples_generator, ridge_generator)
    form = no_fit(eigen)
    variance = noise_variance(noises[0] ** 2, downstream.noise(form))

    def generation(carry, index):
        form, total = carry
        more = total + noise_variance(noises[1] ** 2, generator.noise(form))
        happens = index < generations
        new = (generator.propagate(form), more)
        return jax.tree.map(lambda a, b: jnp.where(happens, a, b), new, carry), None

    start = (downstream.propagate(form), jnp.zeros_like(variance))
    (form, total), _ = lax.scan(generation, start, jnp.arange(10))
    return jnp.stack([form.error(signal), variance, total])


# dim, T, T0, n, ridge, ridge0, sigma, sigma0, spectrum, r -> bias, variance, generator_variance,
# from an independent implementation checked by Monte-Carlo.
TABLE = [
    ((150, 450, 300, 5, 0.1, 0, 0.5, 0.5, "isotropic", 0.5), (0.02058927, 0.08598721, 0.97278704)),
    ((150, 75, 300, 10, 1, 0, 0.5, 0.5, "isotropic", 0.5), (0.60355339, 0.05177670, 0.47652641)),
    ((100, 250, 60, 3, 0, 0, 0.2, 0.2, "isotropic", 0.5), (0.784, 0.02684564, 0.12061538)),
    ((200, 100, 400, 3, 0.02, 0, 0.1, 0.2, "power_law", 0.5), (0.01364167, 0.00096075, 0.01484888)),
    ((200, 300, 80, 4, 0.005, 0, 0.1, 0.1, "power_law", 0.5), (0.01000821, 0.00085450, 0.01753140)),
    ((200, 120, 150, 6, 0.01, 0.02, 0.2, 0.3, "power_law", 1), (0.03311957, 0.00511112, 0.0113553)),
    (
        (150, 225, 100, 5, 0.2, 0.1, 0.3, 0.3, "isotropic", 0.5),
        (0.92781066, 0.04788843, 0.09880946),
    ),
]


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("case, expected", TABLE)
def test_chains_of_fits(case, expected, double):
    dim, *numbers, name, source = case
    num_samples, samples_generator, generations, ridge, ridge_generator, *noises = numbers
    with jax.enable_x64(double):
        spectrum = named_spectrum(name, dim, 1.5, source, 1.0)
        got = chain(
            spectrum, num_samples, samples_generator, generations, ridge, ridge_generator, noises
        )
    np.testing.assert_allclose(got, expected, rtol=1e-6 if double else 1e-5, atol=6e-9)


@pytest.mark.parametrize("num_samples, dim, exponent", [(11, 5, 1.3), (6, 13, 0.0)])
def test_ridgeless_fit_is_exact_at_finite_size(num_samples, dim, exponent):
    """Mean, second moment and noise of one fit against plain Monte-Carlo, 5 sigma."""
    rng = np.random.default_rng(7)
    eigen = np.arange(1, dim + 1) ** -exponent
    teacher = rng.uniform(0.5, 1.5, dim)
    draws = 40_000
    inputs = rng.standard_normal((draws, num_samples, dim)) * np.sqrt(eigen)
    inverse = np.linalg.pinv(inputs)
    response = inverse @ (inputs @ teacher)[..., None]
    error = np.sum(eigen * (response[..., 0] - teacher) ** 2, axis=1)
    noise = np.sum(eigen[:, None] * inverse**2, axis=(1, 2))
    with jax.enable_x64(True):
        fit = FIT(eigen, num_samples, 0.0)
        form = no_fit(eigen)
        bias = fit.propagate(form).error(eigen * teacher**2)
        for sample, expected in [(error, bias), (noise, fit.noise(form))]:
            standard_error = sample.std() / np.sqrt(draws)
            assert abs(sample.mean() - expected) < 5 * standard_error + 1e-12


def test_infinite_noise_near_the_threshold():
    eigen = np.arange(1, 21) ** -0.7
    with jax.enable_x64(True):
        form = no_fit(eigen)
        for num_samples in (19, 20, 21):
            fit = FIT(eigen, num_samples, 0.0)
            assert np.isinf(fit.noise(form))
            assert np.isinf(noise_variance(jnp.float64(0.3), fit.noise(form)))
            assert noise_variance(jnp.float64(0.0), fit.noise(form)) == 0
            assert np.isfinite(fit.propagate(form).error(eigen))
            assert np.isfinite(FIT(eigen, num_samples, 1e-3).noise(form))
        for num_samples in (18, 22):
            assert np.isfinite(FIT(eigen, num_samples, 0.0).noise(form))


def test_gradients_of_a_chain_are_finite():
    """Through every branch, at and around the threshold (label noise only where it is finite)."""

    @jax.jit
    @jax.value_and_grad
    def error(point, noise_std):
        exponent, num_samples, ridge = point
        spectrum = named_spectrum("power_law", 20, exponent, 0.6, 1.4)
        noises = jnp.stack([noise_std, jnp.full_like(noise_std, 0.2)])
        return jnp.sum(chain(spectrum, num_samples, 27.0, 2, ridge, 0.0, noises))

    for num_samples in (8.0, 19.0, 20.0, 21.0, 40.0, np.inf):
        for ridge in (0.0, 0.3):
            noise_std = 0.7 if ridge > 0 or not 19 <= num_samples <= 21 else 0.0
            with jax.enable_x64(True):
                value, gradient = error((1.1, num_samples, ridge), noise_std)
            assert np.all(np.isfinite([value, *gradient])), (num_samples, ridge)


def test_scale_identities():
    """Covariance and ridges rescaled together, at fixed signal, leave every error unchanged."""
    with jax.enable_x64(True):
        eigen, signal = named_spectrum("power_law", 40, 1.3, 0.7, 1.9)
        first = chain((eigen, signal), 33, 25, 3, 0.02, 0.01, (0.3, 0.4))
        second = chain((3.7 * eigen, signal), 33, 25, 3, 0.074, 0.037, (0.3, 0.4))
        np.testing.assert_allclose(first, second, rtol=1e-11)
        scaled = chain(
            (eigen, 5 * signal), 33, 25, 3, 0.02, 0.01, np.sqrt(5) * np.array([0.3, 0.4])
        )
        np.testing.assert_allclose(scaled, 5 * first, rtol=1e-11)


def test_steep_power_law_stays_finite_in_single_precision():
    spectrum = named_spectrum("power_law", 2000, 4.0, 3.0, 1.0)
    got = chain(spectrum, 500, 800, 4, 1e-6, 1e-7, (0.3, 0.1))
    with jax.enable_x64(True):
        spectrum = named_spectrum("power_law", 2000, 4.0, 3.0, 1.0)
        expected = chain(spectrum, 500, 800, 4, 1e-6, 1e-7, (0.3, 0.1))
    np.testing.assert_allclose(got, expected, rtol=1e-4)
