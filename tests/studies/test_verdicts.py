"""Every study: its simulations agree with its theory, and no mutant survives."""

import pytest

from simulator.verdict import gather, judge
from tests.cases import load
from tests.studies.battery import STUDIES, WITH_BOTH, cases_module, check_cells, each

#: Coarser than a user's check (the study's own tolerance), to keep the suite short; `make
#: test-all` runs the fine one.
TOLERANCE = 0.1


@each(WITH_BOTH)
def test_theory_agrees_and_mutants_are_rejected(name):
    """One checked cell after the other, until no mutant survives; slow tests take them all.

    The module of the cases may name, as ``TELLING_CELLS``, the positions of those to begin with.
    """
    module = cases_module(name)
    mutants = [mutant for mutant in module.MUTANTS if not mutant.slow]
    first = getattr(module, "TELLING_CELLS", ())
    survive_none(STUDIES[name], mutants, check_cells(STUDIES[name]), first)


@pytest.mark.slow
@each([name for name in WITH_BOTH if any(mutant.slow for mutant in load(name)[1])])
def test_slow_mutants_are_rejected(name):
    study = STUDIES[name]
    survive_none(study, [mutant for mutant in load(name)[1] if mutant.slow], study.check_cells)


def survive_none(study, mutants, cells, first=()):
    """The theory agrees at the cells, one after the other, until each mutant is rejected."""
    tolerance = max(TOLERANCE, study.tolerance)
    alive = [mutant for mutant in mutants if mutant.cells is None]
    others = [i for i in range(len(cells)) if i not in first]
    for position in (*first, *others):
        evidence = agreeing_evidence(study, [cells[position]], tolerance)
        alive = [mutant for mutant in alive if not catches(mutant, study, evidence, tolerance)]
        if not alive:
            break
    for mutant in mutants:
        if mutant.cells is not None:
            evidence = agreeing_evidence(study, mutant.cells, tolerance)
            if not catches(mutant, study, evidence, tolerance):
                alive.append(mutant)
    assert not alive, f"{[mutant.name for mutant in alive]} survived"


def agreeing_evidence(study, cells, tolerance):
    """Simulations at the cells, with which the right theory agrees."""
    cells = [study.canonical(given) for given in cells]
    evidence = gather(study, cells, seed=2, tolerance=tolerance)
    verdict = judge(study, evidence, tolerance=tolerance)
    assert verdict.status == "agrees", str(verdict)
    return evidence


def catches(mutant, study, facts, tolerance):
    """Does an output that the mutant names (any, if none) come out as *disagrees*?"""
    positions = [rung.position for ladder in facts.ladders for rung in ladder]
    wrong = mutant.theories(study, [facts.run.cells[i] for i in positions])
    theories = dict(zip(positions, wrong, strict=True))
    comparisons = judge(study, facts, tolerance=tolerance, theories=theories).comparisons
    caught = {c.output for c in comparisons if c.status == "disagrees"}
    return bool(caught & set(mutant.outputs or caught))


@pytest.mark.slow
@each(WITH_BOTH)
def test_every_method_agrees_at_the_studys_own_tolerance(name, seed):
    study = STUDIES[name]
    for method in study.methods():
        cells = [study.canonical(given) for given in study.check_cells]
        evidence = gather(study, cells, seed=seed, method=method, tolerance=study.tolerance)
        verdict = judge(study, evidence, tolerance=study.tolerance)
        assert verdict.status == "agrees", f"{method}\n{verdict}"
