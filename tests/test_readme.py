"""The README tells the truth: its Python runs, its studies exist, its figures are committed."""

import re
from pathlib import Path

import pytest

import simulator

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.strip().splitlines()[0])
def test_python_examples_run(block, capsys):
    exec(compile(block, "README.md", "exec"), {})
    promised = re.findall(r"print\(float\(.*#\s*([\d.]+)", block)
    if promised:
        assert capsys.readouterr().out.split()[-1].startswith(promised[0])


def test_every_study_is_listed():
    listed = set(re.findall(r"^\| `([a-z.-]+)` \|", README, flags=re.MULTILINE))
    assert listed == set(simulator.studies())


def test_figures_are_there_and_small():
    for name in re.findall(r"\((figures/\w+\.png)\)", README):
        size = (ROOT / name).stat().st_size
        assert size < 200_000, f"{name}: {size} bytes"
