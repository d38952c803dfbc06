"""Properties of implicit-bias and its parts, off the battery's beaten track."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import simulator
from simulator.maths.margins import max_margin, robust_margin
from simulator.studies.robustness.implicit_bias import sparse_inputs, trajectory
from simulator.studies.robustness.implicit_bias._model import (
    draw_teacher,
    gaussian_errors,
    signed_gaussian_inputs,
)
from simulator.studies.robustness.implicit_bias.main import Params, realised
from tests.cases import implicit_bias as cases

SCALARS = ("sample_ratio", "attack_radius_fraction", "teacher_density")


@pytest.fixture(scope="module")
def theory():
    """The theory on arrays of (alpha, f, k), compiled once per kind of teacher and length 16."""

    def of(sample_ratio, fraction, density, teacher="signs"):
        point = np.broadcast_arrays(sample_ratio, fraction, density)
        padded = [np.resize(np.ravel(np.asarray(x, float)), 16) for x in point]
        out = simulator.predict(
            "implicit-bias", teacher=teacher, **dict(zip(SCALARS, padded, strict=True))
        )
        return {name: value[: point[0].size] for name, value in out.items()}

    return of


@pytest.mark.slow
def test_l1_geometry_does_not_see_the_attack(theory):
    out = theory(0.7, np.linspace(0, 0.9, 7), 0.2)
    for name in ("generalization_error", "cosine", "norm_ratio"):
        np.testing.assert_allclose(out[name][:, 0], out[name][0, 0], rtol=1e-10)
    assert np.ptp(out["cosine"][:, 1]) > 0.01


@pytest.mark.slow
def test_price_vanishes_at_the_largest_radius(theory):
    out = theory(0.7, [0.0, 0.5, 0.9, 0.99, 0.999], 0.2)
    prices = out["price"]
    assert prices[1] > prices[2] > prices[3] > prices[4] > 0
    assert prices[4] < 3e-4
    np.testing.assert_allclose(out["cosine"][4, 0], out["cosine"][4, 1], atol=1e-3)


def test_no_attack(theory):
    out = theory([0.3, 0.5, 2.0], 0.0, 1.0, "gaussian")
    np.testing.assert_allclose(out["adversarial_error"], out["generalization_error"], rtol=1e-12)
    np.testing.assert_allclose(out["norm_ratio"][:, 1], math.sqrt(2 / math.pi), rtol=1e-9)


@pytest.mark.slow
def test_hard_margin_svm_does_not_see_the_teachers_law(theory):
    dense = theory(0.5, 0.0, [0.1, 0.4, 1.0], "gaussian")
    signs = theory(0.5, 0.0, [0.1, 0.4, 1.0], "signs")
    for out in (dense, signs):
        np.testing.assert_allclose(out["generalization_error"][:, 1], 0.32884975, atol=6e-9)


def test_monotone_in_data_and_attack(theory):
    out = theory(np.geomspace(0.1, 8, 9), 0.3, 0.3)
    assert np.all(np.diff(out["attack_radius_max"]) < 0)
    assert np.all(np.diff(out["adversarial_error"], axis=0) < 0)
    out = theory(0.8, np.linspace(0, 0.95, 9), 0.3)
    assert np.all(np.diff(out["adversarial_error"], axis=0) > 0)
    assert np.all(out["generalization_error"] <= out["adversarial_error"] + 1e-12)
    # gamma_2(e): decreasing, convex, above both of its linear lower bounds.
    margin, radius = out["robust_margin_l2"], out["attack_radius"]
    assert np.all(np.diff(margin) < 0)
    assert np.all(np.diff(margin, 2) > 0)
    assert np.all(margin >= margin[0] - radius - 1e-12)
    assert np.all(margin >= (out["attack_radius_max"] - radius) * out["norm_ratio"][:, 0] - 1e-10)


def test_dense_teachers_pay_only_when_data_are_scarce(theory):
    price = theory([0.25, 0.5, 1.0], 0.25, 1.0, "gaussian")["price"]
    np.testing.assert_allclose(price, [0.0745, 0.0179, -0.0054], atol=6e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("order", "geometry"), [(1.0, 0), (2.0, 1)])
def test_weakly_penalised_adversarial_training_finds_the_same_direction(order, geometry):
    """Separable data and the hinge loss: without any slack the penalty's strength is irrelevant."""
    margin = simulator.predict("implicit-bias", sample_ratio=0.5, attack_radius_fraction=0.4)
    radius = float(margin["attack_radius"])
    trained = simulator.predict(
        "adversarial-training", loss="hinge", penalty_order=order, regularization=1e-3,
        sample_ratio=0.5, attack_radius_train=radius, attack_radius_test=radius,
    )  # fmt: skip
    size = np.sqrt(trained["q"])
    assert trained["m"] / size == pytest.approx(margin["cosine"][geometry], rel=1e-8)
    assert trained["P"] / size == pytest.approx(margin["norm_ratio"][geometry], rel=1e-8)
    error = margin["adversarial_error"][geometry]
    assert trained["adversarial_error"] == pytest.approx(error, rel=1e-8)
    if geometry:
        assert 1 / size == pytest.approx(margin["robust_margin_l2"], rel=1e-8)


