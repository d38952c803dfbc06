"""Every study: declarations, names, dims, and the shape of its module."""

import inspect
from dataclasses import replace

import numpy as np
import pytest

from simulator.engine.cells import identity, key_data
from simulator.testing import diagnose
from tests.cases import load
from tests.studies.battery import STUDIES, WITH_BOTH, WITH_THEORY, cell, cells, each

ORDER = (
    "Params",
    "theory",
    "simulate_direct",
    "simulate_fast",
    "simulate_conditional",
    "simulate_path",
    "figures",
    "STUDY",
)


@each(STUDIES)
def test_module_reads_in_the_common_order(name):
    module = inspect.getmodule(STUDIES[name].params)
    source = inspect.getsource(module)
    starts = (
        "class Params",
        "\ndef theory(",
        "\ndef simulate_direct(",
        "\ndef simulate_fast(",
        "\ndef simulate_conditional(",
        "\ndef simulate_path(",
        "\nfigures",
        "\nSTUDY",
    )
    positions = [source.find(start) for start in starts]
    present = [p for p in positions if p >= 0]
    assert present == sorted(present)
    assert positions[0] >= 0
    assert positions[-1] >= 0
    assert module.STUDY is STUDIES[name]
    assert module.__doc__
    assert STUDIES[name].paper.identifier, "Paper(arxiv=...), or url=... for what is not there"
    assert STUDIES[name].paper.identifier in module.__doc__


@each(STUDIES)
def test_the_doctor_has_no_complaint(name):
    """Declarations, names and dims, static and traced, programs for TPU and CUDA; in words."""
    complaints = diagnose(with_small_cells(name), run=False)
    assert not complaints, "\n".join([name, *complaints])


@pytest.mark.slow
@each(STUDIES)
def test_the_doctor_has_no_complaint_about_values(name):
    jumps = [f" in {parameter} is wrong at " for parameter in load(name).excepted("jumps")]
    found = diagnose(with_small_cells(name))
    complaints = [words for words in found if not any(jump in words for jump in jumps)]
    assert not complaints, "\n".join([name, *complaints])


def with_small_cells(name):
    """The study with the small cells of its test data before its own."""
    return replace(STUDIES[name], check_cells=tuple(cells(STUDIES[name])))


@each(STUDIES)
def test_cases_and_mutants_exist(name):
    tests = load(name)
    study = STUDIES[name]
    names = [mutant.name for mutant in tests.mutants]
    if study.theory is not None:
        assert tests.cases, f"{name} has no reference values: TESTS = Tests(cases=[Case(...)])"
    if name in WITH_BOTH:
        assert len(names) >= 6, (
            f"{name} has {len(names)} mutants: six at least tell a check's worth"
        )
        assert len(set(names)) == len(names), f"two mutants of {name} have one name: {names}"


@each(WITH_THEORY)
def test_every_output_has_a_reference_value_off_special_points(name):
    """A mistake in an output that no value reaches shows nowhere. Slow cases do not count.

    The test data may except, as ``"special"``, outputs that have no other values, and why.
    """
    study = STUDIES[name]
    missing = {output.name for output in study.outputs if output.in_theory}
    special = load(name).excepted("special")
    reached = set()
    for case in load(name).cases:
        if case.slow or (missing == special.keys() and special.keys() <= reached):
            continue  # enough is known, and programs take time
        values = case.values(study)
        reached |= values.keys()
        missing -= {output for output, value in values.items() if is_generic(value)}
    assert missing == special.keys(), (
        f"{name}: {sorted(missing ^ special.keys())} have no reference value off special points: "
        'add a case, or except them with a reason, expected={"special": {...}}'
    )
    assert special.keys() <= reached, f"{name}: {sorted(special.keys() - reached)} have no case"


def is_generic(value):
    """Whether some entry is finite and neither a whole number nor half of one."""
    doubled = 2 * np.asarray(value, float)
    finite = doubled[np.isfinite(doubled)]
    return np.any(np.abs(finite - np.round(finite)) > 1e-9)


@each(STUDIES)
def test_every_parameter_is_part_of_the_key(name):
    study = STUDIES[name]
    values = cell(study)
    options = {"method": "fast", "dtype": "float64", "seed": 0}
    reference = key_data(identity(study, values, **options)).tolist()
    for parameter in study.declarations.values():
        if parameter.is_scalar_number:
            moved = values | {parameter.name: values[parameter.name] + 1}
            assert key_data(identity(study, moved, **options)).tolist() != reference
