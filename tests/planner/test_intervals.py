"""Intervals cover, verdicts keep their error rates: measured on simulated tables, batched."""

import json

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import simulator
from simulator.cli import main
from simulator.planner import objective, optima, solver, uncertainty
from simulator.planner.decisions import theta_draws
from simulator.planner.diagnostics import score_variance, threshold
from simulator.planner.estimation import box_of, estimate
from simulator.planner.laws import law_named
from simulator.planner.ratio_profile import ratio_profile
from simulator.planner.values import Value
from tests.planner.tables import TRUTH, design, loss, simulated
from tests.planner.test_fit import table_of

TABLES = 300


def coverage(seed, noise=0.007, tables=TABLES, level=0.95):
    """Share of simulated tables whose intervals hold the truth, by quantity."""
    law = law_named("chinchilla")
    params, tokens = design()
    centre = {}
    features = law.prepare({"params": params, "tokens": tokens}, centre)
    clean, count = np.log(loss(params, tokens)), len(params)
    rows = objective.padded(features, clean, np.ones(count))
    rng = np.random.default_rng(seed)
    draws = np.zeros((tables, len(rows.target)))
    # Heavier tails than a normal law, as real tables have.
    draws[:, :count] = noise * rng.standard_t(5, (tables, count)) / np.sqrt(5 / 3)
    target = rows.target + draws
    box = box_of(law, clean)
    found = estimate(law, rows, "auto", box, target=target)
    budget = 10 * float((6 * params * tokens).max())
    fit = simulator.fit(simulated(), holdout="none")  # lends its constants to the decisions
    exact = theta_of_truth(law, centre)
    names = ("E", "alpha", "beta", "D/N", "loss", "budget for the loss")
    least = float(
        uncertainty.of_draws(lambda t: optima.optimal_loss(fit, t, budget), exact[None])[0]
    )
    functions = (
        lambda t: t[0],
        lambda t: t[3],
        lambda t: t[4],
        lambda t: optima.log_ratio(fit, t, budget),
        lambda t: optima.optimal_loss(fit, t, budget),
        lambda t: jnp.log(optima.flop_for(fit, t, least)),
    )
    inside = np.zeros((tables, len(names) + 1), bool)
    quantile = stats.t.ppf(0.5 + level / 2, count - law.size)
    for index, (theta, delta, status) in enumerate(
        zip(found.theta, found.delta, found.status, strict=True)
    ):
        assert status == "converged"
        one = rows._replace(target=target[index])
        spread = uncertainty.spread(law, one, count, theta, delta, box.free, None)
        for column, function in enumerate(functions):
            value, slope = uncertainty.with_gradient(function, theta)
            true = uncertainty.of_draws(function, exact[None])[0]
            half = quantile * np.sqrt(slope @ spread.covariance @ slope)
            inside[index, column] = abs(value - true) <= half
        # The last one by quantiles of draws instead, which this package does not print.
        tail = np.sqrt((count - 5) / rng.chisquare(count - 5, 1000))[:, None]
        drawn = theta + tail * rng.multivariate_normal(np.zeros(5), spread.covariance, 1000)
        values = uncertainty.of_draws(functions[-1], np.clip(drawn, box.low, box.high))
        low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2], method="nearest")
        inside[index, -1] = low <= true <= high
    return dict(zip((*names, "by draws"), inside.mean(axis=0), strict=True))


def theta_of_truth(law, centre):
    t = TRUTH
    return np.array([
        np.log(t["E"]), np.log(t["A"]) - t["alpha"] * centre["params"],
        np.log(t["B"]) - t["beta"] * centre["tokens"], t["alpha"], t["beta"],
    ])  # fmt: skip


@pytest.mark.slow
def test_coverage_of_the_recommended_intervals(seed):
    """[92, 98] % of nominal 95, over 300 tables of 30 runs."""
    found = coverage(seed)
    print(found)
    assert found.pop("by draws") < 0.92  # why thresholds are not quantiles of draws
    assert all(0.92 <= share <= 0.98 for share in found.values()), found


