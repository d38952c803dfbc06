"""arXiv 2209.13019: the optimum, its closed forms and limits; what is refused."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import simulator
from simulator.runtime.compilation import float64_on_cpu
from simulator.studies.decisions.fair_ranking import _model, main
from tests.references import fair_ranking as reference

RANKER, PAIR, BASELINES = "fair-ranking", "fair-ranking.two-items", "fair-ranking.baselines"
#: One compiled theory of `fair-ranking` serves most tests here: the cell of the battery.
SMALL = {
    "num_users": 5, "num_items": 4, "num_slots": 2, "num_checkpoints": 2, "popularity": 0.7,
    "taste": 1.4, "smoothing": 0.3,
}  # fmt: skip
QUALITY = SMALL | {"objective": "quality_weighted"}
EXPOSED = 1 + 1 / np.log2(3)  # B of two slots


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


def test_scores_are_slopes_of_the_objective():
    """A user's derivative, times n: relevances by the user's slope, and what items add."""
    study, rankings = simulator.get(RANKER), np.random.default_rng(7).uniform(size=(5, 4))
    for objective in ("quadratic", "quality_weighted", "balanced", "welfare"):
        given = SMALL | {"objective": objective, "welfare_exponent_user": 0.5}
        with float64_on_cpu():
            params = study.params(**study.canonical(given))
            market = _model.market_of(params)
            slopes = 5 * jax.grad(partial(_model.value_of, params, market))(jnp.asarray(rankings))
            utilities = jnp.sum(market.relevance * rankings, axis=1)
            exposures = _model.exposures_of(rankings)
            users = _model.user_slope(params, utilities)[:, None] * market.relevance
            items = [_model.item_scores(params, market, *exposures, i % 2) for i in range(5)]
        found = np.asarray(users) + np.stack(items)
        np.testing.assert_allclose(found, slopes, rtol=1e-12, err_msg=objective)


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
