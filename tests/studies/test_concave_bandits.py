"""concave-bandits: identities, limits, duality and certificates of the optimum; refusals."""

import jax
import numpy as np
import pytest

import simulator
from simulator.studies.decisions.concave_bandits import _ellipsoid, gaussian_contexts
from simulator.studies.decisions.concave_bandits._model import minus_hessian
from tests.references.concave_bandits import gini_weights, means_of

ARMS, GAUSSIAN, RANKING = (
    "concave-bandits",
    "concave-bandits.gaussian-contexts",
    "concave-bandits.ranking",
)
TABLE = np.array(((0.8, 0.15, 0.4, 0.35), (0.2, 0.7, 0.45, 0.3), (0.1, 0.25, 0.5, 0.6)))
PEAKS = {"num_actions": 4, "peak_max": 0.83, "peak_min": 0.41, "base_reward": 0.07}
GRIDS = {
    "softmin": {"temperature": np.geomspace(0.01, 60, 7)},
    "alpha_fair": {"welfare_exponent": np.array([-3, -1, -0.2, 0, 0.3, 0.9, 1]), "smoothing": 0.1},
    "quadratic": {"target": np.linspace(1.1, 4, 7)},
    "ggf": {"ggf_decay": np.linspace(0.05, 1, 7)},
}
QUICK = [pytest.param(name, marks=() if name == "softmin" else pytest.mark.slow) for name in GRIDS]


def predict(study, **given):
    return simulator.predict(study, **given)


