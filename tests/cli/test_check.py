"""`check`: a verdict and its exit code."""

import dataclasses

from tests.cli import run
from tests.toy import STUDY


def test_check_says_inconclusive_with_few_replicates(capsys):
    code, out, _ = run(capsys, "check", "toy", "--replicates", "10")
    assert code == 0
    assert "inconclusive" in out


def test_check_exits_with_one_on_disagreement(capsys, monkeypatch):
    right = STUDY.theory
    wrong = dataclasses.replace(STUDY, theory=lambda p: {k: 2 * v for k, v in right(p).items()})
    monkeypatch.setattr("tests.toy.STUDY", wrong)
    code, out, _ = run(capsys, "check", "toy", "--replicates", "500")
    assert code == 1
    assert "DISAGREES" in out
