"""The two-source fixed point and the error it predicts, against independent references."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from simulator.maths.mixture_resolvent import mixture_fit
from simulator.maths.resolvent import ridge_fit

_COMPILED = jax.jit(mixture_fit)
_RIDGE_FIT = jax.jit(ridge_fit)
SIZE = 200  # of the reference table


def FIT(*args):
    """The fit as NumPy arrays; eigenvalues of one size share a program."""
    return jax.device_get(_COMPILED(*(None if x is None else np.asarray(x, float) for x in args)))


def error_parts(fit, signal, shift, fractions, noises, correlation):
    """Bias, variance, shift and cross terms as the docstring of `MixtureFit` writes them."""
    gain, amplified = fit.gain, fit.amplification
    t1, t2, p, c = fit.response, fit.response_square, fractions[1], gain[1]
    bias = (1 + fit.inflation) * jnp.sum(signal * fit.shrinkage)
    variance = amplified * jnp.sum(fractions * gain**2 * jnp.asarray(noises) ** 2)
    synthetic = p**2 * c**2 * ((1 + fit.inflation) * t2 - 2 * c * amplified * t1)
    synthetic = jnp.sum(shift * (synthetic + p * c**2 * amplified))
    cross = (1 + fit.inflation) * t2 - (fit.gain_square + c) * amplified * t1 + c * amplified - t1
    cross = 2 * p * c * correlation * jnp.sum(jnp.sqrt(signal * shift) * cross)
    return jnp.stack([bias, variance, synthetic, cross])


@jax.jit
def predict(eigen, signal, shift, n, p2, ridge, noises, correlation, alpha, width):
    """The four parts and the fit; ``alpha`` is the weight of all synthetic samples together."""
    fractions = jnp.stack([1 - p2, p2])
    fit = mixture_fit(eigen, n, fractions, jnp.stack([1 - alpha, alpha]) / fractions, ridge, width)
    return error_parts(fit, signal, shift, fractions, noises, correlation), fit


def power_law(dim, exponent, source):
    """Eigenvalues and a signal of strength 1."""
    signal = np.arange(1.0, dim + 1) ** -(1 + 2 * exponent * source)
    return np.arange(1.0, dim + 1) ** -exponent, signal / signal.sum()


def table_arguments(
    dim, n, p2=0.2, ridge=0.1, noises=(0.5, 0.5), c2=0.5, profile="whitened", *, spectrum=None,
    correlation=0.0, alpha=None, width=None,
):  # fmt: skip
    """Arguments of `predict`."""
    eigen, signal = power_law(dim, *spectrum) if spectrum else (np.ones(dim), np.full(dim, 1 / dim))
    shift = {"whitened": np.ones(dim), "isotropic": eigen, "signal": signal}[profile]
    # Inputs without variance change nothing (but the penalty's unit, with random features), and all
    # cases share a program.
    vectors = [np.pad(x, (0, SIZE - dim)) for x in (eigen, signal, c2 * shift / np.sum(shift))]
    ridge = ridge if width is None else ridge * dim / SIZE
    return *vectors, n, p2, ridge, noises, correlation, p2 if alpha is None else alpha, width


POWER = (1.5, 0.5)
# Arguments, then bias, variance, shift and cross parts and kappa from an independent
# implementation that was checked by Monte-Carlo.
TABLE = [
    ((150, 450), {}, (0.02058927, 0.08598721, 0.04297673, 0), 0.14125797),
    (
        (200, 100, 0.4, 0.01, (0.1, 0.1), 1.0),
        {},
        (0.50009431, 0.00961716, 0.30925807, 0),
        1.0198058,
    ),
    (
        (150, 300, 0.1, 0.001, (0.1, 0.1), 0.5, "isotropic"),
        {"spectrum": POWER},
        (0.00061670, 0.00230520, 0.01498768, 0),
        0.00139929,
    ),
    (
        (150, 300, 0.5, 0.01, (0.1, 0.1)),
        {"width": 90},
        (0.55851357, 0.00391257, 0.13884703, 0),
        0.72264439,
    ),
    (
        (150, 300, 0.5, 0.01, (0.1, 0.1)),
        {"width": 400},
        (0.00041816, 0.00954898, 0.24150396, 0),
        0.01177961,
    ),
    (
        (200, 100, 0.25, 0.001, (0.1, 0.1), 0.3),
        {"width": 120, "spectrum": POWER},
        (0.00972823, 0.00456517, 0.03420226, 0),
        0.00579881,
    ),
    (
        (150, 250, 0.4, 0.05, (0.5, 0.2), 1.0),
        {"width": 200, "alpha": 0.2},
        (0.11524732, 0.17206758, 0.18715664, 0),
        0.21419387,
    ),
    (
        (100, 200, 0.5, 0.05, (0.5, 0.5), 0.5, "signal"),
        {"spectrum": (1.0, 0.5), "correlation": -0.8},
        (0.03240921, 0.01866358, 0.10857067, 0.04912404),
        0.05957287,
    ),
]


@pytest.mark.parametrize(
    "args, options, parts, kappa",
    # The studies' own reference cases are the same rows.
    [*(pytest.param(*row, marks=pytest.mark.slow) for row in TABLE[:-1]), TABLE[-1]],
)
def test_reference_table(args, options, parts, kappa):
    for double in (True, False):
        with jax.enable_x64(double):
            got, fit = jax.device_get(predict(*table_arguments(*args, **options)))
        tolerance = 1e-6 if double else 1e-5
        np.testing.assert_allclose(got, parts, rtol=tolerance, atol=2e-8)
        np.testing.assert_allclose(fit.kappa, kappa, rtol=tolerance, atol=1e-8)


def reference_kappa(eigen, n, fractions, weights, ridge, width):
    """Nested bisections of the two defining equations."""

    def df1(kappa):
        return np.sum(eigen / (eigen + kappa))

    def omega(kappa):
        x = df1(kappa) / n
        return brentq(
            lambda w: np.sum(fractions * weights / (w + weights * x)) - 1,
            1e-300,
            2 * weights.max(),
            xtol=1e-300,
            rtol=1e-14,
        )

    def residual(log_kappa):
        kappa = np.exp(log_kappa)
        if df1(kappa) >= min(n, width or np.inf):
            return -ridge
        free = 1 if width is None else (width - df1(kappa)) / eigen.size
        return kappa * omega(kappa) * free - ridge

    return np.exp(brentq(residual, -80, 20, xtol=1e-14, rtol=1e-15))


@pytest.mark.parametrize("seed", range(30))
def test_fixed_point_matches_nested_bisection(seed):
    rng = np.random.default_rng(seed)
    eigen = np.arange(1, 31) ** -rng.uniform(0, 5)
    n, p2, ridge = float(rng.integers(5, 200)), rng.uniform(0.02, 0.98), 10 ** rng.uniform(-10, 2)
    fractions, weights = np.array([1 - p2, p2]), 10 ** rng.uniform(-2, 2, 2)
    width = None if seed % 2 else float(rng.integers(5, 200))
    expected = reference_kappa(eigen, n, fractions, weights, ridge, width)
    with jax.enable_x64(True):
        fit = FIT(eigen, n, fractions, weights, ridge, width)
    np.testing.assert_allclose(fit.kappa, expected, rtol=1e-10)
    x = fit.df1 / n
    np.testing.assert_allclose(
        np.sum(fractions * weights / (fit.omega + weights * x)), 1, rtol=1e-9
    )
    np.testing.assert_allclose(
        fit.omega * fit.gain, weights / (1 + weights * fit.df1 / (n * fit.omega)), rtol=1e-9
    )
    np.testing.assert_allclose(np.sum(fractions * fit.omega * fit.gain), fit.omega, rtol=1e-9)


def test_equal_weights_are_a_plain_fit():
    """One source or two, unweighted, is ridge regression; a common weight rescales the ridge."""
    eigen = np.arange(1, 31) ** -1.1
    with jax.enable_x64(True):
        for n, ridge in [(50.0, 0.03), (17.0, 0.2), (17.0, 0.0), (50.0, 0.0)]:
            plain = jax.device_get(_RIDGE_FIT(eigen, n, ridge))
            for fractions, weights in [((0.6, 0.4), (1, 1)), ((1.0, 0.0), (1, 1))]:
                fit = FIT(eigen, n, fractions, weights, ridge)
                np.testing.assert_allclose(fit.kappa, plain.kappa, rtol=1e-12, atol=1e-300)
                np.testing.assert_allclose(
                    fit.inflation, plain.df2 / n / (1 - plain.df2 / n), rtol=1e-9
                )
            scaled = FIT(eigen, n, (0.6, 0.4), (2.7, 2.7), 2.7 * ridge)
            np.testing.assert_allclose(scaled.kappa, plain.kappa, rtol=1e-12, atol=1e-300)


def test_inactive_sources_drop_out():
    eigen = np.arange(1, 31) ** -0.8
    with jax.enable_x64(True):
        for ridge in (0.0, 0.04):
            alone = FIT(eigen, 24.0, (1.0, 0.0), (1.7, 1.0), ridge)
            # 60 % of 40 samples, the others without weight: a weight per sample of 1.7 * 40/24.
            mixed = FIT(eigen, 40.0, (0.6, 0.4), (1.7 * 40 / 24, 0.0), ridge)
            np.testing.assert_allclose(mixed.kappa, alone.kappa, rtol=1e-12)
            np.testing.assert_allclose(mixed.inflation, alone.inflation, rtol=1e-9)
            assert mixed.gain[1] == 0
        nothing = FIT(eigen, 40.0, (0.0, 1.0), (1.0, 0.0), 0.1)
        assert np.isinf(nothing.kappa)
        for value in (nothing.omega, nothing.df1, nothing.df2, nothing.inflation, *nothing.gain):
            assert value == 0
        np.testing.assert_array_equal(nothing.shrinkage, 1)


@pytest.mark.parametrize("n, width", [(20.0, None), (20.0, 26.0), (20.0, 50.0)])
def test_interpolation_forgets_the_weights(n, width):
    eigen = np.arange(1, 31) ** -0.8
    with jax.enable_x64(True):
        fits = [FIT(eigen, n, (0.7, 0.3), w, 0.0, width) for w in [(1.0, 1.0), (0.2, 5.0)]]
        almost = FIT(eigen, n, (0.7, 0.3), (0.2, 5.0), 1e-11, width)
    for fit in fits:
        assert fit.omega == 0
        np.testing.assert_allclose(fit.df1, n, rtol=1e-12)
        np.testing.assert_allclose(fit.gain, 1, rtol=1e-9)
        np.testing.assert_allclose(fit.inflation, almost.inflation, rtol=1e-6)


def test_few_features_without_ridge():
    eigen = np.arange(1, 31) ** -0.8
    with jax.enable_x64(True):
        fit = FIT(eigen, 90.0, (0.7, 0.3), (0.5, 2.0), 0.0, 12.0)
        almost = FIT(eigen, 90.0, (0.7, 0.3), (0.5, 2.0), 1e-11, 12.0)
    np.testing.assert_allclose(fit.df1, 12, rtol=1e-12)
    np.testing.assert_allclose(fit.omega, almost.omega, rtol=1e-6)
    np.testing.assert_allclose(np.sum(fit.response_square), 12, rtol=1e-9)  # D2 = m


def test_limits():
    """Infinitely many samples are the limit of many; infinitely many features the linear model."""
    eigen = np.arange(1, 31) ** -0.8
    source = ((0.7, 0.3), (0.5, 2.0))
    with jax.enable_x64(True):
        for width in (None, 12.0, 45.0):
            infinite = FIT(eigen, np.inf, *source, 0.02, width)
            many = FIT(eigen, 1e9, *source, 0.02, width)
            np.testing.assert_allclose(many.kappa, infinite.kappa, rtol=1e-6)
            np.testing.assert_allclose(infinite.omega, 0.7 * 0.5 + 0.3 * 2.0, rtol=1e-12)
            assert infinite.amplification == 0
        linear = FIT(eigen, 50.0, *source, 0.02)
        wide = FIT(eigen, 50.0, *source, 0.02 * 1e8 / 30, 1e8)
        np.testing.assert_allclose(wide.kappa, linear.kappa, rtol=1e-5)
        np.testing.assert_allclose(wide.inflation, linear.inflation, rtol=1e-5)


# n, ridge: with ridge, interpolating, without ridge, and the plateau; width for random features
LINEAR = [(50.0, 0.05), (18.0, 0.0), (70.0, 0.0), (np.inf, 0.0), (np.inf, 0.05)]
FEATURES = [
    (18.0, 0.0, 41.0),
    (70.0, 0.0, 12.0),
    (50.0, 0.05, 40.0),
    (np.inf, 0.05, 12.0),
    (np.inf, 0.0, 12.0),
]


@pytest.mark.parametrize(
    "points", [pytest.param(LINEAR, marks=pytest.mark.slow), FEATURES], ids=["linear", "features"]
)
def test_gradients(points):
    """The error's derivatives against central differences (one-sided at ridge 0)."""
    (eigen, signal), shift = power_law(20, 0.9, 0.4), np.full(20, 0.7 / 20)

    @jax.jit
    @jax.value_and_grad
    def total(point):
        n, ridge, p2, alpha, *width = point
        width = width[0] if width else None
        parts, _ = predict(eigen, signal, shift, n, p2, ridge, (0.3, 0.6), 0.4, alpha, width)
        return jnp.sum(parts)

    for n, ridge, *width in points:
        point = (n, ridge, 0.3, 0.45, *width)
        with jax.enable_x64(True):
            gradient = total(point)[1]
            for index, (x, slope) in enumerate(zip(point, gradient, strict=True)):
                assert np.isfinite(slope)
                if np.isinf(x):
                    continue
                h = 1e-6 * max(abs(x), 0.1)

                def moved(step, point=point, index=index):
                    return total((*point[:index], point[index] + step, *point[index + 1 :]))[0]

                numeric = (moved(h) - moved(-h)) / (2 * h) if x else 0.0
                if x == 0:
                    numeric = (4 * moved(h) - moved(2 * h) - 3 * moved(0.0)) / (2 * h)
                np.testing.assert_allclose(slope, numeric, rtol=2e-4, atol=1e-7)


def test_vmap_equals_loop():
    eigen, weights = np.arange(1, 31) ** -1.5, (0.4, 1.9)
    p2 = np.array([0.0, 0.2, 0.7, 1.0])
    fractions = np.stack([1 - p2, p2], axis=1)
    with jax.enable_x64(True):
        together = jax.jit(
            jax.vmap(
                lambda p: (
                    mixture_fit(*map(jnp.asarray, (eigen, 35.0, p, weights)), 0.03, 30.0).kappa
                )
            )
        )(fractions)
        alone = [FIT(eigen, 35.0, p, weights, 0.03, 30.0).kappa for p in fractions]
    np.testing.assert_allclose(together, alone, rtol=1e-13)
