"""Channels and weight laws against brute-force averages; a new paper's channel of ten lines."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from simulator.maths.proximal import logistic_proximal
from simulator.maths.replica.channels import hard_margin, hinge, logistic
from simulator.maths.replica.order_parameters import (
    Averages,
    Fit,
    Hats,
    Order,
    conjugates,
    l2_damage,
    linf_damage,
    solve,
    solve_path,
)
from simulator.maths.replica.weights import bounded_weights, power_weights, soft_weights
from simulator.maths.resolvent import no_fit, ridge_fit


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


# -- channels ----------------------------------------------------------------------------------
PROXIMAL = jax.jit(logistic_proximal)


def of_hard_margin(omega, v, shift):
    g = np.maximum(1 + shift - omega, 0) / v
    return g, np.where(g > 0, -1 / v, 0), 0 * g


def of_hinge(omega, v, shift):
    g = np.clip((1 + shift - omega) / v, 0, 1)
    value = np.maximum(1 + shift - omega - v * g, 0)
    return g, np.where((g > 0) & (g < 1), -1 / v, 0), value


def of_logistic(omega, v, shift):
    g = special.expit(shift - np.asarray(PROXIMAL(omega, v, shift)))
    return g, -g * (1 - g) / (1 + v * g * (1 - g)), np.logaddexp(0, shift - omega - v * g)


@pytest.mark.parametrize(
    ("channel", "by_hand"),
    [(hard_margin, of_hard_margin), (hinge, of_hinge), (logistic, of_logistic)],
)
@pytest.mark.parametrize(
    "point", [(0.5, 1.2, 0.7, 0.3), (3.3, 16.0, 30.0, 0.9), (0.02, 0.1, 4.0, 0.1)]
)
def test_channel_averages_equal_brute_force_quadrature(channel, by_hand, point):
    m, q, v, shift = point
    rho = 1.3
    found = jax.jit(channel)(Order(m, q, v, q), shift, rho)
    v0 = rho - m**2 / q
    shape = m / np.sqrt(q * v0)
    corners = (np.array([1 + shift, 1 + shift - v]) / np.sqrt(q)).clip(-11.9, 11.9)
    edges = np.sort(np.concatenate([np.linspace(-12, 12, 1500), corners]))
    nodes, weights = np.polynomial.legendre.leggauss(8)
    width = np.diff(edges)[:, None]
    xi = (edges[:-1, None] + width * (nodes + 1) / 2).ravel()
    weight = (width * weights / 2).ravel()
    g, slope, value = by_hand(np.sqrt(q) * xi, v, shift)
    law = 2 * stats.norm.pdf(xi) * special.ndtr(shape * xi) * weight
    drift = 2 * stats.norm.pdf(xi) * stats.norm.pdf(shape * xi) * weight
    expected = (
        np.sum(drift * g) / np.sqrt(v0),
        np.sum(law * g**2),
        -np.sum(law * slope),
        np.sum(law * g),
        np.sum(law * value),
    )
    np.testing.assert_allclose(found, expected, rtol=2e-10, atol=1e-16)


@pytest.mark.parametrize("damage", [linf_damage, l2_damage])
def test_conjugates_are_the_averages_at_the_attacked_margin(damage):
    """``alpha`` times them; the pull of the attack is the derivative of the loss in ``P``."""
    x, alpha, eps, rho = Order(0.5, 1.2, 0.7, 0.9), 1.7, 0.3, 1.4
    fit = Fit(logistic, alpha, eps, rho, damage)
    size, slope = (0.9, 1) if damage is linf_damage else (0.9**0.5, 0.5 / 0.9**0.5)
    found, average = jax.jit(lambda: (conjugates(fit, x), logistic(x, eps * size, rho)))()
    expected = [average.teacher, average.square, average.stiffness, eps * average.mean * slope]
    np.testing.assert_allclose(found, alpha * np.array(expected), rtol=1e-13)


# -- weight laws -------------------------------------------------------------------------------
@pytest.mark.parametrize("order", [1.0, 2.0])
def test_power_weights_equal_their_closed_form(order):
    hats, lam, rho = Hats(0.3, 0.21, 0.4, 0.17), 0.08, 1.4
    found = jax.jit(power_weights, static_argnums=(1, 2))(hats, "linf", order, lam, rho)
    s = np.sqrt(hats.q + rho * hats.m**2)
    threshold = hats.P + lam * (order == 1)
    d = hats.V + 2 * lam * (order == 2)
    u = threshold / s
    e, g = special.erfc(u / np.sqrt(2)), np.sqrt(2 / np.pi) * np.exp(-(u**2) / 2)
    response = e / d
    expected = (
        rho * hats.m * response,
        (s / d) ** 2 * ((1 + u**2) * e - u * g),
        response,
        s / d * (g - u * e),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def average(function, corners, centre, scale):
    """``E function(b)`` for ``b ~ N(centre, scale^2)``, piecewise smooth between ``corners``."""
    edges = np.sort([centre - 12 * scale, *corners, centre + 12 * scale])
    pieces = [
        integrate.quad(
            lambda b: function(b) * stats.norm.pdf(b, centre, scale), low, high, epsabs=1e-14
        )[0]
        for low, high in itertools.pairwise(edges)
    ]
    return sum(pieces)


@pytest.mark.parametrize("norm", [1, 2])
@pytest.mark.parametrize("teacher", ["gaussian", "signs"])
def test_soft_weights_equal_brute_force_averages(teacher, norm):
    hats, k = Hats(0.8, 0.3, 0.6, 0.17), 0.3
    found = jax.jit(soft_weights, static_argnums=2)(hats, norm, teacher, k)
    stiffness, threshold = (0.6, 1.17) if norm == 1 else (1.6, 0.17)

    def w(b):
        return np.sign(b) * max(abs(b) - threshold, 0) / stiffness

    # Per share of the teacher's entries: law of the field b, and E[w* | b].
    parts = [(1 - k, 0.0, hats.q, lambda b: 0.0)]
    if teacher == "gaussian":
        variance = hats.q + hats.m**2 / k
        parts.append((k, 0.0, variance, lambda b: hats.m / k * b / variance))
    else:
        for side in (k**-0.5, -(k**-0.5)):
            parts.append((k / 2, hats.m * side, hats.q, lambda b, side=side: side))
    expected = np.zeros(4)
    for share, centre, variance, teacher_of in parts:
        for i, f in enumerate((
            lambda b, of=teacher_of: w(b) * of(b),
            lambda b: w(b) ** 2,
            lambda b: (abs(b) > threshold) / stiffness,
            lambda b: abs(w(b)),
        )):  # fmt: skip
            found_here = average(f, (-threshold, threshold), centre, variance**0.5)
            expected[i] += share * found_here
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_bounded_weights_equal_brute_force_averages():
    hats, V = Hats(0.8, 1.3, 0.6, 0.0), 1.2
    found, bound = jax.jit(bounded_weights)(hats, V)
    s = (hats.q + hats.m**2) ** 0.5
    corners = (-bound * hats.V, bound * hats.V)

    def mean(function):
        return average(lambda b: function(np.clip(b / hats.V, -bound, bound), b), corners, 0, s)

    assert stats.norm.cdf(corners[1] / s) - stats.norm.cdf(corners[0] / s) == pytest.approx(
        hats.V * V, rel=1e-12
    )  # the share of free weights is V_hat V
    np.testing.assert_allclose(found.m, mean(lambda w, b: w * hats.m * b / s**2), rtol=1e-9)
    np.testing.assert_allclose(found.q, mean(lambda w, b: w**2), rtol=1e-9)
    np.testing.assert_allclose(found.P, mean(lambda w, b: abs(w)), rtol=1e-9)
    # V is right where a unit of bound costs what it gains, E (|b| - V_hat bound)_+ = 1.
    gain = mean(lambda w, b: max(abs(b) - corners[1], 0))
    np.testing.assert_allclose(found.V / V, gain, rtol=1e-9)


# -- a paper of ten lines ------------------------------------------------------------------------
def square(order, shift, label_variance):
    """Channel of the loss ``(1 - t)^2 / 2``: ``g = (K - omega) / (1 + V)``, ``K = 1 + c``."""
    m, q, V, _ = order
    K, slope = 1 + shift, math.sqrt(2 / math.pi) / jnp.sqrt(label_variance)
    second = (K**2 - 2 * K * m * slope + q) / (1 + V) ** 2
    return Averages(
        teacher=K * slope / (1 + V),
        square=second,
        stiffness=1 / (1 + V),
        mean=(K - m * slope) / (1 + V),
        loss=second / 2,
    )


def ridge_classifier(sample_ratio, lam=0.35, rho=1.4, tau=0.6):
    fit = Fit(square, sample_ratio, 0.0, rho + tau**2)
    return fit, lambda hats, _: power_weights(hats, "linf", 2, lam, rho)


@pytest.mark.parametrize("sample_ratio", [0.4, 2.3])
def test_a_new_channel_gives_ridge_regression_on_labels(sample_ratio):
    """Against the deterministic equivalents of random-matrix theory.

    Labels are ``c s*`` plus noise uncorrelated with the inputs, ``c^2 = (2/pi) / (rho + tau^2)``.
    """
    lam, rho, tau = 0.35, 1.4, 0.6
    x, residual = jax.jit(lambda: solve(*ridge_classifier(sample_ratio)))()
    assert residual < 1e-12

    dim, one = 1e6, jnp.ones(1)
    fit = ridge_fit(one, sample_ratio * dim, 2 * lam / sample_ratio, weights=dim * one)
    explained = 2 / math.pi * rho / (rho + tau**2)
    kept = fit.propagate(no_fit(one)).second_moment()[0]
    np.testing.assert_allclose(
        x.m, math.sqrt(explained * rho) * fit.survival[0], rtol=1e-12
    )  # fmt: skip
    np.testing.assert_allclose(
        x.q, explained * kept + (1 - explained) * fit.noise(no_fit(one)), rtol=1e-9
    )


def test_a_path_ends_where_its_last_point_lies_and_has_its_derivative():
    def along(end):
        return solve_path(*ridge_classifier(jnp.stack([0 * end + 0.9, end]))).end().order

    def alone(end):
        return solve(*ridge_classifier(end)).order

    both = jax.jit(lambda x: [jax.jvp(f, (x,), (1.0,)) for f in (along, alone)])
    (value, slope), (expected, expected_slope) = both(1.7)
    assert np.all(np.isfinite([*value, *slope]))
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-10)
