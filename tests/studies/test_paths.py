"""Paths: all ridges of a study from the same draws, which are those of single fits."""

import jax
import numpy as np
import pytest

import simulator
from simulator.registry import get
from simulator.runtime.compilation import float64_on_cpu
from tests.studies.battery import STUDIES

FIT = {"dim": 30, "num_samples": 48, "ridge": 0.23, "noise_std": 0.4}
STEEP = {"spectrum": "power_law", "spectrum_exponent": 1.3, "source_exponent": 0.6}
GENERATORS = {"num_samples_generator": 20, "ridge_generator": 0.07, "num_generations": 3}
MIXTURE = {"dim": 24, "num_samples": 48, "ridge": 0.23, "synthetic_fraction": 0.3}
CELLS = [
    ("ridge-regression", FIT),
    ("ridge-regression", FIT | STEEP | {"num_samples": 21}),
    ("ridge-regression", FIT | STEEP | {"num_samples": 30, "ridge": 3e-6}),
    ("ridge-regression", FIT | STEEP | {"ridge": 0.0}),
    ("ridge-collapse", FIT | STEEP | {"num_generations": 0}),
    ("ridge-collapse", FIT | STEEP | {"num_generations": 2, "num_samples": 21}),
    ("ridge-collapse", FIT | STEEP | GENERATORS | {"ridge": 3e-6}),
    ("ridge-collapse", FIT | GENERATORS | {"design": "same", "num_samples": 30}),
    ("strong-collapse", MIXTURE),
    ("strong-collapse", MIXTURE | STEEP | {"num_samples": 21, "shift_correlation": -0.6}),
    ("strong-collapse", MIXTURE | STEEP | {"ridge": 3e-6, "shift_profile": "signal"}),
    ("strong-collapse", MIXTURE | {"ridge": 0.0, "weighting": "mixing", "mixing_weight": 0.3}),
    ("strong-collapse", MIXTURE | {"ridge": 0.0, "num_samples": 20, "shift_correlation": 0.3}),
    ("strong-collapse", MIXTURE | {"weighting": "mixing", "mixing_weight": 1.0}),
    # No matrix:
    ("ridge-collapse", FIT | {"num_samples_generator": 40, "num_generations": 3}),
    ("ridge-collapse", FIT | {"num_samples": 21, "num_generations": 3, "design": "same"}),
]


def test_every_study_with_a_path_is_tested():
    assert {name for name, _ in CELLS} == {n for n, s in STUDIES.items() if s.simulate_path}


@pytest.mark.parametrize(("name", "given"), CELLS)
def test_a_path_gives_what_single_fits_give_from_the_same_draws(name, given):
    study = get(name)
    with float64_on_cpu():
        params = study.params(**study.canonical(given))
        keys = jax.random.split(jax.random.key(3), 5)
        single, path = (
            jax.vmap(study.sampler(method, params), in_axes=(0, None))(keys, params)
            for method in ("conditional", "path")
        )
    for found, expected in ((path.pop("controls"), single.pop("controls")), (path, single)):
        assert found.keys() == expected.keys()
        for name in expected:
            np.testing.assert_allclose(
                found[name], expected[name], rtol=1e-8, atol=1e-14, err_msg=name
            )


@pytest.mark.parametrize(
    ("name", "more"),
    [("ridge-collapse", {"num_generations": 0}), ("ridge-regression", {}), ("strong-collapse", {})],
)
def test_a_path_falls_back_to_single_fits_where_eigenvalues_are_not_resolved(name, more):
    """Power laws so steep that eigenvalues of the matrix are lost beside the largest one."""
    given = {"dim": 40, "num_samples": 120, "spectrum": "power_law", "spectrum_exponent": 12.0}
    found = simulator.simulate(
        name, method="path", ridge=[0.0, 1e-9], replicates=60, **given, **more
    )
    expected = simulator.predict(name, ridge=0.0, **given, **more)
    gap = found.mean["test_error"][0] - expected["test_error"]
    assert abs(gap) < 4 * found.standard_error["test_error"][0]
    assert found.standard_error["test_error"][0] < 0.1 * expected["test_error"]
