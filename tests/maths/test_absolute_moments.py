"""Absolute moments against SciPy's integrals, thresholded variates against draws."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from simulator.maths import absolute_moments, thresholded

pytestmark = pytest.mark.usefixtures("float64")


def moment(law, mean, scale, order):
    def part(t):
        return np.abs(mean + scale * t) ** order * law.pdf(t)

    cut = -mean / scale
    edges = np.sort([-np.inf, cut, 0.0, np.inf]) if cut else [-np.inf, 0.0, np.inf]
    return sum(
        integrate.quad(part, a, b, epsabs=1e-13, epsrel=1e-12, limit=400)[0]
        for a, b in itertools.pairwise(edges)
    )


POINTS = [(0.3, 0.8), (-1.7, 0.2), (0.0, 1.3), (2.0, 0.01), (1e-3, 2.0)]


@pytest.mark.parametrize(("mean", "scale"), POINTS)
@pytest.mark.parametrize("order", [1.0, 1.3, 2.0, 3.7])
def test_normal_and_student_moments(mean, scale, order):
    args = jnp.asarray(mean), jnp.asarray(scale), jnp.asarray(order)
    found = jnp.exp(jax.jit(absolute_moments.log_moment)(*args))
    assert float(found) == pytest.approx(moment(stats.norm, mean, scale, order), rel=1e-9)
    for freedom in (5.2, 60.0, 2000.0):
        value = jnp.exp(jax.jit(absolute_moments.student_log_moment)(*args, jnp.asarray(freedom)))
        expected = moment(stats.t(freedom), mean, scale, order)
        assert float(value) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("order", [51.0, 301.0])
def test_large_orders(order):
    """``E |Z|^q = 2^(q/2) Gamma((q + 1)/2) / sqrt(pi)``."""
    from scipy.special import gammaln

    found = absolute_moments.log_moment(jnp.zeros(()), jnp.ones(()), jnp.asarray(order))
    exact = order / 2 * np.log(2) + gammaln((order + 1) / 2) - np.log(np.pi) / 2
    assert float(found) == pytest.approx(exact, rel=1e-12)


def test_closed_forms_of_mean_sizes():
    mean, scale = (jnp.asarray(x) for x in np.array(POINTS).T)
    np.testing.assert_allclose(
        absolute_moments.mean_absolute(mean, scale),
        [moment(stats.norm, m, s, 1) for m, s in POINTS],
        rtol=1e-10,
    )
    np.testing.assert_allclose(
        absolute_moments.student_mean_absolute(mean, scale, jnp.asarray(6.4)),
        [moment(stats.t(6.4), m, s, 1) for m, s in POINTS],
        rtol=1e-10,
    )
    still = absolute_moments.mean_absolute(mean, jnp.zeros_like(scale))
    np.testing.assert_array_equal(still, np.abs(mean))


@pytest.mark.parametrize("ratio", [0.0, 0.3, 2.0, 1e9])
def test_the_slope_in_the_degrees_of_freedom(ratio):
    """Against a difference of the closed form in SciPy."""

    def exact(freedom):
        law = stats.t(freedom)
        inside = law.cdf(ratio) - law.cdf(-ratio)
        return ratio * inside + 2 * (freedom + ratio**2) / (freedom - 1) * law.pdf(ratio)

    one = jnp.ones(())
    found = jax.grad(lambda v: absolute_moments.student_mean_absolute(ratio * one, one, v))(6.4)
    assert float(found) == pytest.approx((exact(6.401) - exact(6.399)) / 0.002, rel=1e-5, abs=1e-9)


def test_the_largest_of_normals():
    mean, std = np.array([0.3, -1.2, 0.0, 0.9]), np.array([0.5, 0.1, 1.0, 0.0])
    found = absolute_moments.largest_of_normals(jnp.asarray(mean), jnp.asarray(std))
    x = np.linspace(0.9, 9, 400_001)
    inside = np.ones_like(x)
    for m, s in zip(mean[:3], std[:3], strict=True):
        inside *= stats.norm.cdf((x - m) / s) - stats.norm.cdf((-x - m) / s)
    assert float(found) == pytest.approx(0.9 + np.trapezoid(1 - inside, x), rel=1e-9)
    one = absolute_moments.largest_of_normals(jnp.asarray([0.7]), jnp.asarray([0.4]))
    assert float(one) == pytest.approx(
        float(absolute_moments.mean_absolute(jnp.asarray(0.7), jnp.asarray(0.4))), rel=1e-10
    )


def largest(mean, std):
    """By adaptive quadrature between the points where something happens."""

    def outside(x):
        inside = stats.norm.cdf((x - mean) / std) - stats.norm.cdf((-x - mean) / std)
        return 1 - np.prod(inside)

    steps = [-10, -3, 0, 3, 10]
    edges = np.unique(np.clip([0, *(mean + np.outer(steps, std)).ravel()], 0, None))
    return sum(
        integrate.quad(outside, *panel, epsrel=1e-12, epsabs=1e-13)[0]
        for panel in itertools.pairwise(edges)
    )


@pytest.mark.parametrize(
    "mean, std",
    [
        (1 / np.arange(1, 21.0), np.full(20, 3e-7)),  # narrow, and the largest is one of them
        (1 / np.arange(1, 9.0), 2e-5 * np.arange(1, 9.0)),
        (np.ones(12), np.full(12, 1e-3)),  # all at the same place
        (np.array([0.8, 0.1, 0.3]), np.array([1e-6, 0.9, 0.4])),  # narrow among wide ones
    ],
)
def test_the_largest_of_narrow_normals(mean, std):
    found = absolute_moments.largest_of_normals(jnp.asarray(mean), jnp.asarray(std))
    assert float(found) == pytest.approx(largest(mean, std), rel=1e-9)


def test_slopes_of_the_largest():
    """The slope in a constant is the chance that it is the largest; in one variate, Gaussian's."""
    mean, std = jnp.asarray([0.5, 0.2]), jnp.asarray([0.0, 0.4])
    slope = jax.grad(absolute_moments.largest_of_normals)(mean, std)
    chance = stats.norm.cdf(0.3 / 0.4) - stats.norm.cdf(-0.7 / 0.4)
    assert float(slope[0]) == pytest.approx(chance, rel=1e-8)
    alone = jax.grad(absolute_moments.largest_of_normals, 1)(jnp.asarray([0.7]), jnp.asarray([0.4]))
    expected = jax.grad(absolute_moments.mean_absolute, 1)(jnp.asarray(0.7), jnp.asarray(0.4))
    assert float(alone[0]) == pytest.approx(float(expected), rel=1e-8)