def test_shared_noise_needs_clusters():
    """With noise shared within a size, the interval of rows is too short; that of sizes is not."""
    rng = np.random.default_rng(1)
    sizes = np.geomspace(5e7, 5e9, 12)
    params = np.repeat(sizes, 5)
    tokens = params * np.tile(np.geomspace(6, 80, 5), 12)
    clean = np.log(loss(params, tokens))
    errors = {"none": [], "params": []}
    for _ in range(12):
        noise = np.repeat(0.008 * rng.standard_normal(12), 5) + 0.003 * rng.standard_normal(60)
        table = {"params": params, "tokens": tokens, "loss": np.exp(clean + noise)}
        for rule in errors:
            fit = simulator.fit(table, cluster=rule, holdout="none")
            errors[rule].append(fit.parameters["alpha"].se)
    assert np.median(errors["params"]) > 1.25 * np.median(errors["none"])


def test_interval_length_falls_as_the_root_of_the_number_of_runs():
    lengths = []
    for sizes in (6, 24):
        found = [
            np.diff(simulator.fit(simulated(seed=s, sizes=sizes), holdout="none").interval("alpha"))
            for s in range(8)
        ]
        lengths.append(float(np.median(found)))
    assert lengths[0] / lengths[1] == pytest.approx(2, rel=0.25)


def test_replicates_measure_noise_and_lack_of_fit():
    rng = np.random.default_rng(0)
    point = np.repeat(np.arange(40), 3)
    r = 0.007 * rng.standard_normal(120)
    found = uncertainty.replicates(point, r, 5)
    assert found.df == 80
    assert found.s_pure == pytest.approx(0.007, rel=0.2)
    assert found.p_value > 0.01
    assert found.factor == 1
    wrong = uncertainty.replicates(point, r + 0.02 * np.repeat(rng.standard_normal(40), 3), 5)
    assert wrong.p_value < 1e-6
    assert wrong.factor > 3


def test_verdicts_of_tables_that_obey_and_that_do_not():
    obeys = simulator.fit(simulated(seed=3, budgets=9, sizes=12, noise=0.004)).verdict
    assert obeys.loss.status in ("agrees", "inconclusive")
    assert abs(obeys.loss.statistic) < obeys.loss.threshold
    assert obeys.allocation.status != "disagrees"
    table = simulated(seed=3, budgets=9, sizes=12, noise=0.004)
    flop = 6 * table["params"] * table["tokens"]
    table["loss"] = table["loss"] * np.where(flop > 4e19, 1.05, 1.0)
    bent = simulator.fit(table).verdict
    assert bent.loss.status == "disagrees"
    assert bent.status == "disagrees"
    none = simulator.fit(simulated(seed=3), holdout="none").verdict
    assert none.status == "not tested"
    few = simulator.fit(simulated(seed=3), holdout=2e18).verdict
    assert few.status == "inconclusive"


def test_a_drift_is_said_by_the_fit_its_plans_and_its_artefact(tmp_path, capsys):
    """Larger runs that want smaller models: tokens per parameter do not extrapolate."""
    table = simulated(seed=1, budgets=6, sizes=8, noise=0.002)
    n, d = table["params"], table["tokens"]
    factor = np.where(6 * n * d > 3.2e19, 2.0, 1.0)
    table["loss"] = table["loss"] * loss(n * factor, d / factor) / loss(n, d)
    fit = simulator.fit(table)
    assert fit.verdict.allocation.status == "disagrees"
    (notice,) = [notice for notice in fit.notices if notice.code == "N-DRIFT"]
    factor = np.exp(abs(fit.verdict.allocation.error))
    assert notice.text.startswith(f"the optimal ratio moves by a factor {factor:.2f} when the larg")
    assert [n.code for n in fit.plan(flop=1e21).notices].count("N-DRIFT") == 1
    assert f"N-DRIFT: {notice.text}" in str(fit)
    fit.save(tmp_path / "fit.json")
    saved = json.loads((tmp_path / "fit.json").read_text())["notices"]
    assert notice._asdict() in saved
    again = simulator.load_fit(tmp_path / "fit.json")
    assert again.notices == fit.notices
    pd.DataFrame(table).to_csv(tmp_path / "t.csv", index=False)
    assert main(["fit", str(tmp_path / "t.csv")]) == 1
    assert f"N-DRIFT: {notice.text}" in capsys.readouterr().out


