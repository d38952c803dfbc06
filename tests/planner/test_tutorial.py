"""The tutorial does what it says."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from tests.planner.tables import TRUTH, loss

PAGE = Path(__file__).parents[2] / "docs" / "planner.md"


@pytest.fixture(scope="module")
def run():
    """Names and output of the page's code, one block after the other."""
    names, printed = {}, []
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        written = io.StringIO()
        with contextlib.redirect_stdout(written):
            exec(block, names)
        printed.append(written.getvalue())
    return names, printed


def test_the_table_leads_to_the_decision_that_the_page_quotes(run):
    names, (printed, _) = run
    text = PAGE.read_text(encoding="utf-8")
    ratio, value = names["plan"]["D/N"], names["plan"].loss
    assert f"{ratio.low:.1f} to {ratio.high:.0f}" in text
    assert printed.count("the largest budgets") == 4
    assert "next runs for the ratio" in printed
    g = (TRUTH["alpha"] * TRUTH["A"] / TRUTH["beta"] / TRUTH["B"]) ** (
        1 / (TRUTH["alpha"] + TRUTH["beta"])
    )
    params = g * (1e21 / 6) ** (TRUTH["beta"] / (TRUTH["alpha"] + TRUTH["beta"]))
    true_ratio = 1e21 / 6 / params**2
    true_loss = loss(params, true_ratio * params)
    assert f"{true_ratio:.1f} tokens per\nparameter, and a loss of {true_loss:.3f}" in text
    assert ratio.low < true_ratio < ratio.high
    assert value.low < true_loss < value.high


def test_the_dishonest_fit_says_what_the_page_quotes(run):
    names, (_, printed) = run
    assert f"```\n{printed}```" in PAGE.read_text(encoding="utf-8")
    assert names["found"].success
    assert names["ratio"] > names["plan"]["D/N"].high  # wrong, and outside the honest interval
