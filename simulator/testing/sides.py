"""One side of a study, its theory or a simulation, traced or run at its first check cell."""

import functools
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
from simulator.runtime.compilation import float64_on_cpu
from simulator.study import CONTROLS, RESIDUAL, Study

KEY = np.zeros(2, np.uint32)
BESIDE = (RESIDUAL, CONTROLS)  # what stands beside the outputs
UNTRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
    TypeError,
)


def cell_of(study: Study) -> Values:
    return study.canonical(study.check_cells[0])


def sides_of(study: Study) -> list[str]:
    return (["theory"] if study.theory is not None else []) + list(study.methods())


def static_at(study: Study, side: str, cell: Values) -> tuple[tuple[str, Any], ...]:
    return tuple((n, cell[n]) for n, p in study.declarations.items() if p.is_static(side))


def traced_of(study: Study, side: str, dtype: Any = jnp.float64) -> dict[str, jax.Array]:
    return traced_at(study, side, cell_of(study), dtype)


def traced_at(study: Study, side: str, cell: Values, dtype: Any) -> dict[str, jax.Array]:
    return {
        name: _leaf(side, parameter, cell[name], dtype)
        for name, parameter in study.declarations.items()
        if not parameter.is_static(side)
    }


def _leaf(side: str, parameter: Parameter, value: Any, dtype: Any) -> jax.Array:
    """A whole number is an integer in a simulation and a float in a theory."""
    whole = parameter.type == "int" and (side != "theory" or parameter.static)
    return jnp.asarray(value, jnp.int32 if whole else dtype)


def function_of(
    study: Study,
    side: str,
    concrete: Mapping[str, Any] | None = None,
    cell: Values | None = None,
) -> Callable:
    """The side as a function of its traced parameters, those in ``concrete`` excepted.

    These are plain numbers to it: it is taken as its module has it, not at the study's door.
    """
    fixed = dict(static_at(study, side, cell or cell_of(study))) | dict(concrete or {})
    as_it_is = inspect.unwrap if concrete else lambda function: function
    if side == "theory":
        assert study.theory is not None
        theory = as_it_is(study.theory)
        return lambda traced: theory(study.params(**{**fixed, **traced}))
    simulate = as_it_is(study.simulation(side)[1])

    def run(traced: Mapping[str, Any], replicate: Any = 0) -> Any:
        static = tuple((name, value) for name, value in fixed.items() if name not in traced)
        lane = one_lane(simulate, study.params, static, study.controls)
        return lane(KEY, jnp.asarray(replicate, jnp.int32), traced, {})

    return run


def shapes_of(study: Study, side: str) -> dict[str, tuple[int, ...]]:
    with float64_on_cpu():
        found = jax.eval_shape(function_of(study, side), traced_of(study, side))
    return {name: value.shape for name, value in found.items() if name not in BESIDE}


def values_of(study: Study, side: str, replicate: int = 0) -> dict[str, np.ndarray]:
    with float64_on_cpu():
        function = function_of(study, side)
        if side != "theory":
            found = jax.jit(function)(traced_of(study, side), replicate)
        else:
            found = jax.jit(function)(traced_of(study, side))
        return {name: np.asarray(v) for name, v in found.items() if name not in BESIDE}


def runs_with(study: Study, side: str, name: str) -> bool:
    """Does the side trace once this parameter is a plain number?"""
    with float64_on_cpu():
        traced = traced_of(study, side)
        del traced[name]
        try:
            jax.eval_shape(function_of(study, side, {name: cell_of(study)[name]}), traced)
        except UNTRACEABLE:
            return False
        return True


def static_by_need(study: Study, side: str) -> Callable[[str], bool]:
    """Tells of a static parameter whether it fixes a shape, a branch, or the length of a loop.

    At the first check cell, or at that cell with another choice. A side that traces at none of
    them says nothing, and has another complaint.
    """
    cells = list(_with_choices(study, side))
    as_it_is = functools.cache(lambda position: _open_loops(study, side, cells[position]))

    def needs(name: str, position: int) -> bool | None:
        """Loops count too: by their lengths batches are sized, and time is estimated."""
        known = as_it_is(position)
        if known is None:
            return None
        freed = _open_loops(study, side, cells[position], freed=name)
        return freed is None or freed > known

    def by_need(name: str) -> bool:
        answers = []
        for position in range(len(cells)):
            answers.append(needs(name, position))
            if answers[-1]:
                return True
        return all(answer is None for answer in answers)

    return by_need


def _with_choices(study: Study, side: str) -> Iterator[Values]:
    cell = cell_of(study)
    yield cell
    for name, parameter in study.declarations.items():
        for option in parameter.choices or ():
            try:
                chosen = study.canonical(cell | {name: option})
                if study.validate is not None:
                    study.validate(study.params(**chosen), side)
            except ValueError:  # the choice wants other parameters, too
                continue
            yield chosen


def _open_loops(study: Study, side: str, cell: Values, freed: str | None = None) -> int | None:
    """Loops of unknown length, maybe with one static parameter traced; None if it fails."""
    with float64_on_cpu():
        traced = traced_at(study, side, cell, jnp.float64)
        if freed is not None:
            traced[freed] = _leaf(side, study.declarations[freed], cell[freed], jnp.float64)
        try:
            program = jax.make_jaxpr(function_of(study, side, cell=cell))(traced)
        except Exception:  # that it fails is the answer; why, is said elsewhere
            return None
    return open_loops(program.jaxpr)


def first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
