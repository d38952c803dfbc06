"""Results as a user meets them: printed, in a notebook, as a table, in a file, as a picture."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import jax
import numpy as np
import pandas as pd
import pytest

import simulator
from simulator.data import ClassTable, from_arrays, population
from tests.toy import ARRAYS, STUDY

NOISE = [0.3, 0.9]


@pytest.fixture(scope="module")
def tree():
    grid = {"noise_std": NOISE, "num_samples": [20, 40, 300]}
    return simulator.sweep(STUDY, grid, replicates=16)


@pytest.fixture(scope="module")
def verdict():
    return simulator.check(STUDY, {"noise_std": NOISE}, replicates=64)


class Page(HTMLParser):
    """The texts of all cells; complains of what is never closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_short_reprs(verdict):
    assert repr(STUDY) == "<Study toy: ordinary least squares>"
    assert repr(STUDY.params()) == "Params()"
    assert repr(STUDY.params(noise_std=0.25)) == "Params(noise_std=0.25)"
    assert repr(STUDY.params(noise_std=np.ones(3))) == "Params(noise_std=<array (3,)>)"
    shown = []
    jax.jit(lambda s: shown.append(repr(STUDY.params(noise_std=s))))(1.0)
    assert shown == ["Params(noise_std=<traced>)"]
    assert repr(verdict) == "<Verdict toy: inconclusive, 2 comparisons>"
    one = simulator.simulate(STUDY, replicates=4)
    assert repr(one) == "<SimulationResult toy: fast simulation, float64, seed 0, 4 replicates>"
    grid = simulator.simulate(STUDY, replicates=4, noise_std=NOISE)
    assert repr(grid).endswith("4 replicates, grid (2,)>")
    table = from_arrays(np.arange(30.0).reshape(10, 3) ** 2, np.arange(10), "squares")
    assert repr(table).startswith("Table(features=<array (10, 3)>, targets=<array (10,)>, name=")
    rows = "rows=<array (10, 2)>, eigenvalues=<array (2,)>"
    assert repr(population(table)).startswith(f"Population({rows}, ")
    assert repr(ClassTable(table.features, table.targets, tuple("abcdefghij"), "letters")).endswith(
        "names=<10 values>, name='letters')"
    )


def test_a_grid_is_printed_as_numbers():
    found = simulator.simulate(STUDY, replicates=4, noise_std=np.linspace(0.1, 1, 45))
    title, header, *rows, more = str(found).splitlines()
    assert title.startswith("toy: fast simulation")
    assert header.split() == ["noise_std", "test_error"]
    assert len(rows) == 20
    mean, error = found.mean["test_error"], found.standard_error["test_error"]
    assert rows[3].split() == ["0.161364", f"{mean[3]:.6g}", "±", f"{error[3]:.2g}"]
    assert more.startswith("... 25 more points")


def test_an_array_is_printed_as_numbers():
    found = simulator.simulate(ARRAYS, replicates=4)
    assert f"{found.mean['by_round'][0]:.6g} ± " in str(found)
    assert "... 10 more (shape (10, 3))" in str(found)


def test_notebooks_show_what_is_escaped(verdict):
    nasty = replace(STUDY, title="<b>least</b> & squares")
    page = nasty._repr_html_()
    assert "<b>" not in page
    assert "&lt;b&gt;least&lt;/b&gt; &amp; squares" in page
    texts = Page(page).texts
    assert {"σ", "noise_std", "0.5", "test_error"} <= set(texts)
    grid = simulator.simulate(STUDY, replicates=4, noise_std=np.linspace(0.1, 1, 45))
    texts = Page(grid._repr_html_()).texts
    assert {"noise_std σ", "test_error", "… and 5 more"} <= set(texts)
    single = Page(simulator.simulate(STUDY, replicates=4)._repr_html_()).texts
    assert "mean ± standard error" in single
    texts = Page(verdict._repr_html_()).texts
    assert {"detectable", "test_error"} <= set(texts)
    assert any("INCONCLUSIVE" in text for text in texts)


@pytest.mark.parametrize("name", simulator.studies())
def test_every_study_shows_itself(name):
    study = simulator.get(name)
    assert len(repr(study)) < 150
    assert {p.symbol for p in study.declarations.values()} <= set(Page(study._repr_html_()).texts)


def test_a_sweep_as_a_table(tree):
    table = simulator.to_dataframe(tree)
    assert list(table) == ["output", "noise_std", "num_samples", "theory", "mean", "standard_error"]
    assert len(table) == 6
    row = table[(table.noise_std == 0.9) & (table.num_samples == 40)].iloc[0]
    for side in ("theory", "mean", "standard_error"):
        assert row[side] == tree[side]["test_error"].sel(noise_std=0.9, num_samples=40)


