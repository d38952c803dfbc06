"""The judge of `make mutation`: what it says of a right theory, a wrong one, and of no theory."""

import pytest

from tests.mutated import ROOT, Invalid, Worker

STUDY = "steepest-descent-margin.adam"
MODULE = "simulator.studies.robustness.steepest_descent_margin.adam"
THEORY = "jnp.ones(len(GEOMETRIES), float)"
SOURCE = (ROOT / f"{MODULE.replace('.', '/')}.py").read_text()


@pytest.fixture(scope="module")
def complaint():
    """What the reference cases say of a changed source."""
    worker = Worker(patience=5)
    groups = worker.groups(STUDY, slow=False)

    def say(right: str, changed: str) -> str:
        assert SOURCE.count(right) == 1
        return worker.complaint(MODULE, SOURCE.replace(right, changed), groups)

    yield say
    worker.close()


def test_a_change_of_a_value_is_noticed_and_one_of_words_is_not(complaint):
    assert "margin_fraction" in complaint(THEORY, f"2 * {THEORY}")
    assert "TypeError" in complaint(THEORY, THEORY.replace("len", "-len"))
    assert complaint("No direction has more", "Nothing has more") == ""


@pytest.mark.parametrize(
    ("right", "changed", "reason"),
    [
        (THEORY, f"* {THEORY}", "SyntaxError"),
        ("MOMENTUM, SQUARES = 0.9, 0.95", "MOMENTUM, SQUARES = 0.9 * 0.95", "TypeError"),
    ],
    ids=["no Python", "no module"],
)
def test_what_cannot_be_imported_is_no_mutant(complaint, right, changed, reason):
    with pytest.raises(Invalid, match=reason):
        complaint(right, changed)
