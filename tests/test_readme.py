"""README and docs tell the truth: their Python runs, studies exist, figures are committed."""

import itertools
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from PIL import Image

import simulator
from simulator.pictures.style import DPI, SMALLEST_TEXT

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = [
    pytest.param(block, id=f"{path.name}-{number}")
    for path in (
        ROOT / "README.md",
        # planner.md goes on from block to block: `tests/planner/test_tutorial.py` runs it.
        *(ROOT / "docs" / f"{name}.md" for name in ("search", "alignment", "data")),
    )
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL)
    )
]


@pytest.mark.parametrize("block", BLOCKS)
def test_python_examples_run(block, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "example", "exec"), {})
    promised = re.findall(r"print\(float\(.*#\s*([\d.]+)", block)
    if promised:
        printed = capsys.readouterr().out.split()
        assert all(p.startswith(q) for p, q in zip(printed, promised, strict=True)), printed


def test_every_study_is_listed():
    listed = set(re.findall(r"^\| `([a-z.-]+)` \|", README, flags=re.MULTILINE))
    missing, gone = set(simulator.studies()) - listed, listed - set(simulator.studies())
    assert not missing, f"a row is missing for {missing}: `simulator new` writes one"
    assert not gone, f"there is no study {gone}"


def pages():
    return (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))


def test_figures_are_there_and_small_and_shown():
    shown = set()
    for page in pages():
        for name in re.findall(r"\(((?:\.\./)?figures/[\w-]+\.png)\)", page.read_text()):
            picture = (page.parent / name).resolve()
            size = picture.stat().st_size
            most = 200_000 if page.name == "README.md" else 300_000
            assert size < most, f"{page.name}, {name}: {size} bytes"
            shown.add(picture.name)
    assert shown == {picture.name for picture in (ROOT / "figures").glob("*.png")}


PAGE = 800  # pixels of the column in which GitHub shows a README, and of a cell's margins
MARGINS = 27
TABLES = MarkdownIt("commonmark").enable("table")


def displayed(text):
    """The pictures of a page and how wide each is shown, in pixels."""
    found, cells = [], 1
    tokens = TABLES.parse(text)
    for position, token in enumerate(tokens):
        if token.type == "tr_open":
            row = itertools.takewhile(lambda t: t.type != "tr_close", tokens[position:])
            cells = sum(t.type in ("td_open", "th_open") for t in row)
        elif token.type == "table_close":
            cells = 1
        for child in token.children or ():
            if child.type == "image":
                room = PAGE / cells - (MARGINS if cells > 1 else 0)
                found.append((child.attrs["src"], room))
    return found


def test_text_in_figures_is_large_enough():
    shown = [(p.parent / name, room) for p in pages() for name, room in displayed(p.read_text())]
    assert len(shown) >= 40
    for name, room in shown:
        picture = Image.open(name)
        points = float(picture.text[SMALLEST_TEXT])
        pixels_per_point = picture.info.get("dpi", (DPI,))[0] / 72
        size = points * pixels_per_point * min(1, room / picture.width)
        assert size >= 8, f"{name.name}: {size:.1f} px"


def test_tables_are_tables():
    """A line that starts with a bar belongs to a table, or the page shows the bars."""
    for path in (ROOT / "CONTRIBUTING.md", *pages()):
        for before, token in itertools.pairwise(TABLES.parse(path.read_text())):
            if before.type == "paragraph_open":
                assert not token.content.startswith("|"), f"{path.name}: {token.content[:60]}"
