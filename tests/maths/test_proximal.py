"""Proximal maps against direct minimisation, derivatives against finite differences."""

import jax
import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from simulator.maths import proximal as px

_proximal = jax.jit(px.logistic_proximal)
_power_proximal = jax.jit(px.power_proximal, static_argnums=3)
_traced_power_proximal = jax.jit(px.power_proximal)
_slope_in_the_order = jax.jit(jax.jacfwd(lambda *arguments: px.power_proximal(*arguments)[0], 3))


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("step", [1e-3, 0.7, 13.0, 1e4, 1e7])
def test_logistic_map_solves_its_equation_for_every_step(step):
    shift = 0.4
    omega = np.concatenate([np.linspace(-2 * step, 1.5 * step, 9), [-30.0, -1.0, 0.0, 2.0, 50.0]])
    found = _proximal(omega, step, shift)

    def equation(z, w):
        return z - w - step / (1 + np.exp(np.clip(z - shift, -700, 700)))

    exact = [brentq(equation, w - 1, w + step + 1, args=(w,), xtol=1e-13) for w in omega]
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-11 * max(step, 1))


@pytest.mark.parametrize("omega", [-2.3, 0.6, 1.15, 3.1])
def test_logistic_map_is_the_minimum(omega):
    step, shift = 0.8, 0.35

    def objective(z):
        return (z - omega) ** 2 / (2 * step) + np.logaddexp(0, shift - z)

    best = minimize_scalar(objective, bounds=(omega - 1, omega + 5), method="bounded",
                           options={"xatol": 1e-11})  # fmt: skip
    found = float(_proximal(omega, step, shift))
    assert objective(found) <= best.fun * (1 + 1e-12)


@pytest.mark.parametrize("argument", [0, 1, 2])
def test_logistic_map_is_differentiable(argument):
    point = np.array([0.9, 0.8, 0.35])
    exact = jax.jit(jax.grad(px.logistic_proximal, argument))(*point)
    move = 1e-6 * np.eye(3)[argument]
    low, high = _proximal(*(point - move)), _proximal(*(point + move))
    np.testing.assert_allclose(exact, (high - low) / 2e-6, rtol=1e-7, atol=1e-9)


def test_losses():
    margin = np.array([-2.0, 0.3, 1.0, 4.0])
    np.testing.assert_allclose(px.loss_value("logistic", margin), np.log1p(np.exp(-margin)))
    np.testing.assert_array_equal(px.loss_value("hinge", margin), [3.0, 0.7, 0.0, 0.0])


@pytest.mark.parametrize("order", [1.0, 1.3, 1.5, 2.0, 2.6, 3.0])
def test_power_penalty_is_stationary(order):
    pull, curvature, weight = np.array([0.0, 0.02, 0.4, 2.5, 90.0]), 0.7, 0.31
    w, slope = jax.device_get(_power_proximal(pull, curvature, weight, order))
    gradient = curvature * w + weight * order * w ** (order - 1) - pull
    if order == 1:
        assert np.all((np.abs(gradient) < 1e-12) | ((w == 0) & (gradient >= 0)))
    else:
        assert np.all(np.abs(gradient) <= 1e-12 * (1 + pull))
    step = 1e-6
    moved = [
        np.asarray(_power_proximal(pull + s, curvature, weight, order)[0]) for s in (-step, step)
    ]
    inside = pull > 0.01
    np.testing.assert_allclose(slope[inside], ((moved[1] - moved[0]) / (2 * step))[inside], 1e-6)
    assert w[0] == 0
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("order", [1.5, 2.0, 3.0])
def test_traced_order_equals_the_closed_form_and_is_differentiable(order):
    arguments = np.array([0.02, 0.4, 90.0]), 0.7, 0.31
    closed = _power_proximal(*arguments, order)
    general = _traced_power_proximal(*arguments, order)
    for one, two in zip(closed, general, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)
    exact = _slope_in_the_order(*arguments, order)
    low, high = (
        np.asarray(_traced_power_proximal(*arguments, order + s)[0]) for s in (-1e-6, 1e-6)
    )
    np.testing.assert_allclose(exact, (high - low) / 2e-6, rtol=1e-6)


def test_unknown_loss_is_refused():
    with pytest.raises(ValueError, match=r"logistic, hinge$"):
        px.loss_value("exponential", 0.0)
