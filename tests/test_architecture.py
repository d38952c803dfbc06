"""Arrows run one way, imports touch nothing, and the library leaves JAX's configuration alone."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import simulator

PACKAGE = Path(__file__).parents[1] / "simulator"
LINE = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]
DECLARATIONS = {
    *("study", "outputs", "parameters", "parameter", "paper", "vocabulary"),
    *("large_array", "eigenbasis", "attacked", "data_set"),
}
VERBS = {"engine", "store", "verdict", "search"}
#: What each layer may import, besides itself.
ALLOWED = {
    "checks": set(),
    "defaults": set(),
    "equality": set(),
    "large_array": set(),
    "html": set(),
    "paper": set(),
    "spelling": set(),
    "vocabulary": set(),
    "runtime": set(),
    "maths": {"runtime"},
    "sampling": {"large_array", "maths", "runtime"},
    "data": {"checks", "equality", "large_array", "maths", "runtime", "sampling"},
    "parameter": {"checks", "large_array", "spelling", "vocabulary"},
    "parameters": {"checks", "parameter", "vocabulary"},
    "outputs": set(),
    "door": {"parameters"},
    "attacked": {"checks", "maths", "parameters"},
    "eigenbasis": {"checks", "maths", "parameters"},
    "data_set": {"parameters", "sampling"},
    "study": {"checks", "door", "html", "outputs", "parameters", "paper", "spelling"},
    "studies": {*DECLARATIONS, "checks", "maths", "sampling", "data", "runtime"},
    "registry": {"checks", "spelling", "study", "studies"},
    "engine": {*DECLARATIONS, "checks", "defaults", "equality", "html", "runtime", "spelling"},
    "store": {*DECLARATIONS, "engine", "checks", "defaults", "equality", "runtime"},
    "verdict": {*DECLARATIONS, "engine", "checks", "equality", "html"},
    "search": {*DECLARATIONS, "engine", "checks", "runtime"},
    "pictures": {*DECLARATIONS, "registry", "engine", "checks", "spelling"},
    "testing": {*DECLARATIONS, "door", "engine", "verdict", "runtime", "spelling"},
    "planner": {"checks", "maths", "pictures", "runtime", "spelling"},
    "results": {"engine", "store", "verdict", "pictures", "checks"},
    "api": {*DECLARATIONS, *VERBS, "registry", "studies", "checks"},
    "cli": {
        *DECLARATIONS,
        *VERBS,
        "registry",
        "testing",
        "pictures",
        "planner",
        "checks",
        "defaults",
        "spelling",
    },
    "advice": {"api", "checks", "equality", "search", "data"},
    "class_advice": {"api", "data", "equality", "maths", "runtime"},
    "__main__": {"cli"},
}


def layer(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "simulator":
                yield from (f"simulator.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem != "__init__")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows_run_one_way(path):
    own = layer(path)
    assert own in ALLOWED, f"the design does not know the layer {own}"
    for module in imported_modules(path):
        if not module.startswith("simulator."):
            continue
        target = module.split(".")[1]
        if own == "cli" and target in simulator.__all__:
            continue  # the public verbs, some of which share their names with subpackages
        assert target == own or target in ALLOWED[own], f"{own} imports {module}"


@pytest.mark.parametrize(
    "path",
    [p for p in MODULES if "studies" in p.parts and p.parent.name != "studies"],
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_a_study_imports_no_other_paper(path):
    family = PACKAGE / "studies"
    parts = path.relative_to(family).parts
    paper = parts[1].removesuffix(".py")
    for module in imported_modules(path):
        names = module.split(".")
        if names[:2] == ["simulator", "studies"] and len(names) > 2:
            assert names[2:4] == [parts[0], paper], f"{path.name} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_an_import_has_as_many_names_on_a_line_as_fit(path):
    lines = path.read_text().splitlines()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.end_lineno > node.lineno:
            assert len(ast.unparse(node)) > LINE, f"one line is enough: {node.module}"
            names = lines[node.lineno : node.end_lineno - 1]
            for line, following in itertools.pairwise(names):
                longer = f"{line} {following.split(',')[0].strip()},"
                assert len(longer) > LINE, f"one name per line: {node.module}"


LIBRARY = [path for path in MODULES if layer(path) != "cli"]  # an application may


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_global_configuration(path):
    assert "jax.config.update" not in path.read_text()


DEVICES = re.compile(r"jax\.((local_)?device(s|_count)|default_backend)\(")


@pytest.mark.parametrize(
    "path",
    [path for path in LIBRARY if layer(path) != "runtime"],
    ids=lambda p: str(p.relative_to(PACKAGE)),
)
def test_only_the_runtime_looks_for_devices(path):
    """Threads are settled when JAX first looks for devices: one door asks for them before."""
    assert not DEVICES.search(path.read_text())


def test_import_touches_no_device_and_is_fast():
    """Importing all studies adds little to importing JAX and initialises no backend."""
    program = (
        "import sys, time, jax; start = time.process_time(); "
        "import simulator; simulator.studies(); "
        "took = time.process_time() - start; "
        "slow = {'matplotlib', 'pandas', 'scipy.optimize', 'scipy.stats', 'xarray', 'zarr'}; "
        "assert not slow & set(sys.modules), slow & set(sys.modules); "
        "from jax._src import xla_bridge; "
        "assert not xla_bridge._backends, 'a backend was initialised'; "
        "assert took < 1.0, took"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


FACE = """
import sys
import simulator
loaded = {"jax", "numpy"} & set(sys.modules)
assert not loaded, loaded
assert {"predict", "studies"} <= set(dir(simulator))
import simulator.engine.cells
import simulator.studies.collapse.ridge_collapse.main as module
assert simulator.studies.collapse.ridge_collapse.main is module
assert simulator.studies()[0] == "adversarial-training"
assert simulator.sweep.__name__ == "sweep" and callable(simulator.sweep)
assert simulator.runtime.compilation.CPU_OPTIONS
assert not hasattr(simulator, "swep")
from simulator import *
assert predict is simulator.predict and studies is simulator.studies
"""


def test_the_package_imports_nothing_and_its_names_hide_no_package():
    subprocess.run([sys.executable, "-c", FACE], check=True, timeout=120)