def test_few_rows_inside_the_threshold_leave_it_to_draws():
    """At 1e-3 the sandwich rests on few rows: thresholds and verdicts take bootstrap draws."""
    fit = simulator.fit(simulated(seed=3), huber=1e-3)
    assert fit.spread.kappa < uncertainty.FEW_INSIDE
    assert np.array_equal(theta_draws(fit, 1000), fit.draws(1000))
    assert np.allclose(fit.covariance, np.cov(fit.draws(1000), rowvar=False))
    assert not np.allclose(fit.covariance, fit.spread.covariance, rtol=0.05)
    (notice,) = [notice for notice in fit.notices if notice.code == "N-BOOTSTRAP"]
    assert notice.text.startswith(f"{100 * fit.spread.kappa:.0f} % of the rows are inside")
    sentence = fit.plan(flop=1e21).lines[0]
    assert sentence.count(", bootstrap)") == 4  # one word an interval, the reason in the notice
    assert "inside" not in sentence


@pytest.mark.parametrize("huber", ["auto", 1e-3])
def test_draws_start_near_their_minima(huber):
    """The minima are those of refits from the estimate, with fewer of the law's evaluations."""
    fit = simulator.fit(simulated(seed=1, budgets=8, sizes=9), huber=huber, holdout="none")
    weight = uncertainty.resampled(fit.table.columns["weight"], None, 64, 0)
    weight = np.pad(weight, ((0, 0), (0, len(fit.rows.target) - weight.shape[1])))
    r, slope = objective.residuals(fit.law, fit.rows, fit.theta)
    start = fit.theta + uncertainty.reweighted(r, slope, weight, fit.delta)
    far, near = (
        solver.solve(fit.law, fit.rows, theta, fit.delta, fit.box, weight=weight, **told)
        for theta, told in ((np.repeat(fit.theta[None], 64, 0), {}), (start, {"first_damping": 0}))
    )
    good = far.certificate < 1e-8
    assert good.mean() > 0.95
    np.testing.assert_allclose(near.theta[good], far.theta[good], atol=1e-7)
    assert near.steps.mean() < (0.7 if huber == "auto" else 1.0) * far.steps.mean()
    drawn = uncertainty.bootstrap(
        fit.law, fit.rows, fit.theta, fit.delta, fit.box, weight, every=True
    )
    np.testing.assert_allclose(drawn[good], far.theta[good], atol=1e-5)


def test_the_wider_of_sandwich_and_draws():
    value = Value(2.0, 1.8, 2.2, log=True)
    rng = np.random.default_rng(0)
    narrow, wide = (2 * np.exp(s * rng.standard_normal((1000, 1))) for s in (0.05, 0.2))
    assert uncertainty.wider([value], narrow, 0.95) == [value]
    (found,) = uncertainty.wider([value], wide, 0.95)
    assert np.log(found.interval) == pytest.approx(np.log(2) + np.array([-0.39, 0.39]), abs=0.06)
    assert found.reason.startswith("asymmetric")


def test_an_inconclusive_allocation_says_how_many_runs_are_missing():
    test = simulator.fit(simulated(seed=3)).verdict.allocation
    assert test.status == "inconclusive"
    more = 30 * ((test.resolution / test.tolerance) ** 2 - 1)
    assert test.note == f"about {int(np.ceil(more))} more runs like these would settle it"


