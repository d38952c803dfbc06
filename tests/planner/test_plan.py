"""Decisions: optima, their inverses, mixtures, chains; and the artefact."""

import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

import simulator
from simulator.planner import mixtures, optima
from simulator.planner.artefact import contents, text
from simulator.planner.decisions import by_draws
from simulator.planner.laws import law_named
from tests.planner.tables import TRUTH, loss, simulated
from tests.planner.test_fit import table_of


@pytest.fixture(scope="module")
def exact():
    """A fit whose law is known."""
    return simulator.fit(simulated(), holdout="none")


@pytest.fixture(scope="module")
def noisy():
    return simulator.fit(simulated(seed=4))


def best(flop):
    """The optimum of the truth, by search."""
    params = np.exp(np.linspace(np.log(1e7), np.log(1e12), 200_001))
    losses = loss(params, flop / 6 / params)
    return params[np.argmin(losses)], losses.min()


# --------------------------------------------------------------------------------------------
# Parameters and tokens
# --------------------------------------------------------------------------------------------
def test_the_optimum_is_that_of_a_search(exact):
    for flop in (3e19, 1e21, 7e22):
        plan = exact.plan(flop=flop)
        params, least = best(flop)
        assert float(plan.params) == pytest.approx(params, rel=1e-4)
        assert float(plan.loss) == pytest.approx(least, rel=1e-9)
        assert float(plan.tokens) * float(plan.params) * 6 == pytest.approx(flop, rel=1e-12)
        low, high = plan.ranges["params"]
        for end in (low, high):
            assert loss(end, flop / 6 / end) == pytest.approx(1.001 * least, rel=1e-8)


def test_budgets_and_losses_are_inverse(exact):
    losses = [float(exact.plan(flop=flop).loss) for flop in np.geomspace(1e18, 1e24, 7)]
    assert np.all(np.diff(losses) < 0)
    for flop, value in zip(np.geomspace(1e18, 1e24, 7), losses, strict=True):
        plan = exact.plan(loss=value)
        assert float(plan.flop) == pytest.approx(flop, rel=1e-9)
        tokens = exact.plan(loss=value, params=float(plan.params))
        assert float(tokens.tokens) == pytest.approx(float(plan.tokens), rel=1e-8)
        params = exact.plan(loss=value, tokens=float(plan.tokens))
        assert float(params.params) == pytest.approx(float(plan.params), rel=1e-8)


def test_a_smallest_budget_has_the_interval_of_its_slopes(noisy):
    """Quantiles of draws, which open it near the floor, would lie above the estimate."""
    found = noisy.plan(loss=2.4).flop
    expected = noisy.value_of(lambda theta: optima.flop_for(noisy, theta, 2.4))
    assert found.interval == pytest.approx(expected.interval, rel=1e-12)
    draws = by_draws(noisy, lambda theta: optima.flop_for(noisy, theta, 2.4))[0]
    assert draws.low > 1.01 * found.low
    assert 0.975 < noisy.plan(loss=2.4).reachable < 1


def test_a_loss_below_the_floor_is_not_reachable(noisy):
    plan = noisy.plan(loss=1.2)
    assert plan.reachable == 0
    assert "not reachable" in plan.lines[0]
    assert math.isinf(plan.flop)
    near = noisy.plan(loss=float(noisy.parameters["E"]) * 1.004)
    assert 0 < near.reachable < 1
    assert math.isinf(near.flop.high)
    assert any(line.startswith("reachable with probability") for line in near.lines)


def test_serving_makes_models_smaller(exact):
    flop, served = 1e22, 4e11
    plan = exact.plan(flop=flop, inference_tokens=served)
    params = np.exp(np.linspace(np.log(1e8), np.log(flop / 2 / served * 0.999), 400_001))
    tokens = (flop / params - 2 * served) / 6
    index = np.argmin(loss(params, tokens))
    assert float(plan.params) == pytest.approx(params[index], rel=1e-4)
    assert float(plan.loss) == pytest.approx(loss(params, tokens)[index], rel=1e-9)
    assert plan.params < exact.plan(flop=flop).params


