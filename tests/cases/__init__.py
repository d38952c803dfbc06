"""Reference values and mutants, one module per study.

The module of study ``strong-collapse.multi-step`` is ``strong_collapse_multi_step``. It defines
``CASES``, reference values that the theory must reproduce (and, where given, Monte-Carlo means
that were obtained independently), and ``MUTANTS``, plausible wrong theories that the verdict
must reject. It may define ``FIRST_CELL``, parameters that make the first cell of the study's own
check smaller, or its errors easier to tell, for the suite. The battery in ``tests/studies`` finds
them all.
"""

import importlib
from collections.abc import Sequence

import numpy as np

from simulator.testing import Case, Mutant

__all__ = ["Case", "Mutant", "digits", "load", "module_name"]


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
