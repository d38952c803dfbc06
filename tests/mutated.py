"""Reference cases of a study whose theory was changed: the worker of ``tests.mutation``.

A process that has JAX imported, its tracing warm and the reference values at hand takes one mutant
after the other: it imports ``simulator.maths`` and ``simulator.studies`` anew, one module with
another source, and compares. Nothing is written to disk. Cases that share a program are one group;
groups that never call the changed function are left out.
"""

import ast
import collections
import contextlib
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
from collections.abc import Iterator, Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
#: Imported anew for each mutant: what the theory is made of.
PARTS = ("simulator.maths.", "simulator.studies.")

#: Seconds of computing beyond a multiple of what the unchanged theory takes.
GRACE = 10


@dataclasses.dataclass(frozen=True)
class Group:
    """Reference cases that share a program of the unchanged theory."""

    study: str
    cases: tuple[int, ...]
    #: Bytes that the program writes.
    work: float
    #: Files below the root and first lines of the functions that the theory called.
    called: frozenset[tuple[str, int]]


class TimedOut(Exception):
    """A mutant took several times as long as the unchanged theory."""


class Invalid(Exception):
    """A changed module is no Python, or cannot be imported: nobody could have written that."""


class Worker:
    """A process that compares mutants with reference values; a new one where the last one died."""

    def __init__(self, patience: float, lifetime: int = 100) -> None:
        self._patience, self._lifetime = patience, lifetime
        self._process: Any = None
        self._asked = 0

    def modules(self, study: str) -> set[str]:
        """Modules of the theory and simulations of a study."""
        return self._ask(modules_of, study)

    def groups(self, study: str, slow: bool) -> list[Group]:
        """Groups of the unchanged theory, those with the least work first."""
        return self._ask(groups_of, study, slow)

    def complaint(self, module: str, source: str, groups: list[Group]) -> str:
        """What the reference cases say of a changed module; nothing if they do not notice.

        Raises
        ------
        TimedOut, Invalid
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
        except Invalid as invalid:
            answer = invalid
        except Exception as error:
            answer = RuntimeError(f"{type(error).__name__}: {error}")
        connection.send(answer)


def modules_of(name: str) -> set[str]:
    """Modules that import of a study imports."""
    imported(name)
    return {module for module in sys.modules if module.startswith(PARTS)}


def groups_of(name: str, slow: bool) -> list[Group]:
    """Groups of the unchanged theory, those with the least work first."""
    import jax

    from simulator.engine.batch_size import cost_of
    from simulator.runtime.compilation import float64_on_cpu
    from tests.cases import load

    study = imported(name)
    members = collections.defaultdict(list)
    for index, case in enumerate(load(name).cases):
        if case.slow == slow:
            values = study.canonical(case.params)
            static = (values[n] for n, p in study.declarations.items() if p.is_static("theory"))
            members[tuple(static)].append((index, values))
    found = []
    for cases in members.values():
        study = imported(name)
        jax.clear_caches()  # what was traced before would not be called again
        called: set[tuple[str, int]] = set()
        params, theory = study.params(**cases[0][1]), noted(study.theory, called)
        with float64_on_cpu():
            program = jax.make_jaxpr(lambda p=params, t=theory: t(p))()
        indices = tuple(index for index, _ in cases)
        found.append(Group(name, indices, cost_of(program.jaxpr).work, frozenset(called)))
    return sorted(found, key=lambda group: group.work)


#: Reference values and time of computing of the groups that were needed so far.
_unchanged: dict[Group, tuple[list[Mapping[str, Any]], float]] = {}


def unchanged(group: Group) -> tuple[list[Mapping[str, Any]], float]:
    """Reference values of a group, which the unchanged theory has, and the seconds it takes."""
    if group not in _unchanged:
        from tests.cases import load

        study = imported(group.study)
        expected = [load(group.study).cases[i].values(study) for i in group.cases]
        begin = time.process_time()
        wrong = wrong_value(study, group, expected)
        if wrong:
            raise AssertionError(f"without any change, {wrong}")
        _unchanged[group] = expected, time.process_time() - begin
    return _unchanged[group]


def complaint(module: str, source: str, groups: list[Group], patience: float) -> str:
    """The first wrong value, or error, of a changed module."""
    for group in groups:
        expected, seconds = unchanged(group)
        with changed(module, source), limited(GRACE + patience * seconds):
            try:
                study = imported(group.study)
            except Exception as error:
                raise Invalid(f"{type(error).__name__}: {error}") from error
            try:
                wrong = wrong_value(study, group, expected)
            except Exception as error:  # a theory that stops is noticed
                wrong = f"{group.study}: {type(error).__name__}: {str(error)[:300]}"
        if wrong:
            return wrong
    return ""


def wrong_value(study, group: Group, expected: list[Mapping[str, Any]]) -> str:
    """The first reference value of a group that a theory does not have."""
    from simulator.engine.theory import theory_of_cells
    from tests.cases import load

    cases = [load(group.study).cases[i] for i in group.cases]
    found = theory_of_cells(study, [study.canonical(case.params) for case in cases])
    for case, outputs, values in zip(cases, found, expected, strict=True):
        for output, value in values.items():
            if not np.allclose(outputs[output], value, case.rtol, case.atol, equal_nan=True):
                return f"{group.study}: {case.label}: {output} {outputs[output]}, not {value}"
    return ""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Within it, the process dies after so many seconds of computing."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


@contextlib.contextmanager
def changed(module: str, source: str) -> Iterator[None]:
    """Within it, a module that is imported has another source than its file."""
    finder = _Changed(module, source)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def imported(name: str):
    """A study, its theory imported anew."""
    from simulator.registry import get

    for module in [m for m in sys.modules if f"{m}.".startswith(PARTS)]:
        del sys.modules[module]
    return get(name)


class _Changed:
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
    parts = tuple(str(ROOT / part.replace(".", "/")) for part in PARTS)
    met: dict[int, Any] = {}  # code by identity: millions of calls, thousands of functions

    def note(frame, event, argument):
        code = frame.f_code
        if event == "call" and id(code) not in met:
            met[id(code)] = code
            if code.co_filename.startswith(parts):
                path = str(Path(code.co_filename).relative_to(ROOT))
                called.add((path, code.co_firstlineno))

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
