"""`simulator.optimise`: global optima with known places, labels, flags, refusals."""

import dataclasses
import re

import jax
import numpy as np
import pytest
import xarray as xr

import simulator
from simulator.study import RESIDUAL
from tests.search.models import STUDY
from tests.studies.test_compilation import compilations


def optimise(output, over, **options):
    return simulator.optimise(STUDY, output, over, **options)


def deepest(a, low=-np.inf, high=np.inf):
    """Minimum of (x^2 - 1)^2 + 0.3 a x between the bounds, from the roots of the cubic."""
    roots = np.roots([4, 0, -4, 0.3 * a])
    places = [r.real for r in roots if abs(r.imag) < 1e-12 and low < r.real < high]
    places += [end for end in (low, high) if np.isfinite(end)]
    return min(places, key=lambda x: (x**2 - 1) ** 2 + 0.3 * a * x)


def test_the_deeper_of_two_valleys():
    tilts = np.array([-2.0, -0.01, 0.013, 1.7])
    found = optimise("valleys", {"x": (-3, 2.5)}, a=tilts)
    np.testing.assert_allclose(found["x"], [deepest(a) for a in tilts], rtol=1e-14)
    x = found["x"].values
    np.testing.assert_allclose(found["valleys"], (x**2 - 1) ** 2 + 0.3 * tilts * x, rtol=1e-13)
    assert not found["at_boundary"].any()
    assert (found["gradient_norm"] < 1e-13).all()


def test_labels_and_what_was_searched(tmp_path):
    found = optimise("valleys", {"x": (-3, 2.5)}, a=[-2.0, 1.7], y=0.4)
    assert isinstance(found, xr.Dataset)
    assert dict(found.sizes) == {"a": 2}
    assert float(found["x"].sel(a=1.7)) == pytest.approx(deepest(1.7), rel=1e-14)
    assert found["x"].attrs == {"meaning": "first unknown", "symbol": "x"}
    assert found["a"].attrs["symbol"] == "a"
    assert found.attrs["study"] == "search-me"
    assert found.attrs["output"] == "valleys"
    assert found.attrs["over"] == "x in [-3, 2.5], linear"
    assert (found.attrs["y"], found.attrs["goal"]) == (0.4, "smallest")
    found.to_netcdf(tmp_path / "found.nc", engine="h5netcdf")
    back = xr.load_dataset(tmp_path / "found.nc", engine="h5netcdf")
    np.testing.assert_array_equal(back["x"], found["x"])


def test_grids_broadcast_as_in_predict():
    found = optimise("valleys", {"x": (-3, 2.5)}, a=[[-2.0], [1.7]], y=[0.0, 0.1, 0.2])
    assert dict(found.sizes) == {"a": 2, "y": 3}
    np.testing.assert_allclose(found["x"].sel(a=-2.0), deepest(-2), rtol=1e-14)
    together = optimise("valleys", {"x": (-3, 2.5)}, a=[-2.0, 1.7], y=[0.5, 0.6])
    assert dict(together.sizes) == {"axis_0": 2}
    assert together["a"].dims == together["y"].dims == ("axis_0",)
    one = optimise("valleys", {"x": (-3, 2.5)}, a=[1.7])
    assert one["x"].dims == ("a",)
    assert optimise("valleys", {"x": (-3, 2.5)}, a=1.7)["x"].dims == ()


def test_the_largest_value_and_the_boundary():
    found = optimise("valleys", {"x": (-0.9, 0.8)}, a=0.5, maximise=True)
    top = sorted(np.roots([4, 0, -4, 0.15]).real)[1]
    assert float(found["x"]) == pytest.approx(top, rel=1e-13)
    assert not found["at_boundary"]
    assert found.attrs["goal"] == "largest"
    for low, high in ((0.2, 0.7), (1.2, 5.0)):
        found = optimise("valleys", {"x": (low, high)}, a=0.5)
        assert float(found["x"]) == deepest(0.5, low, high)
        assert found["at_boundary"]
        assert found["gradient_norm"] == 0


