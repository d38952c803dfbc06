"""The command line: every verb, one-line errors, exit codes, clean JSON."""

import dataclasses
import io
import json
import math
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import xarray as xr

import simulator
from simulator import cli
from simulator.cli import main, values
from simulator.engine.simulation import simulate_study
from simulator.engine.theory import predict_study
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
        (("simulate", "ridge-collapse", "--replicates", "2.5e-1"), "whole number"),
        (("simulate", "ridge-collapse", "--replicates", "1e400"), "whole number"),
        (("simulate", "toy", "--replicates", "1e12"), "--allow-large"),
        (("predict", "toy", "--dim", "1e10", "--num-samples", "1e11"), "dim = 10000000000"),
        (("simulate", "ridge-collapse", "--method", "slow"), "method = 'slow'"),
        (("simulate", "ridge-collapse", "--platform", "quantum"), "invalid choice: 'quantum'"),
        (("simulate", "ridge-collapse", "--platform", "tpu"), "--platform tpu is not available"),
        (("sweep", "ridge-collapse"), "--grid"),
        (("sweep", "ridge-collapse", "--grid", "ridge"), "NAME=VALUES"),
        (("sweep", "ridge-collapse", "--grid", "ridge=log:0:1:3"), "finite ends > 0"),
        (("sweep", "ridge-collapse", "--grid", "ridge=log:1:2"), "log:first:last:count"),
        (("sweep", "ridge-collapse", "--grid", "ridge=1,1"), "twice"),
        (("sweep", "ridge-collapse", "--grid", "ridge=1", "--ridge", "2"), "ridge is given twice"),
        (("sweep", "ridge-collapse", "--grid", "ridge=lin:0:1:1e9"), "at most 10000000 values"),
        (("sweep", "toy", "--grid", "noise_std=lin:-1.7e308:1.7e308:3"), "too far apart"),
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


# --------------------------------------------------------------------------------------------
# Words
# --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["--shift", "-5e-1"], ["--shift=-5e-1"]),
        (["--shift", "-.5"], ["--shift=-.5"]),
        (["--shift", "-inf", "--json"], ["--shift=-inf", "--json"]),
        (["--teacher", "-1,-2"], ["--teacher=-1,-2"]),
        (["--shift=1", "-5"], ["--shift=1", "-5"]),
        (["--shift", "-h"], ["--shift", "-h"]),
    ],
)
def test_negative_numbers_belong_to_their_flags(words, joined):
    assert values.joined(words) == joined


def test_negative_exponents_reach_the_parameter(capsys):
    words = ("predict", "strong-collapse.multi-step", "--shift-correlation", "-5e-1")
    code, out, err = run(capsys, *words, "--dim", "6", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["params"]["shift_correlation"] == -0.5


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e2", 100), ("1E23", 10**23), ("100000000000000000000", 10**20), ("-3", -3), ("2.50e1", 25)],
)
def test_whole_numbers_are_read_exactly(text, number):
    assert values.whole(text) == number
    assert type(values.whole(text)) is int


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


def test_a_warning_is_one_line_without_source(capsys, monkeypatch):
    def warns(*_, **__):
        warnings.warn("beware\nof this", RuntimeWarning, stacklevel=1)
        return {}

    monkeypatch.setattr(simulator, "predict", warns)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, _, err = run(capsys, "predict", "toy")
    assert (code, err) == (0, "simulator: warning: beware of this\n")


# --------------------------------------------------------------------------------------------
# Streams that do not take a result
# --------------------------------------------------------------------------------------------
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


# --------------------------------------------------------------------------------------------
# A fresh process
# --------------------------------------------------------------------------------------------
SETTLED = """
import os, sys

class Watch:
    def find_spec(self, name, *_):
        if name in ("numpy", "jax"):
            cache = os.environ.get("JAX_COMPILATION_CACHE_DIR")
            seen[name] = (os.environ.get("OPENBLAS_NUM_THREADS"), os.environ.get("NPROC"), cache)

seen = {}
sys.meta_path.insert(0, Watch())
from simulator.cli import main
assert not seen, f"{seen} imported before anything is settled"
code = main(["predict", "steepest-descent-margin.two-points"])
assert "matplotlib" not in sys.modules, "a second of every command that draws nothing"
folder = os.path.join(os.environ["XDG_CACHE_HOME"], "theory-simulator")
nproc = str(max(8, os.cpu_count()))
assert seen == {"numpy": ("1", nproc, folder), "jax": ("1", nproc, folder)}, seen
sys.exit(code)
"""


def test_the_command_settles_its_environment_before_numpy_and_jax(tmp_path):
    """Its programs are kept for the next command, and a closed stream is no error."""
    ours = ("JAX_", "OPENBLAS", "OMP_", "NPROC", "XLA_")
    environment = {n: v for n, v in os.environ.items() if not n.startswith(ours)}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "JAX_PLATFORMS": "cpu"}
    for _ in range(2):
        found = subprocess.run(
            ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, SETTLED],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
        assert found.returncode == 0, found.stderr
        assert all(" = " in line for line in found.stderr.splitlines()), found.stderr
        kept = sorted(path.name for path in (tmp_path / "cache/theory-simulator").iterdir())
        assert any(name.endswith("-cache") for name in kept)


def test_a_home_that_cannot_be_written_is_no_error(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    cli._settle_environment()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
