"""The verdict: right theories pass, wrong ones fail, and the stated error rates hold."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.study import Output, Study, exact, parameters, traced, upper_bound
from simulator.verdict import check_study
from tests.toy import ASYMPTOTIC, STUDY, asymptotic_theory


def scaled(study, factor):
    return dataclasses.replace(
        study, theory=lambda p: {"test_error": factor * study.theory(p)["test_error"]}
    )


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


def test_asymptotic_theory_is_extrapolated():
    grid = {"num_samples": [132]}
    assert check_study(ASYMPTOTIC, grid, dim=40, tolerance=0.03).status == "agrees"
    exact_relation = dataclasses.replace(
        ASYMPTOTIC, outputs=(Output("test_error", "excess risk", exact()),)
    )
    finite = {"num_samples": 33, "dim": 10, "tolerance": 0.03}
    assert check_study(exact_relation, **finite).status == "disagrees"
    wrong = scaled(ASYMPTOTIC, 0.95)
    assert check_study(wrong, grid, dim=40, tolerance=0.03).status == "disagrees"


@parameters
class Params:
    rate: float = traced(2.0, "a", "rate", above=0)


def noisy(name, theory, draw, relation):
    return Study(
        name=name,
        title="a law",
        reference="textbook",
        params=Params,
        outputs=(Output("value", "a draw", relation),),
        theory=theory,
        simulate_direct=draw,
    )


def exponential_draw(key, params):
    import jax

    return {"value": jax.random.exponential(key) / params.rate}


def test_bounds_are_one_sided():
    above = noisy("b", lambda p: {"value": 1.3 / p.rate}, exponential_draw, upper_bound())
    below = noisy("b", lambda p: {"value": 0.7 / p.rate}, exponential_draw, upper_bound())
    assert check_study(above, replicates=4000).status == "agrees"
    assert check_study(below, replicates=4000).status == "disagrees"


def pareto_draw(key, params):
    """Tail index 2.2: the variance is finite, the fourth moment is not."""
    import jax

    return {"value": jax.random.uniform(key) ** (-1 / 2.2) / params.rate}


def test_heavy_tails_are_recognised():
    study = noisy("p", lambda p: {"value": (2.2 / 1.2) / p.rate}, pareto_draw, exact())
    verdict = check_study(study, replicates=20_000, tolerance=0.2)
    assert "heavy tails" in verdict.comparisons[0].note
    assert verdict.status == "agrees"
    wrong = dataclasses.replace(study, theory=lambda p: {"value": 1.5 * (2.2 / 1.2) / p.rate})
    assert check_study(wrong, replicates=20_000, tolerance=0.2).status == "disagrees"


def rare_events(rates):
    """Failures of independent tokens, most of them rarer than the replicates can see."""

    def theory(params):
        err = params.rate * jnp.asarray(rates)
        return {"error": err, "error_std": jnp.sqrt(err * (1 - err))}

    def draw(key, params):
        return {"error": jax.random.uniform(key, (len(rates),)) < params.rate * jnp.asarray(rates)}

    tokens = {"dims": ("token",), "where": "both"}
    return Study(
        name="rare",
        title="rare",
        reference="none",
        params=Params,
        outputs=(
            Output("error", "failures", exact(), model_std="error_std", **tokens),
            Output("error_std", "their spread", dims=("token",), where="theory"),
        ),
        theory=theory,
        simulate_fast=draw,
    )


def test_rare_events_that_come_or_do_not_come_are_no_disagreement():
    """Expected: 0.2 events among forty tokens of rate 1e-5; a plain z-test would reject one."""
    study = rare_events([0.15, *[1e-5] * 40])
    for seed in range(12):
        verdict = check_study(study, replicates=500, tolerance=0.9, seed=seed)
        assert verdict.status == "agrees"
    wrong = rare_events([0.15, 0.02, *[1e-5] * 39])
    wrong = dataclasses.replace(wrong, theory=study.theory)
    assert check_study(wrong, replicates=2000, tolerance=0.9).status == "disagrees"


def test_heavy_tails_with_few_replicates_are_inconclusive():
    study = noisy("p", lambda p: {"value": (2.2 / 1.2) / p.rate}, pareto_draw, exact())
    assert check_study(study, replicates=200, tolerance=0.2).status == "inconclusive"


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
    with pytest.raises(ValueError, match="no output"):
        check_study(study, replicates=10)


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


def test_asymptotic_theory_has_a_toy_that_is_wrong_at_finite_size():
    params = STUDY.params(dim=10, num_samples=33)
    assert asymptotic_theory(params)["test_error"] < 0.96 * STUDY.theory(params)["test_error"]
