"""The reference results on the public tables, to all their digits."""

import math
import re

import numpy as np
import pytest

import simulator
from tests.planner.tables import public

BUDGET = 5.88e23
#: rows, huber: E, A, B, alpha, beta, f, D/N at 5.88e23
FITS = {
    (240, 1e-3): (1.8172180983, 477.82584, 2143.4174, 0.34731049715, 0.36717243387,
                  0.0010182740178, 17.910742),
    (240, "auto"): (1.8276060, 498.70726, 2555.0120, 0.34986522, 0.37548395,
                    0.0039682905, 16.944224),
    (240, "inf"): (1.8645500953, 593.32210, 4875.6378, 0.36025279817, 0.40588336185,
                   0.0057309434959, 14.249473),
    (245, 1e-3): (1.8913384991, 495.72601, 12845.613, 0.34931289372, 0.45304929558,
                  0.0018260105231, 6.7977995),
    (245, "auto"): (1.9091385, 552.69810, 19350.681, 0.35563903, 0.47216113,
                    0.010542192, 6.1939719),
    (245, "inf"): (1.9918303275, 749.53787, 370523.17, 0.37209787396, 0.61204824692,
                   0.035495215789, 2.0344039),
}  # fmt: skip
DELTA = {240: 0.0065849940, 245: 0.0083870214}


def chinchilla(rows=240):
    return public("chinchilla_points.csv").sort_values("loss").iloc[:rows]


@pytest.fixture(scope="module")
def by_rows():
    return simulator.fit(chinchilla(), cluster="none")


@pytest.fixture(scope="module")
def by_size():
    return simulator.fit(chinchilla())


@pytest.mark.parametrize(("rows", "huber"), FITS)
def test_constants(rows, huber):
    fit = simulator.fit(chinchilla(rows), huber=huber, holdout="none")
    *constants, f, ratio = FITS[rows, huber]
    found = [fit.constants[name] for name in ("E", "A", "B", "alpha", "beta")]
    np.testing.assert_allclose(found, constants, rtol=1e-7)
    assert fit.certificate.f == pytest.approx(f, rel=1e-7 if huber == "auto" else 1e-10)
    assert fit.certificate < 1e-8
    assert fit.status == "converged"
    assert ratio_of(fit.constants, BUDGET) == pytest.approx(ratio, rel=1e-7)
    if huber == "auto":
        assert fit.delta == pytest.approx(DELTA[rows], rel=2e-8)


def test_constants_to_twelve_digits():
    """By Newton's method with forty digits (mpmath), on the 240 with threshold 1e-3."""
    fit = simulator.fit(chinchilla(), huber=1e-3, holdout="none")
    found = [fit.constants[name] for name in ("E", "A", "B", "alpha", "beta")]
    expected = (1.81721809901, 477.825868234, 2143.41736336, 0.347310498882, 0.367172432628)
    np.testing.assert_allclose(found, expected, rtol=2e-11)
    assert fit.certificate.f == pytest.approx(0.0010182740178006, rel=1e-13)


def ratio_of(p, flop):
    """Tokens per parameter at a budget, written out."""
    g = (p["alpha"] * p["A"] / (p["beta"] * p["B"])) ** (1 / (p["alpha"] + p["beta"]))
    params = g * (flop / 6) ** (p["beta"] / (p["alpha"] + p["beta"]))
    return flop / 6 / params**2


def test_decisions_of_the_published_objective():
    fit = simulator.fit(chinchilla(), huber=1e-3, holdout="none")
    p = fit.constants
    assert p["beta"] / (p["alpha"] + p["beta"]) == pytest.approx(0.51389952, rel=2e-8)
    for flop, ratio in ((1e21, 21.384525), (1e22, 20.058598), (1e23, 18.814883), (1e25, 16.554020)):
        assert ratio_of(p, flop) == pytest.approx(ratio, rel=1e-7)
    names = ("params", "tokens", "loss")
    from simulator.planner import optima
    from simulator.planner.uncertainty import of_draws

    found = [
        float(of_draws(lambda t, f=f: f(fit, t, BUDGET), fit.theta[None])[0])
        for f in (optima.log_params, optima.log_tokens, optima.optimal_loss)
    ]
    expected = (np.log(7.3970106e10), np.log(1.3248595e12), 1.9733365)
    np.testing.assert_allclose(found, expected, rtol=3e-8, err_msg=str(names))


