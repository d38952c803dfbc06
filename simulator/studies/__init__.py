"""One folder per family, one folder per paper, one module per study: see `simulator.registry`.

The package can be called: ``simulator.studies()`` lists the names of all studies.
"""

import importlib
import sys
from types import ModuleType


class _Studies(ModuleType):
    """This package: its name is also the verb that lists what is in it."""

    def __call__(self) -> list[str]:
        """Names of all studies, in alphabetical order."""
        return importlib.import_module("simulator.registry").names()


sys.modules[__name__].__class__ = _Studies
