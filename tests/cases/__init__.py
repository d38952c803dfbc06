"""Reference values and mutants, one module per study.

The module of study ``strong-collapse.multi-step`` is ``strong_collapse_multi_step``. It defines
``CASES``, reference values that the theory must reproduce (and, where given, Monte-Carlo means
that were obtained independently), and ``MUTANTS``, plausible wrong theories that the verdict
must reject. It may define ``FIRST_CELL``, parameters that make the first cell of the study's own
check smaller, or its errors easier to tell, for the suite. The battery in ``tests/studies`` finds
them all.
"""

import importlib
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

    ``program`` is an independent one (see `tests.references`), a function of the study's parameters
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


def digits(text: str) -> np.ndarray:
    """An array of reference values."""
    return np.array(text.split(), float)


def module_name(study_name: str) -> str:
    """``strong-collapse.multi-step`` -> ``strong_collapse_multi_step``."""
    return study_name.replace("-", "_").replace(".", "_")


def load(study_name: str) -> tuple[Sequence[Case], Sequence[Mutant]]:
    """``CASES`` and ``MUTANTS`` of a study."""
    module = importlib.import_module(f"tests.cases.{module_name(study_name)}")
    return module.CASES, module.MUTANTS