def test_absolute_residuals_everywhere():
    fit = simulator.fit(simulated(seed=3), huber="inf", residual="absolute", holdout="none")
    assert fit.sensitivity.loc["inf", "f"] == pytest.approx(fit.certificate.f, rel=1e-9)
    assert fit.extra["drift"][-1]["a"] == pytest.approx(
        fit.constants["beta"] / (fit.constants["alpha"] + fit.constants["beta"]), rel=1e-6
    )
    assert fit.extra["laws"][0]["f"] == pytest.approx(fit.certificate.f, rel=1e-9)


def test_held_out_score_prefers_the_law_that_is_true():
    table, _ = table_of("generations-tail", seed=1)
    fit = simulator.fit(table, "generations-tail")
    own, other = fit.extra["laws"]
    assert own["held-out log score"] > other["held-out log score"] + 1
    assert np.isfinite(own["AICc"])
    none = simulator.fit(table, "generations-tail", holdout="none").extra["laws"][0]
    assert np.isnan(none["held-out log score"])


def test_a_trend_in_the_share_is_said():
    n = np.geomspace(1e3, 1e6, 48)
    q = np.tile([0.0, 0.1, 0.2, 0.3], 12)
    noise = np.exp(0.001 * np.random.default_rng(0).standard_normal(48))
    right = 0.4 + 9.0 * (1 / n + q**2 / 9000.0) ** 0.6
    bent = right * (1 + 0.03 * (q - 0.15) * (n > 3e4))
    for values, said in ((right, False), (bent, True)):
        table = {"tokens": n, "q": q, "loss": values * noise}
        fit = simulator.fit(table, "synthetic-share", holdout="none")
        assert ("N-TREND" in [notice.code for notice in fit.said]) == said


def test_no_row_without_synthetic_tokens_is_said():
    table, _ = table_of("synthetic-share", seed=1)
    some = {name: values[table["synthetic_fraction"] > 0] for name, values in table.items()}
    fit = simulator.fit(some, "synthetic-share", holdout="none")
    assert "no row has synthetic share 0" in str(fit.said)


def test_profile_of_the_ratio_is_least_at_the_decision():
    """Zero there, and where it passes its threshold the interval ends, more or less."""
    fit = simulator.fit(simulated(seed=3), huber="inf", holdout="none")
    value = fit.plan(flop=1e21)["D/N"]
    found = ratio_profile(fit, 1e21, np.array([value.low, float(value), value.high]))
    assert abs(found[1]) < 1e-6
    np.testing.assert_allclose(found[[0, 2]], threshold(fit), rtol=0.7)
    # By SciPy, with the ratio as a constraint.
    x, y = fit.rows.features["x"][:30], fit.rows.features["y"][:30]
    target = np.log(fit.table.columns["loss"])

    def misfit(v):
        r = np.log(np.exp([v[0] + 0 * x, v[1] - v[3] * x, v[2] - v[4] * y]).sum(axis=0)) - target
        return 1e4 * np.sum(r**2) / 2

    def excess(v):
        a, b = v[1] + v[3] * fit.centre["params"], v[2] + v[4] * fit.centre["tokens"]
        log_g = (np.log(v[3] / v[4]) + a - b) / (v[3] + v[4])
        budget = np.log(1e21 / 6)
        at = budget - 2 * (log_g + v[4] / (v[3] + v[4]) * budget)
        return at - np.log(value.high)

    from scipy.optimize import minimize

    least = minimize(misfit, fit.theta, method="SLSQP", options={"ftol": 1e-12, "maxiter": 1000},
                     constraints={"type": "eq", "fun": excess}).fun / 1e4  # fmt: skip
    expected = 2 * (least - fit.certificate.f) * fit.spread.kappa / score_variance(fit)
    assert found[2] == pytest.approx(expected, rel=0.02)