@pytest.mark.slow
def test_bootstrap_of_the_published_objective():
    """Ends of a case bootstrap have 3 % of error, there and here."""
    fit = simulator.fit(chinchilla(), huber=1e-3, holdout="none")
    np.testing.assert_allclose(fit.interval("D/N", flop=BUDGET), (6.93, 38.9), rtol=0.08)
    np.testing.assert_allclose(fit.interval("D/N at 1e21"), (14.7, 29.8), rtol=0.06)
    rows = simulator.fit(chinchilla(), huber=1e-3, holdout="none", cluster="none")
    np.testing.assert_allclose(rows.interval("D/N", flop=BUDGET), (7.36, 35.2), rtol=0.08)
    np.testing.assert_allclose(rows.interval("D/N at 1e21"), (15.3, 28.3), rtol=0.06)
    assert rows.interval("D/N at 1e25") == pytest.approx((5.3, 38.8), rel=0.08)
    assert rows.interval("D/N", 0.8, flop=BUDGET) == pytest.approx((10.2, 28.5), rel=0.06)
    assert fit.interval("D/N at 1e25") == pytest.approx((5.0, 44.4), rel=0.08)
    for name, error in {"alpha": 0.0151, "beta": 0.0201}.items():
        assert rows.parameters[name].se == pytest.approx(error, rel=0.06)
    from simulator.planner.uncertainty import of_draws

    errors = {"E": 0.0252, "A": 122, "B": 1306}  # of the constants themselves
    for name, error in errors.items():
        values = of_draws(lambda t, n=name: rows.law.raw(t, rows.centre)[n], rows.draws(4000))
        assert np.std(values) == pytest.approx(error, rel=0.1), name
    share = of_draws(lambda t: t[4] / (t[3] + t[4]), rows.draws(4000))
    assert np.std(share) == pytest.approx(0.0195, rel=0.06)


def test_influence_of_the_largest_losses():
    fit = simulator.fit(chinchilla(245), huber=1e-3, holdout="none", cluster="none")
    expected = [6.7977995, 10.043966, 11.331660, 14.678105, 17.052791, 17.910742]
    expected += [19.049865, 18.726170, 19.799330]
    table = fit.influence.iloc[:9]
    np.testing.assert_allclose(ratio_of(table, BUDGET), expected, rtol=1e-7)


def test_published_constants_describe_the_rows_badly():
    table = chinchilla()
    params, tokens = table.params, table.flop / 6 / table.params
    cases = {
        (406.4, 410.7, 1.69, 0.34, 0.28): (-0.016741906, 0.0041210091, 92.832421),
        (406.401, 410.7225, 1.69337, 0.33917084, 0.2849083): (
            0.0030207077,
            0.0012312780,
            59.037272,
        ),
    }
    for (a, b, e, alpha, beta), (mean, f, ratio) in cases.items():
        r = np.log(e + a * params**-alpha + b * tokens**-beta) - np.log(table.loss)
        assert -np.mean(r) == pytest.approx(mean, rel=1e-7)
        size = np.abs(r)
        huber = np.where(size <= 1e-3, r**2 / 2, 1e-3 * (size - 5e-4))
        assert np.sum(huber) == pytest.approx(f, rel=1e-7)
        g = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
        n = g * (BUDGET / 6) ** (beta / (alpha + beta))
        assert BUDGET / 6 / n**2 == pytest.approx(ratio, rel=1e-7)


@pytest.mark.parametrize(
    ("mean", "steps", "floor", "f"),
    [(False, 19, 1.69848775, 0.00116327), (True, 2, 1.69344064, None)],
)
def test_default_tolerances_stop_early(mean, steps, floor, f):
    """SciPy's L-BFGS-B from the published constants: success twice, no minimum."""
    from scipy.optimize import minimize

    table = chinchilla()
    x, y = np.log(table.params), np.log(table.flop / 6 / table.params)
    scale = len(table) if mean else 1

    def objective(v):
        terms = np.stack([v[0] - v[3] * x, v[1] - v[4] * y, v[2] + 0 * x])
        r = np.abs(np.log(np.exp(terms).sum(axis=0)) - np.log(table.loss))
        return np.sum(np.where(r <= 1e-3, r**2 / 2, 1e-3 * (r - 5e-4))) / scale

    start = [*np.log([406.401, 410.7225, 1.69337]), 0.33917084, 0.2849083]
    stopped = minimize(objective, start, method="L-BFGS-B")
    assert stopped.success
    assert abs(stopped.nit - steps) <= 2  # of this version of SciPy
    assert np.exp(stopped.x[2]) == pytest.approx(floor, abs=1e-5)
    if f is not None:
        assert stopped.fun == pytest.approx(f, abs=6e-9)
    assert stopped.fun * scale > 1.1 * FITS[240, 1e-3][5]


