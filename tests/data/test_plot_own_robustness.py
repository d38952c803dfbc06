"""The robustness of a user's own table: a report, a picture, or one line of error."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

SCRIPT = Path(__file__).parents[2] / "scripts" / "plot_own_robustness.py"


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(SCRIPT))["main"]


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(80, 3)) @ np.array([[1, 0.6, 0], [0, 1, 0.2], [0, 0, 0.5]])
    y = 3 * (x @ [1.0, -0.4, 0.3] + 0.5 * rng.normal(size=80)) + 7
    path = tmp_path / "houses.csv"
    np.savetxt(path, np.c_[x, y], delimiter=",", header="a,b,c,price", comments="")
    return path


def test_a_report_with_bands(main, table, tmp_path, capsys):
    out = tmp_path / "report.png"
    words = ["--data", str(table), "--target", "price", "--radius", "0.3", "--resamples", "6"]
    assert main([*words, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "least squares is worse by a factor" in printed
    assert "stop gradient descent at t" in printed
    assert imread(out).ndim == 3
    report = json.loads(out.with_suffix(".json").read_text())
    values, bands = report["values"], report["bands"]
    assert values["risk_optimal"] < values["risk_least_squares"]
    assert values["risk_optimal"] < values["risk_early_stopped"] * (1 + 1e-12)
    assert values["standard_risk_least_squares"] < values["standard_risk_optimal"]
    assert bands["risk_optimal"][0] < bands["risk_optimal"][1]
    frontier = np.array(values["frontier_adversarial"])
    assert np.all(np.diff(frontier) <= 1e-12)
    assert frontier.min() == pytest.approx(values["risk_optimal"], rel=1e-9)


def test_what_cannot_be_read_is_one_line(main, table, tmp_path, capsys):
    assert main(["--data", str(table)]) == 2
    assert main(["--data", str(table), "--target", "price", "--radius", "-1"]) == 2
    (tmp_path / "few.csv").write_text("a,b,y\n" + "1,2,3\n2,4,7\n3,6,1\n4,8,2\n" * 5)
    assert main(["--data", str(tmp_path / "few.csv"), "--target", "y"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)
    assert "combinations of each other" in lines[2]


@pytest.fixture
def messy(tmp_path):
    """Categories, one of them rare, an empty cell, a constant column, and the target."""
    rng = np.random.default_rng(5)
    cities = np.array(["Rome", "Oslo", "Bonn"])[np.arange(60) % 3]
    cities[7] = "Riga"
    area = rng.normal(50, 9, 60)
    price = 3 * area + 20 * (cities == "Oslo") + rng.normal(0, 8, 60)
    lines = [f"{c},{a:.3f},1,{p:.3f}" for c, a, p in zip(cities, area, price, strict=True)]
    lines[11] = f"Rome,,1,{price[11]:.3f}"
    path = tmp_path / "flats.csv"
    path.write_text("\n".join(["city,area,floor,price", *lines]) + "\n")
    return path


def test_a_table_as_people_have_them(main, messy, tmp_path, capsys):
    """Refused in one line that says what to do; then read, with the names of its columns."""
    words = ["--data", str(messy), "--target", "price", "--resamples", "4"]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "city" in line
    assert "area" in line
    out = tmp_path / "flats.png"
    assert main([*words, "--one-hot", "--impute", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "left out" in printed.err
    assert "floor" in printed.err
    assert "city=Rome" in printed.err  # the others tell
    report = json.loads(out.with_suffix(".json").read_text())
    assert report["features"] == ["city=Bonn", "city=Oslo", "city=Riga", "area"]
    assert np.isfinite(report["bands"]["risk_optimal"]).all()  # every resampled table has a Riga
    assert max(report["bands"]["residual"][1], report["values"]["residual"]) < 1e-6


def test_more_features_than_rows(main, tmp_path, capsys):
    rng = np.random.default_rng(2)
    names = ",".join([*(f"x{i}" for i in range(14)), "y"])
    np.savetxt(tmp_path / "wide.csv", rng.normal(size=(12, 15)), delimiter=",", header=names,
               comments="")  # fmt: skip
    assert main(["--data", str(tmp_path / "wide.csv"), "--target", "y"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "12 rows of 14 features" in line