def test_errors_are_those_of_fresh_data():
    """Clean and attacked errors of any direction, against a test set."""
    rng = np.random.default_rng(1)
    teacher, weights = rng.normal(size=12) ** 3, rng.normal(size=12) + 0.3
    inputs = rng.normal(size=(400_000, 12))
    margins = np.sign(inputs @ teacher) * (inputs @ weights) / np.abs(weights).sum()
    errors = jax.jit(gaussian_errors)
    with jax.enable_x64(True):
        for radius in (0.0, 0.07, 0.3):
            error = float(errors(weights, teacher, radius))
            spread = math.sqrt(error * (1 - error) / len(inputs))
            assert abs(np.mean(margins <= radius) - error) < 5 * spread


@pytest.mark.parametrize("teacher", ["gaussian", "signs"])
def test_teacher_has_the_declared_number_of_entries_and_norm(teacher):
    params = Params(dim=400, teacher_density=0.13, teacher=teacher)
    draw = jax.jit(lambda key: jax.vmap(lambda k: draw_teacher(k, params))(
        jax.random.split(key, 50)))  # fmt: skip
    entries = np.asarray(draw(jax.random.key(3)))
    assert np.all((entries != 0).sum(1) == 52)
    squares = (entries**2).mean(1)
    if teacher == "signs":
        np.testing.assert_allclose(squares, 1, rtol=1e-5)
    else:
        assert abs(squares.mean() - 1) < 5 * math.sqrt(2 / (50 * 52))


@pytest.mark.parametrize(("density", "count"), [(0.3, 5), (0.2, 3), (0.01, 1)])
def test_the_number_of_entries_is_rounded_as_the_theory_takes_it(density, count):
    params = Params(dim=16, teacher_density=density)
    assert np.count_nonzero(draw_teacher(jax.random.key(3), params)) == count
    assert realised(params).teacher_density == count / 16


@pytest.mark.slow
def test_finite_size_values_of_a_dense_teacher():
    """d = 64 against the limit: 5 standard errors plus the O(1/d) bias seen there (below 3 %)."""
    found = simulator.simulate(
        "implicit-bias", replicates=200, seed=4, dim=64, sample_ratio=0.75,
        attack_radius_fraction=0.4,
    )  # fmt: skip
    expected = simulator.predict("implicit-bias", sample_ratio=0.75, attack_radius_fraction=0.4)
    for name in ("adversarial_error", "generalization_error", "cosine", "norm_ratio",
                 "robust_margin_l2", "attack_radius"):  # fmt: skip
        gap = np.abs(found.mean[name] - expected[name])
        assert np.all(gap < 5 * found.standard_error[name] + 0.03 * expected[name]), name


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [c for c in cases.TESTS.cases if c.monte_carlo], ids=lambda case: case.label
)
def test_monte_carlo_of_the_reference(case, seed):
    found = simulator.simulate("implicit-bias", replicates=40, seed=seed, **case.params)
    for name, (mean, error) in case.monte_carlo.items():
        spread = 5 * np.hypot(error, found.standard_error[name])
        assert np.all(np.abs(found.mean[name] - mean) < spread), name


# -- trajectory ------------------------------------------------------------------------------
def test_subgradient_is_the_one_of_least_norm():
    rows = np.random.default_rng(5).normal(size=(9, 6)).astype(np.float32)
    w = np.array([0.4, 0.0, -0.2, 0.0, 0.0, 1.1], np.float32)
    radius = 0.15

    @jax.jit
    def subgradients(w):
        def loss(w, radius):
            return jax.nn.logsumexp(radius * jnp.abs(w).sum() - rows @ w)

        smooth, robust = jax.grad(loss)(w, 0.0), jax.grad(loss)(w, radius)
        return trajectory.robust_subgradient(rows, w, radius), robust, smooth

    found, robust, smooth = map(np.asarray, subgradients(w))
    nonzero = w != 0
    np.testing.assert_allclose(found[nonzero], robust[nonzero], rtol=1e-5)
    # At w_j = 0 the subdifferential is smooth_j + [-e, e]: the least of it in size.
    interval = smooth[~nonzero, None] + radius * np.linspace(-1, 1, 2001)
    least = interval[np.arange(len(interval)), np.abs(interval).argmin(1)]
    np.testing.assert_allclose(found[~nonzero], least, atol=2e-4)


