"""The real-data script on a user's own file: a figure and a verdict, or one line of error."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

SCRIPT = Path(__file__).parents[2] / "scripts" / "plot_real_data.py"


@pytest.fixture(scope="module")
def main():
    return runpy.run_path(str(SCRIPT))["main"]


def test_unreadable_data_is_one_line_on_stderr(main, tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("a,price\n1,2\n3,red\n")
    assert main(["--data", str(tmp_path / "bad.csv"), "--target", "price"]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err == (
        "error: bad.csv: data row 2, column price: 'red' (1 of 2 cells no numbers, and it is the "
        "target: remove these rows, or write numbers); allowed: a number\n"
    )


def test_a_folder_and_a_wrong_number_are_one_line_on_stderr(main, tmp_path, capsys):
    (tmp_path / "folder.csv").mkdir()
    assert main(["--data", str(tmp_path / "folder.csv")]) == 2
    assert main(["--num-features", "0"]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.splitlines() == [
        f"error: {tmp_path / 'folder.csv'}: a folder; allowed: a file, or a pipe",
        "error: num_features = 0; allowed: a whole number, at least 1",
    ]


def test_the_target_must_be_named(main, tmp_path, capsys):
    (tmp_path / "t.csv").write_text("a,b,price\n" + "1,2,3\n4,5,7\n" * 9)
    assert main(["--data", str(tmp_path / "t.csv")]) == 2
    assert capsys.readouterr().err == "error: t.csv: --target is needed: a, b, price\n"


def test_a_corpus_that_is_none_is_one_line_on_stderr(tmp_path, capsys):
    corpus_main = runpy.run_path(str(SCRIPT.with_name("plot_tail_collapse.py")))["main"]
    (tmp_path / "words.csv").write_text("word,rank\na,1\n")
    assert corpus_main(["--data", str(tmp_path / "words.csv")]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith(f"error: {tmp_path / 'words.csv'}: the first row")
    assert streams.err.count("\n") == 1


def test_a_corpus_of_the_user(tmp_path, capsys, monkeypatch):
    """Beside nothing that is committed, with the cut and the share that were asked for."""
    monkeypatch.chdir(tmp_path)
    corpus_main = runpy.run_path(str(SCRIPT.with_name("plot_tail_collapse.py")))["main"]
    rng = np.random.default_rng(0)
    np.save("ids.npy", rng.zipf(1.7, 20_000) % 500)
    assert corpus_main(["--data", "ids.npy"]) == 2
    assert "--kind counts or --kind tokens" in capsys.readouterr().err
    words = ["--data", "ids.npy", "--kind", "tokens", "--cut", "30", "--real", "0.1"]
    assert corpus_main(words) == 0
    report = json.loads(Path("ids-tail.json").read_text())
    assert (report["tokens"], report["cutoff"], report["real_fraction"]) == (20_000, 30, 0.1)
    assert report["half_recovered_at"] > 30
    assert [len(curve["mean"]) for curve in report["curves"]] == [8, 8, 8]
    assert imread("ids-tail.png").shape[1] > 800
    assert corpus_main([*words[:4], "--cut", "9999"]) == 2
    assert "--cut 9999; allowed: a rank from 1 to" in capsys.readouterr().err


@pytest.mark.slow
def test_a_table_of_the_user(main, tmp_path, capsys):
    rng = np.random.default_rng(6)
    x = rng.normal(size=(500, 8)) * np.arange(1, 9)
    table = np.column_stack([x, x @ rng.normal(size=8) + rng.normal(size=500)])
    names = [*"abcdefgh", "price"]
    np.savetxt(tmp_path / "t.csv", table, delimiter=",", header=",".join(names), comments="")
    out = tmp_path / "new" / "t.png"
    assert main(["--data", str(tmp_path / "t.csv"), "--target", "price", "--out", str(out)]) == 0
    streams = capsys.readouterr()
    assert "the target is column price" in streams.err
    assert "... experiments" in streams.err
    assert "t.csv, linear: 500 rows, 8 features" in streams.out
    assert streams.out.count("median deviation") == 7
    report = json.loads(out.with_suffix(".json").read_text())
    assert [size["num_samples"] for size in report["sizes"]] == [500, 1000, 2000]
    assert len(report["verdicts"]) == 7
    assert imread(out).shape[1] > 800
    assert out.stat().st_size < 200_000
