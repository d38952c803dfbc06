"""Test data of a study: values from elsewhere that its theory must have, and wrong theories."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simulator.engine.theory import theory_of_cells
from simulator.runtime.compilation import float64_on_cpu
from simulator.study import Study


@dataclass(frozen=True)
class Case:
    """Reference values of one parameter point.

    ``expected`` holds theory values, right to ``rtol`` (the digits that the source prints) plus
    ``atol`` for values that are zero. ``monte_carlo`` holds (mean, standard error) pairs. A case
    that takes seconds and has a cheaper neighbour is ``slow``.

    ``program`` is an independent one, a function of the study's parameters
    by name. Alone it gives the values when the test runs; beside ``expected``, which are then its
    digits, it takes seconds and a slow test runs it again.
    """

    label: str
    params: Mapping[str, Any]
    expected: Mapping[str, Any] = field(default_factory=dict)
    rtol: float = 1e-6
    atol: float = 1e-12
    monte_carlo: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    slow: bool = False
    program: Callable[..., Mapping[str, Any]] | None = None

    def values(self, study: Study) -> Mapping[str, Any]:
        """What the theory must be here."""
        return self.expected or self.programmed(study)

    def programmed(self, study: Study) -> Mapping[str, Any]:
        """What the independent program says."""
        assert self.program is not None, f"{self.label}: neither values nor a program"
        return self.program(**study.canonical(self.params))


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong theory.

    Either ``theory``, a function ``params -> outputs`` with a program of its own, or, sharing the
    right theory's program, the right theory at wrong parameters (``at(params)`` returns those to
    replace), with wrong outputs put in afterwards (``after(params, outputs)`` returns those to
    replace; NumPy values of one cell).

    ``cells`` are the parameter points where the error shows; by default those at which the
    study's own check looks. ``outputs`` names the outputs whose verdict must turn to *disagrees*
    (any of them); by default any output. ``slow`` is one that shows only where it takes long.
    """

    name: str
    theory: Callable[[Any], Mapping[str, Any]] | None = None
    cells: Sequence[Mapping[str, Any]] | None = None
    outputs: tuple[str, ...] | None = None
    at: Callable[[Any], Mapping[str, Any]] | None = None
    after: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]] | None = None
    slow: bool = False

    def theories(self, study: Study, cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Its outputs at checked cells."""
        if self.theory is not None:
            study = replace(study, theory=self.theory)
        given = [study.params(**cell) for cell in cells]
        moved = [dict(cell) for cell in cells]
        if self.at is not None:
            for cell, params in zip(moved, given, strict=True):
                cell.update(self.at(params))
        found = theory_of_cells(study, moved)
        if self.after is not None:
            with float64_on_cpu():
                for outputs, params in zip(found, given, strict=True):
                    wrong = self.after(params, dict(outputs))
                    outputs.update({name: np.asarray(value) for name, value in wrong.items()})
        return found


@dataclass(frozen=True)
class Tests:
    """What a study is tested with, beside its own declarations.

    Attributes
    ----------
    cases : sequence of Case
    mutants : sequence of Mutant
    """

    #: Pytest collects classes by such names; this is none of its tests.
    __test__ = False

    cases: Sequence[Case] = ()
    mutants: Sequence[Mutant] = ()
