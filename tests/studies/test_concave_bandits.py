"""concave-bandits: printed rows, identities, limits, certificates, curves, a million rounds."""

import jax
import numpy as np
import pytest

import simulator
from simulator.studies.decisions.concave_bandits import _ellipsoid, gaussian_contexts, main
from simulator.studies.decisions.concave_bandits._model import minus_hessian
from tests.references.concave_bandits import gini_weights, means_of
from tests.sampling.laws import assert_same_law

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


# -- plays ---------------------------------------------------------------------------------------
def decomposed(study, **given):
    found = simulator.simulate(study, keep_values=True, **given)
    values = found.values
    assert np.min(values["regret_controlled"]) >= -1e-12
    assert np.min(values["bregman"]) >= -1e-12
    assert np.min(values["gap"]) >= -1e-12
    apart = values["regret_controlled"] - values["regret"]
    error = np.std(apart, axis=0) / np.sqrt(len(apart))
    assert np.all(np.abs(np.mean(apart, axis=0)) <= 5 * error + 1e-12)


def test_regret_is_bregman_and_gap_in_the_mean():
    decomposed(ARMS, num_rounds=40, num_checkpoints=2, replicates=400, algorithm="epsilon_greedy")


@pytest.mark.slow
@pytest.mark.parametrize("study", [ARMS, GAUSSIAN, RANKING])
@pytest.mark.parametrize("algorithm", ["oracle", "scalarized", "greedy", "ucb"])
@pytest.mark.parametrize("objective", ["softmin", "quadratic", "ggf"])
def test_regret_is_bregman_and_gap_whatever_is_played(study, algorithm, objective):
    decomposed(
        study, algorithm=algorithm, objective=objective, num_rounds=60, num_checkpoints=3,
        replicates=600, **({"target": 2.0} if objective == "quadratic" else {}),
    )  # fmt: skip


def drawn(study, method, seed, **given):
    found = simulator.simulate(study, method=method, seed=seed, replicates=2000, keep_values=True,
                               num_rounds=7, num_checkpoints=2, **given)  # fmt: skip
    return {name: x.reshape(len(x), -1).T for name, x in found.values.items()}


AVERAGED = ("gap", "regret_controlled", "scalar_regret", "doubling_increment")
FAST = [  # study, parameters, whether `make test` can do without it
    (ARMS, {"algorithm": "stationary", "temperature": 9.0}, False),
    (ARMS, {"algorithm": "uniform", "objective": "quadratic", "noise": "gaussian"}, True),
    (ARMS, {"algorithm": "scalarized", "mean_rewards": TABLE}, True),
    (GAUSSIAN, {"algorithm": "oracle", "num_actions": 3}, False),
    (GAUSSIAN, {"algorithm": "stationary", "num_objectives": 4, "correlation": 0.3}, True),
    (GAUSSIAN, {"algorithm": "scalarized", "objective": "ggf"}, True),
    (GAUSSIAN, {"algorithm": "uniform", "objective": "quadratic", "target": 2.0}, True),
]


@pytest.mark.parametrize(
    ("study", "given"),
    [pytest.param(*row, marks=[pytest.mark.slow] * slow, id=f"{row[0]} {row[1]['algorithm']}")
     for *row, slow in FAST],
)  # fmt: skip
def test_rewards_without_play_have_the_law_of_those_played(study, given):
    """Counts of arms keep all laws; the largest of K normals those of rewards, and all means."""
    direct, fast = drawn(study, "direct", 1, **given), drawn(study, "conditional", 2, **given)
    averaged = AVERAGED if study == GAUSSIAN else ()
    if study == ARMS:
        assert np.all(np.isnan(fast.pop("scalar_regret")))
    for output, values in fast.items():
        for x, y in zip(direct[output], values, strict=True):
            if output in averaged or output == "nonsmooth_coefficient":
                error = np.sqrt((x.var() + y.var()) / len(x))
                assert abs(x.mean() - y.mean()) <= 5 * error + 1e-12, output
            else:
                assert_same_law(np.round(x, 7), np.round(y, 7))
    assert np.all(fast["gap"] >= -1e-12)


