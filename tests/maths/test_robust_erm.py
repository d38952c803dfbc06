"""The robust empirical risk solver, against independent optimisers and its own certificate."""

import functools
import itertools

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

from simulator.maths.robust_erm import robust_erm

CASES = [  # loss, attack, order, penalty, radius (in units of ||w||_1 / d or ||w||_2 / sqrt d)
    ("logistic", "linf", 2.0, 0.05, 0.35),
    ("logistic", "linf", 1.0, 0.05, 0.2),
    ("logistic", "linf", 1.5, 0.02, 0.35),
    pytest.param("logistic", "linf", 3.0, 0.03, 0.5, marks=pytest.mark.slow),
    ("logistic", "l2", 2.0, 0.05, 0.35),
    ("logistic", "l2", 1.0, 0.07, 0.35),
    pytest.param("logistic", "l2", 1.5, 0.04, 0.2, marks=pytest.mark.slow),
    ("logistic", "l2", 3.0, 0.03, 0.35),
    ("hinge", "linf", 2.0, 0.05, 0.3),
    ("hinge", "l2", 2.0, 0.08, 0.35),
]


@functools.partial(jax.jit, static_argnames=("order", "loss", "attack", "tolerance"))
def _fit(rows, radius, penalty, spread, **options):
    return robust_erm(rows, radius, penalty, spread=spread, **options)


