"""Probabilities and moments of a normal vector in a wedge, against SciPy and quadrature."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from simulator.maths.wedge import wedge_moments, wedge_probability
from simulator.runtime.compilation import float64_on_cpu
from tests.references import verified_synthesis as reference


@pytest.mark.parametrize("angle", [1e-6, 0.3, math.pi / 2, 2.4, math.pi - 1e-6])
@pytest.mark.parametrize("mean", [(0.0, 0.0), (0.7, 0.0), (0.0, -0.4), (-1.3, 0.6), (3.0, 2.0)])
def test_wedge_probability_is_the_bivariate_normal(mean, angle):
    along, across = mean
    b = math.cos(angle) * along + math.sin(angle) * across
    covariance = [[1, math.cos(angle)], [math.cos(angle), 1]]
    law = multivariate_normal(cov=covariance, allow_singular=True)
    with float64_on_cpu():
        found = float(wedge_probability(along, across, angle))
    # SciPy's own bivariate integral is good to about 1e-8 at correlations near ±1.
    assert found == pytest.approx(law.cdf([along, b]), abs=2e-6 if angle < 1e-3 else 1e-8)


@pytest.mark.parametrize("across", [0.3, 4.0, 70.0, 3000.0])
@pytest.mark.parametrize("along", [-5.0, -1.0, 0.3, 5.0])
def test_a_wedge_without_an_angle_is_a_halfspace_however_long_the_mean(along, across):
    with float64_on_cpu():
        found = float(wedge_probability(along, across, 0.0))
    assert found == pytest.approx(norm.cdf(along), rel=1e-12)


def test_wedge_moments_by_polar_quadrature():
    u = np.array([math.cos(1.1), math.sin(1.1), 0.0])
    v = np.array([math.cos(0.6), math.sin(0.6) * math.cos(0.8), math.sin(0.6) * math.sin(0.8)])
    rate, first, second = reference.kept_moments(u, v, 1.3, 1.0, 0.0)
    across = v - (u @ v) * u
    across /= np.linalg.norm(across)
    angle = math.acos(u @ v)
    with float64_on_cpu():
        frame = jnp.asarray(u), jnp.asarray(across), angle
        both = [wedge_moments(jnp.asarray([s * 1.3, 0.0, 0.0]), *frame) for s in (1.0, -1.0)]
    # Class +1 on both sides of both halfspaces: the wedge and the opposite one, mirrored.
    probability = both[0][0] + both[1][0]
    assert float(probability) == pytest.approx(rate, rel=1e-10)
    np.testing.assert_allclose((both[0][1] + both[1][1]) / probability, first, atol=1e-10)
    np.testing.assert_allclose((both[0][2] + both[1][2]) / probability, second, atol=1e-10)


@pytest.mark.parametrize("point", [(0.3, -0.4, 1.2), (0.0, 0.0, 0.7), (1.5, 0.2, 3.0)])
def test_wedge_derivatives(point):
    with float64_on_cpu():
        slopes = jax.grad(wedge_probability, (0, 1, 2))(*point)
        for i, slope in enumerate(slopes):
            step = 1e-5 * np.eye(3)[i]
            up, down = (wedge_probability(*(np.array(point) + s * step)) for s in (1, -1))
            assert float(slope) == pytest.approx(float(up - down) / 2e-5, abs=1e-8)
