"""The contract of a study as a list of questions, each answered in words.

Every question is a function of a study (at its first check cell) that yields complaints. They need
no test data; with those of the study, `check_contract` compares reference values and looks whether
wrong theories are rejected.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator.engine.batch_size import open_loops
from simulator.engine.cells import Values
from simulator.engine.program import one_lane
from simulator.parameters import Parameter
from simulator.runtime.compilation import float64_on_cpu, simulation_scope
from simulator.spelling import suggestion
from simulator.study import RESIDUAL, Output, Study
from simulator.testing.data import Tests
from simulator.testing.evidence import survivors, wrong_values

NEAR = 1e-5  # relative step of finite differences
SLOPES_AGREE = 2e-4
SINGLE_PRECISION = 1e-4  # a theory in float32 against itself in float64
KEY = np.zeros(2, np.uint32)
UNTRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
    TypeError,
)
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


def diagnose(study: Study) -> list[str]:
    """What a study declares wrongly, or does otherwise than it declares; empty if nothing.

    Parameters
    ----------
    study : Study

    Returns
    -------
    list of str
        One complaint each, with what to do about it.
    """
    for questions in (PARAMETERS, OUTPUTS, TRACES, VALUES):
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
        relation = output.relation_at(study.params(**_cell(study)))
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
def _traceable(study: Study) -> Complaints:
    """Every traced parameter can be traced, on every side."""
    for side in _sides_of(study):
        try:
            _shapes(study, side)
        except UNTRACEABLE as error:
            traced = [name for name, p in study.declarations.items() if not p.is_static(side)]
            culprits = [name for name in traced if _runs_with(study, side, name)]
            if culprits:
                yield (
                    f"{side}: {' and '.join(culprits)} fixes a shape or decides a branch, but is "
                    "traced: declare it static, or traced with static_in=..."
                )
            else:
                yield f"{side} cannot be traced: {_first_line(error)}"
        except Exception as error:  # whatever an author's function raises is the complaint
            yield f"{side} fails at {_cell(study)}: {type(error).__name__}: {_first_line(error)}"


def _needlessly_static(study: Study) -> Complaints:
    """A static number compiles anew for every value: is that needed anywhere?"""
    for name, parameter in study.declarations.items():
        number = parameter.static and parameter.is_scalar_number and not parameter.traced_in
        if number and not any(_needs_static(study, side, name) for side in _sides_of(study)):
            yield f"parameter {name} is static, but nothing needs it to be: declare it traced"
        for side in parameter.static_in:
            if side in _sides_of(study) and not _needs_static(study, side, name):
                yield f"parameter {name} is static in {side}, but nothing there needs it to be"


def _returned(study: Study) -> Complaints:
    """The declared outputs, with the declared dims, the same on both sides."""
    shapes: dict[str, Mapping[str, tuple[int, ...]]] = {}
    for side in _sides_of(study):
        try:
            shapes[side] = _shapes(study, side)
        except Exception:
            continue
        expected = {output.name: output for output in study.outputs if _belongs(output, side)}
        for name in sorted(set(shapes[side]) - set(expected)):
            hint = suggestion(name, sorted(set(expected) - set(shapes[side])))
            yield f"{side} returns {name!r}, which is not declared for it{hint}"
        for name in sorted(set(expected) - set(shapes[side])):
            yield f"{side} does not return the declared output {name!r}"
        for name in sorted(set(expected) & set(shapes[side])):
            shape, dims = shapes[side][name], expected[name].dims
            if len(shape) != len(dims):
                yield (
                    f"{side} returns {name} with shape {shape}, but its declared dims are "
                    f"({', '.join(dims)}): declare dims=(...) of that length, or return another "
                    "shape"
                )
    for side, found in shapes.items():
        for name, shape in found.items():
            reference = shapes.get("theory", {}).get(name)
            if reference is not None and reference != shape:
                yield f"{side} returns {name} with shape {shape}, the theory with {reference}"


# --------------------------------------------------------------------------------------------
# What values tell
# --------------------------------------------------------------------------------------------
def _pure(study: Study) -> Complaints:
    """Equal arguments, equal results; another key, another draw."""
    for side in _sides_of(study):
        first, again = _values(study, side), _values(study, side)
        for name in first:
            if not np.array_equal(first[name], again[name], equal_nan=True):
                yield f"{side} is not pure: called twice, {name} came out differently"
        if side == "theory":
            continue
        others = [_values(study, side, replicate=i) for i in (1, 2, 3)]
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
    for side in _sides_of(study):
        for name, value in _values(study, side).items():
            if np.isnan(value).any() and not study.output(name).nan_where_undefined:
                yield f"{side} returns {name} = nan at {_cell(study)}"


def _single_precision(study: Study) -> Complaints:
    """The theory holds in float32."""
    if study.theory is None:
        return
    double = _values(study, "theory")
    with simulation_scope("float32"):
        single = jax.jit(_function(study, "theory"))(_traced(study, "theory", jnp.float32))
    for name, value in double.items():
        scale = np.maximum(np.abs(value), 1e-3 * np.max(np.abs(value), initial=0.0))
        with np.errstate(invalid="ignore"):
            near = np.abs(np.asarray(single[name], float) - value) <= SINGLE_PRECISION * scale
        if np.any(~near & np.isfinite(value)):
            yield f"theory: {name} is off by more than {SINGLE_PRECISION:g} in float32"


def _differentiable(study: Study) -> Complaints:
    """Exact derivatives equal finite differences, for every traced real number."""
    if study.theory is None:
        return
    cell = _cell(study)
    moving = [
        name
        for name, p in study.declarations.items()
        if p.type == "float" and not p.integer and not p.is_static("theory")
        if _inside(p, cell[name])
    ]
    if not moving:
        return
    with float64_on_cpu():
        traced = _traced(study, "theory", jnp.float64)
        function = jax.jit(lambda values: _function(study, "theory")(values))
        slopes = jax.jit(jax.jacfwd(lambda m: function({**traced, **m})))(
            {name: traced[name] for name in moving}
        )
        for name in moving:
            step = NEAR * max(abs(float(traced[name])), NEAR)
            plus, minus = (function(traced | {name: traced[name] + s}) for s in (step, -step))
            for output, slope in slopes.items():
                if output == RESIDUAL:
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


def _lowers(study: Study) -> Complaints:
    """Every simulation compiles for a TPU in float32, where there is no float64."""
    for side in study.methods():
        with simulation_scope("float32"):
            lane = one_lane(study.methods()[side], study.params, _static(study, side))
            traced = _traced(study, side, jnp.float32)
            try:
                exported = jax.export.export(jax.jit(lane), platforms=("tpu", "cuda"))(
                    KEY, np.int32(0), traced, {}
                )
            except NotImplementedError as error:
                yield f"{side} does not compile for a TPU: {_first_line(error)}"
                continue
        if "f64" in exported.mlir_module():
            yield f"{side} computes in float64 where float32 was asked for: use dtype=float"


Questions = tuple[Callable[[Study], Complaints], ...]
PARAMETERS: Questions = (_parameters,)
OUTPUTS: Questions = (_outputs, _sides)
TRACES: Questions = (_traceable, _returned, _needlessly_static)
VALUES: Questions = (_pure, _numbers, _single_precision, _differentiable, _lowers)


# --------------------------------------------------------------------------------------------
# Running one side of a study
# --------------------------------------------------------------------------------------------
def _cell(study: Study) -> Values:
    return study.canonical(study.check_cells[0])


def _sides_of(study: Study) -> list[str]:
    return (["theory"] if study.theory is not None else []) + list(study.methods())


def _belongs(output: Output, side: str) -> bool:
    if side == "theory":
        return output.in_theory
    return output.in_simulation and output.dispersion is None


def _static(study: Study, side: str) -> tuple[tuple[str, Any], ...]:
    cell = _cell(study)
    return tuple((n, cell[n]) for n, p in study.declarations.items() if p.is_static(side))


def _traced(study: Study, side: str, dtype: Any = jnp.float64) -> dict[str, jax.Array]:
    cell = _cell(study)
    return {
        name: _leaf(side, parameter, cell[name], dtype)
        for name, parameter in study.declarations.items()
        if not parameter.is_static(side)
    }


def _leaf(side: str, parameter: Parameter, value: Any, dtype: Any) -> jax.Array:
    """A whole number is an integer in a simulation and a float in a theory."""
    whole = parameter.type == "int" and (side != "theory" or parameter.static)
    return jnp.asarray(value, jnp.int32 if whole else dtype)


def _function(study: Study, side: str, concrete: Mapping[str, Any] | None = None) -> Callable:
    """The side as a function of its traced parameters, those in ``concrete`` excepted.

    These are plain numbers to it: it is taken as its module has it, not at the study's door.
    """
    fixed = dict(_static(study, side)) | dict(concrete or {})
    as_it_is = inspect.unwrap if concrete else lambda function: function
    if side == "theory":
        assert study.theory is not None
        theory = as_it_is(study.theory)
        return lambda traced: theory(study.params(**{**fixed, **traced}))
    simulate = as_it_is(study.simulation(side)[1])

    def run(traced: Mapping[str, Any], replicate: Any = 0) -> Any:
        static = tuple((name, value) for name, value in fixed.items() if name not in traced)
        lane = one_lane(simulate, study.params, static)
        return lane(KEY, jnp.asarray(replicate, jnp.int32), traced, {})

    return run


def _shapes(study: Study, side: str) -> dict[str, tuple[int, ...]]:
    with float64_on_cpu():
        found = jax.eval_shape(_function(study, side), _traced(study, side))
    return {name: value.shape for name, value in found.items() if name != RESIDUAL}


def _values(study: Study, side: str, replicate: int = 0) -> dict[str, np.ndarray]:
    with float64_on_cpu():
        function = _function(study, side)
        if side != "theory":
            found = jax.jit(function)(_traced(study, side), replicate)
        else:
            found = jax.jit(function)(_traced(study, side))
        return {name: np.asarray(v) for name, v in found.items() if name != RESIDUAL}


def _runs_with(study: Study, side: str, name: str) -> bool:
    """Does the side trace once this parameter is a plain number?"""
    with float64_on_cpu():
        traced = _traced(study, side)
        del traced[name]
        try:
            jax.eval_shape(_function(study, side, {name: _cell(study)[name]}), traced)
        except UNTRACEABLE:
            return False
        return True


def _needs_static(study: Study, side: str, name: str) -> bool:
    """Does this static parameter fix a shape, a branch, or the length of a loop there?

    By the lengths of loops batches are sized, and time is estimated.
    """
    with float64_on_cpu():
        traced = _traced(study, side)
        leaf = _leaf(side, study.declarations[name], _cell(study)[name], jnp.float64)
        trace = jax.make_jaxpr(_function(study, side))
        try:
            known, freed = trace(traced), trace(traced | {name: leaf})
        except Exception:  # any failure says that the parameter has to be static
            return True
    return open_loops(freed.jaxpr) > open_loops(known.jaxpr)


def _inside(parameter: Parameter, value: float) -> bool:
    """Can the value move both ways?"""
    bounds = (parameter.at_least, parameter.at_most)
    return bool(np.isfinite(value)) and value != 0 and value not in bounds


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
