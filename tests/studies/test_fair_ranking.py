"""arXiv 2209.13019: closed forms, identities, orders and limits of fair rankings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import simulator
from simulator.runtime.compilation import float64_on_cpu
from simulator.studies.decisions.fair_ranking import main
from tests.references import fair_ranking as reference

RANKER, PAIR, BASELINES = "fair-ranking", "fair-ranking.two-items", "fair-ranking.baselines"
#: One compiled theory of `fair-ranking` serves most tests here: the cell of the battery.
SMALL = {
    "num_users": 5, "num_items": 4, "num_slots": 2, "num_checkpoints": 2, "popularity": 0.7,
    "taste": 1.4, "smoothing": 0.3,
}  # fmt: skip
QUALITY = SMALL | {"objective": "quality_weighted"}
EXPOSED = 1 + 1 / np.log2(3)  # B of two slots


def simulated(study, replicates, seed=0, **given):
    return simulator.simulate(study, replicates=replicates, seed=seed, **given)


# --------------------------------------------------------------------------------------------
# The optimum
# --------------------------------------------------------------------------------------------
def test_the_frontier_of_fairness():
    """Value convex and decreasing in beta; utility and unfairness decrease; exposures sum to B."""
    beta = np.linspace(0, 3, 13)
    found = simulator.predict(RANKER, fairness_weight=beta, **QUALITY)
    value = found["optimal_value"]
    assert np.all(np.diff(value) < 0)
    assert np.all(np.diff(value, 2) > -1e-12)
    for falling in ("optimal_utility", "optimal_unfairness"):
        assert np.all(np.diff(found[falling]) < 1e-9), falling
    np.testing.assert_allclose(found["optimal_exposure"].sum(axis=1), EXPOSED, rtol=1e-13)
    for worse in ("relevance_value", "uniform_value"):
        assert np.all(found[worse] <= value + 1e-12), worse
    assert np.all((found["optimality_gap"] >= 0) & (found["optimality_gap"] < 1e-11))
    assert value[0] == pytest.approx(found["relevance_value"][0], rel=1e-14)
    top = np.sort(found["optimal_exposure"], axis=1)[:, ::-1].cumsum(axis=1)
    weights = np.array([1, 1 / np.log2(3), 0, 0]).cumsum()
    assert np.all(top <= weights + 1e-12)  # majorised by the weights


def test_the_envelope_of_the_frontier():
    """``df*/dbeta`` is minus the penalty at the optimum."""
    beta = 0.37
    low, high = (
        simulator.predict(RANKER, fairness_weight=beta + h, **QUALITY)["optimal_value"]
        for h in (-1e-5, 1e-5)
    )
    found = simulator.predict(RANKER, fairness_weight=beta, **QUALITY)
    penalty = np.sqrt(0.3 + found["optimal_unfairness"] ** 2)
    np.testing.assert_allclose((high - low) / 2e-5, -penalty, rtol=1e-7)


@pytest.mark.slow
def test_permuted_items_permute_their_exposures():
    rng = np.random.default_rng(0)
    table, order = rng.uniform(size=(5, 4)), np.array([2, 0, 3, 1])
    for objective in ("quadratic", "quality_weighted", "balanced", "welfare"):
        given = {"objective": objective, "num_slots": 2, "fairness_weight": 0.8}
        here, there = (
            simulator.predict(RANKER, preference_table=t, **given)["optimal_exposure"]
            for t in (table, table[:, order])
        )
        np.testing.assert_allclose(there, here[order], atol=2e-7, err_msg=objective)


def test_who_scores_higher_throughout_is_ranked_the_same():
    """A constant for one user moves all values by its share of the exposure, and no ranking."""
    table = np.random.default_rng(4).uniform(0.0, 0.7, size=(5, 4))
    higher = table + 0.2 * (np.arange(5) == 1)[:, None]
    given = SMALL | {"objective": "quadratic", "fairness_weight": 0.8}
    found = [simulator.predict(RANKER, preference_table=t, **given) for t in (table, higher)]
    np.testing.assert_allclose(*(x["optimal_exposure"] for x in found), atol=1e-9)
    for value in ("optimal_value", "relevance_value", "uniform_value"):
        low, high = (x[value] for x in found)
        np.testing.assert_allclose(high - low, 0.2 * EXPOSED / 5, rtol=1e-9, err_msg=value)
    key = jax.random.key(3)
    with float64_on_cpu():
        paths = [
            jax.jit(main.simulate_direct)(key, main.Params(preference_table=t, **given))
            for t in (jnp.asarray(table), jnp.asarray(higher))
        ]
    np.testing.assert_allclose(*(x["exposure"] for x in paths), rtol=1e-12)
    # The regret itself counts how often the user came.
    np.testing.assert_allclose(*(x["regret_controlled"] for x in paths), atol=1e-9)


def projected(x, weights):
    """On the permutahedron, by pooling in NumPy."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(-x, kind="stable")
    found = np.empty_like(x)
    found[order] = x[order] - isotonic_regression(x[order] - weights, increasing=False).x
    return found


