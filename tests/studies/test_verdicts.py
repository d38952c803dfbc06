"""Every study: its simulations agree with its theory, and no mutant survives."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.sweep.predict import cpu_float64
from simulator.verdict import gather, judge
from tests.cases import Variant, load
from tests.studies.battery import STUDIES, WITH_BOTH, each

#: Coarser than a user's check (the study's own tolerance), to keep the suite short; `make
#: test-all` runs the fine one.
TOLERANCE = 0.1


@each(WITH_BOTH)
def test_theory_agrees_and_mutants_are_rejected(name):
    study = STUDIES[name]
    _, mutants = load(name)
    tolerance = max(TOLERANCE, study.tolerance)
    cells = [study.canonical(given) for given in study.check_cells]
    evidence = gather(study, cells, seed=2, tolerance=tolerance)
    verdict = judge(study, evidence, tolerance=tolerance)
    assert verdict.status == "agrees", str(verdict)
    for mutant in mutants:
        facts = evidence
        if mutant.cells is not None:
            own = [study.canonical(given) for given in mutant.cells]
            facts = gather(study, own, seed=2, tolerance=tolerance)
            right = judge(study, facts, tolerance=tolerance)
            assert right.status == "agrees", f"at the cells of {mutant.name}\n{right}"
        assert any(
            catches(mutant, study, dataclasses.replace(facts, ladders=(ladder,)), tolerance)
            for ladder in facts.ladders  # one by one: the first that catches it is enough
        ), f"{mutant.name} survived"


def numbers(study, values):
    """The cell with float64 scalars for its traced parameters, as in a prediction."""
    return {
        name: value if study.declarations[name].static else jnp.asarray(value, float)
        for name, value in values.items()
    }


def catches(mutant, study, facts, tolerance):
    """Does an output that the mutant names (any, if none) come out as *disagrees*?"""
    theory = mutant.theory if isinstance(mutant.theory, Variant) else jax.jit(mutant.theory)
    wrong = {}
    with cpu_float64():
        for position in (rung.position for ladder in facts.ladders for rung in ladder):
            params = study.params(**numbers(study, facts.run.cells[position]))
            wrong[position] = {k: np.asarray(v) for k, v in theory(params).items()}
    comparisons = judge(study, facts, tolerance=tolerance, theories=wrong).comparisons
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
