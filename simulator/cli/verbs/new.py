"""`simulator new`: the files of a new study, complete and right from the start."""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simulator.cli import skeleton
from simulator.cli.output import say
from simulator.registry import module_name, names

PART = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
NAME = re.compile(rf"(?:(?P<family>[a-z][a-z0-9_]*)/)?(?P<paper>{PART})(?:\.(?P<part>{PART}))?")


def add_flags(parser: Any) -> None:
    parser.add_argument(
        "name",
        metavar="[FAMILY/]PAPER[.PART]",
        help="the study: lower-case words with dashes; the family is a folder of simulator/studies",
    )
    parser.add_argument(
        "--package",
        type=Path,
        metavar="FOLDER",
        help="write it into this package of your own, with its test beside it, instead of into a "
        "checkout of the simulator",
    )


def act(options: argparse.Namespace) -> None:
    found = NAME.fullmatch(options.name)
    if found is None or found["part"] == "main":
        raise ValueError(
            f"{options.name!r} is not allowed: write PAPER, PAPER.PART or FAMILY/PAPER.PART, in "
            "lower-case words with dashes"
        )
    name = found["paper"] + (f".{found['part']}" if found["part"] else "")
    if name in names():
        raise ValueError(f"there is a study {name} already")
    if options.package is not None:
        files, advice = _in_own_package(name, options.package)
    else:
        files, advice = _in_the_simulator(found["family"], found["paper"], found["part"])
    _write(files)
    say("\n".join([f"wrote {path}" for path in files] + [advice]))


def _write(files: Mapping[Path, str]) -> None:
    """Write all files, or none if one of them is there already (README excepted)."""
    for path in files:
        if path.exists() and path.name != "README.md":
            raise ValueError(f"{path} is there already, and nothing was written")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


# --------------------------------------------------------------------------------------------
# In a checkout of the simulator
# --------------------------------------------------------------------------------------------
def _in_the_simulator(
    family: str | None, paper: str, part: str | None
) -> tuple[dict[Path, str], str]:
    studies = Path("simulator", "studies")
    if not (studies / "__init__.py").is_file() or not Path("tests", "cases").is_dir():
        raise ValueError(
            "this folder is no checkout of the simulator: go there, or name your own package with "
            "--package FOLDER"
        )
    name, folder = f"{paper}.{part}" if part else paper, paper.replace("-", "_")
    family = family or _family_of(studies, folder, paper)
    home = studies / family / folder
    files = {}
    if not (studies / family / "__init__.py").exists():
        files[studies / family / "__init__.py"] = skeleton.family_folder(family)
    if not (home / "__init__.py").exists():
        files[home / "__init__.py"] = skeleton.paper_folder(paper)
    module = (part or "main").replace("-", "_")
    files[home / f"{module}.py"] = skeleton.module(name, f"simulator.studies.{family}.{folder}")
    files[Path("tests", "cases", f"{module_name(name)}.py")] = skeleton.data_of_tests()
    readme = Path("README.md")
    files[readme] = with_row(readme.read_text(encoding="utf-8"), name, "ordinary least squares")
    return files, (
        "It is ordinary least squares until you replace it. Look at it again and again with\n"
        f"  simulator doctor {name}\n"
        f"  simulator figure {name}\n"
        f"  python -m pytest tests/studies --study {name}"
    )


def _family_of(studies: Path, folder: str, paper: str) -> str:
    """The family that has the paper already."""
    homes = [path.parent.name for path in sorted(studies.glob(f"*/{folder}")) if path.is_dir()]
    if len(homes) == 1:
        return homes[0]
    families = sorted(path.parent.name for path in studies.glob("*/__init__.py"))
    raise ValueError(
        f"{paper} has no folder yet: say which family it belongs to, as in FAMILY/{paper} (there "
        f"are {', '.join(families)}; another name makes a new one)"
    )


def with_row(readme: str, name: str, title: str) -> str:
    """The README with a row for the study: after those of its paper, or as the last one."""
    lines = readme.splitlines(keepends=True)
    rows = [i for i, line in enumerate(lines) if re.match(r"\| `[a-z0-9.-]+` \|", line)]
    same = [i for i in rows if re.split(r"[`.]", lines[i])[1] == name.partition(".")[0]]
    lines.insert(max(same or rows) + 1, f"| `{name}` | {title} |\n")
    return "".join(lines)


# --------------------------------------------------------------------------------------------
# In somebody's own package
# --------------------------------------------------------------------------------------------
def _in_own_package(name: str, package: Path) -> tuple[dict[Path, str], str]:
    top = package.absolute()
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    project = next((p for p in top.parents if (p / "pyproject.toml").is_file()), top.parent)
    inside = package.absolute().relative_to(top.parent).parts
    if not all(part.isidentifier() for part in inside):
        raise ValueError(f"--package {package} is not allowed: it is no name of a Python package")
    module = ".".join([*inside, module_name(name)])
    file = package / f"{module_name(name)}.py"
    files = {}
    if not (package / "__init__.py").exists():
        files[package / "__init__.py"] = ""
    files[file] = skeleton.module(name)
    files[_shown(project / "tests" / f"test_{module_name(name)}.py")] = skeleton.data_of_tests(
        module
    )
    return files, (
        "It is ordinary least squares until you replace it. Look at it again and again with\n"
        f"  simulator doctor {file}\n"
        f"  simulator check {file}\n"
        "  python -m pytest tests\n"
        "and make it known under its name by these lines in your pyproject.toml, and an install:\n"
        '  [project.entry-points."simulator.studies"]\n'
        f'  "{name}" = "{module}:STUDY"'
    )


def _shown(path: Path) -> Path:
    """Relative to the working directory, where that is shorter."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
