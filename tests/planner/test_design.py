"""Next runs: which ones, what they are predicted to teach, and what they taught."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import simulator
from tests.planner.tables import loss, simulated

SCRIPT = Path(__file__).parents[2] / "scripts" / "plot_planner.py"


@pytest.fixture(scope="module")
def noisy():
    return simulator.fit(simulated(seed=4))


def test_next_runs_for_the_ratio_are_far_from_the_optimum(noisy):
    found = noisy.next_runs(1e21, at=1e23)
    assert len(found) == 4
    np.testing.assert_allclose(np.sort(found.tokens_per_param), [2, 2, 200, 200], rtol=1e-9)
    np.testing.assert_allclose(found.flop, 2.5e20)
    np.testing.assert_allclose(6 * found.params * found.tokens, found.flop)
    assert found.shrinkage < 0.92 < 0.97 < found.alternatives["one optimal run"] <= 1
    assert len(noisy.next_runs(1e21, max_runs=1, at=1e23)) == 1
    loss_ = noisy.next_runs(1e21, at=1e23, goal="loss")
    assert loss_.shrinkage < 0.9
    assert "the interval shrinks to" in str(found)
    with pytest.raises(ValueError, match="goal = 'both' is not allowed"):
        noisy.next_runs(1e21, goal="both")


@pytest.mark.slow  # many tables
def test_predicted_shrinkage_is_that_of_tables_with_the_runs():
    """In the mean over tables, within three of its standard errors; one table may do otherwise."""
    rng = np.random.default_rng(0)

    def length(fit):
        low, high = fit.interval("D/N", flop=1e23)
        return np.log(high / low)

    ratios, predicted = [], []
    for seed in range(24):
        table = simulated(seed=seed)
        before = simulator.fit(table, holdout="none")
        found = before.next_runs(1e21, at=1e23)
        noise = np.exp(0.007 * rng.standard_normal(len(found)))
        added = {
            "params": np.r_[table["params"], found.params],
            "tokens": np.r_[table["tokens"], found.tokens],
            "loss": np.r_[table["loss"], loss(found.params, found.tokens) * noise],
        }
        ratios.append(length(simulator.fit(added, holdout="none")) / length(before))
        predicted.append(found.shrinkage)
    error = np.std(np.subtract(ratios, predicted)) / np.sqrt(len(ratios))
    assert error < 0.05
    assert abs(np.mean(ratios) - np.mean(predicted)) < 3 * error


def test_the_table_of_next_runs(capsys):
    """The script's table at small size: its figures follow from errors that are measured here."""
    script = runpy.run_path(str(SCRIPT))
    found = script["next_runs"](2, {"goal ratio, up to 4 runs": {"goal": "ratio"}})
    assert list(found) == ["no run", "one optimal run", "IsoFLOP of 3", "IsoFLOP of 4",
                           "IsoFLOP of 6", "goal ratio, up to 4 runs"]  # fmt: skip
    assert all(rows.shape == (2, 4) for rows in found.values())
    table = script["simulated"](1, ratios=script["WIDE"])
    ratio = table["tokens"] / table["params"]
    assert (ratio.min(), ratio.max()) == pytest.approx((1, 1000))
    fit = simulator.fit(table, holdout="none")
    plan = fit.plan(flop=1e23)
    best = simulator.fit(table | {"loss": loss(table["params"], table["tokens"])}, holdout="none")
    best = best.plan(flop=1e23)
    error, shortfall, regret, predicted = found["no run"][1]
    assert error == pytest.approx(np.log(plan["D/N"] / best["D/N"]), rel=1e-6)
    assert shortfall == pytest.approx(np.log(plan.loss / best.loss), rel=1e-5)
    reached = loss(float(plan.params), float(plan.tokens))
    assert regret == pytest.approx(reached - float(best.loss), abs=1e-9)
    assert np.isnan(predicted)
    shrinkage = fit.next_runs(1e21, at=1e23).shrinkage
    assert found["goal ratio, up to 4 runs"][1, 3] == pytest.approx(shrinkage)
    assert all(np.all(rows[:, 2] >= 0) for rows in found.values())