def test_a_fixed_model_is_compared_with_the_optimum(exact):
    plan = exact.plan(params=1e9, tokens=4e9)
    expected = loss(1e9, 4e9)
    assert float(plan.loss) == pytest.approx(expected, rel=1e-9)
    assert float(plan.excess) == pytest.approx(expected / best(2.4e19)[1] - 1, rel=1e-6)
    at_best = exact.plan(params=best(2.4e19)[0], flop=2.4e19).excess
    assert 0 <= at_best.low <= at_best < 1e-9
    assert float(exact.plan(flop=2.4e19, params=1e9).loss) == pytest.approx(expected, rel=1e-9)


def test_every_decision_has_interval_distance_and_verdict(noisy):
    plan = noisy.plan(flop=1e22)
    for name in ("params", "tokens", "tokens_per_param", "loss"):
        value = plan[name]
        assert value.low < value < value.high
    assert plan.loss_new_run.low < plan.loss.low < plan.loss.high < plan.loss_new_run.high
    assert plan.distance == pytest.approx(2, abs=0.05)
    assert "N-FAR" in [n.code for n in plan.notices]
    assert plan.leverage > 0
    assert set(plan.sensitivity) == {"auto", "1e-3", "inf"}
    assert plan["D/N"] is plan.tokens_per_param
    assert plan.N is plan.params
    printed = str(plan)
    assert "the largest budgets" in printed
    for name in ("D/N", "N", "D", "loss"):
        assert noisy.interval(name, flop=1e22) == pytest.approx(plan[name].interval, rel=1e-9)
    assert noisy.interval("D/N at 1e22") == noisy.interval("D/N", flop=1e22)
    wide, narrow = (noisy.interval("a", level) for level in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    "question",
    [
        {"flop": 1e22},
        {"loss": 2.2},
        {"loss": 2.3, "params": 5e9},
        {"loss": 2.3, "tokens": 1e11},
        {"flop": 1e22, "inference_tokens": 3e11},
        {"params": 7e9, "tokens": 2e11},
    ],
)
def test_every_answer_says_how_far_it_is(noisy, question):
    plan = noisy.plan(**question)
    flop = float(plan.flop) if "flop" in plan.answers else question["flop"]
    assert plan.distance == pytest.approx(math.log10(flop / 1e20), abs=1e-9)
    far = [n for n in plan.notices if n.code == "N-FAR" and "decades beyond" in n.text]
    assert len(far) == (plan.distance > 1)
    assert plan.leverage > 0
    assert set(plan.sensitivity) == {"auto", "1e-3", "inf"}
    assert f"{plan.sensitivity_of} by Huber's threshold: auto" in str(plan)
    if set(question) & {"flop"} or set(question) == {"loss"}:
        low, high = plan.ranges["params"]
        assert low < plan.params < high


@pytest.mark.parametrize(
    ("question", "error", "message"),
    [
        ({}, TypeError, "a plan needs a question"),
        ({"flops": 1e21, "tokns": 1}, TypeError, "tokns is not allowed; did you mean 'tokens'"),
        ({"flop": -1}, ValueError, "flop = -1 is not allowed"),
        ({"generation": 3}, ValueError, "is not a question of chinchilla"),
    ],
)
def test_questions_are_checked(exact, question, error, message):
    with pytest.raises(error, match=message.replace("(", r"\(")):
        exact.plan(**question)
    with pytest.raises(AttributeError, match="this plan has no epochs; it answers params"):
        _ = exact.plan(flop=1e21).epochs
    with pytest.raises(ValueError, match="quantity = 'gama' is not allowed"):
        exact.interval("gama")
    with pytest.raises(TypeError, match="needs a budget"):
        exact.interval("D/N")


