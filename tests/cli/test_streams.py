"""Streams that do not take a result."""

import dataclasses
import io
import sys

import simulator
from tests.toy import STUDY, command_line


def test_an_ascii_stream_takes_every_result(capsys, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert command_line(["simulate", "toy", "--replicates", "64"]) == 0
    assert rb"\xb1" in written.getvalue()
    assert capsys.readouterr().err == ""


def test_a_full_disk_does_not_lose_the_result(capsys, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert command_line(["predict", "tail-collapse"]) == 2
    err = capsys.readouterr().err
    outputs = simulator.get("tail-collapse").outputs
    predicted = [output.name for output in outputs if output.in_theory]
    assert len(predicted) > 1
    assert all(f"{name} = " in err for name in predicted)
    assert "standard output cannot be written (No space left on device)" in err


def test_a_closed_stream_does_not_lose_the_verdict(capsys, monkeypatch):
    right = STUDY.theory
    wrong = dataclasses.replace(STUDY, theory=lambda p: {k: 2 * v for k, v in right(p).items()})
    monkeypatch.setattr("tests.toy.STUDY", wrong)
    monkeypatch.setattr(sys, "stdout", None)
    assert command_line(["check", "toy", "--replicates", "500"]) == 1
    assert "DISAGREES" in capsys.readouterr().err
