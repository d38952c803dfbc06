"""Studies by name: ours by their place, those of other packages by registration or entry point.

``studies/FAMILY/PAPER/main.py`` is the study ``paper``, ``studies/FAMILY/PAPER/part.py`` the study
``paper.part``; underscores are dashes in names, and modules that begin with one are no studies. So
asking for a study imports its module and no other, and adding one is adding a file.

Another package adds its own with an entry point in its ``pyproject.toml``::

    [project.entry-points."simulator.studies"]
    "my-paper.part" = "my_package.my_module:STUDY"
"""

import functools
import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from simulator import checks
from simulator.parameters import suggestion
from simulator.study import Study

ENTRY_POINTS = "simulator.studies"
_registered: dict[str, Study] = {}


def register(study: Study) -> Study:
    """Make a study known under its name: to every verb, the command line of this process, `list`.

    Parameters
    ----------
    study : Study
        Registered again under the same name, it replaces the earlier one: cells of a notebook run
        twice.

    Returns
    -------
    Study
        The same, so that ``STUDY = simulator.register(Study(...))`` reads well.

    Raises
    ------
    TypeError
        If it is no `Study`.
    ValueError
        If a study of this package has that name.
    """
    if not isinstance(study, Study):
        raise TypeError(checks.refusal("study", study, "a simulator.Study"))
    if study.name in _modules():
        raise ValueError(f"study.name = {study.name!r} is not allowed: the package has one itself")
    _registered[study.name] = study
    return study


def names() -> list[str]:
    """Names of all studies, in alphabetical order; nothing is imported to find them."""
    return sorted({*_modules(), *_strangers(), *_registered})


def get(study: Any) -> Study:
    """The study of that name; a `Study` is returned as it is.

    Raises
    ------
    TypeError, ValueError
        If it is neither, or there is none of that name (the nearest one is named).
    """
    if isinstance(study, Study):
        return study
    checks.text("study", study, "the name of a study, or a simulator.Study")
    if study in _registered:
        return _registered[study]
    if study in _modules():
        return _named(study, importlib.import_module(_modules()[study]).STUDY)
    if study in _strangers():
        return _named(study, _strangers()[study].load())
    known = names()
    raise ValueError(
        f"unknown study {study!r}{suggestion(study, known)} (the studies are {', '.join(known)})"
    )


def _named(name: str, study: Any) -> Study:
    if not isinstance(study, Study) or study.name != name:
        found = study.name if isinstance(study, Study) else type(study).__name__
        raise ValueError(f"the place of the study {name!r} holds {found!r}: give both one name")
    return study


@functools.cache
def _modules() -> Mapping[str, str]:
    """Module of each study of this package, by the study's name."""
    root = Path(__file__).parent / "studies"
    found = {}
    for file in sorted(root.glob("*/*/[!_]*.py")):
        family, paper, part = file.relative_to(root).with_suffix("").parts
        name = paper if part == "main" else f"{paper}.{part}"
        name = name.replace("_", "-")
        if name in found:
            raise ValueError(f"two modules define the study {name!r}")
        found[name] = f"simulator.studies.{family}.{paper}.{part}"
    return found


@functools.cache
def _strangers() -> Mapping[str, EntryPoint]:
    """Entry points of other packages, by name."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
