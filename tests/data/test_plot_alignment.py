"""The scripts of alignment: a user's comparisons, and policies trained by both objectives."""

import runpy
from pathlib import Path

import jax
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(SCRIPTS / "plot_alignment.py"))["main"]


def test_comparisons_of_the_user(main, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        "tea,water,7",
        "water,tea,2",
        "water,milk,5",
        "milk,water,4",
        "milk,tea,1",
        "tea,milk,3",
    ]
    Path("drinks.csv").write_text("winner,loser,count\n" + "\n".join(rows) + "\n")
    assert main(["--data", "drinks.csv", "--next", "2", "--kl-regularization", "0.5"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("tea ")
    assert printed.count(" or ") == 4
    assert "label next" in printed
    assert "T-PILAF at β = 0.5" in printed
    assert Path("drinks-preferences.png").stat().st_size > 5000


def test_comparisons_without_a_fit_are_one_line_on_stderr(main, tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("winner,loser\ntea,milk\nmilk,tea\ntea,water\n")
    assert main(["--data", str(tmp_path / "bad.csv")]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("error: 'water': lost all their comparisons")
    assert streams.err.count("\n") == 1


def test_training_reaches_the_closed_forms():
    table = runpy.run_path(str(SCRIPTS / "train_aligned_policy.py"))["table"]
    with jax.enable_x64(True):
        found = {name: (trained, best) for name, trained, best in table(1500, 200_000, 0.5)}
    for name in ("RLHF", "E-RLHF"):
        assert found[name][0] == pytest.approx(found[name][1], abs=1e-6)
    for name, spread in (("DPO", 0.02), ("E-DPO", 0.001)):
        assert found[name][0] == pytest.approx(found[name][1], abs=spread)
