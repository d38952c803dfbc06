"""Exact maximum margins: against linear programming, by duality, by invariance."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from simulator.maths.margins import max_margin as max_margin_function
from simulator.maths.margins import robust_margin
from simulator.maths.norms import ORDERS

GEOMETRIES = tuple(ORDERS.values())
_solve = jax.jit(max_margin_function, static_argnums=1)
_robust_margin = jax.jit(robust_margin, static_argnums=3)


def max_margin(rows, order, radius=0.0):
    """As NumPy arrays; compiled once per shape and order."""
    return jax.device_get(_solve(rows, order, np.asarray(radius, rows.dtype)))


pytestmark = pytest.mark.usefixtures("float64")


def _rows(seed, num_samples=23, dim=31, scale=1.3):
    """Rows ``y_i x_i`` of anisotropic inputs labelled by a teacher."""
    rng = np.random.default_rng(seed)
    inputs = scale * rng.normal(size=(num_samples, dim)) * np.linspace(0.5, 2, dim)
    return inputs * np.sign(inputs @ rng.normal(size=dim))[:, None]


def _five_points(rows):
    """Repeated rows and features that are always zero change nothing: one shape for all."""
    rows = np.asarray(rows)
    return np.pad(rows[np.arange(5) % len(rows)], ((0, 0), (0, 4 - rows.shape[1])))


def _linear_program(rows, order, radius):
    """The same margin by SciPy's simplex (HiGHS), p = 1 or inf."""
    n, d = rows.shape
    split = np.hstack([rows - radius, -rows - radius])
    cost = np.r_[np.zeros(2 * d), -1]
    constraint = np.hstack([-split, np.ones((n, 1))])
    equality = (np.r_[np.ones(2 * d), 0][None], [1]) if order == 1 else (None, None)
    high = None if order == 1 else 1
    bounds = [(0, high)] * (2 * d) + [(None, None)]
    found = linprog(cost, constraint, np.zeros(n), *equality, bounds=bounds)
    return -found.fun


@pytest.mark.parametrize("order", [1, math.inf])
@pytest.mark.parametrize(
    ("num_samples", "dim"), [(23, 31), (60, 25), pytest.param(4, 9, marks=pytest.mark.slow)]
)
def test_against_linear_programming(order, num_samples, dim):
    rows = _rows(1, num_samples, dim)
    radius = 0.4 * float(max_margin(rows, 1).margin)
    found = max_margin(rows, order, radius)
    assert found.margin == pytest.approx(_linear_program(rows, order, radius), rel=1e-9)


@pytest.mark.parametrize("fraction", [0, 0.3, 0.9])
@pytest.mark.parametrize("order", GEOMETRIES)
def test_duality_gap_vanishes(order, fraction):
    for seed in range(3):
        rows = _rows(seed)
        radius = fraction * max_margin(rows, 1).margin
        found = max_margin(rows, order, radius)
        assert abs(found.relative_gap) < 2e-9
        # The certificate is worth what the direction attains.
        attained = _robust_margin(rows, found.direction, radius, order)
        assert attained == pytest.approx(float(found.margin), rel=1e-9)


def test_random_directions_are_below_and_random_weights_above():
    rows = _rows(5)
    radius = 0.3 * max_margin(rows, 1).margin
    rng = np.random.default_rng(6)
    for order in GEOMETRIES:
        best = max_margin(rows, order, radius).margin
        for w in np.vstack([rng.normal(size=(50, 31)), rows]):
            assert _robust_margin(rows, w, radius, order) < best
        dual = 1 / (1 - 1 / order) if order > 1 else math.inf
        for pi in rng.dirichlet(np.ones(23), size=50):
            b = rows.T @ pi
            soft = np.sign(b) * np.maximum(np.abs(b) - float(radius), 0)
            assert np.linalg.norm(soft, dual) > best


def test_l1_margin_under_attack_is_the_difference_exactly():
    rows = _rows(2)
    plain = max_margin(rows, 1)
    attacked = max_margin(rows, 1, 0.6 * plain.margin)
    assert attacked.margin == pytest.approx(0.4 * float(plain.margin), rel=1e-12)
    np.testing.assert_array_equal(attacked.direction, plain.direction)
    assert np.sum(plain.direction != 0) <= len(rows)


def test_complementary_slackness():
    rows = _rows(3)
    radius = 0.3 * max_margin(rows, 1).margin
    found = max_margin(rows, 2, radius)
    margins = rows @ found.direction - radius * np.abs(found.direction).sum()
    assert np.max(found.weights * (margins - found.margin)) < 1e-9
    assert np.sum(found.weights > 1e-6) < len(rows)


def test_order_of_the_margins():
    for seed in range(4):
        rows = _rows(seed, 23, 31)
        one, two, infinite = (float(max_margin(rows, order).margin) for order in GEOMETRIES)
        assert one <= two <= infinite
        assert infinite <= 31 * one
        assert two <= math.sqrt(31) * one


def test_robust_l2_margin_is_convex_and_bounded():
    rows = _rows(4)
    l1 = max_margin(rows, 1)
    size = np.abs(l1.direction).sum() / np.linalg.norm(l1.direction)
    radii = np.linspace(0, 0.95, 12) * float(l1.margin)
    margins = np.array([max_margin(rows, 2, e).margin for e in radii])
    assert np.all(np.diff(margins) < 0)
    assert np.all(np.diff(margins, 2) > -1e-12)
    assert np.all(margins >= margins[0] - radii * math.sqrt(rows.shape[1]) - 1e-12)
    assert np.all(margins >= (float(l1.margin) - radii) * size - 1e-12)


