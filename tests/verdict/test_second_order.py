"""Asymptotic theories: what is extrapolated, and that many replicates reject no right one."""

import argparse
import dataclasses

import numpy as np
import pytest

from simulator.registry import get
from simulator.study import Asymptotic, Output, exact
from simulator.verdict import check_study, gather, judge
from simulator.verdict.check import ladder
from simulator.verdict.compare import comparable
from simulator.verdict.extrapolation import extrapolation, possible_orders
from tests.false_alarms import comparisons
from tests.many_replicates import climb
from tests.toy import ASYMPTOTIC, STUDY, asymptotic_theory
from tests.verdict.models import scaled

EIGHTH = (1 / 8, 1 / 4, 1 / 2, 1.0)


def test_asymptotic_theory_is_extrapolated():
    cell = ASYMPTOTIC.canonical({"dim": 40, "num_samples": 132})
    evidence = gather(ASYMPTOTIC, [cell], replicates=100_000, tolerance=0.04)
    verdict = judge(ASYMPTOTIC, evidence, tolerance=0.04)
    assert verdict.status == "agrees", str(verdict)
    assert "size^-1 x +0.01" in verdict.comparisons[0].note  # 1/92 more: d/(n - d - 1)
    assert "size^-2 x" in verdict.comparisons[0].note
    wrong = scaled(ASYMPTOTIC, 0.95)
    assert judge(wrong, evidence, tolerance=0.04).status == "disagrees"
    finite = dataclasses.replace(
        ASYMPTOTIC, outputs=(Output("test_error", "excess risk", exact()),)
    )
    assert check_study(finite, num_samples=33, dim=10, tolerance=0.03).status == "disagrees"


def test_asymptotic_theory_has_a_toy_that_is_wrong_at_finite_size():
    params = STUDY.params(dim=10, num_samples=33)
    assert asymptotic_theory(params)["test_error"] < 0.96 * STUDY.theory(params)["test_error"]


@pytest.mark.parametrize("rate", [0.5, 1.0])
@pytest.mark.parametrize("sizes", [EIGHTH, (0.3, 0.5, 0.7, 1.0), (0.2, 0.3, 0.5, 0.7, 1.0)])
def test_two_orders_are_fitted_exactly_and_the_third_is_bounded(sizes, rate):
    h = np.array(sizes)[:, None] ** -rate
    errors = np.random.default_rng(0).uniform(1, 30, (len(sizes), 3)) * 1e-5
    fit = extrapolation(sizes, rate, 2, errors, replicates=10_000)
    intercept, first, second, third = 0.03, -0.02, 0.015, 1e-4
    right = first * h + second * h**2 + 0 * errors
    np.testing.assert_allclose((fit.intercept * (intercept + right)).sum(axis=0), intercept)
    terms = np.array([[first], [second]]) * np.ones(3)
    np.testing.assert_allclose(fit.terms(intercept + right), terms)
    curved = right + third * h**3
    error = (fit.intercept * curved).sum(axis=0)
    omitted = fit.omitted(curved, 0 * errors)
    np.testing.assert_allclose(omitted.seen, 2 * np.abs(error), rtol=1e-6)
    assert np.all(omitted.bound >= np.minimum(omitted.seen, omitted.most))
    assert np.all(omitted.bound >= omitted.most / 2)
    shifted = fit.omitted(curved + intercept, 0 * errors)  # a wrong intercept changes nothing
    np.testing.assert_allclose(shifted.bound, omitted.bound)


@pytest.mark.parametrize("power", [1.4, 1.7, 2.5])
def test_powers_that_are_not_whole_are_bounded_where_they_are_found(power):
    """As along power laws: their third order is more than the spread of a power series allows."""
    errors = np.ones((4, 1))
    fit = extrapolation(EIGHTH, 1.0, 2, errors, replicates=10_000)
    deviations = 1e-4 * np.array(EIGHTH)[:, None] ** -power
    omitted = fit.omitted(deviations, 0 * errors)
    assert omitted.seen > omitted.most
    assert omitted.bound >= np.abs((fit.intercept * deviations).sum())
    unseen = fit.omitted(deviations, errors)
    assert unseen.bound == unseen.most / 2
    assert unseen.with_errors(0.0).bound <= unseen.most


@pytest.mark.parametrize("orders", [1, 2])
def test_what_lies_beside_the_fit_adds_to_the_error(orders):
    """As after a kink: small sizes are in another regime than large ones."""
    errors = np.full((4, 1), 1e-5)
    fit = extrapolation(EIGHTH, 1.0, orders, errors, replicates=10_000)
    noise = np.sqrt(((fit.intercept * errors) ** 2).sum(axis=0))
    h = 1 / np.array(EIGHTH)[:, None]
    described = 0.003 + 0.01 * h - (orders == 2) * 0.002 * h**2
    assert fit.misfit(described, errors, noise) == 0
    drawn = described + errors * np.random.default_rng(0).normal(size=(4, 2000))
    held = fit.misfit(drawn, errors, noise * np.ones(2000)) > 0
    assert 0 < np.mean(held) < 0.004  # what noise explains is not held for a misfit
    bent = described + np.where(h > 3, 0.004, 0.0)
    missed = np.linalg.norm(_left(h, bent, orders)) / 1e-5 / np.sqrt(3 - orders)
    np.testing.assert_allclose(fit.misfit(bent, errors, noise), noise * missed, rtol=1e-3)
    assert fit.misfit(bent, 0 * errors, noise) == 0  # without noise nothing tells


def _left(h, deviations, orders):
    powers = h ** np.arange(orders + 1)
    return deviations - powers @ np.linalg.lstsq(powers, deviations, rcond=None)[0]


