"""Listing and showing studies."""

import json
import os
import sys

import pytest

import simulator
from simulator.cli import main
from tests.cli import run
from tests.toy import STUDY


def test_list_and_show(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == sorted([*simulator.studies(), "toy"])
    code, out, _ = run(capsys, "show", "ridge-collapse")
    assert code == 0
    for word in ("2402.07712", "num_samples_generator", "collapse_slope", "asymptotic", "u-shape"):
        assert word in out


def test_a_reader_that_stops_early_is_no_error(capsys, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:  # closing it flushes, as the end of a process does
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["show", "strong-collapse"]) == 0
    assert capsys.readouterr().err == ""


def test_list_takes_words_and_prints_json(capsys):
    code, out, _ = run(capsys, "list", "COLLAPSE", "mixture")
    assert code == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert names
    assert all("collapse" in name for name in names)
    assert len(names) < len(simulator.studies())
    code, out, _ = run(capsys, "list", "--json")
    assert code == 0
    titles = {name: simulator.get(name).title for name in simulator.studies()}
    titles["toy"] = STUDY.title
    assert json.loads(out) == [{"study": name, "title": titles[name]} for name in sorted(titles)]


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"simulator {simulator.__version__}\n"


def test_cite(capsys):
    code, out, _ = run(capsys, "cite", "strong-collapse")
    assert code == 0
    assert out.count("@") == 2
    assert "2410.04840" in out
