"""The effective penalty and the operators of one fit, against independent references."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax import lax

from simulator.maths.resolvent import (
    effective_penalty,
    no_fit,
    noise_variance,
    ridge_fit,
)
from simulator.maths.spectra import compressed_power_law, named_spectrum

_penalty = jax.jit(effective_penalty)
_penalty_slopes = jax.jit(jax.grad(effective_penalty, (0, 1, 2)))


# Numbers as arrays, whatever they are written as, so that most tests share programs.
def PENALTY(eigen, num_samples, ridge, weights=None):
    numbers = (np.asarray(x, eigen.dtype) for x in (num_samples, ridge))
    return np.asarray(_penalty(eigen, *numbers, weights=weights))


def SLOPES(eigen, num_samples, ridge):
    """Derivatives of the penalty by eigenvalues, samples and ridge."""
    return jax.device_get(_penalty_slopes(eigen, np.float64(num_samples), np.float64(ridge)))


@jax.jit
def _one_fit(eigen, signal, num_samples, ridge):
    fit, form = ridge_fit(eigen, num_samples, ridge), no_fit(eigen)
    noise = fit.noise(form)
    silent, noisy = noise_variance(jnp.zeros_like(noise), noise), noise_variance(0.3, noise)
    return fit.propagate(form).error(signal), noise, silent, noisy


def ONE_FIT(eigen, signal, num_samples, ridge):
    """Bias, noise, and variance without label noise and with some."""
    return jax.device_get(_one_fit(eigen, signal, np.float64(num_samples), np.float64(ridge)))


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
    dim = (5, 20)[seed % 2]  # two shapes, two compilations
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
    got = PENALTY(eigen, num_samples, ridge)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, reference_penalty(eigen, num_samples, ridge), rtol=1e-5)


def test_edges():
    eigen = np.arange(1, 21) ** -1.7
    with jax.enable_x64(True):
        for num_samples in (20.0, 20.5, 33.0, np.inf):
            assert PENALTY(eigen, num_samples, 0.0) == 0
        for num_samples in (1.0, 7.0, 19.0, 19.9):
            kappa = PENALTY(eigen, num_samples, 0.0)
            np.testing.assert_allclose(np.sum(eigen / (eigen + kappa)), num_samples, rtol=1e-13)
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
        got = PENALTY(np.full(20, 3.1), 20 / ratio, 3.1 * ridge)
    np.testing.assert_allclose(got, 3.1 * expected, rtol=1e-12, atol=1e-300)


def test_multiplicities_and_null_directions():
    eigen, count = np.array([2.0, 0.7, 0.05]), np.array([3.0, 9.0, 4.0])
    full = np.concatenate([np.repeat(eigen, count.astype(int)), np.zeros(4)])
    with jax.enable_x64(True):
        for num_samples, ridge in [(8.0, 0.3), (14.0, 0.0), (16.0, 0.0), (17.0, 1e-3)]:
            got = PENALTY(eigen, num_samples, ridge, weights=count)
            np.testing.assert_allclose(got, PENALTY(full, num_samples, ridge), rtol=1e-12)
        assert PENALTY(full, 16.0, 0.0) == 0  # rank 16, not 20


@pytest.mark.parametrize(
    "num_samples, ridge", [(13.0, 0.2), (13.0, 0.0), (40.0, 0.02), (40.0, 0.0), (20.0, 1e-4)]
)
def test_first_derivatives(num_samples, ridge):
    eigen = np.arange(1, 21) ** -1.2
    with jax.enable_x64(True):
        kappa = PENALTY(eigen, num_samples, ridge)
        by_eigen, by_samples, by_ridge = SLOPES(eigen, num_samples, ridge)
    keep = eigen / (eigen + kappa)
    slope = 1 - np.sum(keep**2) / num_samples
    np.testing.assert_allclose(by_ridge, 1 / slope, rtol=1e-12)
    expected = -kappa * np.sum(keep) / num_samples**2 / slope
    np.testing.assert_allclose(by_samples, expected, rtol=1e-10, atol=1e-300)
    expected = kappa**2 / (eigen + kappa) ** 2 / num_samples / slope
    np.testing.assert_allclose(by_eigen, expected, rtol=1e-10, atol=1e-300)


def test_second_derivatives():
    eigen = np.arange(1, 21) ** -1.2
    second = jax.jit(jax.grad(jax.grad(effective_penalty, 1), 1))
    for ridge in (0.0, 0.15):
        with jax.enable_x64(True):
            low, high = (SLOPES(eigen, n, ridge)[1] for n in (12.999, 13.001))
            exact = second(eigen, 13.0, ridge)
        np.testing.assert_allclose(exact, (high - low) / 0.002, rtol=1e-6)


def test_second_derivatives_in_the_ridge():
    """``-F''/F'^3`` for ``F(kappa) = kappa (1 - df1/T) = ridge``, near the threshold too."""
    eigen = np.arange(1, 201) ** -1.2
    curvature = jax.jit(jax.grad(jax.grad(effective_penalty, 2), 2))
    for num_samples, ridge in ((120.0, 1e-4), (199.0, 1e-3), (201.0, 1e-6), (900.0, 0.3)):
        with jax.enable_x64(True):
            kappa = PENALTY(eigen, num_samples, ridge)
            found = curvature(eigen, num_samples, ridge)
        keep = eigen / (eigen + kappa)
        slope = 1 - np.sum(keep**2) / num_samples
        second = 2 * np.sum(keep**2 / (eigen + kappa)) / num_samples
        np.testing.assert_allclose(found, -second / slope**3, rtol=1e-8)


