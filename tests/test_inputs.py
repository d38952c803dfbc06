"""More than a thousand malformed inputs: a clear error or the right result, never anything else."""

import contextlib
import dataclasses
import datetime
import decimal
import fractions
import io
import json
import math
import re
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator import registry
from simulator.cli import main
from simulator.engine.simulation import simulate_study
from simulator.engine.theory import NotConverged, predict_study
from simulator.parameters import Parameter
from simulator.store.sweep import sweep_study
from tests.toy import STUDY

#: No static parameter varies: what is legal shares one compiled program.
TOY = dataclasses.replace(STUDY, name="toy")
NAMES = tuple(TOY.declarations)
MANY = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FEW = settings(MANY, max_examples=100)
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True, scope="module")
def _registered():
    with mock.patch.dict(registry._registered, {TOY.name: TOY}):
        yield


def formula(dim=10, num_samples=40, noise_std=0.5):
    return noise_std**2 * dim / (num_samples - dim - 1)


# --------------------------------------------------------------------------------------------
# Command line
# --------------------------------------------------------------------------------------------
ODD_WORDS = [
    *("", " ", "-", "--", "---", "=", ",", ":", "nan", "NaN", "inf", "-inf", "1e400", "-0", "0"),
    *("1e-320", "1e308", "0x10", "1_0", "1,2", "[1]", "[]", "{}", "None", "True", "10.0", "10.5"),
    *("9" * 400, "9" * 5000, "1j", "\u0661\u0662", "\x00", "a\nb", "\udcff", "%s", "%(dest)s", "é"),
    *("log:1:10:3", "lin:0:1:2", "log:0:1:3", "log:1:2", "lin:nan:1:2", "lin:1:2:-1"),
    *("lin:1:2:1e3", "40", "12", "11", "2", "-1", "0.5", "toy", "tou", "noise_std=0.1,0.2"),
]  # fmt: skip
WORDS = st.one_of(
    st.sampled_from(ODD_WORDS),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(repr),
    st.text(max_size=8),
)
FLAGS = st.sampled_from(
    [
        *("--dim", "--num-samples", "--num_samples", "--noise-std", "--noise_std", "--nois-std"),
        *("--seed", "--method", "--dtype", "--json", "--grid", "--platform", "--retry-failed"),
        *("--dask", "--coordinator", "--num-processes", "--process-id", "--tolerance", "--bogus"),
    ]
)
REPLICATES = st.sampled_from(["2", "0", "-1", "some", "1e3", "", "3.0"])


@st.composite
def command_lines(draw):
    verb = draw(st.sampled_from(["predict", "simulate", "sweep", "check", "dance", ""]))
    words = [verb, draw(st.sampled_from(["toy"] * 9 + ["tou", "", "--dim"]))]
    if verb in ("simulate", "sweep", "check"):
        words += ["--replicates", draw(REPLICATES)]
    if verb == "sweep" and draw(st.booleans()):
        words += ["--grid", f"{draw(st.sampled_from(NAMES))}={draw(WORDS)}"]
    for flag, word in draw(st.lists(st.tuples(FLAGS, WORDS), max_size=3)):
        words += [flag, word]
    return words


def run(words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return code, out.getvalue(), err.getvalue()


def assert_clear(words, code, out, err):
    assert code in (0, 1, 2), (words, err)
    assert "Traceback" not in err
    if code == 2:
        assert out == "", words
        assert re.fullmatch(r"simulator: .{10,}\n", err), (words, err)
        err.encode()


@FEW
@given(command_lines())
def test_any_command_line_is_understood_or_refused_in_one_line(words):
    assert_clear(words, *run(words))


@FEW
@given(n=WORDS, noise=WORDS)
def test_any_value_on_the_command_line_is_refused_or_right(n, noise):
    words = ["predict", "toy", f"--num-samples={n}", f"--noise-std={noise}", "--json"]
    code, out, err = run(words)
    assert_clear(words, code, out, err)
    if code == 0:
        answer = json.loads(out)
        params = answer["params"]
        assert params["num_samples"] == pytest.approx(float(n), rel=1e-15)  # whole beyond 2^53
        assert params["noise_std"] == float(noise)
        with np.errstate(over="ignore"):
            expected = np.float64(params["noise_std"]) ** 2 * 10 / (params["num_samples"] - 11)
        assert answer["outputs"]["test_error"] == pytest.approx(float(expected), rel=1e-13)
    else:
        assert re.search("num.samples|noise.std|test_error", err), err


@FEW
@given(st.sampled_from(NAMES), WORDS)
def test_any_axis_is_refused_or_right(name, values):
    words = ["sweep", "toy", "--grid", f"{name}={values}", "--replicates", "1"]
    code, out, err = run(words)
    assert_clear(words, code, out, err)
    assert code == 0 or name in err or "replicates" in err, err


# --------------------------------------------------------------------------------------------
# Python
# --------------------------------------------------------------------------------------------
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.binary(max_size=2), st.complex_numbers(), st.fractions(), st.decimals(), st.dates(),
    st.just(...), st.just(len),
    st.sampled_from([np.float16(2.5), np.int8(40), np.uint64(2**63), np.datetime64("2020"),
                     np.array(40), np.array("40"), np.array(None), np.nan, -0.0,
                     fractions.Fraction(81, 2), decimal.Decimal(40), datetime.timedelta(40)]),
    st.integers(12, 60), st.floats(0, 2),
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3), inner, max_size=2),
        st.lists(st.floats(0, 3), max_size=4).map(np.array),
        st.lists(st.integers(12, 50), max_size=4).map(iter),
        st.sets(st.integers(12, 50), max_size=3),
    ),
    max_leaves=4,
)