def test_scales():
    """Log where the ends are positive and far apart; a linear range has dense ends."""
    found = optimise("log_valley", {"x": (1e-8, 10.0)})
    assert found.attrs["over"].endswith(", log")
    assert float(found["x"]) == pytest.approx(1e-5, rel=1e-13)
    for scale in ("log", "linear"):
        found = optimise("log_valley", {"x": (1e-9, 1.0, scale)})
        assert found.attrs["over"].endswith(f", {scale}")
        assert float(found["x"]) == pytest.approx(1e-5, rel=1e-9)
    assert optimise("square", {"x": (2, 100)}).attrs["over"].endswith("linear")
    # The branch that the theory takes at 0 has no slope.
    assert float(optimise("branch", {"x": (0, 1)})["x"]) == pytest.approx(1e-4, rel=1e-12)


def test_a_valley_between_two_points_of_the_grid():
    """The slope leads into the one that begins at a grid point; for others ask more points."""
    found = optimise("sharp_valley", {"x": (0, 1)}, width=[0.02, 0.2])
    w = found["width"].values
    t = (found["x"].values - 0.3) / w
    np.testing.assert_allclose(4 * t * np.exp(-(t**2)), -w, rtol=1e-9)
    assert (found["sharp_valley"] < -1.6).all()
    narrow = optimise("sharp_valley", {"x": (0, 1)}, width=1e-4, points=20_001)
    assert float(narrow["sharp_valley"]) == pytest.approx(-1.7, abs=1e-4)
    assert not narrow["at_boundary"]


def test_infinite_values_inside_the_range():
    """0.01 / t^2 + x^2 with t = x - 0.3: a valley on either side; a pole is no largest value."""
    found = optimise("pole", {"x": (-2, 3)})
    places = np.roots([1, -0.9, 0.27, -0.027, -0.01]).real  # x t^3 = 0.01
    real = [x for x in places if abs(x * (x - 0.3) ** 3 - 0.01) < 1e-12]
    best = min(real, key=lambda x: 0.01 / (x - 0.3) ** 2 + x**2)
    assert float(found["x"]) == pytest.approx(best, rel=1e-12)
    for ends in ((-2, 3), (0.3, 3), (-0.4, 1)):  # 0.3: a point of the grid
        with pytest.raises(ValueError, match=r"no largest value: it is infinite at x = 0\.(3|29)"):
            optimise("pole", {"x": ends}, maximise=True)
    with pytest.raises(ValueError, match=r"no largest value: it is infinite at x = 0\.316228;"):
        optimise("bare_pole", {"x": (0.1, 2)}, maximise=True)
    with pytest.raises(ValueError, match="infinite"):
        optimise("pole", {"x": (-0.7, 1.3), "y": (0, 1)}, maximise=True, points=3)


def test_a_kink_is_found_and_its_slope_told():
    found = optimise("kink", {"x": (-1, 2)})
    assert float(found["x"]) == pytest.approx(0.3, rel=1e-13)
    assert float(found["gradient_norm"]) == pytest.approx(1.0)
    found = optimise("kink", {"x": (0.01, 30)})
    assert float(found["gradient_norm"]) == pytest.approx(0.3)  # by log x


def test_where_the_output_is_undefined():
    found = optimise("root", {"x": (-1, 3)})
    assert float(found["x"]) == pytest.approx(0.5 + 4 / 9, rel=1e-12)
    with pytest.raises(ValueError, match=r"root is not defined for x in \[-1, 0\.4\]"):
        optimise("root", {"x": (-1, 0.4)})
    with pytest.raises(simulator.NotConverged, match="broken came out as not-a-number at x = -1"):
        optimise("broken", {"x": (-1, 1)})


def test_where_the_derivative_is_undefined():
    """Those of x log x at 0 and of sqrt(t^2) at t = 0 come out as not-a-number."""
    found = optimise("entropy", {"x": (0, 1)})
    assert float(found["x"]) == pytest.approx(np.exp(-1), rel=1e-13)
    found = optimise("entropy", {"x": (0, 0.9)}, maximise=True)
    assert (found["x"], found["at_boundary"], found["gradient_norm"]) == (0, True, 0)
    with pytest.raises(simulator.NotConverged, match=r"derivative of length .* at x = 0\.3, where"):
        optimise("length", {"x": (0.3 - 1, 0.3 + 1)})


