"""Theory against the evidence: reference values, the verdict, and mutants that must not survive."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simulator.engine.cells import describe
from simulator.engine.theory import theory_of_cells
from simulator.spelling import suggestion
from simulator.study import Study
from simulator.testing.controls import misspelt, off_control
from simulator.testing.data import Case, Mutant
from simulator.verdict import Evidence, Verdict, gather, judge


def wrong_values(study: Study, cases: Sequence[Case]) -> Iterator[str]:
    """Complaints about reference values that the theory does not have."""
    points = [study.canonical(case.params) for case in cases]
    for case, found in zip(cases, theory_of_cells(study, points), strict=True):
        for name, value in case.values(study).items():
            if name not in found:
                yield (
                    f"case {case.label!r} speaks of the output {name!r}, which is not declared"
                    + suggestion(name, list(found))
                )
            elif np.shape(found[name]) != np.shape(value):
                yield (
                    f"case {case.label!r}: {name} has shape {np.shape(found[name])}, and should "
                    f"have {np.shape(value)}"
                )
            elif not np.allclose(
                found[name], value, rtol=case.rtol, atol=case.atol, equal_nan=True
            ):
                yield f"case {case.label!r}: {difference(name, found[name], value, case)}"


def difference(name: str, found: Any, value: Any, case: Case) -> str:
    """Where two arrays differ most, with the digits that tell them apart."""
    found, value = np.asarray(found, float), np.asarray(value, float)
    with np.errstate(invalid="ignore"):
        gap = np.abs(found - value) / (case.rtol * np.abs(value) + case.atol)
    same = (found == value) | (np.isnan(found) & np.isnan(value))
    gap = np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))
    where = np.unravel_index(np.argmax(gap), gap.shape)
    a, b = float(found[where]), float(value[where])
    entry = f"[{', '.join(map(str, where))}]" if where else ""
    words = f"{name}{entry} is {_digits(a, b)}, and should be {_digits(b, a)}"
    if np.isfinite(a) and np.isfinite(b):
        words += f", within rtol = {case.rtol:g} and atol = {case.atol:g}: it is {a - b:.2g} off"
    return words


def _digits(number: float, other: float) -> str:
    """As few digits as tell the number from another one, and then one more; at least six."""
    for count in range(5, 17):
        if f"{number:.{count}g}" != f"{other:.{count}g}":
            return f"{number:.{count + 1}g}"
    return repr(number)


def survivors(
    study: Study,
    mutants: Sequence[Mutant],
    cells: Iterable[Mapping[str, Any]],
    tolerance: float,
    seed: int = 2,
) -> Iterator[str]:
    """Complaints about a theory that disagrees, mutants that no cell tells from it, or controls.

    Parameters
    ----------
    study : Study
    mutants : sequence of Mutant
    cells : points to simulate, one after the other until no mutant survives; those of a mutant
        that names its own are simulated besides.
    tolerance : resolution of the verdicts.
    """
    alive = {mutant.name: mutant for mutant in mutants if mutant.cells is None}
    for given in cells:
        evidence, verdict = _judged(study, [given], tolerance, seed)
        if verdict.status != "agrees":
            yield f"theory and simulation: {verdict.status} at {describe(given)}\n{verdict}"
            return
        for name, mutant in list(alive.items()):
            complaints = _told(mutant, study, evidence, tolerance)
            if complaints is None:
                continue
            del alive[name]
            yield from complaints
        if not alive:
            break
    for name in alive:
        yield f"mutant {name!r} survived: no cell tells it from the theory"
    for mutant in mutants:
        if mutant.cells is None:
            continue
        evidence, verdict = _judged(study, mutant.cells, tolerance, seed)
        if verdict.status != "agrees":
            yield f"theory and simulation: {verdict.status} at {mutant.cells}\n{verdict}"
            continue
        complaints = _told(mutant, study, evidence, tolerance)
        if complaints is None:
            yield f"mutant {mutant.name!r} survived: its cells do not tell it from the theory"
        else:
            yield from complaints


def _judged(
    study: Study, cells: Sequence[Mapping[str, Any]], tolerance: float, seed: int
) -> tuple[Evidence, Verdict]:
    values = [study.canonical(given) for given in cells]
    evidence = gather(study, values, seed=seed, tolerance=tolerance)
    return evidence, judge(study, evidence, tolerance=tolerance)


def _told(mutant: Mutant, study: Study, evidence: Evidence, tolerance: float) -> list[str] | None:
    """Complaints about a mutant that is rejected, for a wrong reason maybe; None if it is not."""
    points = _points(evidence)
    complaints = [*misspelt(mutant, study, points[0])] or [*off_control(mutant, study, points)]
    if complaints:
        return complaints
    return [] if catches(mutant, study, evidence, tolerance) else None


def _points(evidence: Evidence) -> list[dict[str, Any]]:
    """The cells that are compared: every rung of every ladder."""
    return [evidence.run.cells[rung.position] for ladder in evidence.ladders for rung in ladder]


def catches(mutant: Mutant, study: Study, facts: Evidence, tolerance: float) -> bool:
    """Does an output that the mutant names (any, if none) come out as *disagrees*?"""
    positions = [rung.position for ladder in facts.ladders for rung in ladder]
    wrong = mutant.theories(study, [facts.run.cells[i] for i in positions])
    theories: Mapping[int, Any] = dict(zip(positions, wrong, strict=True))
    comparisons = judge(study, facts, tolerance=tolerance, theories=theories).comparisons
    caught = {c.output for c in comparisons if c.status == "disagrees"}
    return bool(caught & set(mutant.outputs or caught))