@pytest.mark.slow
def test_identical_users_have_closed_forms():
    weights = np.array([1, 1 / np.log2(3), 0.5, 0, 0])
    beta, eta, alpha = 2.3, 0.11, -0.4
    relevance = 1 / (1 + np.exp(-0.7 * np.linspace(1, -1, 5)))
    given = {"num_users": 3, "num_items": 5, "popularity": 0.7, "taste": 0.0}
    found = simulator.predict(RANKER, num_slots=3, fairness_weight=beta, **given)
    right = projected(weights.sum() / 5 + relevance / beta, weights)
    np.testing.assert_allclose(found["optimal_exposure"], right, atol=1e-9)
    # Welfare, one slot: |alpha| x^(alpha - 1) beta/m = nu - mu_j.
    beta = 0.6
    low, high = relevance.max() + 1e-9, relevance.max() + 1e6

    def exposure(nu):
        x = (5 * (nu - relevance) / (beta * abs(alpha))) ** (1 / (alpha - 1))
        return np.maximum(x - eta, 0)

    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if exposure(middle).sum() > 1 else (low, middle)
    found = simulator.predict(
        RANKER, objective="welfare", num_slots=1, fairness_weight=beta, smoothing=eta,
        welfare_exponent_item=alpha, **given,
    )  # fmt: skip
    np.testing.assert_allclose(found["optimal_exposure"], exposure(low), atol=1e-8)


@pytest.mark.slow
def test_heavy_fairness_is_a_linear_programme():
    given = {"num_users": 5, "num_items": 4, "num_slots": 2, "popularity": 0.7, "taste": 1.4}
    found = simulator.predict(BASELINES, fairness_weight=1e5, **given)
    table = reference.circle(5, 4, 0.7, 1.4)
    right = reference.constrained_utility({"num_slots": 2, "objective": "quadratic"}, table)
    np.testing.assert_allclose(found["constrained_utility"], right, rtol=1e-10)
    np.testing.assert_allclose(found["optimal_utility"], right, rtol=1e-4)
    np.testing.assert_allclose(found["optimal_unfairness"], 0, atol=1e-4)


def test_the_bound_has_the_smoothness_of_each_objective():
    """Section 2, for the three forms and a logarithm of exposures."""
    weights = np.array([1, 1 / np.log2(3), 0, 0])
    diameter = np.sum((weights - weights[::-1]) ** 2)
    beta, eta = 0.7, 0.3
    rounds = 5 * np.array([25, 50])
    found = simulator.predict(RANKER, fairness_weight=beta, **QUALITY)["regret"]
    right = beta * 4 / (EXPOSED**2 * np.sqrt(eta)) / 2 * diameter * np.log(np.e * rounds) / rounds
    np.testing.assert_allclose(found, right, rtol=1e-13)


# --------------------------------------------------------------------------------------------
# The ranker
# --------------------------------------------------------------------------------------------
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


TABLES = {  # expected curves at the defaults, mean of 60: epochs 1, 2, 5, 10, 20, 50
    "uniform": (0.102, 0.0624, 0.0307, 0.0178, 0.0102, 0.0046),
    "shuffled": (0.0836, 0.0478, 0.0215, 0.0113, 0.0058, 0.0023),
}


