"""Properties of steepest-descent-margin and its parts, off the battery's beaten track."""

import math

import jax
import numpy as np
import pytest
from scipy import integrate, optimize, stats

import simulator
from simulator.studies.robustness.steepest_descent_margin import main as gaussian_inputs
from simulator.studies.robustness.steepest_descent_margin import two_layer
from simulator.studies.robustness.steepest_descent_margin._model import DATASET_B, relu_network
from simulator.studies.robustness.steepest_descent_margin.main import Params
from tests.cases import load
from tests.references import steepest_descent_margin as reference

STUDY = "steepest-descent-margin"
B = {"inputs": np.array(DATASET_B[0]), "labels": np.array(DATASET_B[1])}


def _values(name, **params):
    """One run's outputs as arrays."""
    found = simulator.simulate(f"{STUDY}.{name}", replicates=1, seed=3, **params)
    return found.mean


# -- Gaussian data ---------------------------------------------------------------------------
def test_random_labels_follow_gardner():
    """``alpha E(h + xi)_+^2 = 1`` at h = M_2, by quadrature, for several alpha."""
    alphas = np.array([0.1, 0.5, 1.0, 1.5, 1.9])
    out = simulator.predict(STUDY, label_rule="random", sample_ratio=alphas)
    for alpha, h in zip(alphas, out["margin"][:, 1], strict=True):
        moment = integrate.quad(lambda x, h=h: (h + x) ** 2 * stats.norm.pdf(x), -h, 20)[0]
        assert alpha * moment == pytest.approx(1, rel=1e-9)
    assert np.all(np.diff(out["margin"], axis=0) < 0)
    assert np.all(out["margin"][-1] < 0.05)


@pytest.mark.slow
def test_random_label_margins_are_differentiable():
    """The implicit derivative in alpha, which the battery takes for teacher labels only."""

    def margin(alpha):
        return gaussian_inputs.theory(Params(label_rule="random", sample_ratio=alpha))["margin"]

    with jax.enable_x64(True):
        for alpha in (0.6, 1.3):
            slope = jax.jit(jax.jacfwd(margin))(alpha)
            low, high = (jax.jit(margin)(alpha + step) for step in (-1e-5, 1e-5))
            np.testing.assert_allclose(slope, (high - low) / 2e-5, rtol=1e-7)


@pytest.mark.slow
def test_independent_simulations():
    """Printed Monte-Carlo means of 40 replicates with independent solvers."""
    for case in load("steepest-descent-margin").cases:
        out = simulator.predict(STUDY, **case.params)
        for name, (mean, error) in case.monte_carlo.items():
            assert np.all(np.abs(out[name] - mean) < 4 * np.asarray(error)), (case.label, name)


@pytest.mark.slow
def test_teacher_labels_leave_a_larger_margin_than_random_ones():
    alphas = np.array([0.2, 0.6, 1.0, 1.7])
    teacher = simulator.predict(STUDY, sample_ratio=alphas)
    random = simulator.predict(STUDY, sample_ratio=alphas, label_rule="random")
    assert np.all(teacher["margin"] > random["margin"])
    # A teacher cannot be told from coins by few samples.
    few = simulator.predict(STUDY, sample_ratio=0.004)["margin"]
    coins = simulator.predict(STUDY, sample_ratio=0.004, label_rule="random")["margin"]
    np.testing.assert_allclose(few, coins, rtol=0.01)
    # ||w||_1 / d <= ||w||_2 / sqrt(d) <= ||w||_inf
    assert np.all(np.diff(teacher["margin"], axis=1) < 0)


def test_more_data_generalise_better_and_l2_is_best_for_dense_teachers():
    alphas = np.geomspace(0.05, 15, 7)
    error = simulator.predict(STUDY, sample_ratio=alphas)["generalization_error"]
    assert np.all(np.diff(error, axis=0) < 0)
    assert np.all(np.argmin(error, axis=1) == 1)


def test_random_labels_beyond_capacity_are_refused():
    with pytest.raises(ValueError, match=r"sample_ratio = 2\.0 .* < 2"):
        simulator.predict(STUDY, label_rule="random", sample_ratio=2.0)


