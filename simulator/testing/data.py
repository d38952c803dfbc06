"""Test data of a study: values from elsewhere that its theory must have, and wrong theories."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simulator.engine.cells import identity
from simulator.engine.theory import theory_of_cells
from simulator.runtime.compilation import float64_on_cpu
from simulator.spelling import suggestion
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
        return self.program(**study.mentioned(study.canonical(self.params)))


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

    ``control`` belongs to a mutant that computes an output anew instead of spoiling the right one:
    the same function (``theory`` or ``after``) without the mistake, which must equal the theory, or
    parameters to replace at which the mistake makes no difference.
    """

    name: str
    theory: Callable[[Any], Mapping[str, Any]] | None = None
    cells: Sequence[Mapping[str, Any]] | None = None
    outputs: tuple[str, ...] | None = None
    at: Callable[[Any], Mapping[str, Any]] | None = None
    after: Callable[[Any, Mapping[str, Any]], Mapping[str, Any]] | None = None
    slow: bool = False
    control: Callable[..., Mapping[str, Any]] | Mapping[str, Any] | None = None

    def theories(self, study: Study, cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Its outputs at checked cells."""
        if self.theory is not None:
            study = replace(study, theory=self.theory)
        given = [study.params(**cell) for cell in cells]
        moved = [dict(cell) for cell in cells]
        if self.at is not None:
            with float64_on_cpu():
                for cell, params in zip(moved, given, strict=True):
                    cell.update(self.at(params))
        found = theory_of_cells(study, moved)
        if self.after is not None:
            with float64_on_cpu():
                for outputs, params in zip(found, given, strict=True):
                    wrong = self.after(params, dict(outputs))
                    outputs.update({name: np.asarray(value) for name, value in wrong.items()})
        return found


#: What a study may be excepted from: `Tests.expected`.
EXCEPTIONS = {
    "float32": "a coarser agreement of the theory in float32 with float64: (tolerance, reason)",
    "resolution": "a coarser verdict of the quick test: (tolerance, reason)",
    "other methods": "a coarser verdict of those that a check does not take: (tolerance, reason)",
    "special": "outputs without a reference value off special points: {output: reason}",
    "not differentiable": "outputs without a useful derivative: {output: reason}",
    "jumps": "parameters in which the theory has no derivative: {parameter: reason}",
    "jumps at ends": "the value at an end is not the limit; the slope is: {parameter: reason}",
    "no slope at ends": "neither value nor slope at an end is a limit: {parameter: reason}",
}


@dataclass(frozen=True)
class Tests:
    """What a study is tested with, beside its own declarations.

    Attributes
    ----------
    cases : sequence of Case
        Reference values that the theory must have.
    mutants : sequence of Mutant
        Wrong theories that the verdict must reject.
    cells : mapping of str to parameters
        Points by name, to test at before the study's own ``check_cells``: the first serves all
        tests that need a single point, so it is small; mutants are tried at one after the other
        until none survives, so those at which many show come early.
    ends : mapping of str to parameters
        More points, by name, at which the ends of the parameters' ranges are looked at.
    expected : mapping
        Exceptions, each with its reason; the keys are those of ``EXCEPTIONS``. A parameter of
        ``"jumps at ends"`` and ``"no slope at ends"`` may be ``"parameter: output"``.

    Raises
    ------
    ValueError
        For an unknown kind of exception, or one without a reason.
    """

    #: Pytest collects classes by such names; this is none of its tests.
    __test__ = False

    cases: Sequence[Case] = ()
    mutants: Sequence[Mutant] = ()
    cells: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ends: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    expected: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, excepted in self.expected.items():
            if kind not in EXCEPTIONS:
                hint = suggestion(kind, list(EXCEPTIONS))
                raise ValueError(f"expected: no exception is called {kind!r}{hint}")
            reasons = excepted[1:] if isinstance(excepted, tuple) else list(excepted.values())
            if not reasons or not all(isinstance(r, str) and r.strip() for r in reasons):
                raise ValueError(
                    f"expected[{kind!r}] = {excepted!r} lacks a reason: it is {EXCEPTIONS[kind]}"
                )

    def float32_tolerance(self, default: float) -> float:
        """How far the theory in float32 may be from float64, relative."""
        return self.expected["float32"][0] if "float32" in self.expected else default

    def resolution(self, default: float) -> float:
        """What the verdict of the quick test must resolve."""
        return self.expected["resolution"][0] if "resolution" in self.expected else default

    def resolution_of_others(self, default: float) -> float:
        """What verdicts of the methods must resolve that a check does not take."""
        others = "other methods"
        return max(default, self.expected[others][0]) if others in self.expected else default

    def excepted(self, kind: str) -> Mapping[str, str]:
        """What is excepted, with the reasons; ``kind`` is one of ``EXCEPTIONS``."""
        assert kind in EXCEPTIONS, kind
        return self.expected.get(kind, {})

    def points(self, study: Study) -> list[dict[str, Any]]:
        """The named cells, and then those of the study's own check; each once."""
        found: dict[str, dict[str, Any]] = {}
        for given in (*self.cells.values(), *study.check_cells):
            values = study.canonical(given)
            found.setdefault(identity(study, values, method="", dtype="", seed=0), values)
        return list(found.values())