def test_arrays_in_a_table_have_their_dims():
    tree = simulator.sweep(ARRAYS, {"dim": [3, 5]}, replicates=4, num_samples=20)
    table = simulator.to_dataframe(tree, "by_round_and_class")
    assert len(table) == (3 + 5) * 3  # what pads the smaller cell is left out
    third = table[(table["dim"] == 5) & (table["round"] == 4) & (table["class"] == 2)]
    expected = tree["mean"]["by_round_and_class"].sel(dim=5)[4, 2]
    assert third["mean"].item() == expected


def test_a_simulation_as_a_table():
    found = simulator.simulate(ARRAYS, replicates=4, noise_std=NOISE, num_samples=[[20], [30]])
    table = simulator.to_dataframe(found, "test_error")
    assert list(table) == [
        *("output", "num_samples", "noise_std", "mean", "standard_error", "replicates")
    ]
    np.testing.assert_array_equal(table["mean"], found.mean["test_error"].ravel())
    assert set(table["replicates"]) == {4}
    rounds = simulator.to_dataframe(found, "by_round")
    np.testing.assert_array_equal(rounds["mean"], found.mean["by_round"].ravel())
    single = simulator.to_dataframe(simulator.simulate(STUDY, replicates=4))
    assert list(single) == ["output", "mean", "standard_error", "replicates"]


def test_a_verdict_as_a_table(verdict):
    table = simulator.to_dataframe(verdict)
    assert table["noise_std"].tolist() == NOISE
    assert table["z"].tolist() == [c.z for c in verdict.comparisons]
    assert {"theory", "mean", "standard_error", "status", "replicates"} <= set(table)


@pytest.mark.parametrize("kind", ["tree", "simulation", "verdict"])
def test_files_hold_the_table(tmp_path, kind, request):
    if kind == "simulation":
        result = simulator.simulate(STUDY, replicates=1)  # without a standard error
    else:
        result = request.getfixturevalue(kind)
    table = simulator.to_dataframe(result)
    assert simulator.save(result, tmp_path / "a.csv") == tmp_path / "a.csv"
    read = pd.read_csv(tmp_path / "a.csv")
    numbers = table.select_dtypes("number")
    pd.testing.assert_frame_equal(read[list(numbers)], numbers, check_dtype=False)
    simulator.save(result, tmp_path / "a.json")
    rows = json.loads((tmp_path / "a.json").read_text())
    assert list(rows[0]) == list(table)
    assert rows[0]["mean"] == table["mean"][0]
    if kind == "simulation":
        assert rows[0]["standard_error"] is None


def test_a_sweep_is_saved_whole(tree, tmp_path):
    simulator.save(tree, tmp_path / "a.nc")
    found = simulator.open_sweep(tmp_path / "a.nc")
    assert found["mean"].to_dataset().identical(tree["mean"].to_dataset())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda t: simulator.to_dataframe(3), TypeError, "result = 3 is not allowed"),
        (lambda t: simulator.to_dataframe(t, "error"), ValueError, "one of test_error"),
        (lambda t: simulator.save(t, "a.txt"), ValueError, r"ends in .csv, .json, .nc"),
        (lambda t: simulator.plot(3), TypeError, "what `sweep`"),
        (lambda t: simulator.plot(t, "tst_error"), ValueError, "did you mean 'test_error'"),
        (lambda t: simulator.plot(t, x="dim"), ValueError, "x = 'dim' is not allowed"),
        (lambda t: simulator.plot(t, xscale="lin"), ValueError, "linear, log"),
    ],
)
def test_refusals(tree, call, error, words):
    with pytest.raises(error, match=words):
        call(tree)


def test_xarray_labels_itself(tree, tmp_path):
    mean = tree["mean"]["test_error"]
    assert mean.attrs["long_name"] == "excess risk"
    assert (
        tree["standard_error"]["test_error"].attrs["long_name"] == "standard error of excess risk"
    )
    assert mean["num_samples"].attrs["units"] == "n"
    (line,) = mean.sel(noise_std=0.3).plot()
    assert line.axes.get_xlabel() == "training samples [n]"
    assert line.axes.get_ylabel() == "excess risk"
    line.figure.clear()
    stored = simulator.sweep(STUDY, {"noise_std": NOISE}, replicates=16, out=tmp_path / "store")
    assert stored["mean"]["test_error"].attrs == mean.attrs
    assert stored["mean"]["noise_std"].attrs == mean["noise_std"].attrs


def test_a_sweep_is_drawn(tree):
    figure = simulator.plot(tree)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "num samples n"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    lines = {line.get_label(): line for line in axes.lines}
    for noise in NOISE:
        drawn = lines[f"σ = {noise}"].get_ydata()
        np.testing.assert_array_equal(drawn, tree["theory"]["test_error"].sel(noise_std=noise))
    points = [c for c in axes.containers if hasattr(c, "has_yerr")]
    assert len(points) == 2
    theory = simulator.sweep(STUDY, {"noise_std": NOISE}, replicates=0)
    (axes,) = simulator.plot(theory, x="noise_std", yscale="linear").axes
    assert axes.get_xlabel() == "noise std σ"
    assert axes.get_yscale() == "linear"
    assert not axes.containers
