"""Plausible mistakes of a planner, each of which a number here rejects."""

import numpy as np
from scipy.optimize import minimize

import simulator
from simulator.planner import uncertainty
from tests.planner.tables import simulated
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
    from simulator.planner.solver import residuals

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
