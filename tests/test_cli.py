"""The command line: every verb, one-line errors, exit codes, clean JSON."""

import dataclasses
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import simulator
from simulator.cli import main
from simulator.sweep import predict_study, simulate_study
from tests.toy import STUDY, command_line

SMALL = ["--dim", "12", "--num-generations", "1"]


def run(capsys, *words):
    code = command_line(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_and_show(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [*simulator.studies(), "toy"]
    code, out, _ = run(capsys, "show", "ridge-collapse")
    assert code == 0
    for word in ("2402.07712", "num_samples_generator", "collapse_slope", "asymptotic", "u-shape"):
        assert word in out


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


def test_sweep_writes_netcdf(capsys, tmp_path):
    path = tmp_path / "sweep.nc"
    code, out, err = run(
        capsys,
        "sweep",
        "toy",
        "--grid",
        "num_samples=20,30,40",
        "--grid",
        "noise_std=log:1e-2:1:3",
        "--replicates",
        "4",
        "--out",
        str(path),
    )
    assert (code, out) == (0, "")
    assert str(path) in err
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        np.testing.assert_allclose(tree["theory"]["noise_std"], [0.01, 0.1, 1.0])
        assert tree["mean"]["test_error"].dims == ("num_samples", "noise_std")
        at = {"num_samples": 30, "noise_std": 0.1}
        expected = predict_study(STUDY, **at)
        assert float(tree["theory"]["test_error"].sel(at, method="nearest")) == pytest.approx(
            float(expected["test_error"])
        )


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("predict", "ridge-colapse"), "did you mean 'ridge-collapse'"),
        (("predict", "ridge-collapse", "--rigde", "1"), "--rigde"),
        (("predict", "ridge-collapse", "--ridge", "-1"), "ridge = -1"),
        (("predict", "ridge-collapse", "--ridge", "much"), "ridge = 'much'"),
        (("predict", "ridge-collapse", "--ridge", "nan"), "ridge = nan"),
        (("predict", "ridge-collapse", "--dim", "2.5"), "dim = 2.5"),
        (("predict", "ridge-collapse", "--spectrum", "flat"), "one of isotropic, power_law"),
        (("predict", "strong-collapse", "--synthetic-fraction", "1.2"), "synthetic_fraction = 1.2"),
        (("simulate", "ridge-collapse", "--replicates", "0"), "replicates = 0"),
        (("simulate", "ridge-collapse", "--replicates", "some"), "whole number"),
        (("simulate", "ridge-collapse", "--method", "slow"), "method = 'slow'"),
        (("simulate", "ridge-collapse", "--platform", "quantum"), "invalid choice: 'quantum'"),
        (("simulate", "ridge-collapse", "--platform", "tpu"), "--platform tpu is not available"),
        (("sweep", "ridge-collapse"), "--grid"),
        (("sweep", "ridge-collapse", "--grid", "ridge"), "NAME=VALUES"),
        (("sweep", "ridge-collapse", "--grid", "ridge=log:0:1:3"), "finite ends > 0"),
        (("sweep", "ridge-collapse", "--grid", "ridge=log:1:2"), "log:first:last:count"),
        (("sweep", "ridge-collapse", "--grid", "ridge=1,1"), "twice"),
        (("sweep", "ridge-collapse", "--grid", "ridge=1", "--out", "x.csv"), "ends in .nc"),
        (("sweep", "ridge-collapse", "--grid", "ridge=1", "--out", "no/such/x.nc"), "folder"),
        (("figure", "ridge-collapse/none"), "has no figure 'none'"),
        (("dance",), "dance"),
        ((), "VERB"),
    ],
)
def test_errors_are_one_readable_line(capsys, words, message):
    code, out, err = run(capsys, *words)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert message in err


def test_help_comes_from_the_declarations(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["predict", "ridge-collapse", "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "--num-samples-generator" in out
    assert "penalty of each generator" in out


def test_platform_is_settled_before_devices_start_and_recorded(tmp_path):
    """Without the flag, an environment that names a missing platform stops JAX."""
    words = [sys.executable, "-m", "simulator.cli", "sweep", "ridge-collapse", *SMALL]
    words += [
        "--ridge",
        "0",
        "--grid",
        "num_samples=20",
        "--replicates",
        "2",
        "--out",
        str(tmp_path / "store"),
    ]
    environment = os.environ | {"JAX_PLATFORMS": "tpu"}
    subprocess.run([*words, "--platform", "cpu"], env=environment, check=True, timeout=120)
    manifest = json.loads((tmp_path / "store/.simulator/manifest.json").read_text())
    assert manifest["platform"] == "cpu"
    assert (manifest["dtype"], manifest["matmul_precision"]) == ("float64", "highest")


@pytest.mark.parametrize("study", ["toy", pytest.param("ridge-collapse", marks=pytest.mark.slow)])
def test_figure_is_drawn(capsys, tmp_path, study):
    code, out, _ = run(
        capsys, "figure", f"{study}/samples", "--replicates", "2", "--out", str(tmp_path)
    )
    assert code == 0
    path = tmp_path / f"{study}-samples.png"
    assert out.strip() == str(path)
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_reader_that_stops_early_is_no_error(capsys, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:  # closing it flushes, as the end of a process does
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["show", "strong-collapse"]) == 0
    assert capsys.readouterr().err == ""
