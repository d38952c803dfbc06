"""arXiv 2209.13019, played: orders of the ranker, printed rows and curves, the other rankers."""

import numpy as np
import pytest

import simulator
from simulator.studies.decisions.fair_ranking import main
from tests.references import fair_ranking as reference
from tests.studies.battery import memory_of
from tests.studies.test_fair_ranking import BASELINES, PAIR, RANKER, SMALL


def simulated(study, replicates, seed=0, **given):
    return simulator.simulate(study, replicates=replicates, seed=seed, **given)


VISITED = SMALL | {"num_epochs": 8, "arrivals": "shuffled"}


def test_without_weight_the_ranker_sorts_by_relevance():
    found = simulated(RANKER, 1, fairness_weight=0.0, **VISITED)
    table = reference.circle(5, 4, 0.7, 1.4)
    shown = reference.rankings_by_relevance(table, 2)
    np.testing.assert_allclose(found.mean["exposure"][-1], shown.mean(axis=0), rtol=2e-6)
    np.testing.assert_allclose(found.mean["regret"], 0, atol=2e-6)


def test_shuffled_users_cannot_be_lucky():
    """At the ends of epochs the averages are those of stochastic rankings."""
    for seed in range(30):
        found = simulated(RANKER, 1, seed, fairness_weight=1.5, **VISITED).mean
        assert np.all(found["regret"] > 0)
        np.testing.assert_allclose(found["regret"], found["regret_controlled"], atol=3e-6)


@pytest.mark.slow
def test_linear_welfare_has_no_item_part():
    given = SMALL | {"objective": "welfare", "welfare_exponent_item": 1.0, "num_epochs": 3}
    found = simulated(RANKER, 2, arrivals="shuffled", fairness_weight=2.0, **given)
    np.testing.assert_allclose(found.mean["regret"], 0, atol=3e-6)


STOPS = ((2, 2), (20, 3), (100, 2))  # epochs 1, 2, 5, 10, 20, 50, 100 as checkpoints of three runs
PLAIN, QUALITY = {}, {"objective": "quality_weighted", "fairness_weight": 1.0}
ENDS = [0, -1]
CURVES = [  # study, parameters, where regret was printed, mean of 60
    (RANKER, PLAIN, slice(None), ".102 .0624 .0307 .0178 .0102 .0046 .0025"),
    (RANKER, PLAIN | {"arrivals": "shuffled"}, slice(None),
     ".0836 .0478 .0215 .0113 .0058 .0023 .0012"),
    (RANKER, QUALITY, ENDS, ".160 .0055"),
    (RANKER, QUALITY | {"arrivals": "shuffled"}, ENDS, ".144 .0029"),
    (BASELINES, PLAIN | {"algorithm": "batch_frank_wolfe"}, slice(None),
     ".744 .518 .142 .0737 .0238 .00416 .00106"),
    (BASELINES, QUALITY | {"algorithm": "batch_frank_wolfe"}, slice(None),
     "1.11 .454 .286 .156 .078 .020 .0052"),
    (BASELINES, QUALITY | {"algorithm": "relevance"}, [-1], ".468"),
    (BASELINES, PLAIN | {"algorithm": "fairco"}, slice(None),
     ".530 .317 .0615 .0125 .0157 .0271 .0325"),
    (BASELINES, QUALITY | {"algorithm": "fairco", "arrivals": "shuffled"}, slice(None),
     ".358 .273 .105 .0252 .0056 .0060 .0087"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "given", "entries", "printed"),
    CURVES,
    ids=[f"{study} {' '.join(map(str, given.values()))}" for study, given, *_ in CURVES],
)
def test_printed_curves(study, given, entries, printed):
    output = "regret_controlled" if study == RANKER else "regret"
    runs = [simulated(study, 240, num_epochs=e, num_checkpoints=c, **given) for e, c in STOPS]
    mean, error = (
        np.concatenate([getattr(run, side)[output] for run in runs])[entries]
        for side in ("mean", "standard_error")
    )
    rounding = 0.5 * 10.0 ** -np.array([len(x.partition(".")[2]) for x in printed.split()])
    gap = np.abs(mean - np.array(printed.split(), float))
    assert np.all(gap <= 1.01 * rounding + 5 * error * (1 + 4**0.5))


