"""Mutation scores: ``make mutation STUDY=ridge-collapse``, or ``STUDY=maths.zipf``.

cosmic-ray changes one operator, comparison or number at a time; `tests.mutated` compares the
changed theory with reference values. A mutant that survives is a mistake that no reference value
would notice: it wants a new one, or an entry in ``tests/survivors.toml`` that says why nothing can
tell it from the original, or which other test does. A change that leaves no Python, or a module
that cannot be imported, is no mutant: another one is drawn in its place.

Changed is what the theory runs, the functions that are called while it is traced at its reference
cases. Of a study: those in its paper's folder, with the study's own cases. Of a module of
``simulator.maths``: those that any theory calls, with the cases of all of them. Outcomes are kept
in ``build/mutation``, and a second call goes on where the first stopped; after a change of code or
cases delete that folder.
Settings: ``[tool.mutation]`` in ``pyproject.toml``.
"""

import argparse
import collections
import difflib
import itertools
import pickle
import random
import sys
import tomllib
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkItem, WorkResult

from simulator.registry import names
from tests.mutated import ROOT, Group, Invalid, TimedOut, Worker, functions

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutation"]
BUILD = ROOT / "build" / "mutation"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("name", nargs="*", help="studies, or modules such as maths.zipf")
    parser.add_argument("--mutants", type=int, default=SETTINGS["mutants"], help="sample size")
    parser.add_argument("--slow", action="store_true", help="survivors meet the slow cases too")
    parser.add_argument("--list", action="store_true", help="name the mutants and stop")
    parser.add_argument("--again", action="store_true", help="try unexplained survivors again")
    parser.add_argument("--table", action="store_true", help="scores of all that was run, and stop")
    given = parser.parse_args()
    if given.table:
        table()
        return
    worker = Worker(SETTINGS["patience"])
    for name in given.name:
        run(name, given, worker)
    worker.close()


def run(name: str, given: argparse.Namespace, worker: Worker) -> None:
    folder = BUILD / name
    folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(worker)
    mutants = listed(name, folder, bench)
    if given.list:
        print("\n".join(described(item) for item in mutants[: given.mutants]))
        return
    session = str(folder / "session.sqlite")
    with use_db(session, WorkDB.Mode.create) as database:
        begun = {item.job_id for item in database.work_items}
        done = dict(database.results)
    known = explained()
    if given.again:
        bench.forget(name)

    def is_mutant(item: WorkItem) -> bool:
        """Whether it is one, which shows when it is tried."""
        result = done.get(item.job_id)
        if not result or (given.again and outcome(item, result, known) == "survived"):
            result = tried(name, item, bench, given.slow)
            print(f"{name}: {described(item)}: {result.output or 'survived'}"[:200], flush=True)
            with use_db(session, WorkDB.Mode.open) as database:
                if item.job_id not in begun:
                    database.add_work_items([item])
                database.set_result(item.job_id, result)
        return outcome(item, result, known) != "invalid"

    for _ in itertools.islice(filter(is_mutant, mutants), given.mutants):
        pass  # tried on the way
    report(name, show=True)


# --------------------------------------------------------------------------------------------
# Which mutants
# --------------------------------------------------------------------------------------------
def judges(name: str) -> list[str]:
    """Studies whose reference cases judge the mutants, in this order."""
    if not name.startswith("maths.") and name not in names():
        sys.exit(f"{name!r} is neither a study nor a module of simulator.maths")
    return names() if name.startswith("maths.") else [name]


class Bench:
    """Groups of reference cases by study, measured when they are first asked for."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def groups(self, study: str, slow: bool = False) -> list[Group]:
        return self._kept(study, "slow" if slow else "groups", self.worker.groups, study, slow)

    def modules(self, study: str) -> set[str]:
        return self._kept(study, "modules", self.worker.modules, study)

    def reaching(self, item: WorkItem, study: str, slow: bool) -> list[Group]:
        """The study's groups whose theory runs what the mutant changes."""
        (mutation,) = item.mutations
        path, row = str(mutation.module_path), mutation.start_pos[0]
        if module_of(path) not in self.modules(study):
            return []
        return [g for g in self.groups(study, slow) if innermost(path, row) in g.called]

    def _kept(self, study, kind, ask, *arguments):
        file = BUILD / study / f"{kind}.pickle"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(pickle.dumps(ask(*arguments)))
        return pickle.loads(file.read_bytes())

    def forget(self, study: str) -> None:
        """Its cases have changed."""
        for file in (BUILD / study).glob("*.pickle"):
            file.unlink()


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def innermost(path: str, row: int) -> tuple[str, int] | None:
    """File and first line of the function around a row, decorators and signature excluded."""
    around = [span for span in functions(path) if span[1] < row <= span[2]]
    return (path, max(around)[0]) if around else None


def listed(name: str, folder: Path, bench: Bench) -> list[WorkItem]:
    """The mutants, in a random order that is the same in every run.

    A larger sample holds the smaller one.
    """
    file = folder / "everything.sqlite"
    if not file.exists():
        groups = [group for study in judges(name) for group in bench.groups(study)]
        called = set().union(*(group.called for group in groups))
        if name.startswith("maths."):
            within = f"simulator/{name.replace('.', '/')}"
            paths = {path for path, _ in called if path.startswith((f"{within}/", f"{within}.py"))}
        else:
            paths = {path for path, _ in called if path.startswith("simulator/studies/")}
        with use_db(str(folder / "listed.sqlite"), WorkDB.Mode.create) as database:
            init([Path(path) for path in sorted(paths)], database, {})
            items = [item for item in database.work_items if wanted(item, called)]
        with use_db(str(file), WorkDB.Mode.create) as database:
            database.add_work_items(items)
    with use_db(str(file), WorkDB.Mode.open) as database:
        ordered = sorted(database.work_items, key=described)
    random.Random(0).shuffle(ordered)
    return ordered


