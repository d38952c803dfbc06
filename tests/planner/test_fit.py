"""Properties of the fit: recovery, scale, weights, groups, options."""

import numpy as np
import pandas as pd
import pytest

import simulator
from simulator.planner import objective
from simulator.planner.estimation import box_of, estimate, scale
from simulator.planner.laws import LAWS, law_named
from simulator.planner.solver import solve
from simulator.planner.uncertainty import resampled
from simulator.runtime.compilation import float64_on_cpu
from tests.planner.tables import TRUTH, simulated

NAMES = ("E", "A", "B", "alpha", "beta")


def constants(fit, names=NAMES):
    return np.array([fit.constants[name] for name in names])


# --------------------------------------------------------------------------------------------
# Exact data
# --------------------------------------------------------------------------------------------
def mixture(count=48):
    rng = np.random.default_rng(3)
    return np.geomspace(1e3, 1e7, count), np.tile([0.0, 0.05, 0.2, 0.45], count // 4), rng


def truths():
    """Columns and parameters of every law, off special points."""
    params, tokens = simulated()["params"], simulated()["tokens"]
    n, q, rng = mixture()
    unique = tokens / rng.choice([1, 2, 5, 14], len(tokens))
    generation = np.tile([1.0, 2.0, 3.0, 5.0], 12)
    sizes = {"params": params, "tokens": tokens}
    return {
        "power": ({"tokens": tokens}, {"E": 1.7, "A": 900.0, "alpha": 0.31}),
        "chinchilla": (sizes, TRUTH),
        "tied": (sizes, {"E": 1.7, "A": 410.0, "B": 900.0, "alpha": 0.33, "beta": 0.33}),
        "data-constrained": (
            sizes | {"unique_tokens": unique},
            {"E": 1.87, "A": 521.0, "B": 1488.0, "alpha": 0.353, "beta": 0.353}
            | {"R_D": 15.4, "R_N": 5.3},
        ),
        "synthetic-share": (
            {"tokens": n, "synthetic_fraction": q},
            {"E": 0.4, "K": 9.0, "theta": 0.61, "rho": 2.1, "m": 9275.0},
        ),
        "synthetic-share-additive": (
            {"tokens": n, "synthetic_fraction": q},
            {"E": 0.4, "K": 9.0, "P": 0.23, "theta": 0.61, "rho": 1.7},
        ),
        "tail-mixture": (
            {"tokens": n, "real_fraction": 1 - np.tile([1.0, 0.99, 0.9, 0.0], 12)},
            {"E": 0.2, "K": 2.3, "c": 0.36, "T_k": 9.4e4},
        ),
        "generations": (
            {"tokens": n, "generation": generation},
            {"E": 0.3, "A": 40.0, "H": 0.013, "alpha": 0.71},
        ),
        "generations-tail": (
            {"tokens": n, "generation": generation},
            {"E": 0.2, "K": 2.3, "c": 0.36},
        ),
        "accumulate": (
            {"tokens": n, "generation": generation},
            {"E": 0.3, "A": 40.0, "alpha": 0.93},
        ),
    }  # fmt: skip


def theta_of(law, truth, centre):
    """The variables of a law from its printed parameters, written out by hand."""
    x, y = centre.get("params", 0.0), centre.get("tokens", centre.get("effective_tokens", 0.0))
    p = {k: truth.get(k, np.nan) for k in ("E", "A", "B", "K", "P", "H", "alpha", "beta", "theta",
                                           "rho", "m", "c", "T_k", "R_D", "R_N")}  # fmt: skip
    ln = {k: np.log(v) if v > 0 else np.nan for k, v in p.items()}
    a, b = ln["A"] - p["alpha"] * x, ln["B"] - p["beta"] * y
    by_law = {
        "power": (ln["E"], ln["A"] - p["alpha"] * y, p["alpha"]),
        "chinchilla": (ln["E"], a, b, p["alpha"], p["beta"]),
        "tied": (ln["E"], a, b, p["alpha"]),
        "data-constrained": (ln["E"], b, p["alpha"], (a - b) / p["alpha"], ln["R_D"], ln["R_N"]),
        "synthetic-share": (ln["E"], ln["K"] - p["theta"] * y, p["theta"], p["rho"], ln["m"] - y),
        "synthetic-share-additive": (
            ln["E"],
            ln["K"] - p["theta"] * y,
            ln["P"],
            p["theta"],
            p["rho"],
        ),
        "tail-mixture": (ln["E"], ln["K"] - p["c"] * y, p["c"], ln["T_k"] - y),
        "generations": (ln["E"], ln["A"] - p["alpha"] * y, ln["H"], p["alpha"]),
        "generations-tail": (ln["E"], ln["K"] - p["c"] * y, p["c"]),
        "accumulate": (ln["E"], ln["A"] - p["alpha"] * y, p["alpha"]),
    }
    return np.array(by_law[law.name])


def table_of(name, seed=None, noise=0.004):
    columns, truth = truths()[name]
    law, centre = law_named(name), {}
    features = law.prepare(columns, centre)
    theta = theta_of(law, truth, centre)
    rows = objective.padded(
        features, np.zeros(len(columns["tokens"])), np.ones(len(columns["tokens"]))
    )
    with float64_on_cpu():
        logs = objective.many_residuals(law, rows, theta, target=0.0)[0][: len(columns["tokens"])]
    if seed is not None:
        logs = logs + noise * np.random.default_rng(seed).standard_normal(len(logs))
    return columns | {"loss": np.exp(logs)}, truth


@pytest.mark.parametrize("name", LAWS)
def test_data_without_noise_give_the_parameters_back(name):
    table, truth = table_of(name)
    fit = simulator.fit(table, name, holdout="none")
    assert fit.status == "converged"
    assert fit.certificate < 1e-8
    for parameter, value in truth.items():
        assert fit.constants[parameter] == pytest.approx(value, rel=1e-9), parameter


def test_no_start_of_scipy_finds_less():
    """On fifty random tables the minimum is at most the best of SciPy's from six starts."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    law = law_named("chinchilla")
    for index in range(50):
        budgets, sizes = rng.integers(3, 7), rng.integers(3, 7)
        table = simulated(seed=index, noise=rng.uniform(0.002, 0.02), budgets=budgets, sizes=sizes)
        huber = (1e-3, 0.01, np.inf)[index % 3]
        centre = {}
        features = law.prepare(table, centre)
        target = np.log(table["loss"])
        rows = objective.padded(features, target, np.ones(len(target)))
        box = box_of(law, target)
        found = estimate(law, rows, huber, box)
        assert found.certificate[0] < 1e-8
        x, y = features["x"], features["y"]

        def huber_sum(v, x=x, y=y, target=target, huber=huber):
            terms = np.exp(np.stack([np.full(len(x), v[0]), v[1] - v[3] * x, v[2] - v[4] * y]))
            total = terms.sum(axis=0)
            r = np.log(total) - target
            size, psi = np.abs(r), np.clip(r, -huber, huber)
            outside = np.minimum(huber, 1e9) * (size - np.minimum(huber, 1e9) / 2)
            share = terms / total
            slope = np.stack([*share, -share[1] * x, -share[2] * y])
            return np.sum(np.where(size <= huber, r**2 / 2, outside)), slope @ psi

        level = target.mean()
        starts = [found.theta[0] + 0.1 * rng.standard_normal(5)]
        starts += [np.r_[level + rng.uniform(-3, 0, 3), rng.uniform(0.1, 1, 2)] for _ in range(5)]
        bounds = list(zip(box.low, box.high, strict=True))
        options = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 5000, "maxfun": 50000}
        theirs = min(minimize(huber_sum, start, jac=True, method="L-BFGS-B", bounds=bounds,
                              options=options).fun for start in starts)  # fmt: skip
        assert found.objective[0] <= theirs * (1 + 1e-9), index


def test_no_refit_stops_where_the_objective_has_no_more_digits():
    """Losses are rounded: near a minimum the objective rises and falls by more than its digits."""
    fit = simulator.fit(simulated(seed=1), huber="inf", holdout="none")
    weight = resampled(fit.table.columns["weight"], None, 1000, 0)
    weight = np.pad(weight, ((0, 0), (0, len(fit.rows.target) - weight.shape[1])))
    start = np.repeat(fit.theta[None], 1000, 0)
    found = solve(fit.law, fit.rows, start, np.inf, fit.box, weight=weight)
    assert found.certificate.max() < 1e-11
    for seed in range(8):
        fit = simulator.fit(simulated(seed=seed), holdout="none")
        s = scale(fit.law, fit.rows, fit.theta, target=fit.rows.target,
                  weight=fit.rows.weight[None], size=fit.size)  # fmt: skip
        assert fit.delta == pytest.approx(1.345 * s[0], rel=1e-9)


# --------------------------------------------------------------------------------------------
# Invariances
# --------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def fitted():
    return simulator.fit(simulated(seed=5), holdout="none")


def test_units_of_size_and_loss(fitted):
    table = simulated(seed=5)
    s = 2.5
    bigger = simulator.fit(table | {"params": s * table["params"]}, holdout="none")
    expected = constants(fitted) * [1, s ** fitted.constants["alpha"], 1, 1, 1]
    np.testing.assert_allclose(constants(bigger), expected, rtol=1e-8)
    louder = simulator.fit(table | {"loss": s * table["loss"]}, holdout="none")
    np.testing.assert_allclose(constants(louder), constants(fitted) * [s, s, s, 1, 1], rtol=1e-8)
    one, other = fitted.plan(flop=1e21), louder.plan(flop=1e21)
    assert float(one.params) == pytest.approx(float(other.params), rel=1e-8)
    np.testing.assert_allclose(one.params.interval, other.params.interval, rtol=1e-7)


def test_order_and_weights_of_rows(fitted):
    table = pd.DataFrame(simulated(seed=5))
    shuffled = simulator.fit(table.sample(frac=1, random_state=1), holdout="none")
    np.testing.assert_allclose(constants(shuffled), constants(fitted), rtol=1e-9)
    fixed = {"huber": fitted.delta, "holdout": "none"}
    halves = pd.concat([table.assign(weight=0.5, part=i) for i in range(2)])
    split = simulator.fit(halves, **fixed)
    np.testing.assert_allclose(constants(split), constants(fitted), rtol=1e-9)
    assert split.certificate.f == pytest.approx(fitted.certificate.f, rel=1e-12)


def test_weight_zero_is_a_row_deleted(fitted):
    weight = fitted.rows.weight.copy()
    weight[7] = 0.0
    found = estimate(fitted.law, fitted.rows, fitted.delta, fitted.box, weight=weight[None])
    table = pd.DataFrame(simulated(seed=5)).drop(index=7)
    deleted = simulator.fit(table, huber=fitted.delta, holdout="none")
    with float64_on_cpu():
        raw = fitted.law.raw(found.theta[0], fitted.centre)
    np.testing.assert_allclose([float(raw[name]) for name in NAMES], constants(deleted), rtol=1e-8)


def test_groups_are_separate_fits_with_one_program():
    law = law_named("chinchilla")
    parts = [pd.DataFrame(simulated(seed=s)).assign(data=f"d{s}") for s in range(3)]
    program = objective.program(law)
    found = simulator.fit(pd.concat(parts), by="data", holdout="none")
    compiled = program._cache_size()
    for seed, part in enumerate(parts):
        alone = simulator.fit(part, holdout="none")
        np.testing.assert_allclose(constants(found[f"d{seed}"]), constants(alone), rtol=1e-12)
    assert program._cache_size() == compiled


def test_tied_is_the_constrained_law():
    table, _ = table_of("tied", seed=2)
    tied = simulator.fit(table, "tied", holdout="none", huber="inf")
    free = simulator.fit(table, holdout="none", huber="inf")
    assert tied.certificate.f >= free.certificate.f
    same, truth = table_of("tied")
    np.testing.assert_allclose(
        constants(simulator.fit(same, holdout="none")), [truth[n] for n in NAMES], rtol=1e-8
    )
    assert "assumes equal exponents" in tied.plan(flop=1e21).lines


def test_without_synthetic_tokens_share_laws_are_a_power():
    n = np.geomspace(1e3, 1e7, 20)
    noise = np.exp(0.004 * np.random.default_rng(0).standard_normal(20))
    table = {"tokens": n, "loss": (0.4 + 9.0 * n**-0.41) * noise}
    power = simulator.fit(table, "power", raw=True, holdout="none", huber="inf")
    for name in ("synthetic-share", "synthetic-share-additive"):
        fit = simulator.fit(table | {"q": np.zeros(20)}, name, holdout="none", huber="inf")
        found = [fit.constants[k] for k in ("E", "K", "theta")]
        expected = [power.constants[k] for k in ("E", "A", "alpha")]
        np.testing.assert_allclose(found, expected, rtol=1e-7)
        assert "N-SEPARATE" in [n.code for n in fit.notices]
        assert fit.size == 3
    table |= {"real fraction": np.ones(20)}
    real = simulator.fit(table, "tail-mixture", holdout="none", huber="inf")
    np.testing.assert_allclose([real.constants[k] for k in ("E", "K", "c")], expected, rtol=1e-7)


@pytest.mark.slow  # descents along a flat valley, for a minute
def test_without_real_tokens_the_floor_is_not_identified():
    table, _ = table_of("tail-mixture")
    alone = np.flatnonzero(table["real_fraction"] == 0)
    noise = np.exp(0.005 * np.random.default_rng(1).standard_normal(len(alone)))
    none = {name: values[alone] for name, values in table.items()}
    fit = simulator.fit(none | {"loss": none["loss"] * noise}, "tail-mixture", holdout="none")
    text = "E and the plateau are not separable: every row has real share 0"
    assert ("N-SEPARATE", text) in [tuple(n) for n in fit.notices]


# --------------------------------------------------------------------------------------------
# Options and refusals
# --------------------------------------------------------------------------------------------
def test_absolute_residuals_are_those_of_the_loss():
    from scipy.optimize import least_squares

    table = simulated(seed=3)
    fit = simulator.fit(table, huber="inf", residual="absolute", holdout="none")
    x, y = np.log(table["params"]), np.log(table["tokens"])

    def residual(v):
        return np.exp(v[0]) + np.exp(v[1] - v[3] * x) + np.exp(v[2] - v[4] * y) - table["loss"]

    start = [np.log(fit.constants[n]) for n in NAMES[:3]] + [fit.constants[n] for n in NAMES[3:]]
    found = least_squares(residual, start, x_scale="jac", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert fit.certificate.f == pytest.approx(found.cost, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"law": "chinchila"}, "law = 'chinchila' is not allowed"),
        ({"huber": -1.0}, "huber = -1.0 is not allowed"),
        ({"huber": "small"}, "huber = 'small' is not allowed"),
        ({"residual": "absolute"}, 'given together with huber="inf"'),
        ({"residual": "relative"}, "residual = 'relative' is not allowed"),
        ({"cluster": "budget"}, "cluster = 'budget' is not allowed"),
        ({"cluster": "run"}, "the table has no run column"),
        ({"holdout": 0}, "holdout = 0 is not allowed"),
        ({"seed": -1}, "seed = -1 is not allowed"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        simulator.fit(simulated(seed=0), **options)


def test_few_runs_give_a_point_and_say_what_is_missing():
    table = pd.DataFrame(simulated(seed=0)).iloc[[0, 5, 12, 17, 24, 29]]
    fit = simulator.fit(table, holdout="none", huber="inf")
    assert fit.status == "converged"
    assert "6 runs, 5 parameters: point estimate only, an interval needs 8 runs" in str(fit.notices)
    assert np.isnan(fit.parameters["alpha"].low)
    assert np.isnan(fit.interval("alpha")).all()


@pytest.mark.parametrize("runs", [5, 6, 7, 9])
def test_few_runs_can_be_saved_and_reported(runs, tmp_path):
    table = pd.DataFrame(simulated(seed=0)).iloc[[0, 5, 12, 17, 24, 29, 8, 20, 3][:runs]]
    fit = simulator.fit(table)
    assert len(fit.influence) == max(runs - 5, 1)
    fit.save(tmp_path / "fit.json")
    fit.report(tmp_path / "report.html")
    assert str(simulator.load_fit(tmp_path / "fit.json")) == str(fit)


def test_equal_exponents_have_equal_intervals():
    table, _ = table_of("tied", seed=2)
    tied = simulator.fit(table, "tied", holdout="none").parameters
    assert tied["beta"].interval == pytest.approx(tied["alpha"].interval, rel=1e-12)
    assert tied["beta"].se == pytest.approx(tied["alpha"].se, rel=1e-12)


def test_one_share_alone_leaves_the_floor_and_the_plateau_together():
    """With one share and no real runs, E + P q^2 is one number: P is fixed, and it is said."""
    n = np.geomspace(1e3, 1e7, 24)
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(24))
    table = {"tokens": n, "q": 0.3, "loss": (0.4 + 9.0 * n**-0.41 + 0.05) * noise}
    fit = simulator.fit(table, "synthetic-share-additive", holdout="none")
    assert fit.status == "converged"
    assert fit.size == 3
    assert {n for n, v in fit.parameters.items() if v.reason == "fixed"} == {"P", "rho"}
    assert fit.constants["E"] == pytest.approx(0.45, rel=0.02)
    text = "E and the plateau are not separable: every row has synthetic share 0.3"
    assert ("N-SEPARATE", text) in [tuple(n) for n in fit.notices]


def test_a_vanishing_floor_is_at_its_bound():
    """Losses that bend downwards have no floor, and no interval."""
    params, tokens = simulated()["params"], simulated()["tokens"]
    loss = (1e9 / params) ** 0.3 + (1e10 / tokens) ** 0.3 - 0.05
    fit = simulator.fit({"params": params, "tokens": tokens, "loss": loss}, holdout="none")
    assert fit.status.startswith("at bound: E = 0")
    assert fit.parameters["alpha"].reason == fit.status
    assert np.isnan(fit.plan(flop=1e21).params.low)
    assert str(fit).splitlines()[0].startswith("AT BOUND: E = 0")
    assert str(fit.plan(flop=1e21)).splitlines()[0].startswith("AT BOUND: E = 0")
    size = {"params": simulated()["params"], "tokens": simulated()["tokens"]}
    rising = (1.83 + 498 * size["params"] ** -0.35) * (size["tokens"] / 1e9) ** 0.01
    noise = np.exp(0.004 * np.random.default_rng(0).standard_normal(30))
    fit = simulator.fit(size | {"loss": rising * noise}, holdout="none")
    assert str(fit).startswith("AT BOUND: B = 0, beta: 30 of 30 runs")  # names keep their case


def test_no_recompilation_for_another_table_of_a_law():
    law = law_named("chinchilla")
    simulator.fit(simulated(seed=1), holdout="none")
    before = objective.program(law)._cache_size()
    simulator.fit(simulated(seed=2, budgets=7, sizes=4), holdout="none")
    assert objective.program(law)._cache_size() == before
