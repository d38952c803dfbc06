"""Every study: declarations, names, dims, and the shape of its module."""

import inspect

import numpy as np

from simulator.engine.cells import identity, key_data
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.theory import theory_of_cells
from simulator.study import Study
from tests.cases import load
from tests.studies.battery import STUDIES, WITH_THEORY, cell, each, each_method

ORDER = (
    "Params",
    "theory",
    "simulate_direct",
    "simulate_fast",
    "simulate_conditional",
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
def test_declarations_are_complete_and_defaults_are_legal(name):
    study: Study = STUDIES[name]
    study.canonical({})
    for parameter in study.declarations.values():
        assert parameter.meaning
        assert parameter.symbol
    assert all(output.meaning for output in study.outputs)
    assert len({output.name for output in study.outputs}) == len(study.outputs)
    for given in study.check_cells:
        study.canonical(given)


@each(STUDIES)
def test_cases_and_mutants_exist(name):
    tests = load(name)
    study = STUDIES[name]
    if study.theory is not None:
        assert tests.cases, "reference values are missing"
    if study.theory is not None and study.methods():
        assert len(tests.mutants) >= 6
        assert len({m.name for m in tests.mutants}) == len(tests.mutants)


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
    assert missing == special.keys()
    assert special.keys() <= reached


def is_generic(value):
    """Whether some entry is finite and neither a whole number nor half of one."""
    doubled = 2 * np.asarray(value, float)
    finite = doubled[np.isfinite(doubled)]
    return np.any(np.abs(finite - np.round(finite)) > 1e-9)


@each(WITH_THEORY)
def test_theory_returns_the_declared_outputs_with_their_dims(name):
    study = STUDIES[name]
    (outputs,) = theory_of_cells(study, [cell(study)])  # refuses others than the declared ones
    assert set(outputs) == {o.name for o in study.outputs if o.in_theory}
    for output in study.outputs:
        if output.in_theory:
            assert np.ndim(outputs[output.name]) == len(output.dims), output.name


@each_method()
def test_simulation_returns_the_declared_outputs_with_the_dims_of_the_theory(name, method):
    study = STUDIES[name]
    (shapes,) = Run(study, [cell(study)], checked_setting(study, method=method)).shapes()
    declared = {o.name for o in study.outputs if o.in_simulation and o.dispersion is None}
    assert set(shapes) == declared
    theory = theory_of_cells(study, [cell(study)])[0] if study.theory else {}
    for output in study.outputs:
        if output.name in shapes:
            assert len(shapes[output.name]) == len(output.dims), output.name
            if output.name in theory:
                assert shapes[output.name] == np.shape(theory[output.name])


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