# -- the optimum ---------------------------------------------------------------------------------
@pytest.mark.parametrize("objective", list(GRIDS))
def test_arms_no_policy_is_better_and_the_best_supports_what_is_achievable(objective):
    found = predict(ARMS, objective=objective, **PEAKS, **GRIDS[objective])
    assert np.all(found["uniform_value"] <= found["optimal_value"] + 1e-12)
    assert np.all(found["scalarized_value"] <= found["optimal_value"] + 1e-12)
    slope, reward = found["optimal_gradient"], found["optimal_reward"]
    # h_S(g*) = <g*, s*>: no arm is better at g*.
    support = np.max(slope @ means_of(PEAKS), axis=1)
    np.testing.assert_allclose(support, np.sum(slope * reward, axis=1), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("objective", QUICK)
def test_arms_closed_forms_are_what_the_solver_finds_for_the_same_table(objective):
    alone = predict(ARMS, objective=objective, **PEAKS, **GRIDS[objective])
    table = predict(ARMS, objective=objective, mean_rewards=means_of(PEAKS), **GRIDS[objective])
    np.testing.assert_allclose(table["optimal_value"], alone["optimal_value"], rtol=0, atol=1e-10)
    # (Saddle weights that are not unique differ, and regret_std with them.)
    for name in ("optimal_reward", "regret_std")[: 1 if objective == "ggf" else 2]:
        np.testing.assert_allclose(table[name], alone[name], atol=2e-6, err_msg=name)


def test_arms_the_saddle_weights_of_ggf_are_the_least_of_all():
    found = predict(ARMS, objective="ggf", ggf_decay=0.6, **PEAKS)
    weights, means = gini_weights({"ggf_decay": 0.6}, 4), means_of(PEAKS)
    rng = np.random.default_rng(0)
    for _ in range(50):
        mixed = rng.dirichlet(np.ones(4)) @ np.array([rng.permutation(weights) for _ in range(4)])
        assert np.max(mixed @ means) >= found["optimal_value"] - 1e-13


@pytest.mark.slow
def test_arms_permuted_objectives_permute_the_reward():
    order = [2, 0, 1]
    for objective in ("softmin", "quadratic", "ggf", "alpha_fair"):
        given = {"objective": objective, "target": 1.2}
        one, other = (predict(ARMS, mean_rewards=m, **given) for m in (TABLE, TABLE[order]))
        np.testing.assert_allclose(other["optimal_value"], one["optimal_value"], rtol=1e-10)
        np.testing.assert_allclose(other["optimal_reward"], one["optimal_reward"][order], rtol=1e-6)


@pytest.mark.parametrize("exponent", [0.5, 0.0, -1.3])
def test_arms_larger_rewards_scale_alpha_fair_values(exponent):
    factor = 0.6
    given = {"objective": "alpha_fair", "welfare_exponent": exponent, "num_actions": 4}
    sizes = {"peak_max": 0.9, "peak_min": 0.5, "base_reward": 0.1, "smoothing": 0.08}
    one = predict(ARMS, **given, **sizes)["optimal_value"]
    other = predict(ARMS, **given, **{k: factor * x for k, x in sizes.items()})["optimal_value"]
    expected = one + np.log(factor) if exponent == 0 else one * factor**exponent
    assert other == pytest.approx(expected, rel=1e-12)


def test_linear_values_need_no_mixture():
    flat = predict(ARMS, temperature=1e-7)
    assert flat["optimal_value"] == pytest.approx(flat["scalarized_value"], abs=1e-8)
    for given in ({"objective": "alpha_fair", "welfare_exponent": 1.0}, {"objective": "ggf",
                  "ggf_decay": 1.0}):  # fmt: skip
        found = predict(ARMS, **given)
        assert found["optimal_value"] == pytest.approx(found["scalarized_value"], rel=1e-12)
    found = predict(GAUSSIAN, temperature=1e-6)
    assert found["optimal_value"] == pytest.approx(found["scalarized_value"], abs=1e-6)


def test_gaussian_identities_of_the_loop():
    """h_S(g*) = <g*, s*>, J g* = 0 and g*' Q g* = g*' Sigma g*."""
    with jax.enable_x64(True):
        params = gaussian_contexts.Params(correlation=0.2, scale_ratio=1.7, temperature=3.0)
        best = _ellipsoid.optimum(params)
        loop = _ellipsoid.loop(params, best, minus_hessian(params, best.reward))
        noise = _ellipsoid.linear_rule(params, best.gradient)[1]
        arrays = (*loop, noise, _ellipsoid.gram_of(params), best.gradient, best.reward)
        curved, spread, noise, gram, g, reward = map(np.asarray, arrays)
    mean, _ = _ellipsoid.largest_normal(5)
    assert mean * np.sqrt(g @ gram @ g) == pytest.approx(g @ reward, rel=1e-12)
    np.testing.assert_allclose(curved @ g, 0, atol=1e-14)
    assert g @ spread @ g == pytest.approx(g @ noise @ g, rel=1e-11)


def test_largest_of_normals():
    means = [0.5641895835, 0.8462843753, 1.1629644736, 1.5387527308]
    variances = [0.6816901138, 0.5594672038, 0.4475340690, 0.3443438233]
    for actions, mean, variance in zip((2, 3, 5, 10), means, variances, strict=True):
        assert _ellipsoid.largest_normal(actions) == pytest.approx((mean, variance), abs=6e-11)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["softmin", "quadratic", "ggf"])
def test_gaussian_no_policy_is_better(objective):
    found = predict(GAUSSIAN, objective=objective, **GRIDS[objective])
    assert np.all(found["uniform_value"] <= found["optimal_value"] + 1e-12)
    assert np.all(found["scalarized_value"] <= found["optimal_value"] + 1e-12)


