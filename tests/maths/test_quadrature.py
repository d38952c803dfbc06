"""Gauss-Legendre rules against closed integrals, and their derivatives in the edges."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import simulator
from simulator.maths.quadrature import integer_table, log_panel_rule, panel_rule, unit_rule


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def test_one_panel_is_exact_for_polynomials():
    x, weight = jax.device_get(unit_rule(5))
    for power in range(10):
        np.testing.assert_allclose(weight @ x**power, 1 / (power + 1), rtol=1e-14)
    assert abs(weight @ x**10 - 1 / 11) > 1e-7  # one degree more is not


def test_composite_rule_is_exact_for_polynomials_and_follows_its_edges():
    edges = np.array([-0.7, -0.2, 1.1, 1.1, 3.0])
    x, weight = jax.device_get(jax.jit(panel_rule, static_argnums=1)(edges, 4))
    for power in range(8):
        exact = (3.0 ** (power + 1) - (-0.7) ** (power + 1)) / (power + 1)
        np.testing.assert_allclose(weight @ x**power, exact, rtol=1e-13)
    assert x.shape == (16,)
    assert np.all(np.diff(x) >= 0)


def test_sums_over_integers_are_exact_for_polynomials():
    every = np.arange(1, 1235.0)
    x, weight = integer_table(1234, 5)
    assert len(x) == 1 + 2 + 4 + 5 * 8
    for power in range(10):
        np.testing.assert_allclose(weight @ x**power, np.sum(every**power), rtol=1e-13)
    assert abs(weight @ x**10 / np.sum(every**10) - 1) > 1e-10  # one degree more is not


@pytest.mark.parametrize("last", [1, 2, 17, 64, 100_001])
def test_sums_over_integers_resolve_power_laws(last):
    x, weight = integer_table(last)
    assert np.all(x >= 1)
    assert np.all(x <= last)
    for power in (-3.4, -1.0, 0.3):
        np.testing.assert_allclose(
            weight @ x**power, np.sum(np.arange(1.0, last + 1) ** power), rtol=1e-13
        )


def test_panels_in_the_logarithm_resolve_power_laws():
    edges = np.log(np.array([0.3, 7.0, 1e4, 2e9]))
    x, weight = jax.device_get(jax.jit(log_panel_rule, static_argnums=1)(edges, 24))
    for power in (-2.3, -1.0, -0.4):
        exact = np.log(2e9 / 0.3)
        if power != -1:
            exact = (2e9 ** (power + 1) - 0.3 ** (power + 1)) / (power + 1)
        np.testing.assert_allclose(weight @ x**power, exact, rtol=1e-11)


@pytest.mark.parametrize("rule", [panel_rule, log_panel_rule])
def test_the_derivative_in_the_last_edge_is_the_integrand_there(rule):
    def integral(end):
        edges = jnp.stack([0.2 + 0 * end, 0.7 + 0 * end, end])
        x, weight = rule(edges, 16)
        return weight @ jnp.cos(x)

    end = 1.3
    slope = np.cos(end) if rule is panel_rule else np.cos(np.exp(end)) * np.exp(end)
    np.testing.assert_allclose(jax.jit(jax.grad(integral))(end), slope, rtol=1e-12)


def test_the_nodes_are_computed_in_one_place():
    package = Path(simulator.__file__).parent
    users = [path.name for path in package.rglob("*.py") if "leggauss" in path.read_text()]
    assert users == ["quadrature.py"]


def test_precision_is_that_of_the_scope():
    with jax.enable_x64(False):
        assert {array.dtype for array in unit_rule(3)} == {np.dtype("float32")}
