"""Theory against the evidence: reference values, the verdict, and mutants that must not survive."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simulator.engine.theory import theory_of_cells
from simulator.study import Study
from simulator.testing.data import Case, Mutant, Tests
from simulator.verdict import Evidence, gather, judge


def wrong_values(study: Study, cases: Sequence[Case]) -> Iterator[str]:
    """Complaints about reference values that the theory does not have."""
    for case in cases:
        (found,) = theory_of_cells(study, [study.canonical(case.params)])
        for name, value in case.values(study).items():
            if name not in found:
                yield f"case {case.label!r} speaks of the output {name!r}, which is not declared"
            elif not np.allclose(found[name], value, rtol=case.rtol, atol=case.atol):
                yield f"case {case.label!r}: {name} is {found[name]!r}, and should be {value!r}"


def survivors(study: Study, tests: Tests, tolerance: float, seed: int = 2) -> Iterator[str]:
    """Complaints about a theory that disagrees, or mutants that no cell tells from it."""
    alive = {mutant.name: mutant for mutant in tests.mutants}
    for cell in tests.points(study):
        evidence = gather(study, [cell], seed=seed, tolerance=tolerance)
        verdict = judge(study, evidence, tolerance=tolerance)
        if verdict.status != "agrees":
            yield f"theory and simulation: {verdict.status} at {cell}\n{verdict}"
            return
        for name in [
            n for n, mutant in alive.items() if catches(mutant, study, evidence, tolerance)
        ]:
            del alive[name]
    for name in alive:
        yield f"mutant {name!r} survived: no cell tells it from the theory"


def catches(mutant: Mutant, study: Study, facts: Evidence, tolerance: float) -> bool:
    """Does an output that the mutant names (any, if none) come out as *disagrees*?"""
    positions = [rung.position for ladder in facts.ladders for rung in ladder]
    wrong = mutant.theories(study, [facts.run.cells[i] for i in positions])
    theories: Mapping[int, Any] = dict(zip(positions, wrong, strict=True))
    comparisons = judge(study, facts, tolerance=tolerance, theories=theories).comparisons
    caught = {c.output for c in comparisons if c.status == "disagrees"}
    return bool(caught & set(mutant.outputs or caught))