# --------------------------------------------------------------------------------------------
# Intervals and decisions
# --------------------------------------------------------------------------------------------
ROWS = {
    1e21: (21.224, 18.147, 24.824),
    BUDGET: (16.944, 11.480, 25.010),
    1e25: (15.331, 9.345, 25.150),
}
SIZES = {
    1e21: (21.224, 17.246, 26.120),
    BUDGET: (16.944, 10.289, 27.906),
    1e25: (15.331, 8.162, 28.796),
}


@pytest.mark.parametrize(("name", "expected"), [("by_rows", ROWS), ("by_size", SIZES)])
def test_intervals_of_the_ratio(name, expected, request):
    fit = request.getfixturevalue(name)
    for flop, (value, *ends) in expected.items():
        found = fit.plan(flop=flop)["D/N"]
        assert found == pytest.approx(value, abs=6e-4)
        np.testing.assert_allclose(fit.interval("D/N", flop=flop), ends, atol=6e-4)
        wide = found.reason.startswith("asymmetric")
        assert wide == (name == "by_rows")  # draws of rows span 1.6 times as much, of sizes 1.4
        if not wide:
            assert fit.interval("D/N", flop=flop) == pytest.approx(found.interval)


def test_clusters_and_noise(by_rows, by_size):
    assert by_rows.spread.clusters == 0
    assert by_size.cluster == "params"
    assert by_size.spread.clusters == 40
    assert by_rows.spread.df == 235
    assert by_size.spread.df == 35
    loss = by_size.plan(flop=BUDGET).loss
    np.testing.assert_allclose([loss, *loss.interval], [1.97788, 1.96010, 1.99582], atol=6e-6)
    f, gamma = 3032.354, 0.18111109
    import jax.numpy as jnp

    from simulator.planner.optima import frontier
    from simulator.planner.uncertainty import with_gradient

    found = with_gradient(lambda t: jnp.stack(frontier(by_size, t)), by_size.theta)[0]
    np.testing.assert_allclose(found, [f, gamma], rtol=2e-7)
    assert float(by_size.plan(loss=2.0).flop) == pytest.approx(2.7547e23, rel=2e-5)


VERDICTS = {
    3e19: (82, 158, -0.00007, -0.02, 2.641, 1.39, "inconclusive"),
    1e20: (136, 104, -0.00328, -1.45, 2.614, 0.96, "agrees"),
    3e20: (177, 63, -0.00536, -2.47, 2.605, 0.93, "agrees"),
    1e21: (217, 23, -0.00140, -0.46, 2.599, 1.28, "inconclusive"),
}


@pytest.mark.slow
@pytest.mark.parametrize("cut", VERDICTS)
def test_verdicts_of_four_cuts(cut):
    below, above, error, t, threshold, resolution, status = VERDICTS[cut]
    found = simulator.fit(chinchilla(), cluster="none", holdout=cut).verdict
    assert (found.below, found.above) == (below, above)
    assert found.loss.error == pytest.approx(error, abs=6e-6)
    assert found.loss.statistic == pytest.approx(t, abs=6e-3)
    assert found.loss.threshold == pytest.approx(threshold, abs=6e-4)
    assert 100 * found.loss.resolution == pytest.approx(resolution, abs=6e-3)
    assert found.loss.status == status
    # The allocation drifts, at every cut: z is above 4 with noise of rows, 2.6 its threshold.
    assert found.allocation.status == "disagrees"
    assert found.status == "disagrees"


@pytest.mark.parametrize(
    ("cut", "a", "percent"),
    [(3e19, 0.667073, 1.946), (1e20, 0.601971, 1.595), (3e20, 0.578292, 1.456)]
    + [(1e21, 0.547675, 1.051)],
)
def test_exponent_and_error_below_each_cut_of_the_published_objective(cut, a, percent):
    table = chinchilla()
    fit = simulator.fit(table[table.flop <= cut], huber=1e-3, holdout="none", cluster="none")
    p = fit.constants
    assert p["beta"] / (p["alpha"] + p["beta"]) == pytest.approx(a, abs=6e-7)
    large = table[table.flop > 1e21]
    found = fit.predict(params=large.params.to_numpy(), flop=large.flop.to_numpy())
    error = np.mean(np.abs(1 - np.array([float(v) for v in found]) / large.loss))
    assert len(large) == 23
    assert 100 * error == pytest.approx(percent, abs=6e-4)


def test_exponents_below_cuts_at_the_threshold_of_all_runs(by_rows):
    for cut, a in ((1e20, 0.6085), (3e20, 0.5746), (1e21, 0.5484)):
        table = chinchilla()
        below = table[table.flop <= cut]
        fit = simulator.fit(below, huber=by_rows.delta, holdout="none", cluster="none")
        p = fit.constants
        assert p["beta"] / (p["alpha"] + p["beta"]) == pytest.approx(a, abs=6e-5)