# -- explicit data ---------------------------------------------------------------------------
@pytest.mark.parametrize("scale", [1e15, 1e-12, 1e-100])
def test_margins_of_data_in_any_unit(scale):
    data = np.array([[2.0, 1.0, 0.2], [1.0, 3.0, 1.0], [1.0, -0.5, 2.0]])
    name, labels = "steepest-descent-margin.dataset", (1, 1, 1)
    plain = simulator.predict(name, inputs=data, labels=labels)["linear_margin"]
    scaled = simulator.predict(name, inputs=scale * data, labels=labels)["linear_margin"]
    np.testing.assert_allclose(scaled / scale, plain, rtol=1e-12)
    with pytest.raises(ValueError, match="not linearly separable"):
        simulator.predict(name, inputs=scale * np.vstack([data, -data[:1]]), labels=(1, 1, 1, 1))


def margins_of_scaled_points(rows, lengths):
    """The largest margins of ``lengths * rows``: two linear programs, and Lawson and Hanson's.

    Written in ``g / lengths``, so that they never see the lengths' scale.
    """
    smallest = np.min(lengths)
    asked = (smallest / lengths)[:, None]
    dim = rows.shape[1]
    halves = np.hstack([rows, -rows])
    found = []
    for order in (1, math.inf):
        size = np.ones((1, 2 * dim + 1)) if order == 1 else np.eye(2 * dim + 1)[:-1]
        size[:, -1] = 0
        ready = optimize.linprog(
            np.eye(2 * dim + 1)[-1] * -1,
            A_ub=np.vstack([np.hstack([-halves, asked]), size]),
            b_ub=np.r_[np.zeros(len(rows)), np.ones(len(size))],
        )
        found.append(smallest * ready.x[-1])
    most = np.vstack([rows.T, asked.T])
    weights, _ = optimize.nnls(most, np.eye(dim + 1)[-1])
    left = most @ weights - np.eye(dim + 1)[-1]
    shortest = -left[:-1] / left[-1]  # of all w with rows w >= asked
    return [found[0], smallest / np.linalg.norm(shortest), found[1]]


@pytest.mark.parametrize("length", [1e-15, 1e-12, 1e-6, 1.0, 1e5, 1e9, 1e15])
@pytest.mark.parametrize("point", [0, 2, 4])
def test_points_of_any_length_have_their_margins(point, length):
    lengths = np.ones(5)
    lengths[point] = length
    given = {"inputs": lengths[:, None] * B["inputs"], "labels": B["labels"]}
    found = simulator.predict("steepest-descent-margin.dataset", **given)["linear_margin"]
    rows = B["labels"][:, None] * B["inputs"]
    np.testing.assert_allclose(found, margins_of_scaled_points(rows, lengths), rtol=1e-6)


@pytest.mark.parametrize("length", [1e-100, 1e16])
def test_points_too_short_beside_others_are_refused(length):
    inputs = B["inputs"] * np.array([1, length, 1, 1, 1])[:, None]
    with pytest.raises(ValueError, match=r"point . has .*choose lengths that differ by less than"):
        simulator.predict("steepest-descent-margin.dataset", inputs=inputs, labels=B["labels"])


@pytest.mark.parametrize("unit", [1e-100, 1e-12, 1e-6, 1e-4, 1e4, 1e6, 1e9, 1e15, 1e100])
def test_features_in_any_unit_have_their_margins_or_are_refused(unit):
    name, refused = "steepest-descent-margin.dataset", []
    rng = np.random.default_rng(5)
    random = rng.standard_normal((5, 4))
    random *= np.sign(random @ rng.standard_normal(4))[:, None]
    for rows in (B["labels"][:, None] * B["inputs"], random):
        for feature in range(4):
            scaled = rows * np.where(np.arange(4) == feature, unit, 1)
            given = {"labels": np.ones(5), "inputs": scaled}
            try:
                found = simulator.predict(name, **given)["linear_margin"]
            except ValueError as error:
                refused.append(str(error))
                continue
            assert found[0] <= found[1] * (1 + 1e-9)
            assert found[1] <= found[2] * (1 + 1e-9)
            if unit > 1e6:  # it separates the points alone
                np.testing.assert_allclose(found, np.abs(scaled[:, feature]).min(), rtol=1e-5)
    assert all("choose their units so that they differ by less than" in why for why in refused)
    assert not refused or not 1e-5 <= unit <= 1e5
    assert refused or unit <= 1e6