def test_two_parameters():
    tilts = np.array([-1.0, 0.6, 1.3])
    found = optimise("plane", {"x": (-2, 2), "y": (-3, 3)}, a=tilts)
    x = np.array([deepest(a) for a in tilts])
    np.testing.assert_allclose(found["x"], x, rtol=1e-7)
    np.testing.assert_allclose(found["y"], x / 2, rtol=1e-7)
    assert (found["gradient_norm"] < 1e-6).all()
    assert not found["at_boundary"].any()
    # With y fixed at its bound, x solves 4 x (x^2 - 1) + 0.3 a - 2 (y - x / 2) = 0.
    found = optimise("plane", {"x": (-2, 2), "y": (0.6, 3)}, a=-1.0)
    x = max(np.roots([4, 0, -3, -0.3 - 1.2]).real)
    assert float(found["y"]) == 0.6
    assert float(found["x"]) == pytest.approx(x, rel=1e-7)
    assert found["at_boundary"]
    assert float(found["gradient_norm"]) < 1e-6


def test_the_deeper_of_two_wells_is_the_higher_on_the_grid():
    over = {"x": (-1, 1), "y": (-1, 1)}
    found = optimise("two_wells", over, points=6)  # at (0.6, 0.6): -0.92, at (-0.6, -0.6): -0.54
    assert float(found["x"]) == pytest.approx(-0.47, abs=1e-3)
    assert float(found["two_wells"]) == pytest.approx(-2, abs=0.01)


def test_a_descent_beside_infinite_values():
    """By symmetry x = y, where 4 (x + 1) (2 x - 0.37) = 0.1; huge values set no scale."""
    found = optimise("barrier", {"x": (-2, 2), "y": (-2, 2)})
    expected = max(np.roots([8, 6.52, -1.58]))
    assert float(found["x"]) == pytest.approx(expected, rel=1e-6)
    assert float(found["y"]) == pytest.approx(expected, rel=1e-6)
    found = optimise("spike", {"x": (0, 2), "y": (-2, 2)})
    assert float(found["x"]) == pytest.approx(1, rel=1e-6)
    assert float(found["y"]) == pytest.approx(0.5, rel=1e-6)


def test_entries_of_an_array_parameter():
    over = {"weights[0]": (0.01, 2.0), "weights[1]": (0.01, 2.0, "linear")}
    found = optimise("of_weights", over, weights=[1.0, 1.0], x=[0.5, 1.0])
    np.testing.assert_allclose(found["weights[0]"], 0.3, rtol=1e-6)
    np.testing.assert_allclose(found["weights[1]"], 0.7, rtol=1e-6)
    np.testing.assert_allclose(found["of_weights"], found["x"], rtol=1e-10)
    assert optimise("of_weights", {"weights[1]": (0, 2)}, weights=[1.0, 1.0])["weights[1]"] == 0.7


def test_one_entry_of_an_output_that_is_an_array():
    found = optimise("series", {"x": (-1, 2)}, at={"step": 10})
    assert float(found["x"]) == pytest.approx(0.5, rel=1e-14)
    assert found.attrs["output"] == "series[1]"
    found = optimise("curves", {"x": (-1, 2)}, at={"power": 1, "name": "high"})
    assert float(found["curves"]) == pytest.approx(0, abs=1e-20)


def test_one_program_for_all_values():
    optimise("valleys", {"x": (-3, 2.5)}, a=[0.1, 0.3])
    with compilations() as compiled:
        optimise("valleys", {"x": (-1, 1, "linear")}, a=[-0.7, 1.3], y=2.0, width=0.1)
    assert not compiled
    with compilations() as compiled:
        optimise("valleys", {"x": (-1, 1)}, rule="shifted")
    assert compiled


def test_a_solver_that_does_not_converge_is_an_error():
    def unsolved(params):
        return STUDY.theory(params) | {RESIDUAL: jax.numpy.where(params.x > 1, 1.0, 0.0)}

    study = dataclasses.replace(STUDY, theory=unsolved)
    assert simulator.optimise(study, "square", {"x": (-1, 1)})["square"] == 0
    with pytest.raises(simulator.NotConverged, match=r"did not converge .* at a = 2, x = 1\.\d+"):
        simulator.optimise(study, "square", {"x": (-1, 2)}, a=[2.0, 3.0])


