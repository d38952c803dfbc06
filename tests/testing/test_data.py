"""A study's test data: named cells, and exceptions that have reasons."""

import pytest

import tests.cases
from simulator.testing import Tests
from tests.cases import collected, load
from tests.toy import STUDY


def test_named_cells_come_before_those_of_the_study_and_each_once():
    small = {"dim": 5, "num_samples": 9}
    tests = Tests(cells={"small": small, "large": STUDY.check_cells[1]})
    given = (small, STUDY.check_cells[1], STUDY.check_cells[0])
    assert tests.points(STUDY) == [STUDY.canonical(cell) for cell in given]
    assert Tests().points(STUDY) == [STUDY.canonical(cell) for cell in STUDY.check_cells]


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ({"float23": (1e-4, "why")}, "no exception is called 'float23'; did you mean 'float32'"),
        ({"float32": (1e-4,)}, r"expected\['float32'\] = .* lacks a reason: it is .*\(tolerance"),
        ({"float32": (1e-4, " ")}, "lacks a reason"),
        ({"jumps": {}}, "lacks a reason"),
        ({"jumps": {"ridge": ""}}, "lacks a reason"),
    ],
)
def test_exceptions_need_reasons(expected, words):
    with pytest.raises(ValueError, match=words):
        Tests(expected=expected)


def test_what_is_expected():
    tests = Tests(expected={"float32": (1e-3, "rounding"), "jumps": {"label": "a sign"}})
    assert tests.float32_tolerance(1e-5) == 1e-3
    assert Tests().float32_tolerance(1e-5) == 1e-5
    assert tests.excepted("jumps") == {"label": "a sign"}
    assert tests.excepted("special") == {}


def test_a_study_without_test_data_says_what_to_write_and_stops_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(tests.cases, "__path__", [str(tmp_path)])
    with pytest.raises(
        AssertionError, match=r"study new-paper\.part has no test data: write tests/"
    ):
        load("new-paper.part")
    assert collected("new-paper.part") == Tests()
    (tmp_path / "empty_paper.py").write_text("CASES = []")
    with pytest.raises(AssertionError, match=r"empty_paper\.py does not define the test data of"):
        load("empty-paper")
    (tmp_path / "broken_paper.py").write_text("TESTS = ")
    with pytest.raises(SyntaxError):
        load("broken-paper")
    assert collected("broken-paper") == Tests()
