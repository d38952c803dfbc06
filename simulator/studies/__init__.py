"""One folder per family, one module per study.

A module that defines ``STUDY`` is a study; the registry finds it by walking this package, so
adding a study is adding a module. The package can be called: ``simulator.studies()`` lists the
names of all studies.
"""

import functools
import importlib
import pkgutil
import sys
from collections.abc import Mapping
from types import ModuleType

from simulator import checks
from simulator.parameters import suggestion
from simulator.study import Study


@functools.cache
def registry() -> Mapping[str, Study]:
    """All studies by name, in alphabetical order."""
    found: dict[str, Study] = {}
    for module in pkgutil.walk_packages(__path__, prefix=f"{__name__}."):
        study = getattr(importlib.import_module(module.name), "STUDY", None)
        if study is None:
            continue
        if study.name in found:
            raise ValueError(f"two modules define the study {study.name!r}")
        found[study.name] = study
    return dict(sorted(found.items()))


def get(name: str) -> Study:
    """The study called ``name``; ``ValueError`` with the nearest name if there is none."""
    checks.text("name", name, "the name of a study")
    found = registry()
    if name not in found:
        raise ValueError(
            f"unknown study {name!r}{suggestion(name, list(found))} "
            f"(the studies are {', '.join(found)})"
        )
    return found[name]


class _Studies(ModuleType):
    """This package: its name is also the verb that lists what is in it."""

    def __call__(self) -> list[str]:
        """Names of all studies, in alphabetical order."""
        return list(registry())


sys.modules[__name__].__class__ = _Studies
