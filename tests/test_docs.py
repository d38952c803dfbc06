"""The documentation's pages of studies say all that the studies declare."""

import importlib.util
from pathlib import Path

import simulator

DOCS = Path(__file__).parents[1] / "docs"


def pages():
    spec = importlib.util.spec_from_file_location("pages", DOCS / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_study_has_a_page_with_all_its_names(tmp_path):
    written = {path.relative_to(tmp_path).as_posix() for path in pages().write(tmp_path)}
    for name in simulator.studies():
        study = simulator.get(name)
        assert f"studies/{name}.md" in written
        text = (tmp_path / "studies" / f"{name}.md").read_text()
        for shown in (*study.declarations, *(output.name for output in study.outputs)):
            assert f"| `{shown}` |" in text
        assert study.paper.identifier.removeprefix("arXiv ") in text
    assert "| `ridge` | λ |" in (tmp_path / "glossary.md").read_text()


def test_the_architecture_names_files_that_exist():
    root = DOCS.parent
    text = (DOCS / "architecture.md").read_text()
    named = {word for word in text.replace("`", " ").split() if word.startswith("simulator/")}
    assert len(named) >= 8
    for name in named:
        assert (root / name).exists() or (root / f"{name}.py").exists() or "FAMILY" in name, name
