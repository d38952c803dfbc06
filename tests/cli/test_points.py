"""`predict` and `simulate`."""

import json
import math

import pytest

import simulator
from simulator.defaults import REPLICATES
from simulator.engine.simulation import simulate_study
from simulator.engine.theory import predict_study
from tests.cli import run
from tests.toy import STUDY

SMALL = ["--dim", "12", "--num-generations", "1"]


def test_predict_prints_one_json_object_and_nothing_else(capsys):
    words = ("predict", "ridge-collapse", *SMALL, "--ridge", "0.05", "--json")
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert set(answer) == {"study", "params", "outputs"}
    assert answer["params"]["dim"] == 12
    assert answer["params"]["noise_std"] == 0.5
    expected = simulator.predict("ridge-collapse", dim=12, num_generations=1, ridge=0.05)
    assert answer["outputs"] == {name: float(value) for name, value in expected.items()}


def test_infinite_values_survive_json(capsys):
    words = ("predict", "ridge-collapse", *SMALL, "--ridge", "0", "--num_samples", "12", "--json")
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert math.isinf(json.loads(out)["outputs"]["variance"])


def test_simulate(capsys):
    words = ("simulate", "toy", "--replicates", "40", "--seed", "1", "--json")
    code, out, _ = run(capsys, *words)
    assert code == 0
    expected = simulate_study(STUDY, replicates=40, seed=1)
    answer = json.loads(out)["outputs"]["test_error"]
    assert answer["mean"] == expected.mean["test_error"]
    assert answer["replicates"] == 40
    code, out, _ = run(capsys, *words[:-1])
    assert code == 0
    assert "test_error = " in out


def test_negative_exponents_reach_the_parameter(capsys):
    words = ("predict", "strong-collapse.multi-step", "--shift-correlation", "-5e-1")
    code, out, err = run(capsys, *words, "--dim", "6", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["params"]["shift_correlation"] == -0.5


def test_whole_numbers_beyond_64_bits(capsys):
    for n in ("1e20", "100000000000000000000"):
        code, out, _ = run(capsys, "predict", "toy", "--num-samples", n, "--json")
        assert code == 0
        answer = json.loads(out)
        assert answer["params"]["num_samples"] == 10**20
        assert answer["outputs"]["test_error"] == pytest.approx(0.25 * 10 / 1e20)
    grid = ("--grid", "num_samples=log:1e18:1e20:3", "--replicates", "0")
    code, out, err = run(capsys, "sweep", "toy", *grid)  # a warning would be an error here
    assert (code, err) == (0, "")
    assert "1.000000e+20" in out


def test_lists_mean_what_they_mean_in_python(capsys):
    code, out, _ = run(capsys, "predict", "toy", "--num-samples", "20,30,50", "--json")
    assert code == 0
    answer = json.loads(out)
    expected = predict_study(STUDY, num_samples=[20, 30, 50])["test_error"]
    assert answer["outputs"]["test_error"] == expected.tolist()
    assert answer["params"]["num_samples"] == [20, 30, 50]
    code, out, _ = run(capsys, "predict", "toy", "--noise-std", "lin:0.1:0.3:3")
    assert code == 0
    assert out.count("0.0") == 3
    words = ("--num-samples", "20,30", "--replicates", "8", "--json")
    code, out, _ = run(capsys, "simulate", "toy", *words)
    assert code == 0
    found = json.loads(out)["outputs"]["test_error"]["mean"]
    assert (
        found
        == simulate_study(STUDY, replicates=8, num_samples=[20, 30]).mean["test_error"].tolist()
    )


def test_replicates_have_one_default(capsys):
    code, out, _ = run(capsys, "simulate", "toy", "--json")
    assert code == 0
    assert json.loads(out)["outputs"]["test_error"]["mean"] == float(
        simulate_study(STUDY).mean["test_error"]
    )
    assert simulate_study(STUDY).replicates["test_error"] == REPLICATES


@pytest.mark.parametrize("value", ["-5e-1", "-.5", "-0.5", "-5E-1"])
def test_negative_numbers_belong_to_their_flags(capsys, value):
    words = ("predict", "strong-collapse.multi-step", "--dim", "6", "--json")
    for given in (["--shift-correlation", value], [f"--shift_correlation={value}"]):
        code, out, _ = run(capsys, *words, *given)
        assert code == 0
        assert json.loads(out)["params"]["shift_correlation"] == -0.5
    code, _, err = run(capsys, "predict", "toy", "--noise-std", "-inf")
    assert code == 2
    assert "noise_std = -inf is not allowed" in err


@pytest.mark.parametrize("written", ["1,.5,1e-1", "[1, .5, 0.1]", "[1.0,0.5,0.1]"])
def test_arrays_are_written_as_in_python(capsys, written):
    words = ("predict", "ridge-regression", "--eigenvalues", written, "--teacher", "1,-2,0")
    code, out, err = run(capsys, *words, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)["outputs"]["test_error"]
    given = {"eigenvalues": [1, 0.5, 0.1], "teacher": [1, -2, 0]}
    assert found == float(simulator.predict("ridge-regression", **given)["test_error"])
