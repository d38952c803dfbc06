"""The example of CONTRIBUTING is a study: outside the package, it has all that ours have."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import simulator
from simulator import pictures
from simulator.testing import Case, Mutant, Tests, check_contract, diagnose

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
MODULE, TEST_DATA = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


def written(folder, name, text):
    """A module of somebody else's."""
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stranger")


@pytest.fixture(scope="module")
def study(folder):
    return written(folder, "least_squares", MODULE).STUDY


def test_the_doctor_has_no_complaint(study):
    assert diagnose(study) == []


def test_it_is_checked_swept_into_a_store_and_drawn(study, tmp_path):
    assert simulator.check(study, tolerance=0.1).status == "agrees"
    grid = {"num_samples": [15, 20]}
    tree = simulator.sweep(study, grid, replicates=20, dim=7, out=tmp_path / "store")
    memory = simulator.sweep(study, grid, replicates=20, dim=7)
    np.testing.assert_array_equal(tree["mean"]["test_error"], memory["mean"]["test_error"])
    assert simulator.open_sweep(tmp_path / "store", study).equals(tree)
    with pictures.house_style():
        figure, (axes,) = pictures.panels(1)
        pictures.against(
            axes, study, x={"num_samples": [15, 20, 30]}, y="test_error", dim=7, replicates=4
        )
        assert pictures.save(figure, tmp_path / "a.png").stat().st_size > 1000


def test_its_reference_values_and_mutants(study, folder):
    data = written(folder, "least_squares_cases", TEST_DATA)
    check_contract(study, data.TESTS, tolerance=0.1)
    wrong = Case("wrong", {"dim": 10, "num_samples": 21}, {"test_error": 0.26})
    with pytest.raises(AssertionError, match=r"'wrong': test_error is .*0\.25.* should be 0\.26"):
        check_contract(study, Tests([wrong]), tolerance=0.1)
    harmless = Mutant("harmless", at=lambda p: {"noise_std": p.noise_std})
    with pytest.raises(AssertionError, match="mutant 'harmless' survived"):
        check_contract(study, Tests(mutants=[harmless]), tolerance=0.1)