def test_moments_of_shrunk_variates():
    """Against fine grids of the normal law."""
    mean, std = np.array([0.3, -1.2, 0.0]), np.array([0.5, 0.1, 1.0])
    threshold = np.array([0.4, 0.2, 0.7])
    z = np.linspace(-9, 9, 400_001)
    weight = stats.norm.pdf(z) * (z[1] - z[0])
    g = mean[:, None] + std[:, None] * z
    found = thresholded.thresholded_moments(*(jnp.asarray(x) for x in (mean, std, threshold)))
    v = np.sign(g) * np.maximum(np.abs(g) - threshold[:, None], 0)
    for value, expected in (
        (found.exposed, np.abs(v)),
        (found.error, (v - mean[:, None]) ** 2),
        (found.change, (v - g) ** 2),
    ):
        np.testing.assert_allclose(value, expected @ weight, rtol=1e-8)
    gain, ridge = np.array([0.4, 2.0, 1.1]), np.array([0.7, 0.2, 3.0])
    found = thresholded.scaled_moments(*(jnp.asarray(x) for x in (mean, std, gain, ridge)))
    v = g * (gain / (gain + ridge))[:, None]
    for value, expected in (
        (found.exposed, v**2),
        (found.error, (v - mean[:, None]) ** 2),
        (found.change, (v - g) ** 2),
    ):
        np.testing.assert_allclose(value, expected @ weight, rtol=1e-8)
