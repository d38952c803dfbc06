"""arXiv 2209.13019 with two items: identities, limits, and the printed regret at every size."""

import numpy as np
import pytest
from scipy.stats import norm

import simulator
from tests.studies.test_fair_ranking import PAIR


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
