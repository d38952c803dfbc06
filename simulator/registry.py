"""Studies by name: ours by their place, those of other packages by registration or entry point.

``studies/FAMILY/PAPER/main.py`` is the study ``paper``, ``studies/FAMILY/PAPER/part.py`` the study
``paper.part``; underscores are dashes in names, and modules that begin with one are no studies. So
asking for a study imports its module and no other, and adding one is adding a file. Names and
titles are read from files: nothing that takes time is imported to list the studies, JAX least.

Another package adds its own with an entry point in its ``pyproject.toml``::

    [project.entry-points."simulator.studies"]
    "my-paper.part" = "my_package.my_module:STUDY"
"""

import ast
import functools
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.spelling import suggestion

if TYPE_CHECKING:
    from simulator.study import Study

ENTRY_POINTS = "simulator.studies"
_registered: dict[str, "Study"] = {}


def register(study: "Study") -> "Study":
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
    from simulator import checks
    from simulator.study import Study

    if not isinstance(study, Study):
        raise TypeError(checks.refusal("study", study, "a simulator.Study"))
    if study.name in _modules():
        raise ValueError(f"study.name = {study.name!r} is not allowed: the package has one itself")
    _registered[study.name] = study
    return study


def names() -> list[str]:
    """Names of all studies, in alphabetical order; nothing is imported to find them."""
    return sorted({*_modules(), *_strangers(), *_registered})


def titles() -> dict[str, str]:
    """Title of every study, by name in alphabetical order.

    They are read from the sources. Only a study of another package whose title is no literal there
    is imported.
    """
    found = {name: study.title for name, study in _registered.items()}
    for name, point in _strangers().items():
        if name not in found:
            found[name] = _written_title(_source(point.module), point.attr) or get(name).title
    for name, module in _modules().items():
        found[name] = _written_title(_source(module), "STUDY") or get(name).title
    return dict(sorted(found.items()))


def get(study: Any) -> "Study":
    """The study of that name, or in that file (``.py``); a `Study` is returned as it is.

    Parameters
    ----------
    study : str or Study

    Raises
    ------
    TypeError, ValueError
        If it is neither, or there is none of that name (the nearest one is named).
    """
    from simulator import checks
    from simulator.study import Study

    if isinstance(study, Study):
        return study
    checks.text("study", study, "the name of a study, or a simulator.Study")
    if study.endswith(".py"):
        return _in_file(Path(study))
    if study in _registered:
        return _registered[study]
    if study in _modules():
        return _named(study, importlib.import_module(_modules()[study]).STUDY)
    if study in _strangers():
        return _named(study, _strangers()[study].load())
    known = names()
    papers = dict.fromkeys(name.split(".")[0] for name in known)
    raise ValueError(
        f"unknown study {study!r}{suggestion(study, known)} (the studies are those of "
        f"{', '.join(papers)}; `simulator list` names their parts)"
    )


def module_name(study: str) -> str:
    """The study's name as that of a module: ``paper.part-two`` is ``paper_part_two``."""
    return study.replace("-", "_").replace(".", "_")


def _in_file(path: Path) -> "Study":
    """The study that the module at ``path`` defines, whose own imports find its package."""
    from simulator.study import Study

    if not path.is_file():
        raise ValueError(f"there is no study in {path}: there is no such file")
    top, parts = path.absolute().parent, [path.stem]
    while (top / "__init__.py").is_file():
        top, parts = top.parent, [top.name, *parts]
    if str(top) not in sys.path:
        sys.path.insert(0, str(top))
    module = importlib.import_module(".".join(parts))
    if module.__file__ is None or not path.samefile(module.__file__):
        raise ValueError(
            f"{path} cannot be imported: another module has its name; give it another one"
        )
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise ValueError(f"{path} defines no STUDY")
    return study


def _named(name: str, study: Any) -> "Study":
    from simulator.study import Study

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


# --------------------------------------------------------------------------------------------
# Reading sources
# --------------------------------------------------------------------------------------------
def _source(module: str) -> str:
    """The source of a module; "" if there is none. The packages it is in are not imported."""
    top, *inner = module.split(".")
    spec = importlib.util.find_spec(top)
    for depth in range(1, len(inner) + 1):
        folders = spec.submodule_search_locations if spec else None
        name = ".".join([top, *inner[:depth]])
        spec = importlib.machinery.PathFinder.find_spec(name, folders) if folders else None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return ""
    return Path(spec.origin).read_text(encoding="utf-8")


def _written_title(source: str, variable: str) -> str | None:
    """The literal ``title`` in ``variable = Study(..., title="...", ...)``, if it is one."""
    start = source.rfind(f"\n{variable} = ") + 1  # the last statement: the rest need not be parsed
    try:
        statements = ast.parse(source[start:] if start else "").body
    except SyntaxError:  # it will say so when it is imported
        return None
    calls = [s.value for s in statements[:1] if isinstance(s, ast.Assign)]
    for call in calls:
        for word in call.keywords if isinstance(call, ast.Call) else ():
            if word.arg == "title" and isinstance(word.value, ast.Constant):
                return str(word.value.value)
    return None
