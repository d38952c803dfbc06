"""Studies are found by their names: ours by their place, others by registration or entry point."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from unittest import mock

import pytest

import simulator
from simulator import registry
from tests.toy import STUDY as TOY


@pytest.fixture
def empty():
    with mock.patch.dict(registry._registered):
        yield


def test_names_lead_to_files():
    assert registry._modules()["strong-collapse"].endswith("collapse.strong_collapse.main")
    for name, module in registry._modules().items():
        assert registry.get(name).params.__module__ == module


def test_asking_for_a_study_imports_no_other():
    program = """
        import sys, simulator
        simulator.get("tail-collapse.bigram")
        found = {m.split(".")[3] for m in sys.modules if m.count(".") >= 3 and "studies" in m}
        assert found == {"tail_collapse"}, found
        assert "simulator.studies.collapse.tail_collapse.generations" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=120)


@pytest.mark.usefixtures("empty")
def test_every_verb_takes_a_study_or_the_name_of_a_registered_one(tmp_path):
    at = {"num_samples": 33}
    expected = simulator.predict(TOY, **at)["test_error"]
    assert simulator.simulate(TOY, replicates=10, **at).study == "toy"
    tree = simulator.sweep(TOY, {"num_samples": [33, 40]}, replicates=10, out=tmp_path / "store")
    assert simulator.check(TOY, replicates=20, **at).study == "toy"
    assert simulator.open_sweep(tmp_path / "store", TOY).equals(tree)
    assert simulator.sweep_status(tmp_path / "store", TOY)["done"] == 2
    with pytest.raises(ValueError, match="unknown study 'toy'"):
        simulator.predict("toy")
    assert simulator.register(TOY) is TOY
    assert "toy" in simulator.studies()
    assert simulator.predict("toy", **at)["test_error"] == expected
    assert simulator.open_sweep(tmp_path / "store").equals(tree)


@pytest.mark.usefixtures("empty")
def test_what_cannot_be_registered_is_refused():
    with pytest.raises(TypeError, match=r"must be a simulator\.Study"):
        simulator.register("toy")
    with pytest.raises(ValueError, match="the package has one itself"):
        simulator.register(replace(TOY, name="strong-collapse"))
    with pytest.raises(TypeError, match=r"the name of a study, or a simulator\.Study"):
        simulator.get(3)
    with pytest.raises(ValueError, match="did you mean 'strong-collapse'"):
        simulator.get("strong-colapse")


def test_another_package_adds_a_study_by_an_entry_point(tmp_path):
    """To every verb and to `simulator list`, with nothing but its metadata."""
    metadata = tmp_path / "stranger-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[simulator.studies]\ntoy = tests.toy:STUDY\nwrong = tests.toy:ASYMPTOTIC\n"
    )
    program = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import simulator
        assert {{"toy", "wrong"}} <= set(simulator.studies())
        assert simulator.get("toy").title == {TOY.title!r}
        try:
            simulator.get("wrong")
        except ValueError as error:
            assert "holds 'toy-asymptotic'" in str(error), error
        else:
            raise AssertionError
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=120)


def test_no_public_name_hides_a_package():
    """Whatever was imported before, in whatever order."""
    program = """
        import simulator, importlib, pathlib, pkgutil
        import simulator.studies.collapse.strong_collapse.main as module
        assert module.STUDY.name == "strong-collapse"
        import simulator.store.sweep, simulator.engine.simulation
        folders = {m.name for m in pkgutil.iter_modules(simulator.__path__)}
        assert folders & set(simulator.__all__) <= {"studies"}, folders & set(simulator.__all__)
        assert simulator.studies() and callable(simulator.sweep)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=120)


def test_the_verbs_carry_their_documentation():
    for verb in (simulator.predict, simulator.simulate, simulator.sweep, simulator.check):
        assert "Parameters" in verb.__doc__
        assert "study : str or Study" in verb.__doc__
        assert not verb.__name__.endswith("_study")


def test_the_first_word_of_a_study_leads_to_it():
    with pytest.raises(ValueError, match="did you mean 'ridge-collapse' or 'ridge-regression'"):
        simulator.predict("ridge")
