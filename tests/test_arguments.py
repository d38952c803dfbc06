"""Every argument of every verb refuses what it cannot be, in one line that names it."""

import datetime
import decimal
import fractions
import math

import numpy as np
import pytest

import simulator
from simulator import checks, registry
from simulator.pictures.declared import save_figures
from simulator.store.files import StoreError
from tests.toy import STUDY

MALFORMED = [
    *(None, [], [1, 2], [[1], [1, 2]], [None], ["a"], (), {}, {"a": 1}, {1: [2]}, {1, 2}),
    *("", "a", "\0", "a" * 5000, "(", "1", "nan", "dim", b"x", True, False, ..., len, int, object),
    *(math.nan, math.inf, -math.inf, -1, -1.5, 0.5, 1e300, 10**30, -(10**30), 10**400, 10**5000),
    *(1j, object(), iter([1]), range(0), fractions.Fraction(1, 2), decimal.Decimal(1)),
    *(datetime.datetime(2020, 1, 1), datetime.timedelta(1), np.datetime64("2020"), np.bool_(True)),
    *(np.ma.masked, np.ma.array([1.0, 2.0], mask=[False, True]), np.zeros((2, 2)), np.zeros(0)),
    *(np.array(None), np.array("a"), np.array([1, None], dtype=object), np.array([1j]), np.nan),
    *(np.array([10**30, 10**400], dtype=object), np.float16(math.nan), np.str_("a")),
    [np.ma.masked],
]  # fmt: skip
SMALL = {"replicates": 2}
STORE = {"grid": {"dim": [4]}, "replicates": 2, "out": "store"}
VERBS = {
    "get": (simulator.get, {"study": "toy"}, []),
    "predict": (simulator.predict, {"study": "toy"}, ["study", "allow_large", *STUDY.declarations]),
    "simulate": (
        simulator.simulate,
        {"study": "toy", **SMALL},
        ["study", "replicates", "seed", "method", "dtype", "keep_values", "allow_large"]
        + list(STUDY.declarations),
    ),
    "sweep": (
        simulator.sweep,
        {"study": "toy", "grid": {"dim": [4]}, **SMALL},
        ["study", "grid", "replicates", "seed", "method", "dtype", "keep_values", "out"]
        + ["retry_failed", "dask", "allow_large", "num_samples", "noise_std"],
    ),
    "sweep to a store": (
        simulator.sweep,
        {"study": "toy", **STORE},
        ["out", "replicates", "dask", "retry_failed", "keep_values", "noise_std"],
    ),
    "check": (
        simulator.check,
        {"study": "toy", **SMALL},
        ["study", "grid", "replicates", "max_replicates", "seed", "method", "dtype", "tolerance"]
        + ["family_wise_error", "allow_large", *STUDY.declarations],
    ),
    "optimise": (
        simulator.optimise,
        {"study": "toy", "output": "test_error", "over": {"num_samples": (12, 100)}},
        ["study", "output", "over", "maximise", "at", "points", "allow_large", "dim", "noise_std"],
    ),
    "solve": (
        simulator.solve,
        {"study": "toy", "output": "test_error", "over": {"num_samples": (12, 100)}, "equals": 0.1},
        ["study", "output", "equals", "over", "which", "at", "points", "allow_large"],
    ),
    "open_sweep": (simulator.open_sweep, {}, ["path"]),
    "sweep_status": (simulator.sweep_status, {}, ["path"]),
    "figure": (
        lambda **arguments: list(save_figures(STUDY, **arguments)),
        {"only": "samples", "folder": "figures", **SMALL},
        ["only", "folder", "replicates", "seed"],
    ),
}


@pytest.fixture(autouse=True)
def _toy(monkeypatch, tmp_path):
    monkeypatch.setitem(registry._registered, "toy", STUDY)
    monkeypatch.chdir(tmp_path)


def one_line_that_names(words, call, **arguments):
    """Whether the call was refused; every other error is a failure."""
    try:
        call(**arguments)
    except (TypeError, ValueError, StoreError) as error:
        text = str(error)
    else:
        return False
    assert "\n" not in text
    assert 10 < len(text) < 1000
    assert any(word in text for word in words), text
    return True


