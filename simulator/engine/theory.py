"""Theory at one point or on a grid: float64, on the CPU, one compilation per static signature."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator.engine import sizes
from simulator.engine.batch_size import Cost, cost_of
from simulator.engine.cells import Values, broadcast_cells, describe, single_cells
from simulator.engine.declared import refuse_undeclared
from simulator.large_array import LargeArray, content_key
from simulator.parameters import Parameter, counted_fields, padded_lengths
from simulator.runtime.compilation import ONCE_OPTIONS, float64_on_cpu, jit_on_cpu, overlapping
from simulator.study import RESIDUAL, Study

#: Grid points per call: few sizes, because each is a compilation; not more than 256, because a
#: vmapped iteration runs until its slowest lane. A handful of points go one by one: padding them
#: would cost more than it saves.
CHUNKS = (1, 16, 256)
#: A larger call that is not quite full is faster than many small ones.
FULL = 0.75
#: Seconds of estimated work up to which a single point is not worth an optimised program: without,
#: compilation takes a second less as a rule, and a call up to ten times as long.
MOMENT = 0.004


class NotConverged(RuntimeError):
    """A solver did not reach its tolerance at the named parameters."""


def predict_study(
    study: Study, *, allow_large: bool = False, **params: Any
) -> dict[str, np.ndarray]:
    """Theory of a study, at one point or on a grid: float64.

    Parameters
    ----------
    study : str or Study
    allow_large : bool
        Compute also what is estimated to take more than a minute, or more memory than is free.
    **params
        Parameters by name; defaults for the rest. An array for a scalar traced parameter is a
        grid; several arrays broadcast together.

    Returns
    -------
    mapping output -> float64 value of shape (grid shape + output dims)

    Raises
    ------
    TypeError, ValueError
        For a bad parameter; the message names it, its value and what is allowed.
    NotConverged
        If a fixed point did not converge.
    """
    if study.theory is None:
        raise ValueError(f"{study.name} has a simulation only: there is no theory to predict")
    with sizes.allowing(allow_large):
        shape, values = broadcast_cells(study, params)
        if study.validate is not None:
            sizes.check_points(study, math.prod(shape))
            for cell in single_cells(study, shape, values):
                study.validate(study.params(**cell), "theory")
        flat = theory_on(study, values, math.prod(shape))
    return {name: value.reshape(shape + value.shape[1:]) for name, value in flat.items()}


def theory_of_cells(study: Study, cells: Sequence[Values]) -> list[dict[str, np.ndarray]]:
    """Theory of checked cells that may differ in static parameters too."""
    results: list[dict[str, np.ndarray]] = [{} for _ in cells]
    groups: dict[Any, list[int]] = {}
    scalars = [
        name
        for name, p in study.declarations.items()
        if p.is_scalar_number and not p.is_static("theory")
    ]
    for index, cell in enumerate(cells):
        if study.validate is not None:
            study.validate(study.params(**cell), "theory")
        same = cell | padded_lengths(study.declarations, cell)
        groups.setdefault(_group_key(same, scalars), []).append(index)
    varying = [*scalars, *(name for name, p in study.declarations.items() if p.padded)]
    for members in groups.values():
        columns = {name: np.array([float(cells[i][name]) for i in members]) for name in varying}
        flat = theory_on(study, cells[members[0]] | columns, len(members))
        for position, index in enumerate(members):
            results[index] = {name: value[position] for name, value in flat.items()}
    return results


def theory_on(study: Study, values: Values, count: int) -> dict[str, np.ndarray]:
    """Theory at ``count`` points: scalar traced parameters may be arrays that ravel to them."""
    static, scalars, arrays = by_kind(study, values, count)
    lanes = max(size for size in CHUNKS if FULL * size <= max(count, 1))
    with float64_on_cpu():
        program = _compiled(study.theory, study.params, static)
        outputs = in_chunks(study, values, program, scalars, arrays, count, lanes)
    return _checked(study, outputs, values)


def by_kind(study: Study, values: Values, count: int) -> tuple[tuple, dict, dict]:
    """Static values (hashable), columns of ``count`` scalars, and arrays: a theory's arguments."""
    declared = study.declarations
    sizes.check_static(study, values, "theory")
    shapes = dict(values) | padded_lengths(declared, values)
    static = tuple((name, shapes[name]) for name, p in declared.items() if p.is_static("theory"))
    arrays = {n: values[n] for n, p in declared.items() if p.type == "array" and not p.static}
    scalars: dict[str, np.ndarray] = {
        name: _column(values[name], _dtype(p), count)
        for name, p in declared.items()
        if p.is_scalar_number and not p.is_static("theory")
    }
    for name, field in counted_fields(declared).items():
        scalars[field] = _column(values[name], np.float64, count)
    return static, scalars, arrays


def in_chunks(
    study: Study,
    values: Values,
    program: "Program",
    scalars: Mapping[str, np.ndarray],
    arrays: Mapping[str, np.ndarray],
    count: int,
    lanes: int,
) -> dict[str, np.ndarray]:
    """A program at ``count`` points, ``lanes`` of them per call; the last call is padded.

    ``values`` are those of ``study`` that decide how large it is.
    """
    shared = jax.device_put({name: np.asarray(value) for name, value in arrays.items()})

    def arguments(start: int) -> tuple:
        index = np.minimum(np.arange(start, start + lanes), count - 1)
        return {name: column[index] for name, column in scalars.items()}, shared

    starts = range(0, count, lanes)
    costs = [program.cost(lanes, arguments(start)) for start in _looked_at(scalars, starts)]
    mean = Cost(*(sum(numbers) / len(costs) for numbers in zip(*costs, strict=True)))
    run = program.run(lanes, mean)
    sizes.check_theory(study, values, run, arguments(0), mean, len(starts))
    calls = overlapping(lambda start: run(*arguments(start)), starts)
    return {
        name: np.concatenate([np.asarray(call[name], np.float64) for call in calls])[:count]
        for name in calls[0]
    }


