"""`simulator optimise` and `simulator solve` on the command line."""

import json

import pytest

from tests.toy import command_line


def run(capsys, *words):
    code = command_line(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_solve_prints_one_json_object(capsys):
    words = ("solve", "toy", "test_error", "--equals", "0.1", "--over", "num-samples=12:1e9")
    code, out, err = run(capsys, *words, "--noise-std", "0.3", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["outputs"]["num_samples"] == pytest.approx(20, rel=1e-13)
    assert answer["params"] == {"dim": 10, "noise_std": 0.3}
    assert (answer["study"], answer["output"], answer["equals"]) == ("toy", "test_error", 0.1)
    assert answer["over"] == "num_samples in [12, 1e+09], log"
    assert answer["grid"] == {}


def test_solve_on_a_grid(capsys):
    words = ("solve", "toy", "test_error", "--equals", "0.1,0.2", "--over", "num-samples=12:1e9")
    grid = ("--grid", "noise-std=0.3,0.5", "--which", "largest")
    code, out, _ = run(capsys, *words, *grid, "--json")
    assert code == 0
    answer = json.loads(out)
    assert answer["grid"] == {"noise_std": [0.3, 0.5], "equals": [0.1, 0.2]}
    needed = answer["outputs"]["num_samples"]
    assert needed[0] == pytest.approx([20, 15.5], rel=1e-13)
    assert needed[1] == pytest.approx([36, 23.5], rel=1e-13)
    _, table, _ = run(capsys, *words, *grid)
    assert table.splitlines()[0].split() == [
        "num_samples", "test_error", "residual", "num_solutions",
    ]  # fmt: skip
    assert len(table.splitlines()) == 6


def test_optimise_prints_what_it_finds(capsys):
    words = ("optimise", "toy", "test_error", "--over", "num_samples=12:1000:linear")
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "num_samples = 1000."
    assert out.splitlines()[2] == "at_boundary = True"
    _, out, _ = run(capsys, *words, "--maximise", "--points", "5", "--json")
    answer = json.loads(out)
    assert answer["outputs"]["num_samples"] == 12
    assert answer["goal"] == "largest"
    assert answer["over"].endswith("linear")


OVER = ("--over", "num_samples=12:99")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("optimise", "toy"), "required"),
        (("optimise", "toy", "test_error"), "--over"),
        (("optimise", "toy", "tests_error", *OVER), "did you mean 'test_error'"),
        (("optimise", "toy", "test_error", "--over", "num_samples"), "NAME=LOW:HIGH"),
        (("optimise", "toy", "test_error", "--over", "num_samples=1:2:3:4"), "NAME=LOW:HIGH"),
        (("optimise", "toy", "test_error", "--over", "num_samples=12:many"), "'many' is not allow"),
        (("optimise", "toy", "test_error", "--over", "num_samples=1:99"), "num_samples = 1 is not"),
        (("optimise", "toy", "test_error", "--over", "dim=2:9"), "does not vary continuously"),
        (("optimise", "toy", "test_error", *OVER, *OVER), "given twice"),
        (("optimise", "toy", "test_error", *OVER, "--num-samples", "20"), "given twice"),
        (
            ("optimise", "toy", "test_error", *OVER, "--noise-std", "1", "--grid", "noise_std=1,2"),
            "noise_std is given twice: in the grid and as a fixed value",
        ),
        (("optimise", "toy", "test_error", *OVER, "--grid", "dim=4,5"), "sweep over it"),
        (("optimise", "toy", "test_error", *OVER, "--at", "step"), "DIM=VALUE"),
        (("optimise", "toy", "test_error", *OVER, "--at", "step=one"), "is a single number"),
        (("solve", "toy", "test_error", *OVER), "--equals"),
        (("solve", "toy", "test_error", *OVER, "--equals", "low"), "--equals = 'low'"),
        (("solve", "toy", "test_error", *OVER, "--equals", "9"), "has no solution"),
        (("solve", "toy", "test_error", *OVER, "--equals", "1", "--which", "x"), "invalid choice"),
    ],
)
def test_errors_are_one_readable_line(capsys, words, message):
    code, out, err = run(capsys, *words)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