def test_gradients_at_the_double_root_are_not_nan():
    with jax.enable_x64(True):
        gradient = SLOPES(np.arange(1.0, 21), 20.0, 0.0)
    assert all(np.all(np.isfinite(g)) for g in gradient)
    assert float(gradient[2]) > 1e20  # infinite in mathematics


def test_vmap_equals_loop():
    eigen = np.arange(1, 21) ** -1.5
    ridges = np.concatenate([[0.0], np.logspace(-8, 2, 9)])
    with jax.enable_x64(True):
        together = jax.jit(jax.vmap(lambda r: effective_penalty(jnp.asarray(eigen), 17.0, r)))(
            ridges
        )
        np.testing.assert_allclose(
            together, [PENALTY(eigen, 17.0, float(r)) for r in ridges], rtol=1e-14
        )


# ------------------------------------------------------------------------------------------------
# Chains of fits
# ------------------------------------------------------------------------------------------------
@jax.jit
def traced_chain(
    spectrum, num_samples, samples_generator, generations, ridge, ridge_generator, noises
):
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


def chain(spectrum, *numbers):
    """As a NumPy array; spectra of one size share a program."""
    dtype = spectrum[0].dtype
    numbers = [np.asarray(x, int if i == 2 else dtype) for i, x in enumerate(numbers)]
    return jax.device_get(traced_chain(spectrum, *numbers))


def power_law(dim, exponent, source, strength=1.0, dtype=float):
    """Eigenvalues and signal."""
    rank = np.arange(1.0, dim + 1)
    signal = rank ** -(1 + 2 * exponent * source)
    return (rank**-exponent).astype(dtype), (strength * signal / signal.sum()).astype(dtype)


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
    *numbers, std, std_generator = numbers
    dtype = float if double else np.float32
    flat = np.ones(dim, dtype), np.full(dim, 1 / dim, dtype)
    spectrum = flat if name == "isotropic" else power_law(dim, 1.5, source, dtype=dtype)
    with jax.enable_x64(double):
        got = chain(spectrum, *numbers, (std, std_generator))
    np.testing.assert_allclose(got, expected, rtol=1e-6 if double else 1e-5, atol=6e-9)


@pytest.mark.parametrize("num_samples, dim, exponent", [(11, 5, 1.3), (6, 13, 0.0)])
def test_ridgeless_fit_is_exact_at_finite_size(num_samples, dim, exponent):
    """Mean, second moment and noise of one fit against plain Monte-Carlo, 5 sigma."""
    rng = np.random.default_rng(7)
    eigen = np.arange(1, dim + 1) ** -exponent
    teacher = rng.uniform(0.5, 1.5, dim)
    draws = 40_000
    inputs = rng.standard_normal((draws, num_samples, dim)) * np.sqrt(eigen)
    transposed = inputs.transpose(0, 2, 1)
    if num_samples > dim:
        inverse = np.linalg.inv(transposed @ inputs) @ transposed
    else:
        inverse = transposed @ np.linalg.inv(inputs @ transposed)
    response = inverse @ (inputs @ teacher)[..., None]
    error = np.sum(eigen * (response[..., 0] - teacher) ** 2, axis=1)
    noise = np.sum(eigen[:, None] * inverse**2, axis=(1, 2))
    with jax.enable_x64(True):
        expected_error, expected_noise, *_ = ONE_FIT(eigen, eigen * teacher**2, num_samples, 0.0)
    for sample, expected in [(error, expected_error), (noise, expected_noise)]:
        standard_error = sample.std() / np.sqrt(draws)
        assert abs(sample.mean() - expected) < 5 * standard_error + 1e-12