def test_gaussian_symmetric_objectives():
    """All rewards are equal, and kappa has a closed form."""
    rho, tau, noise = 0.15, 3.0, 0.4
    found = predict(
        GAUSSIAN, scale_ratio=1.0, correlation=rho, temperature=tau, noise_std=noise,
        num_rounds=500,
    )  # fmt: skip
    mean, _ = _ellipsoid.largest_normal(5)
    n = np.sqrt((1 + 2 * rho) / 3)
    np.testing.assert_allclose(found["optimal_reward"], mean * n, rtol=1e-12)
    assert found["scalarized_value"] == pytest.approx(found["optimal_value"], rel=1e-13)
    j = mean * (1 - rho) / n
    q = (1 - rho + noise**2) / (1 + 2 * j * tau / 3)
    assert found["oracle_log_coefficient"] == pytest.approx((tau / 3) ** 2 * j * q, rel=1e-11)
    assert 500 * found["bregman"][0] == pytest.approx(tau / 3 * q, rel=1e-11)


@pytest.mark.slow
def test_gaussian_the_best_smoothing_of_ggf():
    scales = np.array([12.42 / 1.3, 12.42, 12.42 * 1.3])
    found = predict(GAUSSIAN, objective="ggf", moreau_scale=scales)["nonsmooth_coefficient"]
    assert found[1] == pytest.approx(0.5165, rel=1e-4)
    assert np.all(found[1] < found[[0, 2]])


@pytest.mark.parametrize(
    "objective",
    [pytest.param(o, marks=() if o == "alpha_fair" else pytest.mark.slow) for o in GRIDS],
)
def test_ranking_certificates_and_duality(objective):
    grid = dict(GRIDS[objective]) | {"item_weight": 1.3, "num_user_types": 3, "num_items": 5}
    found = predict(RANKING, objective=objective, num_slots=2, **grid)
    assert np.all(found["optimality_gap"] >= 0)
    assert np.all(found["optimality_gap"] <= 1e-9)
    assert np.all(found["uniform_value"] <= found["optimal_value"] + 1e-9)
    assert np.all(found["scalarized_value"] <= found["optimal_value"] + 1e-9)
    # The value of sorting by g* of every type is <g*, s*>.
    angle = 2 * np.pi * (np.arange(3)[:, None] + 0.5) / 3
    near = np.cos(angle - 2 * np.pi * 0.6180339887498949 * np.arange(5))
    clicks = 0.5 + 0.25 * np.linspace(1, -1, 5) + 0.15 * near
    weights = np.append(np.zeros(3), 1 / np.log2([3, 2]))
    for slope, reward in zip(found["optimal_gradient"], found["optimal_reward"], strict=True):
        sorted_value = np.mean(np.sort(slope[:-1] + clicks, axis=1) @ weights)
        assert sorted_value == pytest.approx(slope @ reward, abs=1e-8)


def test_refusals():
    refused = {
        "num_checkpoints": (ARMS, {"num_rounds": 7, "num_checkpoints": 4}),
        "target": (ARMS, {"objective": "quadratic", "target": 0.2}),
        "mean_rewards": (ARMS, {"mean_rewards": [[0.2, 1.3], [0.4, 0.1]]}),
        "noise": (ARMS, {"objective": "alpha_fair", "noise": "gaussian"}),
        "correlation": (GAUSSIAN, {"correlation": -0.5}),
        "dim": (GAUSSIAN, {"dim": 2}),
        "num_slots": (RANKING, {"num_slots": 11}),
        "taste": (RANKING, {"popularity": 0.8}),
    }
    for name, (study, given) in refused.items():
        with pytest.raises(ValueError, match=name):
            predict(study, **given)
    with pytest.raises(ValueError, match="target"):
        predict(GAUSSIAN, objective="quadratic", target=0.3)


def test_bounds_of_ggf_are_least_at_the_best_smoothing():
    weights = gini_weights({"ggf_decay": 0.5}, 5)
    best = np.sqrt(5) / np.linalg.norm(weights)
    found = predict(ARMS, objective="ggf", moreau_scale=np.array([0.7, 1, 1.4]) * best)["regret"]
    least = 2 * np.linalg.norm(weights) * np.sqrt(5 / 1000)
    assert found[1, 0] == pytest.approx(least, rel=1e-12)
    assert np.all(found[[0, 2], 0] > least)
