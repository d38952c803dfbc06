"""Averages of the logistic function against SciPy's adaptive quadrature."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from simulator.maths.logistic_normal import logistic_averages
from simulator.runtime.compilation import float64_on_cpu


def reference(mean, std):
    def average(function):
        def integrand(z):
            return function(mean + std * z) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

        kink = float(np.clip(-mean / std, -11, 11))
        ends = np.sort([-14, kink - 3 / std, kink, kink + 3 / std, 14])
        given = {"epsabs": 1e-15, "epsrel": 1e-13, "limit": 200}
        return sum(quad(integrand, *piece, **given)[0] for piece in pairwise(ends))

    return average(lambda t: expit(-t)), average(lambda t: expit(t) * expit(-t))


@pytest.mark.parametrize("std", [0.03, 0.9, 2.4, 2.6, 9.0, 70.0])
@pytest.mark.parametrize("mean", [-3.0, 0.4, 7.0])
def test_against_adaptive_quadrature(mean, std):
    with float64_on_cpu():
        found = jax.jit(logistic_averages)(mean, std)
    np.testing.assert_allclose(found, reference(mean, std), rtol=1e-11)


def test_large_margins_keep_their_digits():
    with float64_on_cpu():
        found = jax.jit(logistic_averages)(25.0, 3.5)
    np.testing.assert_allclose(found, reference(25.0, 3.5), rtol=1e-8)


@pytest.mark.parametrize("std", [0.9, 6.0])
def test_derivatives(std):
    """Those of the first order by parts, of the second by the rule in Z or t."""

    def differences(function, step=1e-4):
        ends = (function(0.7 + step, std), function(0.7 - step, std))
        sides = (function(0.7, std + step), function(0.7, std - step))
        return [(np.asarray(a) - np.asarray(b)) / (2 * step) for a, b in (ends, sides)]

    with float64_on_cpu():
        first = jax.jacfwd(logistic_averages, (0, 1))
        second = jax.jacrev(lambda m, r: jnp.array(first(m, r)), (0, 1))
        pairs = (
            (first, lambda m, r: jnp.array(logistic_averages(m, r))),
            (second, lambda m, r: jnp.array(first(m, r))),
        )
        for slope, function in pairs:
            found = np.moveaxis(np.asarray(slope(0.7, std)), 0 if slope is second else -1, 0)
            np.testing.assert_allclose(found, differences(function), rtol=1e-6, atol=1e-9)


def test_rough_averages_are_near():
    with float64_on_cpu():
        for std in (0.5, 2.4, 2.6, 10.0, 50.0):
            rough = logistic_averages(1.3, std, rough=True)
            np.testing.assert_allclose(rough, logistic_averages(1.3, std), rtol=1e-3)