def test_infinite_noise_near_the_threshold():
    eigen = np.arange(1, 21) ** -0.7
    with jax.enable_x64(True):
        for num_samples in (19, 20, 21):
            bias, noise, silent, noisy = ONE_FIT(eigen, eigen, num_samples, 0.0)
            assert np.isinf(noise)
            assert np.isinf(noisy)
            assert silent == 0
            assert np.isfinite(bias)
            assert np.isfinite(ONE_FIT(eigen, eigen, num_samples, 1e-3)[1])
        for num_samples in (18, 22):
            assert np.isfinite(ONE_FIT(eigen, eigen, num_samples, 0.0)[1])


def test_gradients_of_a_chain_are_finite():
    """Through every branch, at and around the threshold (label noise only where it is finite)."""

    @jax.jit
    @jax.value_and_grad
    def error(point, noise_std):
        exponent, num_samples, ridge = point
        spectrum = named_spectrum("power_law", 20, exponent, 0.6, 1.4)
        noises = jnp.stack([noise_std, jnp.full_like(noise_std, 0.2)])
        return jnp.sum(traced_chain(spectrum, num_samples, 27.0, 2, ridge, 0.0, noises))

    for num_samples in (8.0, 19.0, 20.0, 21.0, 40.0, np.inf):
        for ridge in (0.0, 0.3):
            noise_std = 0.7 if ridge > 0 or not 19 <= num_samples <= 21 else 0.0
            with jax.enable_x64(True):
                value, gradient = error((1.1, num_samples, ridge), noise_std)
            assert np.all(np.isfinite([value, *gradient])), (num_samples, ridge)


def test_scale_identities():
    """Covariance and ridges rescaled together, at fixed signal, leave every error unchanged."""
    with jax.enable_x64(True):
        eigen, signal = power_law(100, 1.3, 0.7, 1.9)
        first = chain((eigen, signal), 83, 61, 3, 0.02, 0.01, (0.3, 0.4))
        second = chain((3.7 * eigen, signal), 83, 61, 3, 0.074, 0.037, (0.3, 0.4))
        np.testing.assert_allclose(first, second, rtol=1e-11)
        noises = np.sqrt(5) * np.array([0.3, 0.4])
        scaled = chain((eigen, 5 * signal), 83, 61, 3, 0.02, 0.01, noises)
        np.testing.assert_allclose(scaled, 5 * first, rtol=1e-11)


def test_steep_power_law_stays_finite_in_single_precision():
    numbers = 50, 80, 4, 1e-6, 1e-7, (0.3, 0.1)
    got = chain(power_law(200, 4.0, 3.0, dtype=np.float32), *numbers)
    with jax.enable_x64(True):
        expected = chain(power_law(200, 4.0, 3.0), *numbers)
    np.testing.assert_allclose(got, expected, rtol=1e-4)


@pytest.mark.parametrize("num_samples", [70.0, 2500.0, 30_000.0])
@pytest.mark.parametrize("ridge", [0.0, 1e-7, 0.02])
def test_a_compressed_spectrum_takes_the_place_of_all_its_eigenvalues(num_samples, ridge):
    def error(eigenvalues, signal, weights):
        fit, form = ridge_fit(eigenvalues, num_samples, ridge, weights), no_fit(eigenvalues)
        return fit.kappa, fit.propagate(form).error(signal), fit.noise(form)

    with jax.enable_x64(True):
        whole = named_spectrum("power_law", 20_000, 1.3, 0.4, 1.7)
        short = compressed_power_law(20_000, 1.3, 0.4, 1.7)
        exact = jax.jit(error)(*whole, jnp.ones(20_000))
        found = jax.jit(error)(short.eigenvalues, short.signal, short.multiplicity)
    np.testing.assert_allclose(found, exact, rtol=1e-11)