def test_predictions(noisy):
    mean = noisy.predict(params=1e9, tokens=2e10)
    run = noisy.predict(params=1e9, tokens=2e10, kind="new_run")
    assert float(mean) == float(run)
    assert run.low < mean.low < mean < mean.high < run.high
    assert float(noisy.predict(N=1e9, flop=1.2e20)) == pytest.approx(float(mean), rel=1e-12)
    found = noisy.predict(params=[[1e9], [2e9]], tokens=[2e10, 4e10, 8e10])
    assert np.shape(found) == (2, 3)
    assert float(found[0][0]) == pytest.approx(float(mean), rel=1e-12)
    with pytest.raises(TypeError, match="epoch is not allowed"):
        noisy.predict(params=1e9, tokens=1e10, epoch=3)
    with pytest.raises(ValueError, match="kind = 'run' is not allowed"):
        noisy.predict(kind="run", params=1e9, tokens=1e10)
    with pytest.raises(ValueError, match="no tokens column"):
        noisy.predict(params=1e9)


# --------------------------------------------------------------------------------------------
# Synthetic data and chains
# --------------------------------------------------------------------------------------------
def test_exchange_rates():
    table, truth = table_of("synthetic-share")
    fit = simulator.fit(table, "synthetic-share", holdout="none")
    rho, m = truth["rho"], truth["m"]
    n1, n2 = 3000.0, 700.0
    n = n1 + n2
    real = -1 / n**2 + rho * (n2 * n - 3 * n1 * n2) / n**4 - 2 * n2**2 / (n**3 * m)
    made = -1 / n**2 + rho * (n1 * n - 3 * n1 * n2) / n**4 + 2 * n1 * n2 / (n**3 * m)
    # d/dn of q(1-q)/n = n1 n2 / n^3, and of q^2 = n2^2 / n^2
    plan = fit.plan(real_tokens=n1, synthetic_tokens=n2)
    assert float(plan.rate) == pytest.approx(made / real, rel=1e-7)
    first = fit.plan(real_tokens=n1).rate
    assert float(first) == pytest.approx(1 - rho, rel=1e-6)
    assert "more synthetic data hurts" in fit.plan(real_tokens=n1).lines


def test_best_amount_without_covariance():
    n = np.geomspace(1e3, 1e6, 48)
    q = np.tile([0.0, 0.05, 0.2, 0.4], 12)
    values = 0.4 + 9.0 * (1 / n + q**2 / 9000.0) ** 0.6
    fit = simulator.fit({"tokens": n, "q": q, "loss": values}, "synthetic-share", holdout="none")
    for real in (6000.0, 30000.0):
        expected = 9000 * real / (2 * real - 9000)
        found = fit.plan(real_tokens=real).best_synthetic_tokens
        assert float(found) == pytest.approx(expected, rel=1e-5)
    assert math.isinf(fit.plan(real_tokens=4000.0).best_synthetic_tokens)


def test_best_amount_where_first_tokens_hurt():
    """The loss rises, falls and rises again: its least value counts, not the first turn."""
    rng = np.random.default_rng(2)
    for real, m, rho in [(0.7, 1.0, 1.5), (0.52, 1.0, 3.0), (0.9, 1.0, 1.5), (0.4, 1.0, 1.5),
                         *zip(rng.uniform(0.3, 3, 12), np.ones(12), rng.uniform(0, 5, 12),
                              strict=True)]:  # fmt: skip
        fit = share_fit(rho, m)
        made = np.r_[0, np.geomspace(1e-6, 1e6, 400_001)]
        n, q = real + made, made / (real + made)
        v = (1 + rho * q * (1 - q)) / n + q**2 / m
        best = made[np.argmin(v)] if np.argmin(v) < len(v) - 1 else np.inf
        found = float(mixtures.best_amount(fit, fit.theta, real))
        if np.isfinite(best):
            assert found == pytest.approx(best, rel=2e-3)
            continue
        # The limit of ever more tokens is 1 / m; a turn near it may be as good.
        assert math.isinf(found) or 1 / (real + found) < 1 / m


