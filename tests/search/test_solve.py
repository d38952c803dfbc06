"""`simulator.solve`: all solutions, also beside poles and at turning points; no false ones."""

import re

import numpy as np
import pytest

import simulator
from simulator.search import line
from simulator.search.objective import Objective
from simulator.search.ranges import Range
from tests import toy
from tests.search.models import STUDY


def solve(output, equals, over, **options):
    return simulator.solve(STUDY, output, equals=equals, over=over, **options)


def test_samples_needed_by_least_squares():
    """sigma^2 d / (n - d - 1) = E."""
    errors, noise = np.array([0.1, 1e-3]), np.array([[0.2], [0.5], [1.3]])
    found = simulator.solve(
        toy.STUDY, "test_error", equals=errors, over={"num_samples": (12, 1e9)}, noise_std=noise
    )
    assert found["num_samples"].dims == ("noise_std", "equals")
    np.testing.assert_allclose(found["num_samples"], 11 + noise**2 * 10 / errors, rtol=1e-13)
    np.testing.assert_allclose(found["test_error"], np.tile(errors, (3, 1)), rtol=1e-12)
    np.testing.assert_allclose(found["residual"], 0, atol=1e-13)
    assert (found["num_solutions"] == 1).all()


def test_several_solutions():
    over, expected = {"x": (-3, 3)}, sorted(np.roots([1, 0, -2, 0.15, 1 - 0.7]).real)
    every = solve("valleys", 0.7, over, a=0.5, which="all")
    assert dict(every.sizes) == {"solution": 4}
    np.testing.assert_allclose(every["x"], expected, rtol=1e-13)
    assert every["num_solutions"] == 4
    assert every.attrs["equals"] == 0.7
    for which, position in (("smallest", 0), ("largest", -1)):
        found = solve("valleys", 0.7, over, a=0.5, which=which)
        assert float(found["x"]) == pytest.approx(expected[position], rel=1e-13)
        assert found["num_solutions"] == 4


def test_all_solutions_along_a_grid_are_filled_up():
    found = solve("valleys", [2.0, 0.7, -5.0], {"x": (-3, 3)}, a=0.5, which="all")
    assert found["num_solutions"].values.tolist() == [2, 4, 0]
    assert np.isnan(found["x"].values).sum(axis=1).tolist() == [2, 0, 4]
    none = solve("valleys", -5.0, {"x": (-3, 3)}, which="all")
    assert none["num_solutions"] == 0
    assert none["x"].shape == (0,)


def test_solutions_between_two_points_of_the_grid():
    """Both flanks of a peak that no grid point sees."""
    height = 1e4
    flank = np.sqrt(1 / height - 1e-3**2)
    found = solve("peak", height, {"x": (0, 1)}, points=20, which="all")
    np.testing.assert_allclose(found["x"], [0.3 - flank, 0.3 + flank], rtol=1e-12)


def test_beside_a_pole_and_not_in_it():
    found = solve("pole", 50.0, {"x": (-2, 3)}, which="all")
    # 0.01 + x^2 t^2 = 50 t^2
    places = np.roots(np.polysub(np.polymul([1, 0, -50], [1, -0.6, 0.09]), [-0.01]))
    near = sorted(x.real for x in places if abs(x.real) < 2)
    np.testing.assert_allclose(found["x"], near, rtol=1e-9)
    assert float(solve("odd_pole", 4.0, {"x": (-2, 3)})["x"]) == pytest.approx(0.55, rel=1e-12)
    for output, value in (("odd_pole", 0.0), ("jump", 1.0)):
        with pytest.raises(simulator.NoSolution, match=r"it jumps from -?\d"):
            solve(output, value, {"x": (-2, 3)})


def test_touching_and_the_ends():
    for ends in ((-1, 2), (0, 2), (-2, 0)):
        found = solve("square", 0.0, {"x": ends}, which="all")
        np.testing.assert_allclose(found["x"], [0.0], atol=1e-12)
    assert solve("square", 4.0, {"x": (1, 2)})["x"] == 2.0


def test_no_solution_says_what_was_found():
    with pytest.raises(
        simulator.NoSolution,
        match=re.escape("square = 10 has no solution for x in [0.5, 2]: the values found there lie "
                        "between 0.25 and 4"),
    ):  # fmt: skip
        solve("square", 10.0, {"x": (0.5, 2)})
    with pytest.raises(simulator.NoSolution, match=r"valleys = 0 has .* at a = 3: .* and "):
        solve("valleys", 0.0, {"x": (0, 3)}, a=[-2.0, -0.1, 3.0], y=0.2)
    with pytest.raises(simulator.NoSolution, match="not defined there"):
        solve("root", 0.0, {"x": (0, 0.4)})


def test_a_bracket_that_is_none_gives_its_better_end():
    """Values of another program may differ in their last digit, and so in their sign."""
    free = Range("x", STUDY.declarations["x"], (), 1.0, 2.0, "linear")
    values = STUDY.canonical({})
    objective = Objective(STUDY, STUDY.output("square"), (), (free,), (), values)
    ends = line.evaluated(objective, np.zeros(2, int), np.array([1.0, 2.0]), refined=False)
    found = line._roots(objective, ends, np.array([0]), lambda points: points.value - 0.9)
    assert found.u.tolist() == [1.0]


@pytest.mark.parametrize(
    ("equals", "options", "message"),
    [
        ("much", {}, "equals = 'much' is not allowed: it must be a finite number"),
        (None, {}, "equals = None is not allowed"),
        (True, {}, "equals = True is not allowed"),
        ([], {}, "equals = [] is not allowed"),
        ([[1, 2], [3]], {}, "is not allowed: it must be a finite number"),
        (np.nan, {}, "equals = nan is not allowed"),
        (np.inf, {}, "equals = inf is not allowed"),
        ([1, 2, 3], {"a": [1, 2]}, "equals of shape (3,) does not broadcast with the grid (2,)"),
        (1, {"which": "second"}, "which = 'second' is not allowed: it must be one of smallest"),
        (1, {"over": {"x": (0, 1), "y": (0, 1)}}, "one equation settles one parameter"),
        (1, {"over": None}, "over = None is not allowed"),
    ],
)
def test_bad_arguments_are_refused(equals, options, message):
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        solve("square", equals, **{"over": {"x": (0, 1)}} | options)
