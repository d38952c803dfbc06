"""What is drawn is what was computed."""

import numpy as np
import pytest

import simulator
from simulator import pictures
from tests.toy import STUDY as TOY

VALUES = [20, 40, 80]


@pytest.fixture
def axes():
    with pictures.house_style():
        _, (axes,) = pictures.panels(1)
        return axes


def test_lines_are_theory_and_points_are_simulation(axes):
    ((low, high),) = pictures.against(
        axes, TOY, x={"num_samples": VALUES}, y="test_error", series={"noise_std": [0.3, 0.9]},
        replicates=20, seed=3,
    )  # fmt: skip
    for curve, noise in ((low, 0.3), (high, 0.9)):
        theory = simulator.predict(TOY, num_samples=curve.line, noise_std=noise)["test_error"]
        np.testing.assert_allclose(curve.theory, theory)
        found = simulator.simulate(TOY, replicates=20, seed=3, num_samples=VALUES, noise_std=noise)
        np.testing.assert_array_equal(curve.mean, found.mean["test_error"])
        np.testing.assert_array_equal(curve.standard_error, found.standard_error["test_error"])
    assert set(VALUES) <= set(low.line.tolist())
    assert len(low.line) > 2 * len(VALUES)
    assert low.label == "σ = 0.3"
    assert low.colour != high.colour
    drawn = [line for line in axes.lines if line.get_label() == "σ = 0.9"]
    np.testing.assert_array_equal(drawn[0].get_ydata(), high.theory)
    assert axes.get_xlabel() == "num samples n"


def test_other_parameters_may_move_along(axes):
    ((curve,),) = pictures.against(
        axes, TOY, x={"num_samples": VALUES}, y="test_error",
        along={"noise_std": lambda n: 1 / n}, replicates=0,
    )  # fmt: skip
    at = {"num_samples": curve.line, "noise_std": 1 / curve.line}
    np.testing.assert_allclose(curve.theory, simulator.predict(TOY, **at)["test_error"])
    assert curve.mean is None


def test_along_a_dim_of_the_output(axes):
    ((curve,),) = pictures.against(
        axes, "strong-collapse.multi-step", x="step", y="test_error", replicates=4, num_steps=3,
        dim=5, num_samples=12, xscale="linear",
    )  # fmt: skip
    expected = simulator.predict("strong-collapse.multi-step", num_steps=3, dim=5, num_samples=12)
    np.testing.assert_allclose(curve.theory, expected["test_error"])
    np.testing.assert_array_equal(curve.points, [0, 1, 2, 3])


def test_series_differ_in_more_than_their_colour(axes):
    pictures.against(
        axes, TOY, x={"num_samples": VALUES}, y="test_error",
        series={"a": {"noise_std": 0.3}, "b": {"noise_std": 0.9}}, replicates=5,
    )  # fmt: skip
    lines = {line.get_label(): line for line in axes.lines}
    assert lines["a"].get_linestyle() != lines["b"].get_linestyle()
    markers = {line.get_marker() for line in axes.lines} - {"None", "_", "|"}
    assert len(markers & set("osD^vPX")) == 2


def test_script_draws_what_is_asked_for(tmp_path, capsys):
    def picture(size):
        figure, _ = pictures.panels(1)
        figure.set_size_inches(size, size)
        return figure

    drawn = {"a": (picture, "an a"), "b": (picture, "a b")}
    pictures.script("Title.", drawn, quick=(2,), full=(4,),
                    arguments=["--out", str(tmp_path), "--only", "b"])  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]
    assert "a b" in capsys.readouterr().out