@pytest.mark.parametrize(
    ("output", "over", "options", "message"),
    [
        ("valley", {"x": (0, 1)}, {}, "did you mean 'valleys'"),
        ("measured", {"x": (0, 1)}, {}, "output = 'measured' is not allowed: it is only simulated"),
        ("square", {}, {}, "over = {} is not allowed: it must be a mapping"),
        ("square", ["x"], {}, "over = ['x'] is not allowed: it must be a mapping"),
        ("square", {"z": (0, 1)}, {}, "no parameter 'z'"),
        ("square", {"x": 1}, {}, "over['x'] = 1 is not allowed: write (low, high)"),
        ("square", {"x": (0, 1, "sqrt")}, {}, "or (low, high, 'log') or (low, high, 'linear')"),
        ("square", {"x": (1, 0)}, {}, "over['x'] = (1, 0) is not allowed: it needs finite low < h"),
        ("square", {"x": (0, np.inf)}, {}, "x = inf is not allowed"),
        ("square", {"x": ("a", 1)}, {}, "x = 'a' is not allowed"),
        ("square", {"x": (0, 1, "log")}, {}, "a log scale needs low > 0"),
        (
            "square",
            {"a": (0, 200)},
            {},
            "a = 200 is not allowed: it must be a finite number <= 100",
        ),
        ("of_samples", {"num_samples": (2, 9)}, {}, "num_samples = 2 is not allowed"),
        ("of_samples", {"num_samples": (4.5, 9)}, {}, "num_samples = 4.5 is not allowed"),
        ("square", {"num_terms": (1, 9)}, {}, "does not vary continuously; compare its values"),
        ("square", {"rule": (0, 1)}, {}, "rule is one of plain, shifted, static"),
        ("square", {"x": (0, 1)}, {"x": 2}, "x is given twice: in over and as a fixed value"),
        ("square", {"x": (0, 1)}, {"b": 2}, "no parameter 'b'"),
        ("square", {"x": (0, 1)}, {"maximise": "yes"}, "maximise = 'yes' is not allowed"),
        ("square", {"x": (0, 1)}, {"points": 1}, "points = 1 is not allowed"),
        ("square", {"x": (0, 1)}, {"points": 2.5}, "points = 2.5 is not allowed"),
        (
            "plane",
            {"x": (0, 1), "y": (0, 1)},
            {"points": 10**5},
            "a grid of 10000000000 points would take",
        ),
        ("of_weights", {"weights[0]": (0, 1), "weights[ 0]": (0, 1)}, {}, "a parameter twice"),
        ("square", {"x": (0, 1)}, {"at": {"step": 1}}, "square is a single number"),
        (
            "series",
            {"x": (0, 1)},
            {},
            "at = {} is not allowed: series is an array with dims (step)",
        ),
        ("series", {"x": (0, 1)}, {"at": {"step": 5}}, "it must be one of 0, 10, 20"),
        ("series", {"x": (0, 1)}, {"at": 5}, "at = 5 is not allowed: it must be a mapping"),
        ("curves", {"x": (0, 1)}, {"at": {"name": "low", "power": 2}}, "it must be one of 0, 1"),
        (
            "of_weights",
            {"weights": (0, 1)},
            {},
            "name one entry of weights, an array of shape (2,)",
        ),
        ("of_weights", {"weights[2]": (0, 1)}, {}, "as in 'weights[0]'"),
        ("square", {"x[0]": (0, 1)}, {}, "x is a single number"),
        ("square", {"x": (0, 1)}, {"num_terms": [1, 2]}, "num_terms does not take a grid"),
    ],
)
def test_bad_arguments_are_refused(output, over, options, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)) as refused:
        optimise(output, over, **options)
    assert "\n" not in str(refused.value)


def test_a_simulation_without_theory_has_nothing_to_search():
    study = dataclasses.replace(STUDY, theory=None)
    with pytest.raises(ValueError, match="search-me has a simulation only"):
        simulator.optimise(study, "square", {"x": (0, 1)})