def share_fit(rho, m):
    """A fit of ``synthetic-share`` with given constants, the others off special points."""
    law = law_named("synthetic-share")
    theta = np.array([np.log(0.4), np.log(0.8), 0.6, rho, np.log(m)])
    return SimpleNamespace(law=law, theta=theta, centre={"tokens": 0.0})


def test_what_a_law_ignores_is_refused():
    table, _ = table_of("generations")
    for name in ("generations", "accumulate"):
        fit = simulator.fit(table, name, holdout="none", huber="inf")
        with pytest.raises(ValueError, match="is not a question of"):
            fit.plan(loss=0.6, tokens=3e4, num_samples_generator=1e4)
        with pytest.raises(TypeError, match="num_samples_generator is not allowed"):
            fit.predict(tokens=3e4, generation=2, num_samples_generator=1e4)
    tail = simulator.fit(table_of("generations-tail")[0], "generations-tail", holdout="none")
    assert tail.predict(tokens=3e4, generation=2, T0=1e4) > tail.predict(tokens=3e4, generation=2)
    share = simulator.fit(table_of("synthetic-share")[0], "synthetic-share", holdout="none")
    with pytest.raises(
        ValueError, match=re.escape("real_tokens = 0.0 is not allowed: it must be > 0")
    ):
        share.plan(real_tokens=0)


def test_generations_beyond_those_looked_at():
    fit = simulator.fit(table_of("generations-tail")[0], "generations-tail", holdout="none")
    plan = fit.plan(loss=2.4, tokens=1e9)
    assert float(plan.generation) == mixtures.MOST_GENERATIONS
    assert "allows at least 4096 " in plan.lines[0]


def test_flop_that_contradicts_the_sizes_is_refused(noisy):
    mean = noisy.predict(params=1e9, tokens=2e10)
    assert float(noisy.predict(params=1e9, tokens=2e10, flop=1.2e20)) == float(mean)
    with pytest.raises(ValueError, match=re.escape("flop = 1.3e+20 is not allowed")):
        noisy.predict(params=1e9, tokens=2e10, flop=1.3e20)


@pytest.mark.slow  # descents along a flat valley, for a minute
def test_smallest_real_share():
    table, truth = table_of("tail-mixture")
    fit = simulator.fit(table, "tail-mixture", holdout="none")
    for share in (0.003, 0.2):
        value = float(fit.predict(tokens=1e6, real_fraction=share))
        found = fit.plan(loss=value, tokens=1e6)
        assert float(found.real_fraction) == pytest.approx(share, rel=1e-6)
    impossible = fit.plan(loss=float(truth["E"]) * 1.001, tokens=1e4)
    assert impossible.lines[0].startswith("even all-real does not reach")
    shares = [float(fit.predict(tokens=1e6, real_fraction=p)) for p in (0, 1e-4, 1e-2, 1)]
    assert np.all(np.diff(shares) < 0)


@pytest.mark.parametrize("name", ["generations", "generations-tail", "accumulate"])
def test_tolerable_generations(name):
    table, _ = table_of(name)
    fit = simulator.fit(table, name, holdout="none")
    for generation in (1, 2, 4):
        at = float(fit.predict(tokens=3e4, generation=generation))
        after = float(fit.predict(tokens=3e4, generation=generation + 1))
        assert float(fit.plan(loss=0.5 * (at + after), tokens=3e4).generation) == generation
    assert fit.plan(loss=float(fit.predict(tokens=3e4, generation=1)) * 0.99,
                    tokens=3e4).reachable == 0  # fmt: skip


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("power", {"loss": 2.2}),
        ("synthetic-share", {"real_tokens": 3e3, "synthetic_tokens": 700}),
        ("generations", {"loss": 0.5, "tokens": 1e8}),
    ],
)
def test_answers_of_other_laws_say_how_far_they_are(name, question):
    fit = simulator.fit(table_of(name, seed=1)[0], name, holdout="none", raw=True)
    plan = fit.plan(**question)
    size = {"power": lambda: float(plan.x), "synthetic-share": lambda: 3700.0,
            "generations": lambda: 1e8}[name]()  # fmt: skip
    expected = math.log10(size / fit.table.columns["tokens"].max())
    assert plan.distance == pytest.approx(expected, abs=1e-9)
    assert plan.leverage > 0
    assert set(plan.sensitivity) == {"auto", "1e-3", "inf"}


