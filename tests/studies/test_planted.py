"""Faults planted in a study are found by what `pytest tests/studies --study NAME` runs."""

import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from simulator.engine.theory import NotConverged
from simulator.testing import Tests
from tests.studies import battery, test_numbers, test_verdicts
from tests.toy import STUDY, simulate_fast


def simulate_conditional(key, params):
    """The mean of two draws: less noise than one has."""
    first = simulate_fast(key, params)["test_error"]
    second = simulate_fast(jax.random.fold_in(key, 1), params)["test_error"]
    return {"test_error": (first + second) / 2}


def wrong_conditional(key, params):
    return {"test_error": 1.5 * simulate_conditional(key, params)["test_error"]}


def theory_with_a_hole(params):
    """Not a number in one of a hundred of the points that the battery draws."""
    found = STUDY.theory(params)["test_error"]
    digits = jnp.asarray(params.noise_std, float) * 1e6
    return {"test_error": jnp.where(jnp.mod(jnp.floor(digits), 100) == 7, jnp.nan, found)}


@pytest.fixture
def planted(monkeypatch):
    def plant(**changes):
        study = replace(STUDY, name="planted", tolerance=0.05, **changes)
        monkeypatch.setitem(battery.STUDIES, "planted", study)
        monkeypatch.setattr(test_verdicts, "load", lambda name: Tests())
        return study

    return plant


def test_a_conditional_simulation_that_is_wrong_by_a_half(planted):
    every_method = test_verdicts.test_every_method_agrees_at_the_studys_own_tolerance
    planted(simulate_conditional=simulate_conditional)
    every_method("planted", 0)
    planted(simulate_conditional=wrong_conditional)
    with pytest.raises(AssertionError, match=r"conditional(.|\n)*DISAGREES"):
        every_method("planted", 0)


def test_not_a_number_in_a_hundredth_of_the_box(planted):
    study = planted(theory=theory_with_a_hole)
    with pytest.raises(NotConverged, match="not-a-number"):
        test_numbers.is_defined(study, 1000, study.check_cells)


def test_the_command_selects_all_of_a_study_and_nothing_else():
    found = collected("--study", "strong-collapse")
    for test in (
        "test_numbers.py::test_defined_over_the_whole_box[strong-collapse]",
        "test_verdicts.py::test_every_method_agrees_at_the_studys_own_tolerance[strong-collapse]",
        "test_compilation.py::test_simulation_compiles_once_for_traced_values"
        "[strong-collapse-conditional]",
    ):
        assert f"tests/studies/{test}" in found
    papers = "tests/studies/test_strong_collapse"
    for file in (f"{papers}.py", f"{papers}_chain.py"):
        assert any(line.startswith(f"{file}::") for line in found)
    others = [line for line in found if "[" in line and not line.startswith(papers)]
    assert len(others) > 20
    assert all("[strong-collapse]" in line or "[strong-collapse-" in line for line in others)
    with pytest.raises(AssertionError, match="did you mean 'strong-collapse'"):
        collected("--study", "strong-colapse")


def collected(*words):
    """The tests that pytest would run."""
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/studies", "--collect-only", "-q", *words],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()
