"""Mutation score of a study: ``make mutation STUDY=ridge-collapse``.

cosmic-ray changes one operator or number of the study's theory at a time and runs the study's
reference cases and unit tests. A mutant that survives is a mistake that no test would notice:
it wants a new reference value, or an argument, in ``docs/mutation.md``, why nothing can tell it
from the original.

Changed is what the theory runs of ``simulator/studies`` and ``simulator/maths``: the functions that
are called while it is traced at its reference cases. The work is done in a copy under
``build/mutation``. A second call goes on where the first stopped; after a change of the code delete
that folder first. Settings: ``[tool.mutation]`` in ``pyproject.toml``.
"""

import argparse
import ast
import collections
import random
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import jax
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome

from simulator.registry import get
from simulator.runtime.compilation import float64_on_cpu
from tests.cases import load, module_name

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutation"]
COSMIC_RAY = str(Path(sys.executable).parent / "cosmic-ray")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("study")
    parser.add_argument("--mutants", type=int, default=SETTINGS["mutants"], help="sample size")
    parser.add_argument(
        "--references", action="store_true", help="run the reference cases alone: a lower bound"
    )
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    given = parser.parse_args()
    work = ROOT / "build" / "mutation" / module_name(given.study)
    everything, session = work / "everything.sqlite", work / "session.sqlite"
    if everything.exists():  # a run that was killed may have left a mutant behind
        shutil.copytree(work / "unchanged", work, dirs_exist_ok=True)
    else:
        prepare(given.study, work, everything, given.references)
    with use_db(str(everything), WorkDB.Mode.open) as database:
        mutants = shuffled(database.work_items)
    chosen = mutants[: given.mutants]
    if given.list:
        print("\n".join(described(item) for item in chosen))
        return
    with use_db(str(session), WorkDB.Mode.create) as database:
        known = {item.job_id for item in database.work_items}
        database.add_work_items(item for item in chosen if item.job_id not in known)
    subprocess.run([COSMIC_RAY, "exec", "cosmic-ray.toml", session.name], cwd=work, check=True)
    with use_db(str(session), WorkDB.Mode.open) as database:
        report(given.study, database, len(mutants))


# --------------------------------------------------------------------------------------------
# Which mutants
# --------------------------------------------------------------------------------------------
def prepare(name: str, work: Path, everything: Path, only_references: bool) -> None:
    """Copy the tree, check that its tests pass, list the mutants and keep those of the theory."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for part in ("simulator", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, work / "unchanged" / part, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", work / "unchanged")
    shutil.copytree(work / "unchanged", work, dirs_exist_ok=True)
    functions = functions_of_theory(name)
    tests = [f"tests/studies/test_numbers.py::test_reference_cases[{name}]"]
    if not only_references:
        tests.append(f"tests/studies/test_{module_name(name.split('.')[0])}.py")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    # Without compiled files, which would hide a change within the clock's resolution.
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-B", *command[1:]], cwd=work, check=True)
    timeout = SETTINGS["patience"] * (time.perf_counter() - begin)
    modules = ", ".join(f'"{path}"' for path in functions)
    (work / "cosmic-ray.toml").write_text(
        f"[cosmic-ray]\nmodule-path = [{modules}]\ntimeout = {timeout:.0f}.0\n"
        f'excluded-modules = []\ntest-command = "{" ".join(command)}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
    )
    listed = work / "listed.sqlite"
    subprocess.run([COSMIC_RAY, "init", "cosmic-ray.toml", listed.name], cwd=work, check=True)
    with use_db(str(listed), WorkDB.Mode.open) as database:
        items = [item for item in database.work_items if wanted(item, functions)]
    with use_db(str(everything), WorkDB.Mode.create) as database:
        database.add_work_items(items)


def functions_of_theory(name: str) -> dict[str, list[tuple[int, int]]]:
    """Line ranges, by file, of the functions that run while the theory is traced."""
    study = get(name)
    mathematics = [ROOT / "simulator" / part for part in ("studies", "maths")]
    called = collections.defaultdict(set)

    def note(frame, event, argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and any(path.is_relative_to(part) for part in mathematics):
            called[path].add(frame.f_code.co_firstlineno)

    def program(params):  # what decides which program a case runs
        return tuple(params[n] for n, p in study.declarations.items() if p.static)

    cases = [study.canonical(case.params) for case in load(name).cases]
    with float64_on_cpu():
        for values in {program(values): values for values in cases}.values():
            params = study.params(**values)
            jax.clear_caches()
            sys.setprofile(note)
            try:
                jax.eval_shape(lambda p=params: study.theory(p))
            finally:
                sys.setprofile(None)
    found = {}
    for path, first_lines in sorted(called.items()):
        nodes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
        found[str(path.relative_to(ROOT))] = [
            (first_line(node), node.end_lineno) for node in nodes if first_line(node) in first_lines
        ]
    return found


def first_line(node) -> int:
    """As in a code object: decorators belong to their function."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def wanted(item, functions) -> bool:
    (mutation,) = item.mutations
    operator = mutation.operator_name.removeprefix("core/")
    if operator not in SETTINGS["operators"]:
        return False
    row = mutation.start_pos[0]
    return any(low < row <= high for low, high in functions[str(mutation.module_path)])


def shuffled(items) -> list:
    """In a random order, the same in every run: a larger sample holds the smaller one."""
    ordered = sorted(items, key=described)
    random.Random(0).shuffle(ordered)
    return ordered


def described(item) -> str:
    (m,) = item.mutations
    place = f"{m.module_path}:{m.start_pos[0]}:{m.start_pos[1]}"
    return f"{place} {m.operator_name.removeprefix('core/')} {m.occurrence}"


# --------------------------------------------------------------------------------------------
# What became of them
# --------------------------------------------------------------------------------------------
def report(name: str, database, total: int) -> None:
    items = {item.job_id: item for item in database.work_items}
    outcomes = collections.Counter()
    for job, result in sorted(database.results, key=lambda pair: described(items[pair[0]])):
        outcome = "timed out" if result.output == "timeout" else str(result.test_outcome.value)
        outcomes[outcome] += 1
        if result.test_outcome != TestOutcome.KILLED or outcome == "timed out":
            print(f"\n{outcome}: {described(items[job])}\n{result.diff}")
    tried = sum(outcomes.values())
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"\n{name}: {tried} of {total} mutants: {counts}")


if __name__ == "__main__":
    main()
