"""Reference values and mutants, one module per study.

The module of study ``strong-collapse.multi-step`` is ``strong_collapse_multi_step``. It defines
``CASES``, reference values that the theory must reproduce (and, where given, Monte-Carlo means
that were obtained independently), and ``MUTANTS``, plausible wrong theories that the verdict
must reject. The battery in ``tests/studies`` finds both.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from simulator.study import Study
from simulator.sweep.predict import theory_of_cells


@dataclass(frozen=True)
class Case:
    """Reference values of one parameter point.

    ``expected`` holds theory values, right to ``rtol`` (the digits that the source prints) plus
    ``atol`` for values that are zero. ``monte_carlo`` holds (mean, standard error) pairs.
    """

    label: str
    params: Mapping[str, Any]
    expected: Mapping[str, Any] = field(default_factory=dict)
    rtol: float = 1e-6
    atol: float = 1e-12
    monte_carlo: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong theory.

    Either ``theory``, a function ``params -> outputs`` like the right one, or, without a program
    of its own, the right theory at wrong parameters (``at(values)`` returns those to replace) and
    with wrong outputs put in afterwards (``after(values, outputs)`` returns those to replace;
    NumPy values of one cell). ``cells`` are the parameter points where the error shows; by default
    those at which the study's own check looks. ``outputs`` names the outputs whose verdict must
    turn to *disagrees* (any of them); by default any output.
    """

    name: str
    theory: Callable[[Any], Mapping[str, Any]] | None = None
    cells: Sequence[Mapping[str, Any]] | None = None
    outputs: tuple[str, ...] | None = None
    at: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    after: Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]] | None = None

    def theories(self, study: Study, cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Its outputs at checked cells."""
        if self.theory is not None:
            study = replace(study, theory=self.theory)
        moved = [cell | dict(self.at(cell)) if self.at else cell for cell in cells]
        found = theory_of_cells(study, moved)
        if self.after is None:
            return found
        return [o | dict(self.after(c, o)) for c, o in zip(cells, found, strict=True)]


def altered(theory: Callable[[Any], Mapping[str, Any]], change: Callable[[Any, dict], dict]):
    """The theory with some outputs replaced: ``change(params, outputs)`` returns the new ones."""

    def mutant(params: Any) -> Mapping[str, Any]:
        outputs = dict(theory(params))
        return {**outputs, **change(params, outputs)}

    return mutant


def module_name(study_name: str) -> str:
    """``strong-collapse.multi-step`` -> ``strong_collapse_multi_step``."""
    return study_name.replace("-", "_").replace(".", "_")


def load(study_name: str) -> tuple[Sequence[Case], Sequence[Mutant]]:
    """``CASES`` and ``MUTANTS`` of a study."""
    module = importlib.import_module(f"tests.cases.{module_name(study_name)}")
    return module.CASES, module.MUTANTS
