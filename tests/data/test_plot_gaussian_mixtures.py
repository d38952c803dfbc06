"""Advice for a labelled file of the user, by the script."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "plot_gaussian_mixtures.py"


@pytest.fixture(scope="module")
def own_data():
    return runpy.run_path(str(SCRIPT))["own_data"]


def test_a_table_with_an_attribute(own_data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    a = np.where(rng.uniform(size=400) < 0.2, 1 - y, y)
    x = rng.standard_normal((400, 3)) + np.stack([y, a, 0 * y], axis=1)
    rows = [
        ",".join([*(f"{v:.6g}" for v in r), ("land", "water")[label], "ab"[mark], "XY"[mark]])
        for r, label, mark in zip(x, y, a, strict=True)
    ]
    Path("birds.csv").write_text("\n".join(["p,q,r,kind,background,place", *rows]))
    given = ["--data", "birds.csv", "--target", "kind", "--attribute", "background"]
    assert own_data(given) == 2
    assert "--drop place" in capsys.readouterr().err
    given += ["--drop", "place"]
    assert own_data([*given, "--experiments", "10"]) == 0
    printed = capsys.readouterr().out
    assert "classes land and water" in printed
    assert "pruning to 30%" in printed
    assert "group-balanced set: weight" in printed
    report = json.loads(Path("birds-classes.json").read_text())
    assert len(report["tests"]) == 10
    assert all(test["verdict"] for test in report["tests"])


def test_no_classes_are_one_line_on_stderr(own_data, tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x,y", *(f"{i},{i / 7}" for i in range(20))]))
    assert own_data(["--data", str(path), "--target", "y"]) == 2
    streams = capsys.readouterr()
    assert streams.err.count("\n") == 1
    assert "whole numbers" in streams.err
    assert not streams.out
