"""A single point of a theory is traced alone and once, and compiled for a moment's work only."""

from dataclasses import replace

import numpy as np
import pytest

from simulator import registry
from simulator.engine import theory
from simulator.engine.theory import predict_study
from tests.toy import STUDY


@pytest.fixture
def options(monkeypatch):
    """The optimisation of every program that is called."""
    chosen = []
    run = theory.Program.run

    def noted(program, lanes, cost):
        function = run(program, lanes, cost)
        names = ("_many", "_alone", "_alone_for_a_moment")
        chosen.extend(n for n in names if getattr(program, n) is function)
        return function

    monkeypatch.setattr(theory.Program, "run", noted)
    return chosen


def test_a_point_is_traced_once_whatever_runs_it(options):
    points = []

    def counted(params):
        points.append(params)
        return STUDY.theory(params)

    study = replace(STUDY, theory=counted)
    predict_study(study)
    predict_study(study)
    assert (len(points), options) == (1, ["_alone_for_a_moment"] * 2)


def test_what_takes_longer_is_optimised(options, monkeypatch):
    monkeypatch.setattr(theory, "MOMENT", 0.0)
    predict_study(replace(STUDY))
    assert options == ["_alone"]


@pytest.mark.parametrize("name", ["ridge-collapse", "tail-collapse", "pilaf"])
def test_a_point_alone_is_that_of_a_grid(name, options):
    study = registry.get(name)
    traced = next(
        n for n, p in study.declarations.items() if p.is_scalar_number and not p.is_static("theory")
    )
    values = np.full(16, study.declarations[traced].default)
    grid, alone = predict_study(study, **{traced: values}), predict_study(study)
    assert options == ["_many", "_alone_for_a_moment"]
    for output, value in alone.items():
        np.testing.assert_allclose(grid[output][3], value, rtol=1e-11, atol=1e-14)
