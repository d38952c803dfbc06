"""Plausible mistakes of a planner, each of which a number here rejects."""

import numpy as np
import pytest
from scipy.optimize import minimize

import simulator
from simulator.planner import objective, solver, uncertainty
from tests.planner.tables import TRUTH, loss, simulated
from tests.planner.test_fit import table_of


def test_a_mean_objective_with_default_stops_is_no_minimum():
    """L-BFGS-B on the mean reports success far from the minimum; the certificate tells."""
    table = simulated(seed=5)
    fit = simulator.fit(table, huber=1e-3, holdout="none")
    x, y = np.log(table["params"]), np.log(table["tokens"])

    def mean(v):
        terms = [np.full(len(x), v[0]), v[1] - v[3] * x, v[2] - v[4] * y]
        r = np.abs(np.log(np.exp(terms).sum(axis=0)) - np.log(table["loss"]))
        return np.mean(np.where(r <= 1e-3, r**2 / 2, 1e-3 * (r - 5e-4)))

    start = [np.log(1.7), np.log(400), np.log(400), 0.34, 0.28]
    stopped = minimize(mean, start, method="L-BFGS-B")
    assert stopped.success
    assert stopped.fun * len(x) > 1.01 * fit.certificate.f
    assert fit.certificate < 1e-8


def test_leverage_lengthens_intervals_of_few_runs():
    fit = simulator.fit(simulated(seed=1, budgets=5, sizes=3), holdout="none")
    from simulator.planner.objective import residuals

    r, slope = (v[:15] for v in residuals(fit.law, fit.rows, fit.theta))
    inverse = np.linalg.inv(slope.T @ slope) / fit.spread.kappa
    scores = np.clip(r, -fit.delta, fit.delta)[:, None] * slope
    without = inverse @ (scores.T @ scores) @ inverse
    ratio = np.sqrt(np.diag(fit.spread.covariance) / np.diag(without))
    assert np.all(ratio > 1.15), ratio


def test_the_floor_of_a_tuned_model_is_not_that_of_the_square():
    """A plateau that is q^2 by assumption leaves what the law of the theory does not."""
    table, _ = table_of("synthetic-share")
    wrong = simulator.fit(table, "synthetic-share-additive", holdout="none")
    assert wrong.spread.s_new > 1e-3
    assert simulator.fit(table, "synthetic-share", holdout="none").spread.s_new < 1e-9


def test_a_chain_of_tokens_does_not_grow_linearly():
    table, _ = table_of("generations-tail")
    assert simulator.fit(table, "generations", holdout="none").spread.s_new > 1e-3
    assert simulator.fit(table, "generations-tail", holdout="none").spread.s_new < 1e-9


def test_draws_of_clusters_take_clusters_whole():
    labels = np.repeat(np.arange(5), 4)
    weight = uncertainty.resampled(np.ones(20), labels, 50, 0)
    assert np.all(weight.reshape(50, 5, 4).std(axis=-1) == 0)
    assert np.all(weight.sum(axis=1) == 20)


def test_one_start_in_raw_constants_misses_the_minimum():
    table = simulated(seed=5)
    fit = simulator.fit(table, huber="inf", holdout="none")
    target = np.log(table["loss"])

    def squares(v):
        found = loss(table["params"], table["tokens"], dict(zip(TRUTH, v, strict=True)))
        return np.sum((np.log(found) - target) ** 2) / 2

    best = [fit.parameters[name].value for name in TRUTH]
    assert squares(best) == pytest.approx(fit.certificate.f, rel=1e-9)
    bounds = [(1e-3, None)] * 5
    stopped = minimize(squares, [1.0, 100.0, 100.0, 0.3, 0.3], method="L-BFGS-B", bounds=bounds)
    assert stopped.success
    assert stopped.fun > 1.01 * fit.certificate.f


def test_squares_of_the_raw_loss_are_no_huber_fit():
    """One run that went wrong moves a fit of raw squares far more than the robust one."""
    right, wrong = simulated(seed=7), simulated(seed=7)
    wrong["loss"][4] *= 1.15

    def robust(table):
        return simulator.fit(table, holdout="none").predict(params=1e10, tokens=1e11)

    def raw_squares(table):
        fit = simulator.fit(table, holdout="none", residual="absolute", huber="inf")
        return fit.predict(params=1e10, tokens=1e11)

    moved = [abs(float(f(wrong)) - float(f(right))) for f in (robust, raw_squares)]
    assert 4 * moved[0] < moved[1]


def test_the_optimum_is_inside_every_grid():
    """Read off a grid's end, tokens per parameter would follow the grid."""
    fit = simulator.fit(simulated(), holdout="none")
    flop = 1e21
    plan = fit.plan(flop=flop)
    at = {name: float(plan[name]) for name in ("params", "tokens", "loss")}
    for factor in (0.2, 0.5, 0.9, 1.1, 2.0, 5.0):
        n = at["params"] * factor
        assert fit.predict(params=n, tokens=flop / (6 * n)) > at["loss"]


def test_the_law_of_a_decision_is_not_chosen_by_aicc():
    """With exponents .0255 apart the tied law often describes best, and decides wrongly."""
    preferred = []
    for seed in range(4):
        fit = simulator.fit(simulated(seed=seed), holdout="none")
        assert fit.law.name == "chinchilla"
        ranked = {row["law"]: row["AICc"] for row in fit.extra["laws"]}
        preferred.append(ranked["tied"] < ranked["chinchilla"])
    assert any(preferred)
    tied = simulator.fit(simulated(seed=0), "tied", holdout="none")
    assert "assumes equal exponents" in str(tied.plan(flop=1e21))


def test_percentiles_of_a_wild_bootstrap_are_too_short_at_a_small_threshold():
    """At 1e-3 resampled signs span far less than resampled rows, which cover what they promise.

    Measured over 500 tables (the planner's specification): 80 to 82 % against 94 to 96 of 95.
    """
    rng = np.random.default_rng(0)
    points = np.sqrt([0.5, 1, 1.5])
    webb = np.r_[-points, points]
    ratios = []
    for seed in range(3):
        fit = simulator.fit(simulated(seed=seed), huber=1e-3, holdout="none")
        count, draws = len(fit.table), 128
        r = -objective.residuals(fit.law, fit.rows, fit.theta)[0][:count]
        signs = rng.choice(webb, (draws, count))
        target = np.repeat(fit.rows.target[None], draws, 0)
        target[:, :count] += signs * r / (1 - fit.spread.leverage) - r
        start = np.repeat(fit.theta[None], draws, 0)
        wild = solver.solve(fit.law, fit.rows, start, 1e-3, fit.box, target=target).theta
        rows = fit.draws(400)
        spans = [
            np.ptp(np.quantile(d[:, 3:], [0.025, 0.975], axis=0), axis=0) for d in (wild, rows)
        ]
        ratios.append(spans[0] / spans[1])
    assert np.all(np.median(ratios, axis=0) < 0.85), ratios