@pytest.mark.slow
@pytest.mark.parametrize("arrivals", TABLES)
def test_the_curve_of_regret_at_the_defaults(arrivals):
    for epochs, right in zip((1, 2, 5, 10, 20, 50), TABLES[arrivals], strict=True):
        found = simulated(RANKER, 400, num_epochs=epochs, arrivals=arrivals)
        mean, error = (
            x["regret_controlled"][-1] for x in (found.mean, found.standard_error)
        )  # fmt: skip
        # Printed to three digits, and the mean of 60.
        assert abs(mean - right) < 5e-4 * right + 5e-5 + 5 * error * (1 + (400 / 60) ** 0.5)


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
    """Uniform arrivals 8.30, 9.17, 9.94 (0.08); shuffled 4.87, 4.91, 4.93."""
    for arrivals, right in (("uniform", (8.30, 9.17, 9.94)), ("shuffled", (4.87, 4.91, 4.93))):
        found = simulated(RANKER, 400, num_epochs=100, num_checkpoints=3, arrivals=arrivals)
        rounds = 40 * np.array([25, 50, 100])
        mean, error = (
            rounds * x["regret_controlled"] for x in (found.mean, found.standard_error)
        )  # fmt: skip
        assert np.all(np.abs(mean - right) < 5 * np.hypot(error, 0.08))


VISITORS = {"num_users": 5, "num_items": 4, "num_slots": 2}


def memory_of(num_epochs):
    params = main.Params(num_epochs=num_epochs, num_checkpoints=5, **VISITORS)
    compiled = jax.jit(main.simulate_direct).lower(jax.random.key(0), params).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rounds():
    assert memory_of(200_000) <= 1.01 * memory_of(2_000) + 4096


# --------------------------------------------------------------------------------------------
# Two items
# --------------------------------------------------------------------------------------------
def test_two_items_add_up():
    given = {"fairness_weight": [0.3, 1.7, 9.0], "relevance_gap_mean": -0.4, "num_rounds": 60}
    found = simulator.predict(PAIR, num_checkpoints=4, **given)
    np.testing.assert_allclose(found["regret"], found["bregman"] + found["gap"], rtol=1e-12)
    np.testing.assert_allclose(found["regret"], found["regret_controlled"], rtol=1e-14)


def test_the_price_of_fairness_between_two_items():
    """``c*`` runs from 0 to delta, utility from U(0) to ``1/2 + tau / sqrt(2 pi)``."""
    beta = np.array([0.0, 0.01, 0.1, 1, 10, 1e3, 1e6])
    found = simulator.predict(PAIR, fairness_weight=beta, relevance_gap_mean=0.7, num_rounds=1)
    assert np.all(np.diff(found["optimal_threshold"]) > 0)
    assert np.all(np.diff(found["optimal_utility"]) < 0)
    np.testing.assert_allclose(found["optimal_threshold"][[0, -1]], [0, 0.7], atol=1e-6)
    np.testing.assert_allclose(found["optimal_exposure"][[0, -1]], [norm.cdf(-1.4), 0.5], atol=1e-6)
    fair = 0.5 + 0.5 / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(found["optimal_utility"][-1], fair, rtol=1e-6)


def test_equal_leads_need_no_fairness():
    """``delta = 0``: half and half is optimal, whatever the weight."""
    found = simulator.predict(
        PAIR, fairness_weight=[0.5, 5.0], relevance_gap_mean=0.0, num_rounds=20
    )
    np.testing.assert_allclose(found["optimal_threshold"], 0, atol=1e-14)
    np.testing.assert_allclose(found["optimal_exposure"], 0.5, atol=1e-14)


def test_exchanged_items_exchange_their_exposures():
    given = {"fairness_weight": 1.3, "relevance_gap_std": 0.6, "num_rounds": 1}
    one, other = (
        simulator.predict(PAIR, relevance_gap_mean=delta, **given) for delta in (0.4, -0.4)
    )
    np.testing.assert_allclose(one["optimal_exposure"], 1 - other["optimal_exposure"], rtol=1e-13)
    np.testing.assert_allclose(one["optimal_value"], other["optimal_value"], rtol=1e-13)


