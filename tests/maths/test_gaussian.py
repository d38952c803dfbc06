"""The skew-normal law, against SciPy and mpmath."""

import functools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import special, stats

from simulator.maths import gaussian

_moments, _cdf, _owens_t, _attacked_error = map(
    jax.jit,
    (
        gaussian.skew_normal_moments,
        gaussian.skew_normal_cdf,
        gaussian.owens_t,
        gaussian.attacked_error,
    ),
)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def test_owens_t_equals_scipy():
    h, a = np.meshgrid(
        [-9, -3, -1, -0.3, -0.01, 0, 0.003, 0.1, 0.7, 2, 5, 12],
        [-1e5, -50, -3, -1, -0.2, 0, 0.01, 0.6, 1, 1.5, 8, 50, 1e3, 1e8],
    )
    found = jax.jit(jax.vmap(gaussian.owens_t))(h.ravel(), a.ravel())
    np.testing.assert_allclose(found, special.owens_t(h, a).ravel(), rtol=0, atol=2e-16)


@pytest.mark.parametrize("k", [-5.0, -1.7, -0.6, -0.04, 0.0, 0.3, 2.2])
@pytest.mark.parametrize("shape", [-1.3, 0.07, 0.9, 4.2, 30.0])
def test_skew_normal_law_equals_mpmath(k, shape):
    with mp.workdps(25):
        points = [-mp.inf, *(k - x for x in (4, 2, 1, 0.3, 0.05)), k]
        # The moments share their nodes.
        density = functools.cache(lambda x: 2 * mp.npdf(x) * mp.ncdf(shape * x))
        reference = [mp.quad(lambda x, j=j: x**j * density(x), points) for j in range(3)]
    found = jax.device_get(_moments(k, shape))
    for value, expected in zip(found, reference, strict=True):
        assert abs(value - float(expected)) < 3e-15 + 1e-11 * abs(float(expected))
    # The lower tail keeps relative accuracy where the difference of its two terms has none.
    if reference[0] > 1e-40:
        assert abs(found[0] / float(reference[0]) - 1) < 1e-9


def test_skew_normal_derivatives():
    slopes = jax.jit(jax.grad(gaussian.skew_normal_cdf, (0, 1)))
    for k, shape in [(-2.1, 1.4), (0.4, -0.8), (1.3, 6.0)]:
        for argument in (0, 1):
            exact = slopes(k, shape)[argument]
            step = 1e-5
            moved = [
                _cdf(k + s * (argument == 0), shape + s * (argument == 1)) for s in (-step, step)
            ]
            assert abs(exact - (moved[1] - moved[0]) / (2 * step)) < 1e-9
    exact = jax.jit(jax.grad(gaussian.owens_t, (0, 1)))(0.7, 1.9)
    for argument in (0, 1):
        step = 1e-5
        point = np.array([0.7, 1.9])
        moved = [_owens_t(*(point + s * np.eye(2)[argument])) for s in (-step, step)]
        assert abs(exact[argument] - (moved[1] - moved[0]) / (2 * step)) < 1e-10


def test_attacked_error_is_the_error_of_gaussian_scores():
    overlap, label_norm, score_norm, damage = 0.8, 1.3, 1.7, 0.5
    rng = np.random.default_rng(0)
    covariance = [[label_norm**2, overlap], [overlap, score_norm**2]]
    teacher, student = rng.multivariate_normal([0, 0], covariance, 1_000_000).T
    for cost in (0.0, damage, -damage):
        share = np.mean(np.sign(teacher) * student < cost)
        exact = _attacked_error(overlap, label_norm, score_norm, cost)
        assert abs(share - exact) < 5 * np.sqrt(share * (1 - share) / 1e6)
    t = overlap / label_norm / score_norm
    clean = _attacked_error(overlap, label_norm, score_norm, 0.0)
    np.testing.assert_allclose(clean, np.arccos(t) / np.pi, rtol=1e-14)
    aligned = _attacked_error(label_norm * score_norm, label_norm, score_norm, damage)
    np.testing.assert_allclose(aligned, 2 * stats.norm.cdf(damage / score_norm) - 1, rtol=1e-14)


def test_float32():
    with jax.enable_x64(False):
        single = _cdf(-1.3, 2.0)
        assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, _cdf(-1.3, 2.0), rtol=3e-6)


def test_the_logarithm_of_the_distribution_function_keeps_its_digits():
    x = np.array([-40.0, -3.0, 0.0, 2.0, 7.3])
    found = np.asarray(gaussian.log_normal_cdf(jnp.asarray(x)))
    np.testing.assert_allclose(found[:-1], stats.norm.logcdf(x[:-1]), rtol=1e-12)
    assert found[-1] == pytest.approx(-stats.norm.sf(7.3), rel=1e-10)