def wanted(item: WorkItem, called: set[tuple[str, int]]) -> bool:
    (mutation,) = item.mutations
    operator = mutation.operator_name.removeprefix("core/")
    place = innermost(str(mutation.module_path), mutation.start_pos[0])
    return operator in SETTINGS["operators"] and place in called


def described(item: WorkItem) -> str:
    (m,) = item.mutations
    place = f"{m.module_path}:{m.start_pos[0]}:{m.start_pos[1]}"
    return f"{place} {m.operator_name.removeprefix('core/')} {m.occurrence}"


# --------------------------------------------------------------------------------------------
# What becomes of them
# --------------------------------------------------------------------------------------------
def tried(name: str, item: WorkItem, bench: Bench, with_slow: bool) -> WorkResult:
    """A mutant before the reference cases of one study after the other."""
    (mutation,) = item.mutations
    path = str(mutation.module_path)
    original = (ROOT / path).read_text()
    operator = get_operator(mutation.operator_name)(**mutation.operator_args)
    changed = mutate_code(original, operator, mutation.occurrence)
    assert changed is not None, f"cosmic-ray does not find {described(item)} again"
    outcome, output = TestOutcome.SURVIVED, ""
    try:
        for slow, study in itertools.product((False, True)[: 1 + with_slow], judges(name)):
            groups = bench.reaching(item, study, slow)
            output = bench.worker.complaint(module_of(path), changed, groups) if groups else ""
            if output:
                outcome = TestOutcome.KILLED
                break
    except TimedOut:
        outcome, output = TestOutcome.KILLED, "timeout"
    except Invalid as invalid:
        outcome, output = TestOutcome.INCOMPETENT, f"no mutant: {invalid}"
    lines = difflib.unified_diff(original.split("\n"), changed.split("\n"), path, path, n=0)
    diff = "\n".join(line for line in list(lines)[2:] if not line.startswith("@@"))
    return WorkResult(WorkerOutcome.NORMAL, output, outcome, diff)


def explained() -> dict[tuple[str, ...], str]:
    """Outcome of survivors that somebody has looked at: file, line and changed line -> outcome."""
    entries = tomllib.loads((ROOT / "tests" / "survivors.toml").read_text())
    return {
        (entry["file"], *change): outcome
        for outcome in ("equivalent", "caught")
        for entry in entries[outcome]
        for change in entry["changes"]
    }


def outcome(item: WorkItem, result: WorkResult, known: dict[tuple[str, ...], str]) -> str:
    """One of `SHOWN`, or invalid; ``known`` are the explained survivors."""
    if result.test_outcome == TestOutcome.INCOMPETENT:
        return "invalid"
    if result.output == "timeout":
        return "timed out"
    if result.test_outcome != TestOutcome.SURVIVED:
        return "killed"
    (mutation,) = item.mutations
    change = [line[1:].strip() for line in result.diff.split("\n")]
    return known.get((str(mutation.module_path), *change), "survived")


def report(name: str, show: bool = False) -> collections.Counter:
    """Outcomes of a study; those that call for somebody are shown."""
    with use_db(str(BUILD / name / "everything.sqlite"), WorkDB.Mode.open) as database:
        counts = collections.Counter({"mutants": database.num_work_items})
    with use_db(str(BUILD / name / "session.sqlite"), WorkDB.Mode.open) as database:
        items = {item.job_id: item for item in database.work_items}
        results = sorted(database.results, key=lambda pair: described(items[pair[0]]))
    known = explained()
    for job, result in results:
        kind = outcome(items[job], result, known)
        counts[kind] += 1
        if show and kind in ("survived", "timed out"):
            print(f"\n{kind}: {described(items[job])}\n{result.diff}")
    counts["tried"] = len(results) - counts["invalid"]
    counts["mutants"] -= counts["invalid"]
    if show:
        words = ", ".join(f"{n} {kind}" for kind, n in counts.items() if kind in SHOWN)
        print(f"\n{name}: {counts['tried']} of {counts['mutants']} mutants: {words}")
    return counts


SHOWN = ("killed", "caught", "equivalent", "timed out", "survived")


def table() -> None:
    """The table of ``docs/mutation.md``."""
    print(f"| changed | tried | {' | '.join(SHOWN)} | score |")
    print(f"| --- | --- |{' --- |' * len(SHOWN)} --- |")
    together: collections.Counter = collections.Counter()
    for file in sorted(BUILD.glob("*/session.sqlite")):
        counts = report(file.parent.name)
        print(row(f"`{file.parent.name}`", counts))
        together.update(counts)
    print(row("together", together))


def row(name: str, counts: collections.Counter) -> str:
    """Its line in the table."""
    numbers = " | ".join(str(counts[kind]) for kind in SHOWN)
    noticed = counts["killed"] + counts["caught"]
    score = f"{noticed} of {noticed + counts['survived']}"
    return f"| {name} | {counts['tried']} of {counts['mutants']} | {numbers} | {score} |"


if __name__ == "__main__":
    main()
