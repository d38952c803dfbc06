"""The decision for a data set, against what its own words say."""

import json

import numpy as np
import pytest

import simulator
from simulator.advice import RIDGE, STRONG, advise
from simulator.data import from_arrays, labeller_shift, population
from simulator.data.loading import DataError

ROWS, DIM = 300, 6


def made(seed, num_rows=ROWS):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_rows, DIM)) * np.arange(1, DIM + 1) ** -0.7
    y = x @ np.ones(DIM) + 1.5 * rng.normal(size=num_rows)
    return population(from_arrays(x, y, "made"))


DATA = made(0)


@pytest.fixture(scope="module")
def stages():
    return []


@pytest.fixture(scope="module")
def decision(stages):
    return advise(DATA, tolerated=0.2, replicates=2500, progress=stages.append)


def test_the_penalty_is_the_best_and_errors_are_the_theorys(decision):
    noise = np.sqrt(ROWS / (ROWS - DIM - 1))
    for size, count in zip(decision.sizes, (300, 600, 1200), strict=True):
        given = {"num_samples": count, "num_generations": 0, "noise_scale": noise}
        ridges = size.ridge * np.array([0.9, 1.0, 1.1])
        errors = simulator.predict(RIDGE, ridge=ridges, **given, **DATA.parameters())["test_error"]
        assert size.num_samples == count
        assert np.argmin(errors) == 1
        assert size.excess_error == pytest.approx(errors[1], rel=1e-6)
        total = size.excess_error + (noise * DATA.noise_std) ** 2
        assert size.prediction_error == pytest.approx(total)


def test_the_linear_share_is_adjusted(decision):
    assert decision.linear_share == pytest.approx(DATA.signal.sum())
    adjusted = 1 - (1 - decision.linear_share) * ROWS / (ROWS - DIM - 1)
    assert decision.linear_share_adjusted == pytest.approx(adjusted)


def test_the_uncertainty_is_the_spread_over_data_sets(decision):
    """Of the same prediction, on fresh data from the same source."""
    found = [advise(made(seed), replicates=2).sizes[0].excess_error for seed in range(1, 13)]
    ratio = decision.sizes[0].uncertainty / np.std(found, ddof=1)
    assert 0.4 < ratio < 2.5


def test_the_tolerable_share_costs_what_is_tolerated(decision):
    noise = np.sqrt(ROWS / (ROWS - DIM - 1))
    given = {"noise_scale": noise, **DATA.parameters()}
    ridge = simulator.optimise(
        RIDGE, "test_error", over={"ridge": (1e-6, 1, "log")}, num_samples=ROWS // 4,
        num_generations=0, **given,
    )["ridge"]  # fmt: skip
    shifts = [labeller_shift(DATA, ROWS // 4, float(ridge), seed=seed) for seed in range(9)]
    errors = [np.sum(DATA.eigenvalues * shift**2) for shift in shifts]
    assert decision.labeller_error == pytest.approx(np.median(errors), rel=1e-3)
    shift = shifts[int(np.argsort(errors)[4])]
    clean, mixed = simulator.predict(
        STRONG, num_samples=ROWS, ridge=decision.sizes[0].ridge, shift=shift,
        synthetic_fraction=[0.0, decision.tolerable_share], **given,
    )["test_error"]  # fmt: skip
    assert 0 < decision.tolerable_share < 1
    assert mixed / clean == pytest.approx(1.2, rel=1e-2)
    assert advise(DATA, tolerated=1e6, replicates=2).tolerable_share == 1


def test_experiments_confirm_it_or_say_how_many_more_would(decision):
    assert decision.status == "agrees"
    assert abs(decision.deviation) < 0.05 + 5 * decision.deviation_error
    few = advise(DATA, replicates=20)
    assert few.status == "inconclusive"
    assert few.missing > 20
    assert f"about {few.missing} more would settle it" in str(few)


def test_it_is_said_in_words_and_in_json(decision, stages):
    assert len(stages) == 4
    text = str(decision)
    for words in ("300 rows, 6 features", "in sample", "best penalty for 300 rows", "± ", "agree"):
        assert words in text
    assert json.loads(json.dumps(decision.to_dict()))["sizes"][2]["num_samples"] == 1200


@pytest.mark.parametrize(
    ("given", "message"),
    [({"tolerated": 0}, "tolerated = 0"), ({"labeller_rows": 1}, "labeller_rows = 1"),
     ({"replicates": 1}, "replicates = 1"), ({"seed": -1}, "seed = -1")],
)  # fmt: skip
def test_arguments_that_are_refused(given, message):
    with pytest.raises(DataError, match=message):
        advise(DATA, **given)