def test_margins_of_the_users_own_data():
    out = simulator.predict("steepest-descent-margin.dataset", **B)
    np.testing.assert_allclose(out["linear_margin"], [47 / 62, 1.22555569, 1.9], rtol=5e-9)
    scaled = simulator.predict(
        "steepest-descent-margin.dataset", inputs=2.5 * B["inputs"], labels=B["labels"]
    )
    np.testing.assert_allclose(scaled["linear_margin"], 2.5 * out["linear_margin"], rtol=1e-9)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, -1, 1, -1, 1, 1], "not linearly separable"),
        ([1, 1, 2, 1, 1, 1], "every label must be 1 or -1"),
        ([1, 1, 1], "one label per point"),
    ],
)
def test_bad_data_are_refused(labels, message):
    inputs = np.array([[1.0, 0], [2, 0.1], [3, -0.1], [4, 0], [5, 0.1], [6, 0]])
    with pytest.raises(ValueError, match=message):
        simulator.predict("steepest-descent-margin.dataset", inputs=inputs, labels=labels)


@pytest.mark.parametrize(
    ("data", "linear", "l2", "linf"),
    [
        ({}, [1.22096, 1.87081, 3.00000], 0.61110, (2.8, 3)),
        pytest.param(B, [0.75608, 1.22486, 1.89671], 0.37501, (1.3, 1.9), marks=pytest.mark.slow),
    ],
)
def test_end_of_the_run(data, linear, l2, linf):
    """The printed ends of 4e4 unit steps; the linear runs have no randomness."""
    found = _values("dataset", dtype="float64", **data)
    np.testing.assert_allclose(found["linear_margin"], linear, atol=6e-6)
    assert found["diagonal_margin_l2"] == pytest.approx(l2, rel=2e-3)
    assert linf[0] < found["diagonal_margin_linf"] < linf[1]


def test_linear_runs_are_as_close_as_guaranteed():
    """``gamma_t >= gamma - (log n + R^2 sum eta^2 / 2) / sum eta``, R the largest dual norm."""
    rows = B["labels"][:, None] * B["inputs"]
    best = simulator.predict("steepest-descent-margin.dataset", **B)["linear_margin"]
    dual = [np.linalg.norm(rows, order, axis=1).max() for order in (np.inf, 2, 1)]
    for step_size in (0.02, 0.1):
        eta = step_size / np.sqrt(1 + np.arange(40_000))
        loss = (np.log(len(rows)) + np.square(dual) * (eta**2).sum() / 2) / eta.sum()
        found = _values("dataset", step_size=step_size, dtype="float64", **B)
        assert np.all(found["linear_margin"] >= best - loss)
        assert np.all(found["linear_margin"] <= best + 1e-9)


# -- trajectories ----------------------------------------------------------------------------
@pytest.mark.parametrize(("model", "optimizer"), [
    ("linear", "coordinate_descent"),
    ("linear", "sign_descent"),
    pytest.param("diagonal", "gradient_descent", marks=pytest.mark.slow),
    pytest.param("linear", "gradient_descent", marks=pytest.mark.slow),
    pytest.param("diagonal", "coordinate_descent", marks=pytest.mark.slow),
    pytest.param("diagonal", "sign_descent", marks=pytest.mark.slow),
])  # fmt: skip
def test_along_a_trajectory(model, optimizer):
    found = _values("trajectory", model=model, optimizer=optimizer, num_steps=6000, init_scale=0.3)
    bound = simulator.predict("steepest-descent-margin.trajectory", model=model, num_steps=50)
    homogeneity = 1 if model == "linear" else 2
    own = {"coordinate_descent": 0, "gradient_descent": 1, "sign_descent": 2}[optimizer]
    size = found["parameter_norm"] ** homogeneity
    after = found["log_loss"] < 0
    assert after[-1]
    # smoothed <= margin <= smoothed + log n / ||theta||^L <= the exact maximum
    assert np.all(found["smoothed_margin"] <= found["margin"])
    assert np.all(found["margin"] <= found["smoothed_margin"] + math.log(3) / size + 1e-12)
    assert np.all(found["margin"] <= bound["margin"][0] + 1e-12)
    # Non-decreasing in the own norm once L < 1, up to chatter of order c.
    rises = np.diff(found["smoothed_margin"][after][:, own])
    assert rises.min() > -3e-4 * found["smoothed_margin"][-1, own]
    assert np.all(np.abs(found["alignment"]) <= 1 + 1e-12)
    np.testing.assert_allclose(found["bregman"], 1 - found["alignment"], atol=1e-12)
    assert np.argmax(found["alignment"][-1]) == own or model == "diagonal"
    positive = found["margin"][:, 0] > 0
    assert np.all(found["slackness"][positive] >= 0)
    # log L falls by c per step
    steps = found["log_loss"][-1] - found["log_loss"][-11]
    assert steps == pytest.approx(-10 * 50 * 0.02, rel=0.03)