def _looked_at(scalars: Mapping[str, np.ndarray], starts: range) -> list[int]:
    """Calls whose cost stands for all: several, where lengths of loops may differ."""
    whole = [column for column in scalars.values() if column.dtype.kind == "i"]
    if not any(np.ptp(column) for column in whole):
        return [0]
    some = np.linspace(0, len(starts) - 1, min(len(starts), 8)).astype(int)
    longest = [int(np.argmax(column)) // starts.step for column in whole]
    return [starts[i] for i in {*some.tolist(), *longest}]


class Program:
    """A theory as compiled functions of scalars, with an axis of points, and of arrays."""

    def __init__(self, at_point: Callable) -> None:
        def alone(scalars: Mapping[str, jax.Array], arrays: Mapping[str, jax.Array]) -> Any:
            outputs = at_point({name: column[0] for name, column in scalars.items()}, arrays)
            return jax.tree.map(lambda value: jnp.asarray(value)[None], outputs)

        self._many = jit_on_cpu(jax.vmap(at_point, in_axes=(0, None)))
        self._alone = jit_on_cpu(alone)  # without `vmap`: traced in half of the time
        self._alone_for_a_moment = jax.jit(alone, compiler_options=ONCE_OPTIONS)
        self._costs: dict[Any, Cost] = {}

    def run(self, lanes: int, cost: Cost) -> Any:
        """The jitted function for so many points per call, of so much cost."""
        if lanes > 1:
            return self._many
        small = cost.least < MOMENT * sizes.CPU_SPEED
        return self._alone_for_a_moment if small else self._alone

    def cost(self, lanes: int, arguments: tuple) -> Cost:
        """Cost of a run, whose loops are as long as whole numbers among the arguments say."""
        leaves = jax.tree.leaves(arguments)
        whole = [np.asarray(leaf) if leaf.dtype.kind in "iu" else None for leaf in leaves]
        counted = tuple(leaf.tobytes() for leaf in whole if leaf is not None)
        key = (counted, *((leaf.shape, leaf.dtype) for leaf in leaves))
        if key not in self._costs:  # the trace is the one that compilation will use
            function = self._many if lanes > 1 else self._alone
            self._costs[key] = cost_of(function.trace(*arguments).jaxpr.jaxpr, whole)
        return self._costs[key]


@functools.lru_cache(maxsize=256)
def _compiled(theory: Any, params_class: Any, static: tuple[tuple[str, Any], ...]) -> Program:
    def at_point(scalars: Mapping[str, Any], arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        return theory(params_class(**dict(static), **scalars, **arrays))

    return Program(at_point)


def _column(values: Any, dtype: type, count: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(values, dtype).ravel(), (count,))


def _dtype(parameter: Parameter) -> type:
    """Sample sizes and the like are real numbers to a theory; lengths of loops are not."""
    return np.int64 if parameter.static else np.float64


def _group_key(cell: Values, scalars: Sequence[str]) -> Any:
    return tuple((name, content_key(value)) for name, value in cell.items() if name not in scalars)


def _checked(study: Study, outputs: dict[str, np.ndarray], values: Values) -> dict:
    """Refuse what was not declared, what did not converge, and values that are not a number."""
    residual = outputs.pop(RESIDUAL, None)
    outputs = outputs_in_order(study, outputs, axes=1)
    if residual is not None:
        refuse_unconverged(study, residual, lambda position: _point(values, position))
    for output in study.outputs:
        if not output.in_theory or output.nan_where_undefined:
            continue
        undefined = (
            np.isnan(outputs[output.name]).reshape(len(outputs[output.name]), -1).any(axis=1)
        )
        if undefined.any():
            raise NotConverged(
                f"{study.name}: {output.name} came out as not-a-number at "
                f"{_point(values, int(np.argmax(undefined)))}; please report this point"
            )
    return outputs


def outputs_in_order(study: Study, outputs: Mapping[str, Any], axes: int = 0) -> dict[str, Any]:
    """The outputs of a theory as declared, a ``TypeError`` if they are others.

    The first ``axes`` of their axes run over points.
    """
    refuse_undeclared(study, "theory", {name: np.shape(v)[axes:] for name, v in outputs.items()})
    return {output.name: outputs[output.name] for output in study.outputs if output.in_theory}


def refuse_unconverged(study: Study, residual: np.ndarray, where: Callable[[int], str]) -> None:
    """Raise where a solver of the theory missed its tolerance; ``where`` describes a point."""
    bad = np.any(~(residual.reshape(len(residual), -1) <= study.residual_tolerance), axis=1)
    if bad.any():
        raise NotConverged(
            f"{study.name}: the fixed point did not converge (relative residual "
            f"{np.max(residual[bad]):.1e} > {study.residual_tolerance:.0e}) at "
            f"{where(int(np.argmax(bad)))}"
        )


def _point(values: Values, position: int) -> str:
    """The parameters of one grid point, for error messages."""

    def at(value: Any) -> Any:
        if isinstance(value, LargeArray):
            return value
        if isinstance(value, np.ndarray) and value.size > position and value.ndim:
            return value.ravel()[position]
        return value

    return describe({name: at(value) for name, value in values.items()})
