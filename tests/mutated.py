"""Reference cases of a study whose theory was changed: the worker of ``tests.mutation``.

A process that has JAX imported, its tracing warm and the reference values at hand takes one mutant
after the other: it imports ``simulator.maths`` and ``simulator.studies`` anew, one module with
another source, and compares. Nothing is written to disk. Cases that share a program are one group;
groups that never call the changed function are left out.
"""

import ast
import collections
import dataclasses
import functools
import importlib.machinery
import importlib.util
import math
import os
import resource
import signal
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
#: Imported anew for each mutant: what the theory is made of.
PARTS = ("simulator.maths.", "simulator.studies.")

#: Seconds of computing beyond a multiple of what the unchanged group takes.
GRACE = 10


@dataclasses.dataclass(frozen=True)
class Group:
    """Reference cases that share a program of the unchanged theory."""

    study: str
    cases: tuple[int, ...]
    expected: tuple[dict[str, np.ndarray], ...]
    #: Of computing, for all cases, compilation included.
    seconds: float
    #: Files below the root and first lines of the functions that the theory called.
    called: frozenset[tuple[str, int]]


class TimedOut(Exception):
    """A mutant took several times as long as the unchanged theory."""


class Worker:
    """A process that compares mutants with reference values; a new one where the last one died."""

    def __init__(self, patience: float, lifetime: int = 40) -> None:
        self._patience, self._lifetime = patience, lifetime
        self._process: Any = None
        self._asked = 0

    def modules(self, study: str) -> set[str]:
        """Modules of the theory and simulations of a study."""
        return self._ask(modules_of, study)

    def groups(self, study: str, slow: bool) -> list[Group]:
        """Groups of the unchanged theory, the cheap ones first."""
        return self._ask(groups_of, study, slow)

    def complaint(self, module: str, source: str, groups: list[Group]) -> str:
        """What the reference cases say of a changed module; nothing if they do not notice.

        Raises
        ------
        TimedOut
        """
        return self._ask(complaint, module, source, groups, self._patience)

    def close(self) -> None:
        if self._process is not None:
            self._connection.close()
            self._process.join()
            self._process = None

    def _ask(self, function, *arguments):
        if self._asked >= self._lifetime:  # compiled programs pile up
            self.close()
        if self._process is None:
            context = get_context("spawn")  # JAX has threads: a fork could hang
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=serve, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
            self._asked = 0
        self._asked += 1
        self._connection.send((function, arguments))
        try:
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            code, self._process = self._process.exitcode, None
            if code == -signal.SIGXCPU:
                raise TimedOut from None
            return f"the process died with exit code {code}"
        if isinstance(answer, Exception):
            raise answer
        return answer


# --------------------------------------------------------------------------------------------
# In the worker
# --------------------------------------------------------------------------------------------
def serve(connection) -> None:
    """Answer questions until there are no more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Programs that run once: compile quickly.
    flags = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"
    import jax

    jax.config.update("jax_enable_compilation_cache", False)
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = function(*arguments)
        except Exception as error:
            answer = RuntimeError(f"{type(error).__name__}: {error}")
        connection.send(answer)


def modules_of(name: str) -> set[str]:
    """Modules that import of a study imports."""
    imported(name)
    return {module for module in sys.modules if module.startswith(PARTS)}


def groups_of(name: str, slow: bool) -> list[Group]:
    """Groups of the unchanged theory; it must have the reference values."""
    import jax

    from tests.cases import load

    cases = load(name).cases
    study = imported(name)
    members = collections.defaultdict(list)
    for index, case in enumerate(cases):
        if case.slow != slow:
            continue
        values = study.canonical(case.params)
        static = (values[n] for n, p in study.declarations.items() if p.is_static("theory"))
        members[tuple(static)].append(index)
    found = []
    for indices in members.values():
        expected = tuple(dict(cases[i].values(study)) for i in indices)
        study = imported(name)
        jax.clear_caches()  # what was traced before would not be called again
        called: set[tuple[str, int]] = set()
        noting = dataclasses.replace(study, theory=noted(study.theory, called))
        begin = time.process_time()
        group = Group(name, tuple(indices), expected, 0.0, frozenset())
        wrong = wrong_value(noting, group)
        if wrong:
            raise AssertionError(f"{name}, unchanged: {wrong}")
        seconds = time.process_time() - begin
        found.append(dataclasses.replace(group, seconds=seconds, called=frozenset(called)))
    return sorted(found, key=lambda group: group.seconds)


def complaint(module: str, source: str, groups: list[Group], patience: float) -> str:
    """The first wrong value, or error, of a changed module."""
    loader = Changed(module, source)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    sys.meta_path.insert(0, loader)
    try:
        for group in groups:
            limit = math.ceil(time.process_time() + GRACE + patience * group.seconds)
            resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))
            try:
                wrong = wrong_value(imported(group.study), group)
            except Exception as error:  # a theory that stops is noticed
                wrong = f"{group.study}: {type(error).__name__}: {str(error)[:300]}"
            if wrong:
                return wrong
        return ""
    finally:
        sys.meta_path.remove(loader)
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


def wrong_value(study, group: Group) -> str:
    """The first reference value of a group that a theory does not have."""
    from simulator.engine.theory import theory_of_cells
    from tests.cases import load

    cases = [load(group.study).cases[i] for i in group.cases]
    found = theory_of_cells(study, [study.canonical(case.params) for case in cases])
    for case, outputs, expected in zip(cases, found, group.expected, strict=True):
        for output, value in expected.items():
            try:
                np.testing.assert_allclose(outputs[output], value, case.rtol, case.atol)
            except AssertionError:
                return f"{group.study}: {case.label}: {output} {outputs[output]}, not {value}"
    return ""


def imported(name: str):
    """A study, its theory imported anew."""
    from simulator.registry import get

    for module in [m for m in sys.modules if f"{m}.".startswith(PARTS)]:
        del sys.modules[module]
    return get(name)


class Changed:
    """Finds one module, with another source than its file has."""

    def __init__(self, module: str, source: str) -> None:
        self.module, self.source = module, source

    def find_spec(self, name, path, target=None):
        if name != self.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = _Loader(name, spec.origin, self.source)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name, path, source) -> None:
        super().__init__(name, path)
        self.source = source

    def path_stats(self, path):
        raise OSError("a changed module has no compiled file")

    def get_data(self, path):
        return self.source.encode()


def noted(theory, called: set[tuple[str, int]]):
    """The theory, which notes what it calls of the package's mathematics."""
    parts = [ROOT / part.replace(".", "/") for part in PARTS]

    def note(frame, event, argument):
        if event == "call":
            path = Path(frame.f_code.co_filename)
            if any(path.is_relative_to(part) for part in parts):
                called.add((str(path.relative_to(ROOT)), frame.f_code.co_firstlineno))

    def noting(params):
        sys.setprofile(note)
        try:
            return theory(params)
        finally:
            sys.setprofile(None)

    return noting


@functools.cache
def functions(path: str) -> list[tuple[int, int, int]]:
    """First line as in a code object, line of the ``def`` and last line, of all functions."""
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    return [
        (first_line(node), node.lineno, node.end_lineno or node.lineno)
        for node in nodes
        if isinstance(node, ast.FunctionDef)
    ]


def first_line(node: ast.FunctionDef) -> int:
    """As in a code object: decorators belong to their function."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
