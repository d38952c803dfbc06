"""concave-bandits, played: laws, printed rows and curves, bounds on memory, a million rounds."""

import numpy as np
import pytest

import simulator
from simulator.studies.decisions.concave_bandits import main
from tests.sampling.laws import assert_same_law
from tests.studies.battery import memory_of
from tests.studies.test_concave_bandits import ARMS, GAUSSIAN, RANKING, TABLE, predict


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
    (ARMS, {"num_rounds": 1000}, 4000,
     {"regret_controlled": (1.574e-6, 5e-8), "regret_std": (0.00487, 5e-5)}),
    (ARMS, {"algorithm": "stationary"}, 4000, {"regret_controlled": (2.8157e-4, 3.2e-6)}),
    (ARMS, QUADRATIC | {"num_actions": 3, "peak_min": 0.7, "num_rounds": 2000}, 2000,
     {"bregman": (2.687e-5, 6e-7), "gap": (0.0, 1e-12)}),
    (ARMS, QUADRATIC | {"algorithm": "stationary", "num_rounds": 200}, 10_000,
     {"regret_controlled": (2.0810e-3, 1.1e-5)}),
    (ARMS, {"objective": "alpha_fair", "num_rounds": 2000}, 2000,
     {"bregman": (2.734e-5, 6e-7), "gap": (1.73e-5, 6e-7)}),
    (ARMS, {"objective": "ggf"}, 1000, {"regret_controlled": (1.068e-3, 8e-6)}),
    (ARMS, {"objective": "ggf", "num_rounds": 4000}, 1000,
     {"regret_controlled": (5.22e-4, 2e-6), "regret_std": (0.00251, 1e-4)}),
    (ARMS, {"objective": "ggf", "num_rounds": 2000}, 1000, {"regret": (7.5e-4, 1.1e-4)}),
    (ARMS, {"algorithm": "ucb", "exploration": 1.0, "failure_probability": 0.001,
            "num_rounds": 2000}, 1000, {"regret_controlled": (1.041e-3, 1.7e-5)}),
    (GAUSSIAN, {"num_rounds": 4000}, 1000,
     {"doubling_increment": (1.205, 0.015), "bregman": (0.2090 / 4000, 0.005 / 4000),
      "regret_std": (0.00710, 0.00013)}),
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


def assert_printed(found, output, entries, printed, error, digits):
    """Within five standard errors, the printed ones (None: as large as ours) and ours together."""
    mine, spread = (np.ravel(x[output])[entries] for x in (found.mean, found.standard_error))
    near = 5 * np.hypot(spread if error is None else error, spread) + digits * np.abs(printed)
    assert np.all(np.abs(mine - printed) <= near), output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "given", "replicates", "expected"),
    ROWS,
    ids=[f"{s} {' '.join(map(str, g.values()))}" for s, g, *_ in ROWS],
)
def test_printed_rows(study, given, replicates, expected):
    found = simulator.simulate(study, replicates=replicates, seed=3, **given)
    for output, (mean, error) in expected.items():
        assert_printed(found, output, -1, mean, error, digits=6e-4)


