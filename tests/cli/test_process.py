"""The command in a fresh process: its environment, what it imports, how long it takes."""

import os
import subprocess
import sys

import pytest

from simulator import cli

SETTLED = """
import os, sys

class Watch:
    def find_spec(self, name, *_):
        if name in ("numpy", "jax"):
            cache = os.environ.get("JAX_COMPILATION_CACHE_DIR")
            seen[name] = (os.environ.get("OPENBLAS_NUM_THREADS"), os.environ.get("NPROC"), cache)

seen = {}
sys.meta_path.insert(0, Watch())
from simulator.cli import main
assert not seen, f"{seen} imported before anything is settled"
code = main(["predict", "steepest-descent-margin.two-points"])
assert "matplotlib" not in sys.modules, "a second of every command that draws nothing"
folder = os.path.join(os.environ["XDG_CACHE_HOME"], "theory-simulator")
nproc = str(max(8, os.cpu_count()))
assert seen == {"numpy": ("1", nproc, folder), "jax": ("1", nproc, folder)}, seen
sys.exit(code)
"""


def test_the_command_settles_its_environment_before_numpy_and_jax(tmp_path):
    """Its programs are kept for the next command, and a closed stream is no error."""
    ours = ("JAX_", "OPENBLAS", "OMP_", "NPROC", "XLA_")
    environment = {n: v for n, v in os.environ.items() if not n.startswith(ours)}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "JAX_PLATFORMS": "cpu"}
    for _ in range(2):
        found = subprocess.run(
            ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, SETTLED],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
        assert found.returncode == 0, found.stderr
        assert all(" = " in line for line in found.stderr.splitlines()), found.stderr
        kept = sorted(path.name for path in (tmp_path / "cache/theory-simulator").iterdir())
        assert any(name.endswith("-cache") for name in kept)


def test_a_home_that_cannot_be_written_is_no_error(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    cli._settle_environment()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


LIGHT = """
import sys, time
from simulator.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as stop:
    code = stop.code
loaded = {"jax", "numpy", "scipy", "xarray"} & set(sys.modules)
assert not loaded, loaded
print(time.process_time(), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "words", [["--help"], ["list"], ["list", "--json"], ["list", "--help"], ["--version"]]
)
def test_what_needs_no_jax_imports_none_and_is_quick(words):
    """Processor time, the best of three: other processes do not count."""
    took = []
    for _ in range(3):
        found = subprocess.run(
            [sys.executable, "-c", LIGHT, *words], capture_output=True, text=True, timeout=60
        )
        assert found.returncode == 0, found.stderr
        took.append(float(found.stderr))
    assert min(took) < 0.3


def test_a_study_of_another_package_is_listed_without_importing_it(tmp_path):
    package = tmp_path / "stranger"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')\n")
    (package / "study.py").write_text(
        "import jax\n\nSTUDY = Study(\n    title='of a stranger',\n)\n"
    )
    metadata = tmp_path / "stranger-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[simulator.studies]\nstranger = stranger.study:STUDY\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", LIGHT, "list", "stranger"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.getcwd()}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.stdout == "stranger  of a stranger\n", found.stderr


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("simulator pre", "predict "),
        ("simulator predict adversarial-training.maha", "adversarial-training.mahalanobis "),
        ("simulator predict ridge-collapse --num-samples-g", "--num-samples-generator "),
        ("simulator predict ridge-collapse --spectrum po", "power_law "),
        ("simulator sweep ridge-collapse --ou", "--out "),
        ("simulator simulate ridge-collapse --platform c", "cpu "),
    ],
)
def test_tab_completes(tmp_path, line, expected):
    answer = tmp_path / "answer"
    environment = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    subprocess.run(
        [sys.executable, "-m", "simulator.cli"], env=os.environ | environment, timeout=60
    )
    assert answer.read_text() == expected