def test_gradient_descent_becomes_stationary():
    found = _values("trajectory", num_steps=6000)
    assert found["bregman"][-1, 1] < 1e-3
    assert found["slackness"][-1, 1] < 1e-3
    assert found["bregman"][-1, 1] < found["bregman"][20, 1] < found["bregman"][0, 1]
    assert found["margin"][-1, 1] == pytest.approx(math.sqrt(3.5), rel=1e-3)


# -- two points --------------------------------------------------------------------------------
def test_kinks_of_the_relu_margin():
    angles = np.array([1.0, 60, 119, 121, 179])
    same = simulator.predict("steepest-descent-margin.two-points", angle_degrees=angles)
    np.testing.assert_allclose(
        same["relu_margin_l2"], np.maximum(np.cos(np.deg2rad(angles) / 2), 0.5) / 2, rtol=1e-12
    )
    other = simulator.predict(
        "steepest-descent-margin.two-points", angle_degrees=angles, second_label=-1
    )
    assert other["relu_margin_l2"][2] == other["relu_margin_l2"][4] == 0.25
    assert np.all(other["relu_margin_l2"] < same["relu_margin_l2"] + 1e-12)


def test_relu_margin_of_two_points_is_the_minimax_over_neurons():
    """``max_{|u|=1} |sum_i pi_i y_i relu(u.x_i)| / 2``, minimised over pi: a grid in two angles."""
    direction = np.linspace(0, 2 * np.pi, 7201)
    share = np.linspace(0, 1, 401)
    for angle, sign in ((50.0, 1), (140.0, 1), (70.0, -1), (130.0, -1)):
        first = np.maximum(np.cos(direction), 0)
        second = np.maximum(np.cos(direction - np.deg2rad(angle)), 0)
        score = share[:, None] * first + sign * (1 - share[:, None]) * second
        dual = np.abs(score).max(1).min() / 2
        found = simulator.predict(
            "steepest-descent-margin.two-points", angle_degrees=angle, second_label=sign
        )["relu_margin_l2"]
        assert found == pytest.approx(dual, rel=2e-3)


@pytest.mark.parametrize("labels", [0, np.array([1, 0])])
def test_the_second_label_is_a_sign(labels):
    with pytest.raises(ValueError, match=r"second_label = 0 .* 1 or -1"):
        simulator.predict("steepest-descent-margin.two-points", second_label=labels)


@pytest.mark.parametrize(("angle", "label"), [(60.0, 1), (150.0, 1), (60.0, -1), (120.0, -1)])
def test_gradient_descent_finds_the_largest_margin_of_two_points(angle, label):
    at = {"angle_degrees": angle, "second_label": label}
    best = simulator.predict("steepest-descent-margin.two-points", **at)["relu_margin_l2"]
    found = _values("two-points", num_starts=8, dtype="float64", **at)
    assert found["relu_margin_l2"] == pytest.approx(best, rel=1e-5)
    assert found["relu_margin_l2"] < best + 1e-12


