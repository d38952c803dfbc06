"""The contract of a study as a list of questions, each answered in words.

Every question is a function of a study (at its first check cell) that yields complaints. They need
no test data; with those of the study, `check_contract` compares reference values and looks whether
wrong theories are rejected.
"""

from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from simulator.testing.sides import (  # isort: skip
    UNTRACEABLE, cell_of, first_line, function_of, runs_with, shapes_of, sides_of, static_by_need,
    traced_of, values_of,
)  # fmt: skip
from simulator.engine.declared import undeclared
from simulator.parameters import Parameter
from simulator.runtime.compilation import float64_on_cpu, simulation_scope
from simulator.spelling import suggestion
from simulator.study import RESIDUAL, Study
from simulator.testing.data import Tests
from simulator.testing.evidence import survivors, wrong_values
from simulator.testing.lowering import lowers

NEAR = 1e-5  # relative step of finite differences
SLOPES_AGREE = 2e-4
SINGLE_PRECISION = 1e-4  # a theory in float32 against itself in float64
Complaints = Iterator[str]


def check_contract(
    study: Study, tests: Tests | None = None, *, tolerance: float | None = None
) -> None:
    """Raise ``AssertionError`` with every complaint of :func:`diagnose`, and of the study's tests.

    Parameters
    ----------
    study : Study
    tests : Tests, optional
        Reference values that the theory must have, and wrong theories that must be rejected.
    tolerance : float, optional
        Resolution of the verdicts; the study's own unless given.
    """
    complaints = diagnose(study)
    if tests is not None and not complaints:
        resolution = study.tolerance if tolerance is None else tolerance
        complaints = [
            *wrong_values(study, tests.cases),
            *survivors(study, tests.mutants, tests.points(study), resolution),
        ]
    if complaints:
        raise AssertionError("\n".join([f"{study.name} breaks the contract:", *complaints]))


def diagnose(study: Study, *, run: bool = True) -> list[str]:
    """What a study declares wrongly, or does otherwise than it declares; empty if nothing.

    Parameters
    ----------
    study : Study
    run : bool, default True
        Compute values, too; if not, the study is only traced, which takes seconds.

    Returns
    -------
    list of str
        One complaint each, with what to do about it.
    """
    for questions in (PARAMETERS, OUTPUTS, TRACES, PROGRAMS, *[VALUES] * run):
        # What is asked later makes no sense of a study that fails earlier.
        complaints = [words for question in questions for words in question(study)]
        if complaints:
            return complaints
    return []


# --------------------------------------------------------------------------------------------
# What is declared
# --------------------------------------------------------------------------------------------
def _parameters(study: Study) -> Complaints:
    for parameter in study.declarations.values():
        if not parameter.meaning or not parameter.symbol:
            yield (
                f"parameter {parameter.name} has no symbol or meaning, and its name is not in the "
                "vocabulary: give both"
            )
    try:
        study.canonical({})
    except (TypeError, ValueError) as error:
        yield f"a default is not allowed: {error}"
    for position, cell in enumerate(study.check_cells):
        try:
            study.canonical(cell)
        except (TypeError, ValueError) as error:
            yield f"check_cells[{position}] is not allowed: {error}"


def _outputs(study: Study) -> Complaints:
    names = [output.name for output in study.outputs]
    for name in {name for name in names if names.count(name) > 1}:
        yield f"output {name} is declared twice"
    for output in study.outputs:
        relation = output.relation_at(study.params(**cell_of(study)))
        others = (relation.of, output.model_std, output.dispersion and output.dispersion.of)
        for other in others:
            if other and other not in names:
                yield f"output {output.name} speaks of {other!r}{suggestion(other, names)}"
        if relation.needs_ladder and not any(p.grows for p in study.declarations.values()):
            yield (
                f"output {output.name} is asymptotic, but no parameter grows: declare the size "
                "with grows=1"
            )


def _sides(study: Study) -> Complaints:
    if study.theory is None and not study.methods():
        yield "there is neither a theory nor a simulation"
    if study.theory is None and any(output.where != "simulation" for output in study.outputs):
        yield "there is no theory, but outputs are declared for it: use simulation_only(...)"
    if not study.methods() and any(output.where != "theory" for output in study.outputs):
        yield "there is no simulation, but outputs are declared for it: use theory_only(...)"


# --------------------------------------------------------------------------------------------
# What tracing tells
# --------------------------------------------------------------------------------------------
def _traced(study: Study) -> Complaints:
    """Every traced parameter can be traced, and both sides return the declared outputs and dims."""
    shapes: dict[str, Mapping[str, tuple[int, ...]]] = {}
    for side in sides_of(study):
        try:
            shapes[side] = shapes_of(study, side)
        except UNTRACEABLE as error:
            traced = [name for name, p in study.declarations.items() if not p.is_static(side)]
            culprits = [name for name in traced if runs_with(study, side, name)]
            if culprits:
                yield (
                    f"{side}: {' and '.join(culprits)} fixes a shape or decides a branch, but is "
                    "traced: declare it static, or traced with static_in=..."
                )
            else:
                yield f"{side} cannot be traced: {first_line(error)}"
        except Exception as error:  # whatever an author's function raises is the complaint
            yield f"{side} fails at {cell_of(study)}: {type(error).__name__}: {first_line(error)}"
        else:
            yield from undeclared(study, side, shapes[side])
    for side, found in shapes.items():
        for name, shape in found.items():
            reference = shapes.get("theory", {}).get(name)
            if reference is not None and reference != shape:
                yield f"{side} returns {name} with shape {shape}, the theory with {reference}"


