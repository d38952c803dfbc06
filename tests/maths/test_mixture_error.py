"""The four parts of the mixture error: reference values, the paper's own form, identities."""

import jax
import numpy as np
import pytest

from simulator.maths.mixture_error import mixture_errors
from simulator.maths.mixture_resolvent import mixture_fit

RNG = np.random.default_rng(11)
EIGENVALUES = np.sort(RNG.lognormal(0, 1.2, 60))[::-1]
SIGNAL = RNG.exponential(size=60)
SHIFT = RNG.exponential(size=60)


fit_and_errors = jax.jit(
    lambda eigenvalues, n, shares, weights, ridge, width, *rest: (
        fit := mixture_fit(eigenvalues, n, shares, weights, ridge, width),
        mixture_errors(fit, eigenvalues, shares, *rest),
    )
)


def parts(eigenvalues, n, p2, ridge, signal, shift, cross, stds, weights=(1.0, 1.0), width=None):
    """The fit and its errors as NumPy arrays; eigenvalues of one size share a program."""
    numbers = n, (1 - p2, p2), weights, ridge, width, np.square(stds), signal, shift, cross
    numbers = (None if x is None else np.asarray(x, float) for x in numbers)
    return jax.device_get(fit_and_errors(eigenvalues, *numbers))


def test_reference_values():
    """Cases A, G and H of the dossier: uniform, weighted with features, correlated."""
    with jax.enable_x64(True):
        flat = np.full(150, 1 / 150)
        _, a = parts(np.ones(150), 450, 0.2, 0.1, flat, 0.5 * flat, 0 * flat, (0.5, 0.5))
        np.testing.assert_allclose(a, (0.02058927, 0.08598721, 0.04297673, 0), atol=5e-9)

        weights = (0.8 / 0.6, 0.2 / 0.4)
        _, g = parts(
            np.ones(150), 250, 0.4, 0.05, flat, flat, 0 * flat, (0.5, 0.2), weights, width=200
        )
        np.testing.assert_allclose(g, (0.11524732, 0.17206758, 0.18715664, 0), atol=5e-9)

        rank = np.pad(1.0 / np.arange(1, 101), (0, 50))
        eigenvalues, signal = rank, rank**2 / np.sum(rank**2)
        shift = 0.5 * signal
        cross = -0.8 * np.sqrt(signal * shift)
        _, h = parts(eigenvalues, 200, 0.5, 0.05, signal, shift, cross, (0.5, 0.5))
        np.testing.assert_allclose(h, (0.03240921, 0.01866358, 0.10857067, 0.04912404), atol=5e-9)


def test_synthetic_error_is_the_papers_zeta():
    """p2^2 (1 + p1 u) tr Delta Sigma^3 G^2 + p2 u tr Delta Sigma (p1 Sigma + kappa)^2 G^2."""
    with jax.enable_x64(True):
        p2, p1 = 0.35, 0.65
        fit, found = parts(EIGENVALUES, 90, p2, 0.4, SIGNAL, SHIFT, 0 * SHIFT, (0.3, 0.7))
        u = fit.df2 / (90 - fit.df2)
        g2 = 1 / (EIGENVALUES + fit.kappa) ** 2
        zeta = p2**2 * (1 + p1 * u) * np.sum(SHIFT * EIGENVALUES**2 * g2) + p2 * u * np.sum(
            SHIFT * (p1 * EIGENVALUES + fit.kappa) ** 2 * g2
        )
        assert found.synthetic_error == pytest.approx(float(zeta), rel=1e-12)
        assert found.variance == pytest.approx(float(u * (p1 * 0.09 + p2 * 0.49)), rel=1e-12)
        assert found.bias == pytest.approx(
            float(np.sum(SIGNAL * fit.kappa**2 * g2) * (1 + u)), rel=1e-12
        )


@pytest.mark.parametrize("width", [None, 45, 300])
def test_labels_that_are_zero_lose_exactly_the_signal(width):
    """All synthetic with shift -w: the fit is 0, whatever else."""
    with jax.enable_x64(True):
        _, found = parts(
            EIGENVALUES, 80, 1.0, 0.2, SIGNAL, SIGNAL, -SIGNAL, (0.3, 0.7), width=width
        )
        left = found.bias + found.synthetic_error + found.cross_error
        assert left == pytest.approx(SIGNAL.sum(), rel=1e-12)


def test_quadratic_form_in_teacher_and_shift():
    """bias + synthetic + cross is a quadratic form: scaling both vectors scales it."""
    with jax.enable_x64(True):
        cross = -0.3 * np.sqrt(SIGNAL * SHIFT)
        _, one = parts(EIGENVALUES, 90, 0.35, 0.4, SIGNAL, SHIFT, cross, (0, 0))
        _, two = parts(EIGENVALUES, 90, 0.35, 0.4, 9 * SIGNAL, 4 * SHIFT, 6 * cross, (0, 0))
        np.testing.assert_allclose(two, np.asarray(one) * np.array([9, 1, 4, 6]), rtol=1e-12)
