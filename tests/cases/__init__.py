"""Test data, one module per study.

The module of study ``strong-collapse.multi-step`` is ``strong_collapse_multi_step``. It defines
``TESTS``: reference values that the theory must reproduce (and, where given, Monte-Carlo means that
were obtained independently), plausible wrong theories that the verdict must reject, named cells,
and exceptions with their reasons. The battery in ``tests/studies`` finds them all.
"""

import importlib
import importlib.util

import numpy as np

from simulator.registry import module_name
from simulator.testing import Case, Mutant, Tests

__all__ = ["Case", "Mutant", "Tests", "collected", "digits", "load", "module_name", "times"]


def digits(text: str) -> np.ndarray:
    """An array of reference values."""
    return np.array(text.split(), float)


def times(factor, *outputs):
    """A mutant's ``after``: the named outputs times a number, or ``factor(params, outputs)``."""

    def wrong(params, found):
        by = factor(params, found) if callable(factor) else np.asarray(factor, float)
        return {name: found[name] * by for name in outputs}

    return wrong


def load(study_name: str) -> Tests:
    """The test data of a study.

    Raises
    ------
    AssertionError
        If the study has none, with what to write and where.
    """
    name = f"tests.cases.{module_name(study_name)}"
    path = name.replace(".", "/") + ".py"
    if importlib.util.find_spec(name) is None:
        raise AssertionError(
            f"study {study_name} has no test data: write {path} with "
            "TESTS = Tests(cases=[...], mutants=[...])"
        )
    tests = getattr(importlib.import_module(name), "TESTS", None)
    if not isinstance(tests, Tests):
        raise AssertionError(
            f"{path} does not define the test data of {study_name}: "
            "TESTS = Tests(cases=[...], mutants=[...])"
        )
    return tests


def collected(study_name: str) -> Tests:
    """The same, or none: while tests are collected, a fault in one study stops no other.

    Every test of the battery calls :func:`load`, which says what the fault is.
    """
    try:
        return load(study_name)
    except Exception:
        return Tests()