def refused(function, **arguments):
    """The result, or None after an error that names what was wrong."""
    try:
        return function(**arguments)
    except (TypeError, ValueError, FloatingPointError, NotConverged) as error:
        message = str(error)
    names = [*arguments, *arguments.get("grid", ()), *NAMES, "do not broadcast", "not-a-number"]
    assert any(str(name) in message for name in names), (arguments, message)
    return None


@MANY
@given(n=ANYTHING, noise=ANYTHING)
def test_any_parameter_is_refused_or_right(n, noise):
    found = refused(predict_study, study=TOY, num_samples=n, noise_std=noise)
    if found is not None:
        n, noise = np.asarray(n, float), np.asarray(noise, float)
        with np.errstate(over="ignore"):
            np.testing.assert_allclose(found["test_error"], formula(10, n, noise), rtol=1e-13)


MASKED = np.ma.array([40.0, 50.0, 60.0], mask=[False, True, False])


@pytest.mark.parametrize(
    "value",
    [MASKED, np.ma.array([40.0, 50.0]), np.ma.masked, MASKED[:2].reshape(1, 2), [MASKED, MASKED],
     (np.ma.array(40.0, mask=True), 50.0), [[MASKED]]],
)  # fmt: skip
def test_masked_values_are_refused_by_name(value):
    """Their fill values would be read as data."""
    with pytest.raises(TypeError, match=r"(?s)num_samples = .*without a mask"):
        predict_study(TOY, num_samples=value)
    for parameter in (
        Parameter("times", "array", (), "t", "times", dims=("time",)),
        Parameter("times", "array", (), "t", "times", dims=("time",), static=True),
        TOY.declarations["noise_std"],
    ):
        with pytest.raises(TypeError, match=rf"(?s){parameter.name} = .*without a mask"):
            parameter.canonical(value)


def test_a_masked_axis_is_refused():
    with pytest.raises(TypeError, match=r"num_samples'\] = .*without a mask"):
        sweep_study(TOY, {"num_samples": MASKED}, replicates=2)


@FEW
@given(
    st.dictionaries(st.sampled_from([*NAMES, "num_sample", ""]), ANYTHING, max_size=2),
    st.one_of(st.just(2), ANYTHING),
    st.one_of(st.just(0), ANYTHING),
    st.one_of(st.none(), ANYTHING),
)
def test_any_grid_is_refused_or_right(grid, replicates, seed, dtype):
    replicates = 2 if isinstance(replicates, int) and replicates > 2 else replicates
    tree = refused(sweep_study, study=TOY, grid=grid, replicates=replicates, seed=seed, dtype=dtype)
    if tree is not None:
        assert tree["theory"]["test_error"].dims == tuple(grid)
        assert not tree["theory"]["test_error"].isnull().any()


@FEW
@given(
    st.one_of(st.just(2), ANYTHING),
    st.one_of(st.just(0), ANYTHING),
    st.one_of(st.none(), ANYTHING),
    st.one_of(st.none(), ANYTHING),
)
def test_any_run_argument_is_refused_or_right(replicates, seed, method, dtype):
    replicates = 2 if isinstance(replicates, int) and replicates > 2 else replicates
    found = refused(
        simulate_study, study=TOY, replicates=replicates, seed=seed, method=method, dtype=dtype
    )
    if found is not None:
        assert math.isfinite(found.mean["test_error"])