@pytest.mark.slow
def test_regret_grows_by_the_logarithmic_coefficient():
    """``2T R_2T - T R_T`` tends to ``kappa ln 2``, and ``T bregman`` to its limit, like 1/T."""
    found = simulator.predict(PAIR, fairness_weight=1.0, num_rounds=8000, num_checkpoints=4)
    rounds = np.array([1000, 2000, 4000, 8000])
    excess = np.diff(rounds * found["regret"]) - found["log_coefficient"] * np.log(2)
    np.testing.assert_allclose(excess[:-1] / excess[1:], 2, rtol=0.1)
    assert abs(excess[-1]) < 2e-4
    apart = rounds * found["bregman"] - found["bregman_limit"]
    np.testing.assert_allclose(apart[:-1] / apart[1:], 2, rtol=0.1)


FINITE = {  # beta: exact regret at T = 1, 10, 100, 1000, as printed but for 2.38324e-5
    0.1: (0.01441512, 0.00175793, 2.06718e-4, 2.38329e-5),
    1.0: (0.19604981, 0.03812748, 0.00575594, 7.70666e-4),
    10.0: (2.41369474, 0.13870575, 0.03879898, 0.00663259),
    100.0: (24.90843451, 0.13959957, 0.13015241, 0.03851453),
}


def test_the_printed_regret_at_every_size():
    weights = list(FINITE)
    for column, rounds in enumerate((1, 10, 100, 1000)):
        found = simulator.predict(PAIR, fairness_weight=weights, num_rounds=rounds)["regret"]
        right = [FINITE[beta][column] for beta in weights]
        np.testing.assert_allclose(found[:, 0], right, rtol=4e-6)


# --------------------------------------------------------------------------------------------
# The others
# --------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_the_curve_of_batch_frank_wolfe():
    printed = {1: 0.744, 2: 0.518, 5: 0.142, 10: 0.0737, 20: 0.0238, 50: 0.00416, 100: 0.00106}
    for epochs, right in printed.items():
        found = simulator.predict(BASELINES, num_epochs=epochs)["regret"][0]
        assert found == pytest.approx(right, rel=6e-3)


@pytest.mark.slow
def test_the_curve_of_fairco():
    """It dips, then rises to its limit; printed to three digits, the mean of 60."""
    printed = {1: 0.530, 2: 0.317, 5: 0.0615, 10: 0.0125, 20: 0.0157, 50: 0.0271, 100: 0.0325}
    for epochs, right in printed.items():
        found = simulated(BASELINES, 100, algorithm="fairco", num_epochs=epochs)
        mean, error = (x["regret"][-1] for x in (found.mean, found.standard_error))
        assert abs(mean - right) < 1e-3 * right + 5e-5 + 5 * error * (1 + (100 / 60) ** 0.5), epochs
    limit = simulator.predict(BASELINES, algorithm="fairco")["regret"][-1]
    assert limit == pytest.approx(0.0344, abs=5e-5)


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


# --------------------------------------------------------------------------------------------
# What is refused
# --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("study", "given", "words"),
    [
        (RANKER, {"num_checkpoints": 3, "num_epochs": 3}, "num_checkpoints"),
        (PAIR, {"num_checkpoints": 4, "num_rounds": 7}, "num_checkpoints"),
        (RANKER, {"num_slots": 21}, "num_slots"),
        (RANKER, {"preference_table": [[0.5, 1.2], [0.1, 0.3]], "num_slots": 1}, "1.2"),
        (RANKER, {"welfare_exponent_user": 1.5}, "welfare_exponent_user"),
        (BASELINES, {"fairco_gain": 0.0}, "fairco_gain"),
    ],
)
def test_refusals_name_the_parameter(study, given, words):
    with pytest.raises(ValueError, match=words) as refused:
        simulator.predict(study, **given)
    assert "\n" not in str(refused.value)