def test_l2_direction_moves_to_the_l1_direction():
    rows = _rows(7)
    l1 = max_margin(rows, 1)
    unit = l1.direction / np.linalg.norm(l1.direction)
    cosines = [float(unit @ max_margin(rows, 2, f * l1.margin).direction) for f in
               (0, 0.5, 0.9, 0.99, 0.999)]  # fmt: skip
    assert np.all(np.diff(cosines) > -1e-12)
    assert cosines[0] < 0.95
    assert cosines[-1] > 0.999


def test_invariances():
    rows = _rows(8)
    rng = np.random.default_rng(9)
    rotation = np.linalg.qr(rng.normal(size=(31, 31)))[0]
    assert max_margin(rows @ rotation, 2).margin == pytest.approx(
        float(max_margin(rows, 2).margin), rel=1e-9
    )
    permuted = rows[:, rng.permutation(31)] * rng.choice([-1, 1], 31)
    # However often a point is there: the same 21 points, and two of them twice.
    some, others = (np.vstack([rows[:21], rows[i : i + 2]]) for i in (3, 7))
    for order in GEOMETRIES:
        best = float(max_margin(rows, order).margin)
        assert max_margin(permuted, order).margin == pytest.approx(best, rel=1e-9)
        assert max_margin(some, order).margin == pytest.approx(
            float(max_margin(others, order).margin), rel=1e-9
        )
        assert max_margin(2.5 * rows, order).margin == pytest.approx(2.5 * best, rel=1e-9)
    # A rotation does change the other two: they are not invariant by accident.
    assert abs(max_margin(rows @ rotation, 1).margin / max_margin(rows, 1).margin - 1) > 1e-3


def test_exact_margins_of_small_data_sets():
    a = _five_points([[2.0, 1, 0], [1, 3, 1], [1, 0, 2]])
    b = np.array([[3.0, 1, 0, 1], [1, 2, 1, 0], [2, -1, 1, -1], [0, -1, 2, 3], [-1, 4, 0, -2]])
    for rows, expected in ((a, (11 / 9, math.sqrt(3.5), 3)), (b, (47 / 62, 1.22555569, 1.9))):
        for order, margin in zip(GEOMETRIES, expected, strict=True):
            assert max_margin(rows, order).margin == pytest.approx(margin, rel=5e-9)


@pytest.mark.parametrize("repeated", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("order", GEOMETRIES)
def test_single_point(order, repeated):
    row = np.array([[2.0, -1.0, 0.5]])
    if repeated:
        row = _five_points(row)
    dual = {1: 2.0, 2: math.sqrt(5.25), math.inf: 3.5}[order]
    assert max_margin(row, order).margin == pytest.approx(dual, rel=1e-12)


@pytest.mark.parametrize("order", GEOMETRIES)
def test_inseparable_data_have_no_positive_margin(order):
    rows = _five_points([[1.0, 2.0], [-1.0, -2.0], [0.5, -1.0]])
    found = max_margin(rows, order)
    assert abs(found.margin) < 1e-6
    assert np.isfinite(found.direction).all()
    # Separable, but not under this attack.
    rows = _rows(2)
    assert max_margin(rows, order, 1.2 * max_margin(rows, 1).margin).margin < 1e-6


@pytest.mark.parametrize("order", GEOMETRIES)
def test_derivatives_of_the_margin(order):
    rows, moved = _rows(3), _rows(13)
    radius = 0.3 * max_margin(rows, 1).margin

    @jax.jit
    @jax.value_and_grad
    def margin(step):
        return max_margin_function(rows + step * moved, order, radius * (1 + step)).margin

    difference = (margin(1e-6)[0] - margin(-1e-6)[0]) / 2e-6
    assert margin(0.0)[1] == pytest.approx(float(difference), rel=1e-5)


@pytest.mark.parametrize("order", GEOMETRIES)
def test_float32_is_certified_and_lanes_do_not_interact(order):
    rows = np.stack([_rows(seed) for seed in range(5)])
    precise = [max_margin(r, order).margin for r in rows]
    with jax.enable_x64(False):
        batch = jax.jit(jax.vmap(lambda r: max_margin_function(r, order)))
        found = jax.device_get(batch(rows.astype(np.float32)))
    assert found.margin.dtype == np.float32
    np.testing.assert_allclose(found.margin, precise, rtol=1e-3)
    assert np.all(found.residual < 1e-6)
    assert np.all(found.relative_gap < 5e-3)


def test_other_orders_are_refused():
    with pytest.raises(ValueError, match=r"p = 3"):
        max_margin(_rows(1), 3)


@pytest.mark.parametrize("order", GEOMETRIES)
def test_lowers_for_accelerators(order):
    with jax.enable_x64(False):
        rows = jax.ShapeDtypeStruct((12, 20), jnp.float32)
        program = jax.jit(lambda r, e: max_margin_function(r, order, e))
        exported = jax.export.export(program, platforms=("tpu", "cuda", "cpu"))(
            rows, jax.ShapeDtypeStruct((), jnp.float32)
        )
    assert "f64" not in exported.mlir_module()
