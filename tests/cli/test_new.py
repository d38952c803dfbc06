"""`simulator new`: what it writes passes the doctor and its own tests at once."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import simulator.studies
from simulator import registry
from simulator.cli import skeleton
from simulator.testing import check_contract, diagnose
from tests.cli import run

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def test_contributing_prints_what_it_writes():
    module, tests = re.findall(r"```python\n(.*?)```", CONTRIBUTING, flags=re.DOTALL)
    assert module == skeleton.module("least-squares")
    assert tests == skeleton.data_of_tests()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """What `new` needs of a checkout, whose studies the package finds."""
    studies = tmp_path / "simulator" / "studies"
    (studies / "collapse" / "old_paper").mkdir(parents=True)
    (tmp_path / "tests" / "cases").mkdir(parents=True)
    for folder in (studies, studies / "collapse", studies / "collapse" / "old_paper"):
        (folder / "__init__.py").write_text("")
    row = "| `old-paper` | what? |\n| `other` | who? |\n"
    (tmp_path / "README.md").write_text(f"| study | question |\n| --- | --- |\n{row}\nThe end.\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(simulator.studies, "__path__", [*simulator.studies.__path__, str(studies)])
    return tmp_path


def test_a_study_of_the_simulator(capsys, checkout):
    code, out, _ = run(capsys, "new", "fresh/least-squares")
    assert code == 0
    for word in ("simulator doctor least-squares", "pytest tests/studies --study least-squares"):
        assert word in out
    module = importlib.import_module("simulator.studies.fresh.least_squares.main")
    assert module.STUDY.name == "least-squares"
    assert module.STUDY.paper is module.PAPER
    assert module.STUDY.figures
    assert diagnose(module.STUDY) == []
    found = {}
    exec((checkout / "tests/cases/least_squares.py").read_text(), found)
    assert len(found["TESTS"].mutants) >= 6
    check_contract(module.STUDY, found["TESTS"], tolerance=0.1)
    assert run(capsys, "new", "least-squares.sub-part")[0] == 0  # the folder says which family
    module = importlib.import_module("simulator.studies.fresh.least_squares.sub_part")
    assert module.STUDY.name == "least-squares.sub-part"
    assert (checkout / "tests/cases/least_squares_sub_part.py").is_file()
    readme = (checkout / "README.md").read_text().splitlines()
    rows = [line.split("`")[1] for line in readme if line.startswith("| `")]
    assert rows == ["old-paper", "other", "least-squares", "least-squares.sub-part"]
    assert readme[-1] == "The end."
    assert run(capsys, "new", "old-paper.part")[0] == 0
    assert "`old-paper.part`" in (checkout / "README.md").read_text().splitlines()[3]
    for path in checkout.rglob("*.py"):
        compile(path.read_text(), path, "exec")


def test_a_study_of_another_package(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    code, out, _ = run(capsys, "new", "my-paper.part", "--package", "strange_package")
    assert code == 0
    file = "strange_package/my_paper_part.py"
    assert f"simulator doctor {file}" in out
    assert '"my-paper.part" = "strange_package.my_paper_part:STUDY"' in out
    code, out, _ = run(capsys, "doctor", file)
    assert (code, out) == (0, f"{file}: no complaints\n")
    code, out, _ = run(capsys, "predict", file, "--dim", "10", "--num-samples", "21")
    assert (code, out) == (0, "test_error = 0.25\n")
    code, out, _ = run(capsys, "figure", f"{file}/samples", "--replicates", "2", "--out", "f")
    assert (code, out) == (0, "f/my-paper-part-samples.png\n")
    test = tmp_path / "tests" / "test_my_paper_part.py"
    assert "from strange_package.my_paper_part import STUDY" in test.read_text()
    assert "check_contract(STUDY, TESTS)" in test.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("new", "Paper"), "in lower-case words with dashes"),
        (("new", "paper.main"), "in lower-case words with dashes"),
        (("new", "a/b/c"), "in lower-case words with dashes"),
        (("new", "ridge-collapse"), "there is a study ridge-collapse already"),
        (("new", "new-paper"), "say which family it belongs to, as in FAMILY/new-paper"),
        (("new", "new-paper", "--package", "not-a-name"), "no name of a Python package"),
        (("doctor", "nothing.py"), "there is no such file"),
    ],
)
def test_what_is_refused(capsys, checkout, words, message):
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_nothing_is_overwritten(capsys, checkout, tmp_path, monkeypatch):
    (checkout / "tests/cases/old_paper_part.py").write_text("precious")
    code, _, err = run(capsys, "new", "old-paper.part")
    assert code == 2
    assert "is there already, and nothing was written" in err
    assert not (checkout / "simulator/studies/collapse/old_paper/part.py").exists()
    monkeypatch.chdir(tmp_path.parent)
    code, _, err = run(capsys, "new", "old-paper.part")
    assert code == 2
    assert "no checkout of the simulator" in err


def test_a_file_that_is_no_study(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "no_study_here.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match="defines no STUDY"):
        registry.get(str(tmp_path / "no_study_here.py"))
    (tmp_path / "json.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match="another module has its name"):
        registry.get(str(tmp_path / "json.py"))


def test_what_it_writes_is_tidy(tmp_path):
    paths = [tmp_path / name for name in ("main.py", "own.py", "test_own.py", "__init__.py")]
    texts = [
        skeleton.module("x", "simulator.studies.fresh.x"),
        skeleton.module("x"),
        skeleton.data_of_tests("mine.x"),
        skeleton.paper_folder("x"),
    ]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    # What is whose in the order of imports depends on the folder.
    for verb in (["check", "--ignore", "I001"], ["format", "--check"]):
        subprocess.run(
            [sys.executable, "-m", "ruff", *verb, "--config", ROOT / "pyproject.toml", *paths],
            check=True,
        )


def test_every_family_is_a_package():
    """Without the file, its studies are found here and lost in an installation."""
    studies = ROOT / "simulator" / "studies"
    for module in studies.glob("*/*/[!_]*.py"):
        for folder in (module.parent, module.parents[1]):
            assert (folder / "__init__.py").is_file(), f"write {folder}/__init__.py"