ORACLE = {"algorithm": "oracle"}
QUADRATIC = {"objective": "quadratic"}
ROWS = [  # study, parameters, replicates, {output: (mean, standard error)} of another simulation
    (ARMS, {"num_rounds": 1000}, 4000, {"regret_controlled": (1.574e-6, 5e-8)}),
    (ARMS, {"algorithm": "stationary"}, 4000, {"regret_controlled": (2.8157e-4, 3.2e-6)}),
    (ARMS, QUADRATIC | {"num_actions": 3, "peak_min": 0.7, "num_rounds": 2000}, 2000,
     {"bregman": (2.687e-5, 6e-7), "gap": (0.0, 1e-12)}),
    (ARMS, QUADRATIC | {"algorithm": "stationary", "num_rounds": 200}, 10_000,
     {"regret_controlled": (2.0810e-3, 1.1e-5)}),
    (ARMS, {"objective": "alpha_fair", "num_rounds": 2000}, 2000, {"bregman": (2.734e-5, 6e-7)}),
    (ARMS, {"objective": "ggf"}, 1000, {"regret_controlled": (1.068e-3, 8e-6)}),
    (ARMS, {"objective": "ggf", "num_rounds": 4000}, 1000, {"regret_controlled": (5.22e-4, 2e-6)}),
    (ARMS, {"objective": "ggf", "num_rounds": 2000}, 1000, {"regret": (7.5e-4, 1.1e-4)}),
    (ARMS, {"algorithm": "ucb", "exploration": 1.0, "failure_probability": 0.001,
            "num_rounds": 2000}, 1000, {"regret_controlled": (1.041e-3, 1.7e-5)}),
    (GAUSSIAN, {"num_rounds": 4000}, 1000,
     {"doubling_increment": (1.205, 0.015), "bregman": (0.2090 / 4000, 0.005 / 4000)}),
    (GAUSSIAN, QUADRATIC | {"target": 2.0, "algorithm": "stationary", "num_rounds": 100}, 4000,
     {"regret_controlled": (0.035608, 0.00025)}),
    (GAUSSIAN, {"algorithm": "scalarized", "num_rounds": 2000}, 500,
     {"regret_controlled": (0.35926, 0.0010)}),
    (GAUSSIAN, {"algorithm": "squarecb", "num_rounds": 2000}, 300,
     {"regret_controlled": (0.03670, 0.0002)}),
    (GAUSSIAN, {"algorithm": "epsilon_greedy", "num_rounds": 2000}, 300,
     {"regret_controlled": (0.04117, 0.0002)}),
    (RANKING, {"num_rounds": 2000}, 400, {"regret_controlled": (2.48e-4, 4e-6)}),
    (RANKING, {"num_rounds": 2000, "algorithm": "ucb"}, 200,
     {"regret_controlled": (0.00493, 0.0002)}),
    (RANKING, {"num_rounds": 2000, "algorithm": "scalarized"}, 400,
     {"regret_controlled": (0.02703, 3e-5)}),
    (RANKING, {"objective": "ggf"}, 200, {"regret_controlled": (0.02540, 9e-5)}),
    (RANKING, {"objective": "ggf", "algorithm": "ucb"}, 200,
     {"regret_controlled": (0.0323, 0.0007)}),
    (RANKING, {"objective": "ggf", "algorithm": "scalarized", "num_rounds": 500}, 400,
     {"regret_controlled": (0.1614, 0.0001)}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "given", "replicates", "expected"),
    ROWS,
    ids=[f"{s} {' '.join(map(str, g.values()))}" for s, g, *_ in ROWS],
)
def test_printed_rows(study, given, replicates, expected):
    found = simulator.simulate(study, replicates=replicates, seed=3, **given)
    for output, (mean, error) in expected.items():
        mine, spread = (np.ravel(x[output])[-1] for x in (found.mean, found.standard_error))
        assert abs(mine - mean) < 5 * np.hypot(error, spread) + 6e-4 * abs(mean), output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "curve"),
    [
        ("stationary", (0.0082, 0.0023, 0.00057)),
        ("oracle", (0.0217, 0.0069, 0.0021)),
        ("greedy", (0.0336, 0.0104, 0.0031)),
        ("squarecb", (0.0849, 0.0411, 0.0202)),
        ("epsilon_greedy", (0.0881, 0.0461, 0.0260)),
    ],
)
def test_curves_of_the_figure(algorithm, curve):
    """Printed with 150 replicates, two digits: their errors are those of ours."""
    found = simulator.simulate(
        GAUSSIAN, algorithm=algorithm, num_rounds=6400, num_checkpoints=5, replicates=150, seed=2
    )
    mean, error = (x["regret_controlled"][::2] for x in (found.mean, found.standard_error))
    assert np.all(np.abs(mean - curve) <= 5 * np.sqrt(2) * error + 0.02 * np.array(curve))


def test_bounds_of_ggf_are_least_at_the_best_smoothing():
    weights = gini_weights({"ggf_decay": 0.5}, 5)
    best = np.sqrt(5) / np.linalg.norm(weights)
    found = predict(ARMS, objective="ggf", moreau_scale=np.array([0.7, 1, 1.4]) * best)["regret"]
    least = 2 * np.linalg.norm(weights) * np.sqrt(5 / 1000)
    assert found[1, 0] == pytest.approx(least, rel=1e-12)
    assert np.all(found[[0, 2], 0] > least)


@pytest.mark.slow
def test_the_law_of_the_loop_and_wrong_ones():
    """Within 3 % after 2000 rounds; no feedback, no half, no noise of arms are further off."""
    given = QUADRATIC | {"num_actions": 3, "peak_min": 0.7, "num_rounds": 2000}
    found = simulator.simulate(ARMS, replicates=4000, seed=1, **given)
    mean, error = (x["bregman"][-1] for x in (found.mean, found.standard_error))
    law = predict(ARMS, **given)
    expected = law["bregman"][-1]
    near = 5 * error + 0.03 * expected
    assert abs(mean - expected) < near
    for wrong in (law["stationary_regret"], 2 * expected, expected / 2):
        assert abs(mean - wrong) > near


def memory_of(num_rounds):
    params = main.Params(num_rounds=num_rounds, num_checkpoints=8)
    compiled = jax.jit(main.simulate_direct).lower(jax.random.key(0), params).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rounds():
    assert memory_of(1_000_000) <= 1.01 * memory_of(1000) + 4096


@pytest.mark.slow
def test_a_million_rounds():
    """Curves over five decades; the oracle's law at their end, where one round is 1e-6."""
    given = QUADRATIC | {"num_actions": 3, "peak_min": 0.7, "num_rounds": 1_000_000}
    found = simulator.simulate(ARMS, num_checkpoints=17, replicates=64, **given)
    assert found.mean["regret"].shape == (17,)
    expected = predict(ARMS, **given)["bregman"][0]
    mean, error = (x["bregman"][-1] for x in (found.mean, found.standard_error))
    assert abs(mean - expected) < 5 * error + 0.02 * expected
    assert error < 0.25 * expected
