"""README and docs tell the truth: their Python runs, studies exist, figures are committed."""

import re
from pathlib import Path

import pytest

import simulator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = [
    pytest.param(block, id=f"{path.name}-{number}")
    for path in (ROOT / "README.md", ROOT / "docs" / "search.md")
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL)
    )
]


@pytest.mark.parametrize("block", BLOCKS)
def test_python_examples_run(block, capsys):
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


def test_figures_are_there_and_small():
    for name in re.findall(r"\((figures/[\w-]+\.png)\)", README):
        size = (ROOT / name).stat().st_size
        assert size < 200_000, f"{name}: {size} bytes"