MONTE_CARLO = [
    (
        "E",
        RANKER,
        {},
        {"regret_controlled": (0.004579, 2.7e-5), "regret_noise_std": (4.25e-4, 1.5e-5)},
    ),
    ("F", RANKER, {"arrivals": "shuffled"}, {"regret_controlled": (0.002422, 2.4e-5)}),
    (
        "I",
        RANKER,
        {"objective": "quality_weighted", "fairness_weight": 1.0},
        {"regret_controlled": (0.009846, 4.2e-5), "regret_noise_std": (6.56e-4, 2.3e-5)},
    ),
    (
        "K",
        RANKER,
        {"objective": "welfare", "fairness_weight": 2.0, "welfare_exponent_user": 0.5,
         "arrivals": "shuffled"},
        {"regret_controlled": (1.545e-4, 4e-6)},
    ),
    (
        "L",
        RANKER,
        {"objective": "balanced", "fairness_weight": 1.0, "arrivals": "shuffled"},
        {"regret_controlled": (0.005111, 5e-5)},
    ),
    ("M", RANKER, {"taste": 0.0}, {"regret_controlled": (4.18992e-7, 3e-8)}),
    (
        "J",
        BASELINES,
        {"algorithm": "fairco", "objective": "quality_weighted", "fairness_weight": 1.0,
         "arrivals": "shuffled", "num_epochs": 100},
        {"utility": (2.158370, 4e-6), "regret": (0.008672, 5e-6)},
    ),
    ("H", BASELINES, {"algorithm": "relevance"}, {"regret": (0.744616, 8e-5)}),
    (
        "H'",
        BASELINES,
        {"algorithm": "random", "num_epochs": 5},
        {"regret": (0.641725, 3e-4)},
    ),
    (
        "A",
        PAIR,
        {"fairness_weight": 1.0},
        {"regret_controlled": (7.728e-4, 1.8e-6), "bregman": (5.75e-5, 4e-7),
         "gap": (7.153e-4, 1.7e-6), "regret_noise_std": (0.005088, 1.8e-5)},
    ),
    (
        "B",
        PAIR,
        {"fairness_weight": 1.0, "num_rounds": 20},
        {"regret_controlled": (0.022004, 4.7e-5), "bregman": (0.002955, 1.3e-5),
         "gap": (0.019049, 4.5e-5), "regret_noise_std": (0.03609, 8e-5)},
    ),
    ("D", PAIR, {"fairness_weight": 0.0, "num_rounds": 100}, {"regret": (-4e-5, 8e-5)}),
    (
        "C",
        PAIR,
        {"fairness_weight": 5.0, "relevance_gap_mean": 0.8, "relevance_gap_std": 0.3,
         "num_rounds": 300},
        {"regret_controlled": (0.0092840, 9e-6), "bregman": (1.5306e-4, 9e-7)},
    ),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "given", "printed"), [pytest.param(*row[1:], id=row[0]) for row in MONTE_CARLO]
)
def test_printed_monte_carlo(study, given, printed):
    found = simulator.simulate(study, replicates=300, dtype="float64", **given)
    for output, (mean, error) in printed.items():
        mine, own = (np.ravel(x[output])[-1] for x in (found.mean, found.standard_error))
        assert abs(mine - mean) < 5 * np.hypot(error, own), (output, mine, own, mean, error)


@pytest.mark.slow
def test_regret_times_rounds_grows_like_a_logarithm_or_not_at_all():
    """Printed with an error of 0.08."""
    for arrivals, right in (
        ("uniform", (8.30, 9.17, 9.94, 10.68)),
        ("shuffled", (4.87, 4.91, 4.93, 4.95)),
    ):
        found = simulated(RANKER, 400, num_epochs=200, num_checkpoints=4, arrivals=arrivals)
        rounds = 40 * np.array([25, 50, 100, 200])
        mean, error = (
            rounds * x["regret_controlled"] for x in (found.mean, found.standard_error)
        )  # fmt: skip
        assert np.all(np.abs(mean - right) < 5 * np.hypot(error, 0.08))


VISITORS = {"num_users": 5, "num_items": 4, "num_slots": 2}


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rounds():
    given = VISITORS | {"num_checkpoints": 5}
    long, short = (memory_of(main, num_epochs=n, **given) for n in (200_000, 2_000))
    assert long <= 1.01 * short + 4096


# --------------------------------------------------------------------------------------------
# The others
# --------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_fairco_rises_to_its_limit():
    for given, right in ((PLAIN, 0.0344), (QUALITY, 0.0121)):
        limit = simulator.predict(BASELINES, algorithm="fairco", **given)["regret"][-1]
        assert limit == pytest.approx(right, abs=5e-5)


@pytest.mark.slow
def test_fairco_cannot_trade_off():
    """Printed gains: the slower the controller, the closer to the programme."""
    given = {"algorithm": "fairco", "objective": "quality_weighted", "fairness_weight": 1.0,
             "arrivals": "shuffled"}  # fmt: skip
    printed = {
        0.001: (2.1777, 0.0870),
        0.01: (2.1561, 0.0087),
        0.1: (2.1306, 0.0009),
        1.0: (1.9265, 0.0002),
    }
    for gain, (utility, unfair) in printed.items():
        found = simulated(BASELINES, 40, num_epochs=200, fairco_gain=gain, **given)
        for name, right in (("utility", utility), ("unfairness", unfair)):
            # Printed to four digits behind the point; one run, or a few.
            spread = 5 * found.standard_error[name][-1] * (1 + 40**0.5)
            assert abs(found.mean[name][-1] - right) < 1e-4 + spread, (gain, name)


@pytest.mark.slow
def test_relevance_has_no_randomness_once_everybody_came():
    for objective in ("quality_weighted", "balanced", "welfare"):
        given = {"objective": objective, "algorithm": "relevance", "arrivals": "shuffled",
                 "num_users": 5, "num_items": 4, "num_slots": 2, "num_epochs": 3,
                 "welfare_exponent_user": 0.5}  # fmt: skip
        found = simulated(BASELINES, 3, **given)
        right = simulator.predict(BASELINES, **given)["regret"]
        np.testing.assert_allclose(found.mean["regret"], right, atol=3e-6, err_msg=objective)