def test_network_is_homogeneous():
    rng = np.random.default_rng(1)
    theta, inputs = rng.normal(size=7 * 4), rng.normal(size=(5, 3))
    outer, inner = theta[:7], theta[7:].reshape(7, 3)
    direct = sum(a * np.maximum(inputs @ w, 0) for a, w in zip(outer, inner, strict=True))
    network = jax.jit(relu_network)
    with jax.enable_x64(True):
        found, scaled = network(inputs, theta), network(inputs, 1.7 * theta)
    np.testing.assert_allclose(found, direct, rtol=1e-12)
    np.testing.assert_allclose(scaled, 1.7**2 * np.asarray(found), rtol=1e-12)


# -- two layers ------------------------------------------------------------------------------
def test_teacher_labels_its_active_inputs():
    units = np.random.default_rng(2).normal(size=(2, 6)).astype(np.float32)
    label = jax.jit(two_layer._labelled, static_argnums=2)
    inputs, labels = map(np.asarray, label(jax.random.key(1), units, 4000))
    scores = np.maximum(inputs @ units.T, 0) @ np.array([1, -1])
    np.testing.assert_array_equal(labels, np.sign(scores))
    assert np.all(scores != 0)
    # Units that see nothing label nothing, and say so.
    _, silent = label(jax.random.key(1), np.zeros_like(units), 3)
    assert np.all(np.isnan(silent))


STUDENT = {"dim": 6, "num_samples": 40, "num_samples_test": 1000, "width": 20, "num_steps": 6000}


def test_student_separates_and_generalises():
    found = _values("two-layer", **STUDENT)
    assert found["separated"] == 1
    after = found["log_loss"] < 0
    rises = np.diff(found["smoothed_margin"][after][:, 1])
    assert rises.min() > -2e-3 * found["smoothed_margin"][-1, 1]
    assert np.all(found["smoothed_margin"] <= found["margin"])
    gap = math.log(40) / found["parameter_norm"] ** 2
    assert np.all(found["margin"] <= found["smoothed_margin"] + gap * (1 + 1e-5))
    assert np.all(np.abs(found["alignment"]) <= 1 + 1e-5)
    np.testing.assert_allclose(found["bregman"], 1 - found["alignment"], atol=1e-6)
    assert found["test_accuracy"][-1] > 0.7
    assert np.all(np.isfinite(found["slackness"][-1]))


def test_each_optimiser_ends_with_the_largest_margin_in_its_own_norm():
    """Typical of networks, not guaranteed: gradient and sign descent on one data set each."""
    ends = [
        _values("two-layer", optimizer=optimizer, **STUDENT)
        for optimizer in ("gradient_descent", "sign_descent")
    ]
    assert all(end["separated"] == 1 for end in ends)
    (_, l2, linf), (_, l2_of_sign, linf_of_sign) = (end["margin"][-1] for end in ends)
    assert l2 > l2_of_sign
    assert linf_of_sign > linf


# -- Adam ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("delta", "fractions"),
    [
        (0.0, [0.804, 0.924, 0.996]),
        (1e-2, [0.805, 0.925, 0.995]),
        (1.0, [0.913, 0.984, 0.850]),
        (100.0, [0.749, 0.860, 0.934]),
    ],
)
def test_geometry_of_adam_by_its_stability_constant(delta, fractions):
    found = _values("adam", stability_constant=delta, dtype="float64")
    np.testing.assert_allclose(found["margin_fraction"], fractions, atol=6e-4)


@pytest.mark.parametrize("stability_constant", [0.0, 0.3])
@pytest.mark.parametrize(
    "num_steps", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2)), 23]
)
def test_adam_takes_the_steps_of_an_independent_program(num_steps, stability_constant):
    """After few steps: the end of a long run hardly depends on the decay of the moments."""
    options = {"num_steps": num_steps, "step_size": 0.13, "stability_constant": stability_constant}
    found = _values("adam", dtype="float64", **options)
    expected = reference.adam(B["inputs"], B["labels"], **options)
    np.testing.assert_allclose(found["margin_fraction"], expected, rtol=1e-9)


def test_adam_with_a_dead_feature_divides_no_zero():
    inputs = B["inputs"] * [1, 1, 0, 1]
    found = _values("adam", inputs=inputs, labels=B["labels"], dtype="float64")
    assert np.all(np.isfinite(found["margin_fraction"]))
    assert np.all(found["margin_fraction"] > 0.5)