def fit_to(rows, radius, penalty, spread=1.0, *, loss="logistic", **options):
    """As NumPy arrays; one program for data of one shape, a loss, an attack and an order."""
    penalty, spread = (
        np.broadcast_to(x, rows.shape[1]).astype(rows.dtype) for x in (penalty, spread)
    )
    radius = np.asarray(radius, rows.dtype)
    return jax.device_get(_fit(rows, radius, penalty, spread, loss=loss, **options))


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def data(n, d, seed=0):
    """Rows y_i x_i / sqrt d of noisy, anisotropic data."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * rng.uniform(0.5, 1.5, d)
    y = np.sign(x @ rng.normal(size=d) + 0.7 * np.sqrt(d) * rng.normal(size=n))
    return y[:, None] * x / np.sqrt(d)


def unit(attack, d):
    return 1 / d if attack == "linf" else d**-0.5


def objective(w, z, radius, penalty, order, loss, attack, spread):
    size = np.abs(w).sum() if attack == "linf" else np.sqrt(np.sum(spread * w**2))
    t = z @ w - radius * size
    value = np.logaddexp(0, -t) if loss == "logistic" else np.maximum(1 - t, 0)
    return value.sum() + np.sum(penalty * np.abs(w) ** order)


@pytest.mark.parametrize(("n", "d"), [(45, 70), pytest.param(90, 35, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("loss", "attack", "order", "strength", "radius"), CASES)
def test_certified_minimum_of_the_objective(loss, attack, order, strength, radius, n, d):
    rng = np.random.default_rng(1)
    penalty = strength * rng.uniform(0.5, 2, d)
    spread = rng.uniform(0.4, 2.5, d) if attack == "l2" else np.ones(d)
    z, e = data(n, d), radius * unit(attack, d)
    fit = fit_to(z, e, penalty, spread, order=order, loss=loss, attack=attack)
    assert fit.relative_gap < 1e-8
    arguments = (z, e, penalty, order, loss, attack, spread)
    w = fit.weights
    np.testing.assert_allclose(objective(w, *arguments), fit.objective, rtol=1e-13)
    # The certificate is honest: no point that other searches find is lower.
    for start in (w + 1e-3 * rng.normal(size=d), z.sum(axis=0)):
        other = minimize(objective, start, arguments, method="L-BFGS-B", options={"maxiter": 60})
        assert other.fun >= fit.objective * (1 - fit.relative_gap - 1e-13)


def test_unattacked_logistic_ridge_equals_newtons_method():
    n, d, penalty = 45, 70, 0.13
    z = data(n, d, seed=3)
    w = np.zeros(d)
    for _ in range(50):
        s = 1 / (1 + np.exp(z @ w))
        hessian = (z.T * (s * (1 - s))) @ z + 2 * penalty * np.eye(d)
        w -= np.linalg.solve(hessian, 2 * penalty * w - z.T @ s)
    for attack in ("linf", "l2"):
        fit = fit_to(z, 0.0, penalty, attack=attack, order=2.0, tolerance=1e-15)
        # What the gap certifies about the weights: P(w) - min P >= penalty ||w - w_min||^2.
        rounding = 8 * np.finfo(float).eps
        excess = (fit.relative_gap + rounding) * fit.objective
        assert fit.relative_gap < 1e-14
        assert penalty * np.sum((fit.weights - w) ** 2) <= excess


def test_sparse_penalties_give_exact_zeros_and_their_optimality_conditions():
    n, d, penalty = 45, 70, 0.05
    z, radius = data(n, d, seed=4), 0.3 / 70
    fit = fit_to(z, radius, penalty, order=1.0, attack="linf", tolerance=1e-13)
    w = fit.weights
    assert 0.05 < np.mean(w == 0) < 0.95
    a = 1 / (1 + np.exp(z @ w - radius * np.abs(w).sum()))
    pull = z.T @ a
    bound = radius * a.sum() + penalty
    np.testing.assert_allclose(pull[w != 0], np.sign(w[w != 0]) * bound, rtol=1e-4)
    assert np.all(np.abs(pull[w == 0]) < bound * (1 + 1e-4))


def test_zero_is_found_exactly_where_it_is_optimal():
    z = data(45, 70, seed=5)
    fit = fit_to(z, 4 * 70**-0.5, 0.1, order=2.0, attack="l2")
    assert np.all(fit.weights == 0)
    np.testing.assert_allclose(fit.objective, 45 * np.log(2), rtol=1e-15)
    assert fit.relative_gap < 1e-8


def test_batches_and_float32():
    z = np.stack([data(45, 70, seed) for seed in range(3)])
    together = jax.jit(jax.vmap(lambda z: robust_erm(z, 0.3 / 70, 0.05)))(z)
    alone = fit_to(z[1], 0.3 / 70, 0.05, order=2.0, attack="linf")
    np.testing.assert_allclose(together.weights[1], alone.weights, rtol=1e-6, atol=1e-9)
    with jax.enable_x64(False):
        single = fit_to(z[1].astype(np.float32), 0.3 / 70, 0.05, order=2.0, attack="linf")
        assert single.weights.dtype == np.float32
    assert single.relative_gap < 1e-5
    np.testing.assert_allclose(single.objective, alone.objective, rtol=1e-5)


def test_the_hinge_under_a_bent_attack_does_not_stall():
    """Rows drawn until the barrier method crept along the boundary with gaps above 1e-10."""
    first = np.arange(12) < 3

    def rows(seed):
        rng = np.random.default_rng(seed)
        teacher = rng.standard_normal(12) * np.where(first, 0.84, 1.14)
        x = rng.standard_normal((30, 12)) * np.sqrt(np.where(first, 1.6, 0.8) / 12)
        return np.sign(x @ teacher + 0.4 * rng.standard_normal(30))[:, None] * x

    penalty, spread = 0.3 * np.where(first, 1.5, 0.7), np.where(first, 1.2, 0.6)
    for seed in (409, 619, 631, 753, 1405, 1715, 1913):
        fit = fit_to(rows(seed), 0.45 / 12**0.5, penalty, spread, loss="hinge", attack="l2")
        assert fit.relative_gap <= 1e-10
        assert fit.steps < 30


@pytest.mark.parametrize("order", [2.0, 3.0])
def test_smooth_problems_of_all_scales_are_certified(order):
    """Hessians of condition 1e10, separable rows, and attacks that leave the minimum close to 0."""
    rng = np.random.default_rng(1)
    settings = list(itertools.product((0.03, 30), (1e-6, 1e-3, 10), (0, 0.35, 4), (0, 0.7)))
    n, d = 30, 60
    rows, radii, penalties, spreads = [], [], [], []
    for scale, penalty, radius, noise in settings:
        x = rng.normal(size=(n, d)) * rng.uniform(0.1, 2, d) ** 2
        y = np.sign(x @ rng.normal(size=d) / np.sqrt(d) + noise * rng.normal(size=n))
        rows.append(scale * y[:, None] * x / np.sqrt(d))
        radii.append(radius * scale * unit("l2", d))
        penalties.append(np.full(d, penalty))
        spreads.append(rng.uniform(0.4, 2.5, d))

    def fit(z, radius, penalty, spread):
        return robust_erm(z, radius, penalty, order=order, attack="l2", spread=spread)

    arguments = (np.array(x) for x in (rows, radii, penalties, spreads))
    fits = jax.jit(jax.vmap(fit))(*arguments)
    assert np.max(fits.relative_gap) < 1e-8
