"""What is drawn is what was computed, and anybody can tell it apart."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

import simulator
from simulator import pictures
from simulator.pictures import style
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
    looks = [
        (str(style.DASHES[i % len(style.DASHES)]), style.MARKERS[i % len(style.MARKERS)])
        for i in range(12)
    ]
    assert len(set(looks)) == 12  # as many as `simulator.plot` draws


#: Machado, Oliveira and Fernandes (2009), doi 10.1109/TVCG.2009.113: no green cones, linear RGB.
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
SRGB_TO_XYZ = [
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
]


def lab(colour, seen):
    """CIELAB of a colour as it is seen: equal distances look about equally different."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = SRGB_TO_XYZ @ np.clip(seen @ linear, 0, 1) / [0.95047, 1.0, 1.08883]
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one, other, seen):
    return np.linalg.norm(lab(one, seen) - lab(other, seen))


def test_distances_of_colours():
    trichromat = np.eye(3)
    assert distance("black", "white", trichromat) == pytest.approx(100, abs=0.1)
    np.testing.assert_allclose(lab("red", trichromat), [53.24, 80.09, 67.20], atol=0.05)
    red, green = "#c00000", "#3a7a00"  # the classical confusion
    assert distance(red, green, trichromat) > 3 * distance(red, green, np.array(DEUTERANOPIA))


@pytest.mark.parametrize("seen", [np.eye(3), np.array(DEUTERANOPIA)], ids=["all", "deuteranopia"])
@pytest.mark.parametrize(
    "values", [*(list(range(n)) for n in range(2, 8)), *(list("abcdef")[:n] for n in range(1, 7))]
)
def test_series_are_told_apart_by_colour(values, seen):
    colours = pictures.colours(values)
    for one, other in itertools.combinations(colours, 2):
        assert distance(one, other, seen) > 12
    for colour in colours:
        assert distance(colour, pictures.KEY, seen) > 30
        assert distance(colour, "white", seen) > 35


def test_a_theory_line_has_no_corners(axes):
    ((curve,),) = pictures.against(
        axes, TOY, x={"noise_std": [0.1, 0.5, 1.0]}, y="test_error", replicates=0
    )
    assert len(curve.line) > 100


def test_pngs_say_how_small_their_text_is(tmp_path):
    with pictures.house_style():
        figure, (axes,) = pictures.panels(1, title="A title")
        axes.plot([1, 2], [3, 4], label="a line")
        pictures.note(axes, "small", fontsize=7)
        pictures.kinds_legend(figure)
        path = pictures.save(figure, tmp_path / "a.png")
    assert float(Image.open(path).text[style.SMALLEST_TEXT]) == 7
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *("a line", "theory", "simulation ± 2 s.e.")
    ]


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