def _needlessly_static(study: Study) -> Complaints:
    """A static number compiles anew for every value: is that needed anywhere?"""
    needed = {side: static_by_need(study, side) for side in sides_of(study)}
    for name, parameter in study.declarations.items():
        number = parameter.static and parameter.is_scalar_number and not parameter.traced_in
        if number and not any(by_need(name) for by_need in needed.values()):
            yield f"parameter {name} is static, but nothing needs it to be: declare it traced"
        for side in parameter.static_in:
            if side in needed and not needed[side](name):
                yield f"parameter {name} is static in {side}, but nothing there needs it to be"


# --------------------------------------------------------------------------------------------
# What values tell
# --------------------------------------------------------------------------------------------
def _pure(study: Study) -> Complaints:
    """Equal arguments, equal results; another key, another draw."""
    for side in sides_of(study):
        first, again = values_of(study, side), values_of(study, side)
        for name in first:
            if not np.array_equal(first[name], again[name], equal_nan=True):
                yield f"{side} is not pure: called twice, {name} came out differently"
        if side == "theory":
            continue
        others = [values_of(study, side, replicate=i) for i in (1, 2, 3)]
        equal = all(np.array_equal(first[n], o[n], equal_nan=True) for o in others for n in first)
        if equal and not study.deterministic:
            yield (
                f"{side} ignores its key: four replicates are equal; draw from it, or declare "
                "deterministic=True"
            )
        if study.deterministic and not equal:
            yield f"{side} is declared deterministic, but its replicates differ"


def _numbers(study: Study) -> Complaints:
    """No output is not a number at the check cell, unless it may be undefined."""
    for side in sides_of(study):
        for name, value in values_of(study, side).items():
            if np.isnan(value).any() and not study.output(name).nan_where_undefined:
                yield f"{side} returns {name} = nan at {cell_of(study)}"


def _single_precision(study: Study) -> Complaints:
    """The theory holds in float32."""
    if study.theory is None:
        return
    double = values_of(study, "theory")
    with simulation_scope("float32"):
        single = jax.jit(function_of(study, "theory"))(traced_of(study, "theory", jnp.float32))
    for name, value in double.items():
        if study.output(name).certificate:
            continue
        scale = np.maximum(np.abs(value), 1e-3 * np.max(np.abs(value), initial=0.0))
        with np.errstate(invalid="ignore"):
            near = np.abs(np.asarray(single[name], float) - value) <= SINGLE_PRECISION * scale
        if np.any(~near & np.isfinite(value)):
            yield f"theory: {name} is off by more than {SINGLE_PRECISION:g} in float32"


def _differentiable(study: Study) -> Complaints:
    """Exact derivatives equal finite differences, for every traced real number."""
    if study.theory is None:
        return
    cell = cell_of(study)
    moving = [
        name
        for name, p in study.declarations.items()
        if p.type == "float" and not p.integer and not p.is_static("theory")
        if _inside(p, cell[name])
    ]
    if not moving:
        return
    with float64_on_cpu():
        traced = traced_of(study, "theory", jnp.float64)
        function = jax.jit(lambda values: function_of(study, "theory")(values))
        slopes = jax.jit(jax.jacfwd(lambda m: function({**traced, **m})))(
            {name: traced[name] for name in moving}
        )
        for name in moving:
            step = NEAR * max(abs(float(traced[name])), NEAR)
            plus, minus = (function(traced | {name: traced[name] + s}) for s in (step, -step))
            for output, slope in slopes.items():
                if output == RESIDUAL or study.output(output).certificate:
                    continue
                # An output that is infinite on both sides has no slope to compare with.
                with np.errstate(invalid="ignore"):
                    numeric = (np.asarray(plus[output]) - np.asarray(minus[output])) / (2 * step)
                exact = np.asarray(slope[name])
                scale = np.abs(numeric) + np.abs(np.asarray(plus[output])) / max(
                    abs(float(traced[name])), NEAR
                )
                wrong = np.abs(exact - numeric) > SLOPES_AGREE * scale + 1e-12
                if np.any(wrong & np.isfinite(numeric)) or np.any(
                    np.isnan(exact) & np.isfinite(numeric)
                ):
                    yield f"theory: the derivative of {output} in {name} is wrong at {cell}"


def _inside(parameter: Parameter, value: float) -> bool:
    """Can the value move both ways?"""
    bounds = (parameter.at_least, parameter.at_most)
    return bool(np.isfinite(value)) and value != 0 and value not in bounds


Questions = tuple[Callable[[Study], Complaints], ...]
PARAMETERS: Questions = (_parameters,)
OUTPUTS: Questions = (_outputs, _sides)
TRACES: Questions = (_traced, _needlessly_static)
PROGRAMS: Questions = (lowers,)
VALUES: Questions = (_pure, _numbers, _single_precision, _differentiable)
