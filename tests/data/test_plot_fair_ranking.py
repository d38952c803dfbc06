"""The script of fair rankings on a user's own table and log."""

import runpy
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(SCRIPTS / "plot_fair_ranking.py"))["main"]


@pytest.mark.slow
def test_a_table_of_the_user(main, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = np.random.default_rng(2).uniform(size=(6, 5)).round(3)
    rows = [f"user{i}," + ",".join(map(str, row)) for i, row in enumerate(table)]
    Path("shop.csv").write_text("name,a,b,c,d,e\n" + "\n".join(rows) + "\n")
    given = ["--data", "shop.csv", "--table", "--num-slots", "2", "--unfairness", "0.3"]
    assert main(given) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("6 users, 5 items, 100% of the table observed")
    assert "unfairness 0.3000" in printed
    assert "first list of user0: " in printed
    assert Path("shop-frontier.png").stat().st_size > 5000


def test_what_cannot_be_read_is_one_line_on_stderr(main, tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("0.5,0.2\n0.1,1.7\n")
    assert main(["--data", str(tmp_path / "bad.csv"), "--table"]) == 2
    streams = capsys.readouterr()
    assert streams.err.startswith("error: bad.csv, row 2, column 2")
    assert streams.err.count("\n") == 1