@pytest.mark.slow
def test_repetitions():
    table, truth = table_of("data-constrained")
    fit = simulator.fit(table, "data-constrained", holdout="none", keep_overfit=True)
    plan = fit.plan(flop=1e21, unique_tokens=2e9)
    params = np.geomspace(1e8, 1e11, 20_001)
    tokens = 1e21 / 6 / params
    found = fit.predict(params=params, tokens=tokens, unique_tokens=np.minimum(2e9, tokens))
    losses = [float(v) for v in found]
    assert float(plan.params) == pytest.approx(params[np.argmin(losses)], rel=2e-3)
    assert float(plan.loss) == pytest.approx(min(losses), rel=1e-8)
    assert float(plan.epochs_worth_it) == pytest.approx(1 + truth["R_D"] * math.log(10), rel=1e-7)
    found = fit.plan(flop=1e21, loss=float(plan.loss))
    assert float(found.unique_tokens) == pytest.approx(2e9, rel=1e-4)


# --------------------------------------------------------------------------------------------
# Artefact
# --------------------------------------------------------------------------------------------
def test_the_artefact_is_the_fit_to_the_bit(noisy, tmp_path):
    noisy.save(tmp_path / "fit.json")
    again = simulator.load_fit(tmp_path / "fit.json")
    again.save(tmp_path / "again.json")
    assert (tmp_path / "fit.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    assert str(again) == str(noisy)
    assert str(again.plan(flop=1e22)) == str(noisy.plan(flop=1e22))
    assert np.array_equal(again.theta, noisy.theta)
    given = json.loads((tmp_path / "fit.json").read_text())
    assert given["format"] == 1
    assert list(given) == sorted(given)
    assert given["parameters"]["alpha"]["value"] == float(noisy.parameters["alpha"])
    assert given["input"]["rows_used"] == 30
    assert set(given) >= {"certificate", "covariance", "data", "influence", "noise", "options",
                          "sensitivity", "theta", "verdicts", "package_version"}  # fmt: skip
    assert text(contents(again)) == (tmp_path / "fit.json").read_text()


def test_tables_of_the_artefact_keep_their_order(noisy, tmp_path):
    noisy.save(tmp_path / "fit.json")
    again = simulator.load_fit(tmp_path / "fit.json")
    for name in ("sensitivity", "influence"):
        assert list(getattr(again, name).columns) == list(getattr(noisy, name).columns)
        assert list(getattr(again, name).index) == list(getattr(noisy, name).index)
    assert list(noisy.sensitivity.columns)[:3] == ["delta", "E", "A"]


def test_damaged_artefacts_are_refused(noisy, tmp_path):
    path = tmp_path / "fit.json"
    for content, message in (("{", "no fit"), ("[]", "format None is not 1"),
                             ('{"format": 2}', "format 2 is not 1"),
                             ('{"format": 1}', "damaged, 'options' is missing"),
                             ('{"format": 1, "options": 3}', "damaged"),
                             (damaged(noisy), "damaged")):  # fmt: skip
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            simulator.load_fit(path)


def damaged(fit):
    given = json.loads(text(contents(fit)))
    given["certificate"] = {"value": 1}
    return json.dumps(given)


def test_truth_is_inside_the_interval(noisy):
    for name, value in TRUTH.items():
        low, high = noisy.interval(name, 0.99)
        assert low < value < high
