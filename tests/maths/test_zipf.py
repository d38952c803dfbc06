"""Sums over infinite Zipf laws, against mpmath and brute force."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.special import zeta as scipy_zeta

from simulator.maths import zeta, zipf

mpmath.mp.dps = 40

_hurwitz_zeta, _scaled_lower_gamma, _tail_mass = map(
    jax.jit, (zeta.hurwitz_zeta, zeta.scaled_lower_gamma, zipf.tail_mass)
)
OCCUPANCY = {name: jax.jit(getattr(zipf, name)) for name in ("unseen_mass", "distinct_ranks")}


@functools.partial(jax.jit, static_argnames="fixed")
def occupancy(t, *law, fixed=False):
    """Unseen mass and distinct ranks by quadrature: of t draws, or of Poisson(t)."""
    nodes = zipf.rank_nodes(zipf.training_law(*law), t)

    def log_missed(q):
        return t * jnp.log1p(-q) if fixed else -t * q

    return (
        nodes.sum(lambda p, q: p * jnp.exp(log_missed(q)), lambda p, q: p),
        nodes.sum(lambda p, q: -jnp.expm1(log_missed(q)), lambda p, q: t * q, certain=1.0),
    )


def _relative(value, expected):
    return float(abs(mpmath.mpf(float(value)) / expected - 1))


@pytest.mark.parametrize(
    ("s", "q"), [(1.05, 1), (1.05, 1e12), (1.2, 3.5), (2.7, 17), (25, 1), (0.75, 1), (-0.5, 2.3)]
)
def test_hurwitz_zeta(s, q):
    with jax.enable_x64(True):
        value = _hurwitz_zeta(float(s), float(q))
    assert _relative(value, mpmath.zeta(mpmath.mpf(s), mpmath.mpf(q))) < 1e-13


@pytest.mark.parametrize("s", [0.6, 1 - 1e-10, 1.0, 1 + 1e-15, 1.3, 2.5])
def test_zeta_without_its_pole(s):
    """zeta(s) = 1 / (s - 1) + gamma - gamma_1 (s - 1) + ...; its slope at 1 is -gamma_1."""
    with jax.enable_x64(True):
        value, slope = jax.jit(jax.value_and_grad(zeta.zeta_without_pole))(s)
    with mpmath.workdps(40):
        at = mpmath.mpf(s) + (mpmath.mpf("1e-18") if s == 1 else 0)
        assert _relative(value, mpmath.zeta(at) - 1 / (at - 1)) < 1e-13
        right = mpmath.diff(lambda x: mpmath.zeta(x) - 1 / (x - 1), at + mpmath.mpf("1e-9"))
        assert _relative(slope, right) < 1e-7


@pytest.mark.parametrize("y", [-3.0, -0.5, -1e-9, 0.0, 1e-5, 0.4999, 0.5, 2.0])
def test_relative_expm1(y):
    with jax.enable_x64(True):
        value, slope = jax.jit(jax.value_and_grad(zeta.relative_expm1))(y)
    with mpmath.workdps(60):
        at = mpmath.mpf(y) or mpmath.mpf("1e-25")
        assert _relative(value, mpmath.expm1(at) / at) < 1e-15
        assert _relative(slope, (at * mpmath.exp(at) - mpmath.expm1(at)) / at**2) < 1e-13


def test_derivative_of_zeta_in_its_exponent():
    with jax.enable_x64(True):
        slope = jax.jit(jax.grad(zeta.hurwitz_zeta))(1.3, 4.0)
    assert _relative(slope, mpmath.zeta(mpmath.mpf(1.3), 4, 1)) < 1e-12


@pytest.mark.parametrize("a", [0.04, 0.3, 0.9, 1.3, 2.5])
@pytest.mark.parametrize("z", [1e-8, 0.1, 3.0, 5.99, 6.01, 20.0, 1e4])
def test_scaled_lower_gamma(a, z):
    exact = mpmath.gammainc(mpmath.mpf(a), 0, mpmath.mpf(z)) / mpmath.mpf(z) ** mpmath.mpf(a)
    with jax.enable_x64(True):
        assert _relative(_scaled_lower_gamma(a, z), exact) < 1e-13
        np.testing.assert_allclose(_scaled_lower_gamma(a, 0.0), 1 / a, rtol=1e-14)


@pytest.mark.parametrize("beta", [1.05, 1.7, 4.0])
@pytest.mark.parametrize("k", [1.0, 7.0, 1e5, 1e12])
def test_tail_mass_keeps_its_relative_precision(beta, k):
    exact = mpmath.zeta(mpmath.mpf(beta), k + 1) / mpmath.zeta(mpmath.mpf(beta))
    with jax.enable_x64(True):
        assert _relative(_tail_mass(beta, k), exact) < 1e-13
        assert _tail_mass(beta, np.inf) == 0


@pytest.mark.parametrize("beta", [1.05, 1.2, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("t", [1e8, 1e10, 1e12])
def test_closed_forms_hold_beyond_all_orders(beta, t):
    """Poisson sums over all ranks are pure powers of t, up to errors that vanish at these t."""
    b, t_ = mpmath.mpf(beta), mpmath.mpf(t)
    c, a = 1 - 1 / b, 1 / mpmath.zeta(b)
    mass = a ** (1 / b) * mpmath.gamma(c) / b * t_**-c
    distinct = mpmath.gamma(c) * (a * t_) ** (1 / b) - mpmath.mpf(1) / 2
    with jax.enable_x64(True):
        assert _relative(OCCUPANCY["unseen_mass"](beta, t, 0.0), mass) < 1e-13
        assert _relative(OCCUPANCY["distinct_ranks"](beta, t, 0.0), distinct) < 1e-13
        quadrature, seen = occupancy(t, beta)
    assert _relative(quadrature, mass) < 1e-11
    assert _relative(seen, distinct) < 1e-11


def _brute_force(beta, k, beta_synthetic, pi, t, fixed, last=1_000_000):
    """Both sums rank by rank, and by three terms of the expansion in t q beyond ``last``."""
    beta_synthetic = max(beta, beta_synthetic)
    i = np.arange(1, last + 1.0)
    a = 1 / scipy_zeta(beta)
    mass = scipy_zeta(beta_synthetic) - (scipy_zeta(beta_synthetic, k + 1) if np.isfinite(k) else 0)
    p = a * i**-beta
    q = pi * p + (1 - pi) * np.where(i <= k, i**-beta_synthetic / mass, 0)
    log_missed = t * np.log1p(-q) if fixed else -t * q
    error = np.sum((p * np.exp(log_missed))[::-1])
    distinct = np.sum(-np.expm1(log_missed)[::-1])
    real, synthetic = pi * a, (1 - pi) / mass if np.isinf(k) else 0.0

    def moment(extra, order):  # sum_{i > last} i^-extra q_i^order
        binomials = {0: (1,), 1: (1, 1), 2: (1, 2, 1)}[order]
        return sum(
            weight
            * real ** (order - j)
            * synthetic**j
            * scipy_zeta(extra + (order - j) * beta + j * beta_synthetic, last + 1)
            if extra + (order - j) * beta + j * beta_synthetic > 1
            else 0.0
            for j, weight in enumerate(binomials)
        )

    signs = (1, -t, t**2 / 2)
    error += sum(s * a * moment(beta, order) for order, s in enumerate(signs))
    distinct -= sum(s * moment(0.0, order) for order, s in enumerate(signs) if order)
    return error, distinct


@pytest.mark.parametrize(
    ("beta", "k", "beta_synthetic", "pi", "t"),
    [
        (1.5, 50.0, 0.0, 0.0, 200.0),
        (1.5, 50.0, 0.0, 0.01, 3e4),
        (1.05, np.inf, 2.0, 0.3, 2000.0),
        (1.05, 300.0, 1.5, 0.01, 1e4),
        (1.2, 1000.0, 2.4, 0.001, 1e4),
        (2.0, 137.0, 5.0, 0.1, 50.0),
        (3.0, 3.0, 0.0, 0.2, 7.0),
        (1.3, 129.0, 1.5, 0.4, 1e4),
    ],
)
@pytest.mark.parametrize("fixed", [True, False])
def test_sums_over_training_laws_match_brute_force(beta, k, beta_synthetic, pi, t, fixed):
    error, distinct = _brute_force(beta, k, beta_synthetic, pi, t, fixed)
    with jax.enable_x64(True):
        found, seen = occupancy(t, beta, k, beta_synthetic, pi, fixed=fixed)
    np.testing.assert_allclose(found, error, rtol=1e-9)
    np.testing.assert_allclose(seen, distinct, rtol=1e-9)


@pytest.mark.parametrize("k", [0.0, 5.0, 60.0, 400.0])
def test_tails_of_occupancy_sums_match_brute_force(k):
    beta, t, last = 1.45, 700.0, 1_000_000
    i = np.arange(k + 1, last + 1)
    a = 1 / scipy_zeta(beta)
    p = a * i**-beta
    beyond = [a**n * scipy_zeta(n * beta, last + 1) for n in (1, 2, 3)]
    mass = np.sum(p * np.exp(-t * p)) + beyond[0] - t * beyond[1] + t**2 / 2 * beyond[2]
    seen = np.sum(-np.expm1(-t * p)) + t * beyond[0] - t**2 / 2 * beyond[1] + t**3 / 6 * beyond[2]
    with jax.enable_x64(True):
        np.testing.assert_allclose(OCCUPANCY["unseen_mass"](beta, t, k), mass, rtol=1e-10)
        np.testing.assert_allclose(OCCUPANCY["distinct_ranks"](beta, t, k), seen, rtol=1e-10)


def test_training_law_is_a_law_whose_tails_add_up():
    @jax.jit
    def probabilities(*law):
        law = zipf.training_law(*law)
        return law.q(np.arange(1.0, 61.0)), [law.q_beyond(k) for k in (0.0, 25.0, 60.0)]

    with jax.enable_x64(True):
        q, (all_of_it, beyond_25, beyond_60) = jax.device_get(probabilities(1.3, 40.0, 1.8, 0.15))
    np.testing.assert_allclose(all_of_it, 1, rtol=1e-13)
    np.testing.assert_allclose(q.sum() + beyond_60, 1, rtol=1e-13)
    np.testing.assert_allclose(q[:25].sum() + beyond_25, all_of_it, rtol=1e-13)


@pytest.mark.parametrize("name", OCCUPANCY)
def test_derivatives_of_occupancy_sums(name):
    slopes = jax.jit(jax.grad(getattr(zipf, name), argnums=(0, 1)))
    with jax.enable_x64(True):
        for argument, (x, step) in enumerate([(1.45, 1e-5), (700.0, 1e-2)]):
            at = [1.45, 700.0, 30.0]
            slope = slopes(*at)[argument]
            high, low = (
                float(OCCUPANCY[name](*[x + s if j == argument else v for j, v in enumerate(at)]))
                for s in (step, -step)
            )
            np.testing.assert_allclose(slope, (high - low) / (2 * step), rtol=1e-6)
        assert np.isfinite(slopes(1.45, 700.0, np.inf)[0])
        assert np.isfinite(slopes(1.45, 0.0, 3.0)[1])


def test_single_precision_reaches_1e_5():
    with jax.enable_x64(True):
        precise = float(OCCUPANCY["unseen_mass"](1.15, 3e9, 200.0))
    np.testing.assert_allclose(OCCUPANCY["unseen_mass"](1.15, 3e9, 200.0), precise, rtol=1e-5)