@pytest.mark.parametrize(
    ("optimizer", "reached"),
    [
        ("diagonal_network", 0.6),
        pytest.param("gradient_descent", 0.75, marks=pytest.mark.slow),
        pytest.param("sign_descent", 0.9, marks=pytest.mark.slow),
    ],
)
def test_optimisers_approach_their_own_margin(optimizer, reached):
    found = simulator.simulate(
        "implicit-bias.trajectory", replicates=2, seed=6, optimizer=optimizer, dim=40,
        num_steps=4000, attack_radius_fraction=0.3, keep_values=True,
    )  # fmt: skip
    fractions = found.values["robust_margin_fraction"]
    assert fractions.shape == (2, 80)
    assert np.all(fractions < 1 + 1e-9)
    assert np.all(fractions[:, -1] > reached)
    assert np.all(found.mean["log_robust_loss"][20:] < found.mean["log_robust_loss"][10])


def test_a_network_at_zero_is_refused():
    with pytest.raises(ValueError, match="init_scale = 0"):
        simulator.simulate(
            "implicit-bias.trajectory", replicates=1, optimizer="diagonal_network", init_scale=0.0
        )


def test_no_training_point_is_refused():
    with pytest.raises(ValueError, match=r"sample_ratio = 0\.001"):
        simulator.simulate("implicit-bias", replicates=1, dim=20, sample_ratio=0.001)


# -- sparse inputs ---------------------------------------------------------------------------
def test_sparse_inputs_follow_their_law():
    @jax.jit
    def draw(shift):
        params = sparse_inputs.Params(dim=30, teacher="signs", input_sparsity=3.0,
                                      teacher_density=0.4, distribution_margin=shift)  # fmt: skip
        teacher = draw_teacher(jax.random.key(1), params)
        return teacher, sparse_inputs._signed_inputs(jax.random.key(2), params, teacher, 8_000)

    with jax.enable_x64(True):
        teacher, rows = map(np.asarray, draw(0.0))
        _, shifted = map(np.asarray, draw(0.2))
    assert set(np.unique(rows)) <= {-1, 0, 1}
    assert np.all(rows @ teacher > 1e-9)  # labelled, never tied
    # Coordinates without a teacher entry are unconditioned by the label.
    free = rows[:, teacher == 0]
    assert abs(free.mean()) < 5 * math.sqrt(0.1 / free.size)
    # A point is redrawn unless w*.x is not 0, which is independent of the free coordinates.
    assert abs((free != 0).mean() - 0.1) < 5 * math.sqrt(0.09 / free.size)
    gap = 0.2 * np.abs(teacher).sum()
    np.testing.assert_allclose(shifted @ teacher, rows @ teacher + gap, rtol=1e-12)
    np.testing.assert_allclose(
        shifted - rows, np.tile(gap * teacher / (teacher @ teacher), (8_000, 1)), atol=1e-12
    )


def test_vertex_solutions_have_the_largest_margin_and_few_entries():
    params = sparse_inputs.Params(dim=60)

    @jax.jit
    def margins():
        teacher = draw_teacher(jax.random.key(3), params)
        rows = sparse_inputs._signed_inputs(jax.random.key(4), params, teacher, 30)
        vertex = sparse_inputs._vertex(jax.random.key(5), rows)
        return max_margin(rows, 1).margin, robust_margin(rows, vertex, 0.0, 1), vertex

    with jax.enable_x64(True):
        best, margin, vertex = margins()
    assert float(margin) == pytest.approx(float(best), rel=2e-5)
    assert np.count_nonzero(vertex) <= 30


def test_ties_are_errors():
    rows = np.array([[1, 0, 0], [0, 1, 0], [0, 0, -1]], np.float32)
    test_error = jax.jit(sparse_inputs._test_error)
    error = test_error(rows, np.array([2, 0, 1], np.float32), 0.0)
    assert error == pytest.approx(2 / 3)
    error = test_error(rows, np.array([2, 0, -1], np.float32), 1 / 3)
    assert error == pytest.approx(2 / 3)


def test_signed_inputs_carry_the_teachers_labels():
    params = Params(dim=25, sample_ratio=2.0)

    @jax.jit
    def draw():
        teacher = draw_teacher(jax.random.key(7), params)
        rows = signed_gaussian_inputs(jax.random.key(8), params, teacher)
        return rows, rows @ teacher

    rows, scores = draw()
    assert rows.shape == (50, 25)
    assert np.all(np.asarray(scores) >= 0)
