"""Errors are one line and say what may have been meant; help comes from the declarations."""

import re
import warnings

import pytest

import simulator
from simulator.cli import main
from simulator.cli.parser import verb_parser
from simulator.cli.verbs import VERBS
from tests.cli import run
from tests.toy import STUDY


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("predict", "ridge-colapse"), "did you mean 'ridge-collapse'"),
        (("predict", "ridge-collapse", "--rigde", "1"), "--rigde; did you mean --ridge?"),
        (("predict", "toy", "--n", "30"), "--n; did you mean --num-samples?"),
        (("predict", "ridge-collapse", "--T", "30"), "--T; did you mean --num-samples?"),
        (("predict", "ridge-collapse", "--lambda", "1"), "--lambda; did you mean --ridge?"),
        (("predict", "toy", "--jsn"), "--jsn; did you mean --json?"),
        (("predict", "toy", "20"), "unrecognised argument 20 (see `simulator predict --help`)"),
        (("predict", "toy", "--noise-std=--"), "--noise-std=-- is not allowed"),
        (("predict", "toy", "--dim", "5,10"), "dim does not take a grid of values"),
        (("predict",), "the following arguments are required: STUDY"),
        (("predict", "ridge-collapse", "--ridge", "-1"), "ridge = -1"),
        (("predict", "ridge-collapse", "--ridge", "much"), "ridge = 'much'"),
        (("predict", "ridge-collapse", "--ridge", "nan"), "ridge = nan"),
        (("predict", "ridge-collapse", "--dim", "2.5"), "dim = 2.5"),
        (("predict", "ridge-collapse", "--spectrum", "flat"), "one of isotropic, power_law"),
        (("predict", "ridge-regression", "--teacher", "1 0"), "; write 1,0.5,0.1 or [[1,0],[0,1]]"),
        (("predict", "ridge-regression", "--covariance", "[[1,0"), "covariance = '[[1,0'"),
        (("predict", "strong-collapse", "--synthetic-fraction", "1.2"), "synthetic_fraction = 1.2"),
        (("simulate", "ridge-collapse", "--replicates", "0"), "replicates = 0"),
        (("simulate", "ridge-collapse", "--replicates", "some"), "whole number"),
        (("simulate", "ridge-collapse", "--replicates", "2.5e-1"), "whole number"),
        (("simulate", "ridge-collapse", "--replicates", "1e400"), "whole number"),
        (("simulate", "toy", "--replicates", "1e12"), "--allow-large"),
        (("predict", "toy", "--dim", "1e10", "--num-samples", "1e11"), "dim = 10000000000"),
        (("simulate", "ridge-collapse", "--method", "slow"), "method = 'slow'"),
        (("simulate", "ridge-collapse", "--method", "fats"), "did you mean 'fast'?"),
        (("simulate", "ridge-collapse", "--platform", "quantum"), "invalid choice: 'quantum'"),
        (("simulate", "ridge-collapse", "--platform", "gp"), "did you mean 'gpu'?"),
        (("simulate", "ridge-collapse", "--platform", "tpu"), "--platform tpu is not available"),
        (("sweep", "ridge-collapse"), "--grid NAME=VALUES is missing"),
        (("sweep", "toy", "--gird", "n=1"), "--gird; did you mean --grid?"),
        (("sweep", "toy", "--grid", "n=1"), "no parameter 'n'; did you mean 'num_samples'?"),
        (("sweep", "toy", "--grid", "noise_std=0:3:7"), "did you mean lin:0:3:7?"),
        (("sweep", "toy", "--grid", "noise_std=0:3"), "lin:first:last:count or log:first:last"),
        (("check", "toy", "--num-samples", "20,40"), "--grid num_samples=20,40 makes an axis"),
        (("optimise", "toy", "test_error"), "--over NAME=LOW:HIGH is missing"),
        (("solve", "toy", "test_error", "--over", "noise_std=0:1"), "--equals VALUE is missing"),
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
        (("check", "toy", "--tolerance", "much"), "--tolerance: 'much' is not a number"),
        (("status", "no/such/store"), "there is no such file or folder"),
        (("list", "ridge-colapse"), "did you mean 'ridge-collapse'?"),
        (("dance",), "dance"),
        (("swep", "toy"), "did you mean 'sweep'?"),
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


@pytest.mark.parametrize("verb", VERBS)
def test_help_lists_each_flag_once_and_says_what_it_is(capsys, verb):
    study = ["ridge-collapse"] if verb in ("predict", "simulate", "sweep", "check") else []
    with pytest.raises(SystemExit):
        main([verb, *study, "--help"])
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  -")]
    flags = [word for line in shown for word in re.findall(r"--[\w-]+", line.split("   ")[0])]
    assert len(flags) == len(set(flags))
    parser = verb_parser(verb)
    assert all(action.help for action in parser._actions)


def test_python_suggests_what_a_symbol_stands_for():
    for symbol, meant in (("T", "num_samples"), ("n", "num_generations")):  # this paper's letters
        with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
            simulator.predict("ridge-collapse", **{symbol: 30})
    with pytest.raises(ValueError, match="did you mean 'num_samples'"):
        simulator.predict(STUDY, n=30)
    for symbol in ("λ", "lambda", "rigde"):
        with pytest.raises(ValueError, match="did you mean 'ridge'"):
            simulator.predict("ridge-collapse", **{symbol: 30})
    with pytest.raises(ValueError, match="did you mean 'noise_std'"):
        simulator.sweep(STUDY, {"sigma": [0.1]})


def test_a_warning_is_one_line_without_source(capsys, monkeypatch):
    def warns(*_, **__):
        warnings.warn("beware\nof this", RuntimeWarning, stacklevel=1)
        return {}

    monkeypatch.setattr(simulator, "predict", warns)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, _, err = run(capsys, "predict", "toy")
    assert (code, err) == (0, "simulator: warning: beware of this\n")