@pytest.mark.parametrize(
    ("verb", "argument"), [(v, argument) for v in VERBS for argument in VERBS[v][2]]
)
def test_any_argument_is_refused_in_one_line_or_taken(verb, argument, monkeypatch):
    call, others, _ = VERBS[verb]
    drawn = []
    if verb == "figure":  # what is legal need not be drawn again and again
        monkeypatch.setattr("simulator.pictures.declared.draw", lambda *_, **__: drawn.append(1))
        monkeypatch.setattr("simulator.pictures.style.save", lambda *_: None)
    words = {
        "path": ["path = ", "holds no sweep", "a is a file"],
        "only": ["only = ", "has no figure"],
        "out": ["out = ", "cannot be made", "is a file", "too long"],
        "allow_large": ["allow_large = "],
        "grid": ["grid", "toy has no parameter", "dim = "],
        "study": ["study = ", "unknown study"],
        "output": ["output = ", "toy has no output"],
        "over": ["over = ", "toy has no parameter", "over["],
        "equals": ["equals = ", "has no solution"],
        "points": ["points = ", "a grid of"],
    }.get(argument, [f"{argument} = ", f"{argument} is an empty grid", f"{argument} does not take"])
    if argument in ("replicates", "num_samples", "dim"):
        words += ["replicates at dim", "dim + 2", "2147483647", "is given twice"]
    if argument == "noise_std":
        words += ["test_error came out", "nothing to compare", "to compare"]
    refused = [
        one_line_that_names(words, call, **{**others, argument: value}) for value in MALFORMED
    ]
    assert sum(refused) >= 0.6 * len(MALFORMED)


@pytest.mark.parametrize("name", list(STUDY.declarations))
@pytest.mark.parametrize("verb", ["sweep", "check"])
def test_any_axis_and_any_value_of_one_is_refused_in_one_line_or_taken(verb, name):
    call = VERBS[verb][0]
    refused = []
    for value in MALFORMED:
        for axis in (value, [value]):
            refused.append(
                one_line_that_names(
                    [
                        f"{name} = ",
                        f"grid['{name}']",
                        "dim + 2",
                        "2147483647",
                        "test_error",
                        "to compare",
                    ],
                    call,
                    study="toy",
                    grid={name: axis},
                    replicates=2,
                )
            )
    assert sum(refused) >= 0.8 * len(refused)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: simulator.sweep("toy", [1, 2], replicates=2), "grid = [1, 2] is not allowed"),
        (lambda: simulator.check("toy", ["dim"]), "grid = ['dim'] is not allowed"),
        (lambda: simulator.open_sweep(3), "path = 3 is not allowed"),
        (lambda: simulator.sweep_status(None), "path = None is not allowed"),
        (lambda: simulator.sweep("toy", {"dim": [4]}, replicates=2, out=3), "out = 3 is not"),
        (lambda: simulator.check("toy", tolerance="a"), "tolerance = 'a' is not allowed"),
        (lambda: simulator.check("toy", max_replicates=0), "max_replicates = 0 is not allowed"),
        (lambda: simulator.check("toy", family_wise_error=1), "family_wise_error = 1 is not"),
        (lambda: simulator.get(["toy"]), "study = ['toy'] is not allowed"),
        (lambda: simulator.predict("toy", noise_std=np.ma.array([1.0], mask=[1])), "a mask"),
        (lambda: simulator.predict("toy", noise_std=[[1], [1, 2]]), "noise_std = [[1], [1, 2]]"),
        (lambda: simulator.simulate("toy", replicates=2, dtype="float16"), "dtype = 'float16'"),
        (lambda: simulator.simulate("toy", replicates=2, keep_values=1), "keep_values = 1"),
    ],
)
def test_the_refusal_says_what_was_given(call, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert words in str(caught.value)


def test_values_are_shown_in_one_short_line():
    for value in (*MALFORMED, np.arange(1000.0), list(range(1000)), np.zeros((50, 50))):
        text = checks.shown(value)
        assert "\n" not in text
        assert 0 < len(text) <= 120
    assert checks.shown(np.float64(0.5)) == "0.5"
