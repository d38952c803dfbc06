"""Every study: its simulations agree with its theory, and no mutant survives."""

import math

import pytest

from simulator.testing.evidence import survivors
from simulator.verdict import check_study, gather, judge
from simulator.verdict.check import least_noisy
from tests.cases import collected, load
from tests.studies.battery import STUDIES, WITH_BOTH, cells, each

#: Coarser than most users' checks (the study's own tolerance), to keep the suite short; `make
#: test-all` runs the fine one.
TOLERANCE = 0.05

#: Their simulations run longer than it takes to optimise their programs.
LONG = {
    "associative-memory", "associative-memory.finite-data", "concave-bandits",
    "concave-bandits.gaussian-contexts", "data-accumulation", "data-accumulation.gaussian",
    "fair-ranking.two-items", "jailbreaking.alignment", "pilaf", "pilaf.iterated",
    "ridge-collapse", "tail-collapse",
}  # fmt: skip

#: Mutants show after less work than at the cell that is first, since it is small.
SMALL_LAST = {"ridge-collapse", "steepest-descent-margin"}


@each(WITH_BOTH)
def test_theory_agrees_and_mutants_are_rejected(name, request):
    """One cell after the other, until no mutant survives; slow tests take them all."""
    if name in LONG:
        request.getfixturevalue("optimised")
    tests, study = load(name), STUDIES[name]
    mutants = [mutant for mutant in tests.mutants if not mutant.slow]
    points = cells(study)
    if name in SMALL_LAST:
        points = points[1:] + points[:1]
    survive_none(study, mutants, points, tests.resolution(TOLERANCE))


@pytest.mark.slow
@each([name for name in WITH_BOTH if any(mutant.slow for mutant in collected(name).mutants)])
def test_slow_mutants_are_rejected(name):
    study = STUDIES[name]
    survive_none(study, [mutant for mutant in load(name).mutants if mutant.slow], study.check_cells)


def survive_none(study, mutants, cells, tolerance=TOLERANCE):
    """The theory agrees at the cells, one after the other, until each mutant is rejected."""
    complaints = list(survivors(study, mutants, cells, max(tolerance, study.tolerance)))
    assert not complaints, "\n".join([study.name, *complaints])


@pytest.mark.slow
@each(WITH_BOTH)
def test_every_method_agrees_at_the_studys_own_tolerance(name, seed):
    study = STUDIES[name]
    for method in study.methods():
        tolerance = study.tolerance
        if method != least_noisy(study):
            tolerance = load(name).resolution_of_others(tolerance)
        cells = [study.canonical(given) for given in study.check_cells]
        evidence = gather(study, cells, seed=seed, method=method, tolerance=tolerance)
        verdict = judge(study, evidence, tolerance=tolerance)
        assert verdict.status == "agrees", f"{method}\n{verdict}"


@pytest.mark.slow
@each(WITH_BOTH)
def test_the_check_at_its_defaults_ends_in_a_verdict(name):
    """What `simulator check STUDY` does; none of these theories is wrong."""
    verdict = check_study(STUDIES[name])
    assert verdict.method == least_noisy(STUDIES[name])
    assert verdict.status != "disagrees", str(verdict)
    assert all(math.isfinite(c.z) for c in verdict.comparisons), str(verdict)


#: Parameters that simulations round to a whole number of samples, off whole numbers.
BETWEEN = {
    "strong-collapse": {"synthetic_fraction": 0.2, "num_samples": 24},  # 4.8 samples
    "strong-collapse.multi-step": {"synthetic_fraction": 0.37, "num_samples": 61},
    "strong-collapse.random-projections": {"synthetic_fraction": 0.37, "num_samples": 61},
    "strong-collapse.two-covariances": {"synthetic_fraction": 0.37, "num_samples": 61},
    "adversarial-training": {"sample_ratio": 1.27, "dim": 14},
    "adversarial-training.mahalanobis": {"sample_ratio": 1.27, "dim": 14},
    "implicit-bias": {"sample_ratio": 0.41, "teacher_density": 0.3, "dim": 14},
    "steepest-descent-margin": {"sample_ratio": 0.41, "dim": 14},
}


@each(BETWEEN)
def test_the_verdict_takes_theory_where_the_simulation_rounds(name):
    study = STUDIES[name]
    given = study.canonical(BETWEEN[name])
    taken = study.realised(study.params(**given))
    for parameter, count in (
        ("synthetic_fraction", "num_samples"),
        ("sample_ratio", "dim"),
        ("teacher_density", "dim"),
    ):
        if parameter in BETWEEN[name]:
            number = getattr(taken, parameter) * given[count]
            assert number == pytest.approx(round(given[parameter] * given[count]), rel=1e-12)
    again = study.realised(taken)
    assert all(getattr(again, n) == getattr(taken, n) for n in BETWEEN[name])
    for cell in study.check_cells:  # their largest size is whole: nothing moves there
        whole = study.params(**study.canonical(cell))
        names = set(BETWEEN[name]) & set(cell)
        assert all(
            getattr(study.realised(whole), n) == pytest.approx(getattr(whole, n), rel=1e-12)
            for n in names
        )


def test_least_squares_between_whole_numbers_of_samples():
    """Theory is exact at the 5 of 24 samples that are drawn, and asymptotic at the 4.8 given."""
    study = STUDIES["strong-collapse"]
    cell = {"ridge": 0.0, "dim": 8, "num_samples": 24}
    relation = study.output("test_error").relation_at
    assert relation(study.params(**study.canonical(cell))).kind == "asymptotic"
    whole = study.canonical(cell | {"synthetic_fraction": 0.25})
    assert relation(study.params(**whole)).kind == "exact"
    verdict = check_study(study, **cell, replicates=20_000)
    assert verdict.status != "disagrees", str(verdict)
    assert "synthetic_fraction = 0.2 is simulated, and predicted, as 0.208333" in str(verdict)