CONTEXTS, LISTS = {"num_rounds": 6400, "num_checkpoints": 5}, {"num_rounds": 4000}
SQRT = {"objective": "ggf", "num_rounds": 8000}
CURVES = [  # study, parameters, printed regret_controlled at every so-manieth checkpoint
    (GAUSSIAN, CONTEXTS | {"algorithm": "stationary"}, 2, (0.0082, 0.0023, 0.00057)),
    (GAUSSIAN, CONTEXTS | {"algorithm": "oracle"}, 2, (0.0217, 0.0069, 0.0021)),
    (GAUSSIAN, CONTEXTS | {"algorithm": "greedy"}, 2, (0.0336, 0.0104, 0.0031)),
    (GAUSSIAN, CONTEXTS | {"algorithm": "ucb"}, 2, (0.0390, 0.0124, 0.0038)),
    (GAUSSIAN, CONTEXTS | {"algorithm": "squarecb"}, 2, (0.0849, 0.0411, 0.0202)),
    (GAUSSIAN, CONTEXTS | {"algorithm": "epsilon_greedy"}, 2, (0.0881, 0.0461, 0.0260)),
    (RANKING, LISTS | {"algorithm": "oracle"}, 1, (0.000493, 0.000251, 0.000125)),
    (RANKING, LISTS | {"algorithm": "greedy"}, 1, (0.0080, 0.0045, 0.0025)),
    (RANKING, LISTS | {"algorithm": "ucb"}, 1, (0.0081, 0.0047, 0.0027)),
    (RANKING, LISTS | {"algorithm": "epsilon_greedy"}, 1, (0.0339, 0.0256, 0.0195)),
    (ARMS, {"algorithm": "ucb", "num_rounds": 8000}, 1,
     (0.0013, 0.00079, 0.00049, 0.00028, 0.00017)),
    (ARMS, SQRT, 1, np.array([0.0340, 0.0324, 0.0330, 0.0324]) / np.sqrt([1e3, 2e3, 4e3, 8e3])),
    (ARMS, SQRT | {"moreau_scale": 3.0}, 1,
     np.array([0.0964, 0.0946, 0.0943, 0.0942]) / np.sqrt([1e3, 2e3, 4e3, 8e3])),
    (GAUSSIAN, {"objective": "ggf", "num_rounds": 25_600, "num_checkpoints": 7}, 2,
     np.array([1.36, 1.82, 2.28, 2.66]) / np.sqrt([400, 1600, 6400, 25_600])),
    (GAUSSIAN, {"objective": "ggf", "num_rounds": 12_800, "num_checkpoints": 3,
                "moreau_scale": 10.0}, 2, np.array([0.521, 0.525]) / np.sqrt([3200, 12_800])),
    (GAUSSIAN, {"objective": "ggf", "num_rounds": 12_800, "num_checkpoints": 3,
                "moreau_scale": 3.0}, 2, np.array([0.959, 1.036]) / np.sqrt([3200, 12_800])),
    (GAUSSIAN, {"scale_ratio": 1.0, "num_rounds": 8000}, 1,
     np.array([3.870, 4.505, 5.202, 5.832, 6.502, 7.117, 7.799]) / (125 * 2.0 ** np.arange(7))),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "given", "every", "curve"),
    CURVES,
    ids=[f"{s} {' '.join(map(str, g.values()))}" for s, g, *_ in CURVES],
)
def test_curves_of_the_figures(study, given, every, curve):
    """Printed with 150 replicates, two digits: their errors are those of ours."""
    known = study == GAUSSIAN and given.get("algorithm", "oracle") == "oracle"
    given = {"num_checkpoints": len(curve)} | given
    method = "conditional" if known else "direct"
    found = simulator.simulate(study, replicates=150, seed=2, method=method, **given)
    printed = slice(None, None, every)
    assert_printed(found, "regret_controlled", printed, np.array(curve), None, digits=0.02)


@pytest.mark.slow
def test_printed_prices_of_exploration():
    for rule, printed in (("squarecb", (0.0592, 0.0330, 0.0177)),
                          ("epsilon_greedy", (0.0576, 0.0365, 0.0231))):  # fmt: skip
        for rounds, right in zip((400, 1600, 6400), printed, strict=True):
            found = predict(GAUSSIAN, algorithm=rule, num_rounds=rounds)["exploration_regret"]
            assert found == pytest.approx(right, abs=6e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "plateau", "greedy", "fixed"),
    [("softmin", 2e-5, 0.0145, (0.0675, 0.0023)), ("ggf", 1e-3, 0.044, (0.0872, 0.0163))],
)
def test_who_gets_there_on_arms(objective, plateau, greedy, fixed):
    """The oracle does; greedy, the best arm and random arms level off where it was printed."""
    given = {"objective": objective, "num_rounds": 6400, "replicates": 1000}
    low = simulator.simulate(ARMS, algorithm="oracle", **given).mean["regret_controlled"][-1]
    assert low < plateau
    found = simulator.simulate(ARMS, algorithm="greedy", **given)
    assert_printed(found, "regret_controlled", -1, greedy, None, digits=0)
    found = predict(ARMS, objective=objective)
    for name, right in zip(("scalarized_value", "uniform_value"), fixed, strict=True):
        assert found["optimal_value"] - found[name] == pytest.approx(right, abs=6e-5)


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


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rounds():
    long, short = (memory_of(main, num_rounds=n, num_checkpoints=8) for n in (1_000_000, 1000))
    assert long <= 1.01 * short + 4096


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
