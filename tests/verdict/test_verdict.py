"""The verdict: right theories pass, wrong ones fail, and what is not known agrees with nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.engine.simulation import simulate_study
from simulator.engine.theory import NotConverged
from simulator.registry import get
from simulator.study import RESIDUAL, asymptotic, exact, lower_bound, upper_bound
from simulator.verdict import check_study, gather, judge
from tests.toy import STUDY
from tests.verdict.models import exponential_draw, noisy, scaled


def test_exact_theory_agrees_at_the_stated_resolution():
    verdict = check_study(STUDY, {"num_samples": [30, 60]}, tolerance=0.03)
    assert verdict.status == "agrees"
    assert all(c.resolution <= 0.03 for c in verdict.comparisons)
    assert verdict.family_wise_error <= 1e-3
    assert "agrees" in str(verdict)
    assert "AGREES" in str(verdict)


def test_an_error_at_the_resolution_is_caught():
    """95 % power at the stated resolution; 1.5 times that leaves no doubt."""
    verdict = check_study(scaled(STUDY, 1.045), {"num_samples": [30]}, tolerance=0.03)
    assert verdict.status == "disagrees"
    assert verdict.worst("test_error").z < -5


def test_too_few_replicates_are_inconclusive_and_say_how_many_are_missing():
    verdict = check_study(STUDY, num_samples=40, replicates=100)
    assert verdict.status == "inconclusive"
    missing = verdict.worst("test_error").missing
    assert 10_000 < missing < 1_000_000
    assert f"{missing} replicates missing" in str(verdict)


def test_bounds_are_one_sided():
    above = noisy("b", lambda p: {"value": 1.3 / p.rate}, exponential_draw, upper_bound())
    below = noisy("b", lambda p: {"value": 0.7 / p.rate}, exponential_draw, upper_bound())
    assert check_study(above, replicates=4000).status == "agrees"
    assert check_study(below, replicates=4000).status == "disagrees"


@pytest.mark.parametrize("factor", [1.0, 10.0, 0.0])
def test_one_replicate_agrees_with_nothing(factor):
    verdict = check_study(scaled(STUDY, factor), num_samples=40, replicates=1)
    assert verdict.status == "inconclusive"
    assert verdict.comparisons[0].resolution == np.inf
    assert np.isnan(verdict.comparisons[0].z)
    assert "unknown" in str(verdict)
    assert verdict.worst("test_error").missing >= 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("relation", [exact(), upper_bound(), lower_bound()])
def test_a_simulation_that_is_no_number_agrees_with_nothing(value, relation):
    def draw(key, params):
        bad = jax.random.uniform(key) < 0.1
        return {"value": jnp.where(bad, value, 1.0)}

    study = noisy("n", lambda p: {"value": 1.0 + 0 * p.rate}, draw, relation)
    undefined = dataclasses.replace(study.outputs[0], nan_where_undefined=True)
    study = dataclasses.replace(study, outputs=(undefined,))
    for replicates in (100, None):
        verdict = check_study(study, replicates=replicates, max_replicates=1000)
        assert verdict.status == "inconclusive"
        assert "not finite" in str(verdict)


def test_an_infinite_mean_at_a_small_size_agrees_with_nothing():
    """Of an output that is extrapolated, errors are infinite there, too."""

    def draw(key, params):
        rare = (params.dim < 5) & (jax.random.uniform(key) < 0.1)
        return {
            "test_error": jnp.where(rare, jnp.inf, STUDY.simulate_fast(key, params)["test_error"])
        }

    extrapolated = dataclasses.replace(STUDY.outputs[0], relation=asymptotic("O(1/n)"))
    study = dataclasses.replace(STUDY, outputs=(extrapolated,), simulate_fast=draw)
    verdict = check_study(study, dim=16, num_samples=64, max_replicates=1000)
    assert verdict.status == "inconclusive"
    assert "the simulation is not finite" in str(verdict)


def test_a_theory_that_is_no_number_agrees_with_nothing():
    study = noisy("n", lambda p: {"value": 1 / p.rate}, exponential_draw, exact())
    evidence = gather(study, [study.canonical({})], replicates=5000, tolerance=0.2)
    assert judge(study, evidence, tolerance=0.2).status == "agrees"
    unknown = judge(study, evidence, tolerance=0.2, theories={0: {"value": np.array(np.nan)}})
    assert unknown.status == "inconclusive"


def stalling(share, residual):
    """A solver that stalls at ``residual`` in a share of the replicates."""

    def draw(key, params):
        key_value, key_stall = jax.random.split(key)
        stalled = jax.random.uniform(key_stall) < share
        value = jax.random.exponential(key_value) / params.rate
        return {"value": value, RESIDUAL: jnp.where(stalled, residual, 0.0)}

    return noisy("s", lambda p: {"value": 1 / p.rate}, draw, exact())


def test_a_stalled_replicate_in_ten_thousand_is_counted_and_reported():
    study = stalling(share=3e-4, residual=3e-6)  # the tolerance is 1e-6
    verdict = check_study(study, replicates=20_000, tolerance=0.1)
    assert verdict.status == "agrees"
    assert "of 20000 replicates converged only to a relative residual of 3.0e-06" in str(verdict)
    result = simulate_study(study, replicates=20_000)
    assert result.remarks == verdict.remarks
    assert verdict.remarks[0] in str(result)
    clean = check_study(stalling(0.0, 3e-6), replicates=20_000, tolerance=0.1)
    assert clean.remarks == ()


@pytest.mark.parametrize(("share", "residual"), [(0.01, 3e-6), (3e-4, 0.5), (3e-4, np.nan)])
def test_many_stalled_replicates_or_one_far_off_are_refused(share, residual):
    with pytest.raises(NotConverged, match="did not converge"):
        check_study(stalling(share, residual), replicates=20_000)


def test_false_alarms_are_as_rare_as_stated():
    """z-scores of a right theory over seeds: standard normal, none beyond five."""
    z = [
        check_study(STUDY, num_samples=60, replicates=300, seed=seed).comparisons[0].z
        for seed in range(60)
    ]
    assert np.max(np.abs(z)) < 5
    assert 0.7 < np.std(z) < 1.35


def test_infinite_theory_is_not_tested():
    study = noisy("i", lambda p: {"value": p.rate * np.inf}, exponential_draw, exact())
    verdict = check_study(study, replicates=10)
    assert verdict.status == "inconclusive"
    assert "not tested (exact: theory is not finite)" in str(verdict)


def test_an_output_that_is_nowhere_tested_leaves_the_verdict_open():
    """One wrong infinity must not hide behind the outputs that agree."""
    cell = {"dim": 6, "num_samples": 6, "num_samples_generator": 6, "ridge": 0.0}
    verdict = check_study(get("ridge-collapse"), replicates=200, num_generations=2, **cell)
    assert verdict.status != "agrees"
    assert {c.output for c in verdict.comparisons if c.status == "not tested"}
    few = {"dim": 6, "num_samples": 8, "ridge": 0.0, "num_steps": 1}  # at a half of it: 4 for 3
    verdict = check_study(get("strong-collapse.multi-step"), replicates=10, **few)
    assert verdict.status == "inconclusive"
    assert "theory is not finite at a smaller size" in str(verdict)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tolerance": 0.0}, "tolerance"),
        ({"family_wise_error": 2}, "family_wise_error"),
        ({"replicates": 0}, "replicates = 0"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        check_study(STUDY, **arguments)


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ValueError, match="has no simulation"):
        check_study(dataclasses.replace(STUDY, simulate_fast=None))
    with pytest.raises(ValueError, match="has no theory"):
        check_study(dataclasses.replace(STUDY, theory=None))