# --------------------------------------------------------------------------------------------
# Repeated tokens
# --------------------------------------------------------------------------------------------
def test_repetition_law_with_published_constants():
    from simulator.planner.laws import law_named
    from simulator.runtime.compilation import float64_on_cpu

    law = law_named("data-constrained")
    ln_a, ln_b, ln_e, alpha = 6.255414, 7.3049974, 0.6254804, 0.3526596
    theta = np.array([ln_e, ln_b, alpha, (ln_a - ln_b) / alpha, math.log(15.387756),
                      math.log(5.309743)])  # fmt: skip
    with float64_on_cpu():
        for (n, d, u), expected in (
            ((6.34e9, 242e9, 25e9), 2.2256440889984477),
            ((8.67e9, 178e9, 25e9), 2.2269634075087867),
        ):
            row = {"x": math.log(n), "y": math.log(d), "u": math.log(u)}
            found = float(np.exp(law.log_loss(theta, row)))
            assert found == pytest.approx(expected, rel=1e-12)


def repetition_law(params, tokens, unique, r_d, r_n):
    """With the other four constants as published, written out."""
    a, b, e, alpha = np.exp(6.255414), np.exp(7.3049974), np.exp(0.6254804), 0.3526596
    g = (a / b) ** (1 / (2 * alpha))
    best = np.minimum(g**2 * unique, params)
    size = best - best * r_n * np.expm1(-np.maximum(params / best - 1, 0) / r_n)
    more = unique * r_d * np.expm1(-np.maximum(tokens / unique - 1, 0) / r_d)
    return e + a * size**-alpha + b * (np.minimum(unique, tokens) - more) ** -alpha


def test_repetitions_cannot_be_told_with_four_constants_as_published():
    """The objective falls all the way to tokens that never wear out."""
    table = public("data_constrained_runs.csv")
    expected = {(15.387756, 5.309743): 0.0358404805, (100, 1e-6): 0.03020032}
    expected |= {(1e3, 1e-6): 0.02925663, (1e6, 1e-6): 0.02923386}
    for (r_d, r_n), f in expected.items():
        found = repetition_law(table.params, table.tokens, table.unique_tokens, r_d, r_n)
        r = np.abs(np.log(found) - np.log(table.loss))
        huber = np.where(r <= 1e-3, r**2 / 2, 1e-3 * (r - 5e-4))
        assert np.sum(huber) == pytest.approx(f, abs=6e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keep", "r_d", "r_n", "delta"),
    [(True, 42.4503, 29.2169, 0.0532712), (False, 37.1906, 57.2561, 0.0403107)],
)
def test_repetitions_at_the_automatic_threshold(keep, r_d, r_n, delta):
    """As SciPy's least_squares(loss="huber") has them, from four starts."""
    table = public("data_constrained_runs.csv")
    fit = simulator.fit(table, "data-constrained", holdout="none", keep_overfit=keep)
    assert fit.delta == pytest.approx(delta, rel=1e-5)
    assert fit.constants["R_D"] == pytest.approx(r_d, rel=1e-5)
    assert fit.constants["R_N"] == pytest.approx(r_n, rel=1e-5)


@pytest.mark.slow
def test_repetitions_are_not_identified_by_the_public_table():
    table = public("data_constrained_runs.csv")
    options = {"law": "data-constrained", "holdout": "none"}
    fit = simulator.fit(table, **options, huber=1e-3, keep_overfit=True)
    p = fit.constants
    assert fit.certificate.f == pytest.approx(0.0208779440, rel=1e-8)
    found = [p[name] for name in ("E", "A", "B", "alpha", "R_D", "R_N")]
    expected = (1.9755852, 758.826, 2442.003, 0.36299641, 277.58, 6.3677)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    less = simulator.fit(table, **options, huber=1e-3)
    assert less.table.dropped["over-fitted"] == 58
    assert less.constants["R_D"] == pytest.approx(47.3, abs=0.06)
    assert less.constants["R_N"] == pytest.approx(18.9, abs=0.06)
    found = less.replicates
    assert found.s_pure == pytest.approx(0.00696, abs=6e-6)
    assert (found.groups, found.df) == (17, 65)
    assert found.lack > 40
    few = table[table.tokens <= 40.0001 * table.unique_tokens]
    fit = simulator.fit(few, **options)
    assert len(fit.table) == 189
    assert fit.constants["R_D"] == pytest.approx(1e6)
    assert fit.replicates.lack > 40
    notices = "\n".join(map(str, fit.notices))
    assert "the law does not fit these rows" in notices
    (bound,) = re.findall(r"R_D: any value above (\S+) fits; not identified", notices)
    assert float(bound) == pytest.approx(99.6, rel=0.01)  # on a fine grid of the profile