def test_standard_errors_of_few_replicates_do_not_weigh_the_sizes():
    errors = np.random.default_rng(0).uniform(1, 30, (4, 1))
    few, many = (extrapolation(EIGHTH, 1.0, 2, errors, count).intercept for count in (511, 512))
    again = extrapolation(EIGHTH, 1.0, 2, errors[::-1], 511).intercept
    np.testing.assert_array_equal(few, again)
    assert np.abs(many - few).max() > 0.01
    assert few.sum() == pytest.approx(1)
    assert many.sum() == pytest.approx(1)


def test_three_sizes_leave_one_order_and_two_leave_nothing():
    assert list(possible_orders(EIGHTH)) == [1, 2]
    assert list(possible_orders((0.5, 0.75, 1.0))) == [1]
    fit = extrapolation((0.5, 1.0), 1.0, 1, np.ones((2, 1)), 1000)
    assert np.isnan(fit.intercept).all()


@pytest.mark.parametrize(
    ("dim", "sizes"),
    [(64, [8, 16, 32, 64]), (16, [2, 4, 8, 16]), (6, [2, 3, 4, 6]), (4, [2, 3, 4])],
)
def test_a_ladder_has_sizes_that_differ(dim, sizes):
    cell = ASYMPTOTIC.canonical({"dim": dim, "num_samples": 4 * dim})
    rungs = [values for _, values in ladder(ASYMPTOTIC, cell)]
    assert [values["dim"] for values in rungs] == sizes
    assert [values["num_samples"] for values in rungs] == [4 * size for size in sizes]


def test_a_ladder_stays_where_theory_is_finite():
    """At an eighth, n - d would be 1, where least squares has no mean."""
    study = get("strong-collapse.multi-step")
    cell = study.canonical({"dim": 32, "num_samples": 40, "ridge": 0.0, "num_steps": 1})
    assert next(values["dim"] for _, values in ladder(study, cell)) > 4


def test_sizes_that_coincide_are_refused():
    with pytest.raises(ValueError, match=r"dim = 3 is not allowed: .* take a larger one"):
        check_study(ASYMPTOTIC, dim=3, num_samples=12, replicates=10)


def test_many_replicates_of_a_small_size_reject_no_right_theory():
    """Its deviation at the largest size is 3 %; a theory wrong by what is resolved is rejected."""
    cell = ASYMPTOTIC.canonical({"dim": 16, "num_samples": 53})
    evidence = gather(ASYMPTOTIC, [cell], replicates=200_000, tolerance=0.05)
    (right,) = judge(ASYMPTOTIC, evidence, tolerance=0.05).comparisons
    assert right.status == "agrees"
    assert abs(right.mean / right.theory - 1) > 20 * right.standard_error / right.theory
    for factor in (1 + right.resolution, 1 - right.resolution):  # of the deviation, that is
        wrong = judge(scaled(ASYMPTOTIC, 1 / factor), evidence, tolerance=0.05)
        assert wrong.status == "disagrees"


def test_more_replicates_are_judged_until_the_time_is_up():
    given = argparse.Namespace(seconds=0, seed=0)
    right = climb(ASYMPTOTIC, {"dim": 16, "num_samples": 53}, given)
    assert right["replicates"] == 4096
    assert right["rejected"] == []
    assert abs(right["z"]) < right["threshold"]
    wrong = climb(scaled(ASYMPTOTIC, 0.8), {"dim": 16, "num_samples": 53}, given)
    assert wrong["rejected"] == ["test_error"]


@pytest.mark.slow
def test_tiny_ladders_reject_no_right_theory():
    """Sizes 2, 3, 4 and 6: only what the third order may amount to saves the bias."""
    cell = {"dim": 6, "num_samples": 60, "num_samples_generator": 8, "num_generations": 1}
    found = comparisons(get("ridge-collapse"), cell, replicates=2048, verdicts=60, along=True)
    (bias,) = zip(*[[c for c in mine if c.output == "bias"] for mine in found], strict=True)
    z = np.array([c.z for c in bias])
    assert np.all(np.abs(z) < 4)
    assert np.abs(np.mean(z)) < 0.5
    assert not any(c.status == "disagrees" for mine in found for c in mine)


#: An asymptotic cell of every study that has one, small enough for many replicates.
SMALL = {
    "strong-collapse": {"dim": 16, "num_samples": 40, "ridge": 0.1, "synthetic_fraction": 0.5},
    "strong-collapse.multi-step": {"dim": 16, "num_samples": 40, "num_steps": 2},
    "strong-collapse.random-projections": {"dim": 16, "num_samples": 40, "width": 24},
    "strong-collapse.two-covariances": {"dim": 16, "num_samples": 40},
    "ridge-collapse": {"dim": 16, "num_samples": 40, "num_samples_generator": 48},
    "ridge-regression": {"dim": 16, "num_samples": 160},
}


def asymptotic_outputs(study, cell):
    return [o for o, relation, _ in comparable(study, cell) if isinstance(relation, Asymptotic)]


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_z_against_replicates(name, seed):
    """From 256 to 262,144 replicates: printed, and never a disagreement."""
    study = get(name)
    cell = study.canonical(SMALL[name])
    assert asymptotic_outputs(study, cell)
    method = list(study.methods())[-1]  # the conditional one, where there is one
    method = "conditional" if "conditional" in study.methods() else method
    evidence = gather(study, [cell], replicates=256, seed=seed, method=method, tolerance=0.05)
    for replicates in 4 ** np.arange(4, 10):
        evidence.run.extend(int(replicates))
        verdict = judge(study, evidence, tolerance=0.05)
        print(f"{replicates} replicates\n{verdict}")
        assert verdict.status != "disagrees"
