"""Reference values and mutants, one module per study.

The module of study ``strong-collapse.multi-step`` is ``strong_collapse_multi_step``. It defines
``CASES``, reference values that the theory must reproduce (and, where given, Monte-Carlo means
that were obtained independently), and ``MUTANTS``, plausible wrong theories that the verdict
must reject. The battery in ``tests/studies`` finds both.
"""

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax


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
    """A wrong theory: a function ``params -> outputs`` like the right one.

    A `Variant` of the right theory shares its compiled program; any other function compiles.

    ``cells`` are the parameter points where the error shows; by default those at which the
    study's own check looks. ``outputs`` names the outputs whose verdict must turn to *disagrees*
    (any of them); by default any output.
    """

    name: str
    theory: Callable[[Any], Mapping[str, Any]]
    cells: Sequence[Mapping[str, Any]] | None = None
    outputs: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Variant:
    """A theory at other parameters, or with other outputs; called outside `jax.jit`."""

    theory: Callable[[Any], Mapping[str, Any]]
    change_params: Callable[[Any], Mapping[str, Any]] | None = None
    change_outputs: Callable[[Any, dict], Mapping[str, Any]] | None = None

    def __call__(self, params: Any) -> Mapping[str, Any]:
        other = replace(params, **self.change_params(params)) if self.change_params else params
        outputs = _compiled(self.theory)(other)
        if self.change_outputs is None:
            return outputs
        return {**outputs, **_compiled(self.change_outputs)(params, dict(outputs))}


@functools.cache
def _compiled(function: Callable) -> Callable:
    return jax.jit(function)


def altered(theory: Callable, change: Callable[[Any, dict], Mapping[str, Any]]) -> Variant:
    """The theory with some outputs replaced: ``change(params, outputs)`` returns the new ones."""
    return Variant(theory, change_outputs=change)


def with_params(theory: Callable, change: Callable[[Any], Mapping[str, Any]]) -> Variant:
    """The theory at other parameters: ``change(params)`` returns what to replace."""
    return Variant(theory, change_params=change)


def module_name(study_name: str) -> str:
    """``strong-collapse.multi-step`` -> ``strong_collapse_multi_step``."""
    return study_name.replace("-", "_").replace(".", "_")


def load(study_name: str) -> tuple[Sequence[Case], Sequence[Mutant]]:
    """``CASES`` and ``MUTANTS`` of a study."""
    module = importlib.import_module(f"tests.cases.{module_name(study_name)}")
    return module.CASES, module.MUTANTS
