"""One output of a theory as a function of its free parameters, with exact derivatives.

A whole grid of the other parameters shares one program: a *point* is a cell of that grid together
with values of the free parameters.
"""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from simulator import checks
from simulator.engine.cells import Values
from simulator.engine.theory import NotConverged, Program, by_kind, in_chunks, refuse_unconverged
from simulator.runtime.compilation import float64_on_cpu
from simulator.search.ranges import Range
from simulator.study import RESIDUAL, Output, Study

#: Points per call; the large program is worth its compilation from so many points on.
LANES, MANY_LANES, MANY = 16, 256, 4096


class Objective:
    """Values and slopes of ``study``'s ``output`` over ``ranges``, at points of a grid.

    Attributes
    ----------
    count : int
        Cells of the grid of the other parameters.
    """

    def __init__(
        self,
        study: Study,
        output: Output,
        position: tuple[int, ...],
        ranges: tuple[Range, ...],
        shape: tuple[int, ...],
        values: Values,
    ):
        self.study, self.output, self.ranges = study, output, ranges
        self.position, self._values = position, values
        self.count = int(np.prod(shape))
        static, scalars, self._arrays = by_kind(study, values, self.count)
        free = tuple((r.parameter.name, r.entry) for r in ranges)
        names = {name for name, _ in free}
        self._scalars = {name: column for name, column in scalars.items() if name not in names}
        self._program = _compiled(study.theory, study.params, static, output.name, position, free)

    @property
    def name(self) -> str:
        """The output, with the position in its dims."""
        at = ", ".join(map(str, self.position))
        return f"{self.output.name}[{at}]" if self.position else self.output.name

    def __call__(
        self, cells: np.ndarray, points: np.ndarray, lanes: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values (n,) and slopes (n, free parameters) at ``points`` (n, free) of ``cells`` (n,).

        A slope counts per unit of the range's coordinate; it is 0 where the value is infinite.
        ``lanes`` points are computed per call: a number that suits ``n``, unless given.

        Raises
        ------
        NotConverged
            Where a solver of the theory did not converge, or a value came out as not-a-number.
        """
        columns = {name: column[cells] for name, column in self._scalars.items()}
        columns[_FREE] = points
        count = len(cells)
        if lanes is None:
            lanes = MANY_LANES if count >= MANY else LANES
        with float64_on_cpu():
            found = in_chunks(
                self.study, self._values, self._program, columns, self._arrays, count, lanes
            )

        def where(position: int) -> str:
            return self.describe(int(cells[position]), points[position]) + "; narrow the range"

        refuse_unconverged(self.study, found["residual"], where)
        value, slope = found["value"], found["slope"]
        undefined = np.isnan(value)
        if undefined.any() and not self.output.nan_where_undefined:
            raise NotConverged(
                f"{self.study.name}: {self.output.name} came out as not-a-number at "
                f"{where(int(np.argmax(undefined)))}"
            )
        stretch = np.stack(
            [r.stretch(x) for r, x in zip(self.ranges, points.T, strict=True)], axis=1
        )
        return value, np.where(np.isinf(value)[:, None], 0.0, slope * stretch)

    def describe(self, cell: int, point: np.ndarray | None = None) -> str:
        """The gridded parameters of one cell, and a point in it, for messages."""
        parts = [
            f"{name} = {column[cell]:g}"
            for name, column in self._scalars.items()
            if self.count > 1 and np.any(column != column[0])
        ]
        if point is not None:
            parts += [f"{r.label} = {x:.10g}" for r, x in zip(self.ranges, point, strict=True)]
        return ", ".join(parts)


_FREE = ".free"  # no parameter's name


@functools.lru_cache(maxsize=256)
def _compiled(
    theory: Any,
    params_class: Any,
    static: tuple[tuple[str, Any], ...],
    output: str,
    position: tuple[int, ...],
    free: tuple[tuple[str, tuple[int, ...]], ...],
) -> Program:
    """Value, slope and residual of one output at many points.

    Forward derivatives: there are few free parameters, and a theory may loop a number of times
    that is traced.
    """

    def at_point(scalars: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
        fixed = dict(static) | dict(arrays) | {n: v for n, v in scalars.items() if n != _FREE}

        def of(point: jax.Array) -> tuple[jax.Array, Any]:
            values = dict(fixed)
            for (name, entry), number in zip(free, point, strict=True):
                values[name] = values[name].at[entry].set(number) if entry else number
            outputs = theory(params_class(**values))
            value = outputs[output][position]
            residual = jnp.max(jnp.asarray(outputs.get(RESIDUAL, 0.0), value.dtype))
            return value, (value, residual)

        slope, (value, residual) = jax.jacfwd(of, has_aux=True)(scalars[_FREE])
        return {"value": value, "slope": slope, "residual": residual}

    return Program(at_point)


def selected(
    study: Study, output: Output, at: Mapping[str, Any] | None, values: Values
) -> tuple[int, ...]:
    """Positions in the output's dims: those whose coordinates are ``at``.

    Raises
    ------
    TypeError, ValueError
        If a dim is missing, unknown, or has no such coordinate.
    """
    if at is not None and not isinstance(at, Mapping):
        raise TypeError(checks.refusal("at", at, "a mapping such as {'time': 3.0}"))
    at = dict(at or {})
    if set(at) != set(output.dims):
        dims = ", ".join(output.dims)
        raise ValueError(
            f"at = {checks.shown(at)} is not allowed: "
            + (
                f"{output.name} is an array with dims ({dims}); name one entry along each"
                if output.dims
                else f"{output.name} is a single number"
            )
        )
    if not output.dims:
        return ()
    cell = {
        n: _first(v) if study.declarations[n].is_scalar_number else v for n, v in values.items()
    }
    with float64_on_cpu():
        shape = jax.eval_shape(study.theory, _params(study, cell))[output.name].shape  # type: ignore[arg-type]
    return tuple(
        _position(study, dim, size, at[dim], cell)
        for dim, size in zip(output.dims, shape, strict=True)
    )


def _first(value: Any) -> Any:
    return np.ravel(value)[0].item()


def _params(study: Study, cell: Values) -> Any:
    """Parameters as the theory sees them: numbers are floats, except lengths of loops."""
    declared = study.declarations
    traced = [n for n, p in declared.items() if p.is_scalar_number and not p.static]
    return study.params(**cell | {name: float(cell[name]) for name in traced})


def _position(study: Study, dim: str, size: int, wanted: Any, cell: Values) -> int:
    rule = study.coordinates.get(dim, lambda params: range(size))
    known = list(rule(study.params(**cell)))
    for position, coordinate in enumerate(known):
        if bool(coordinate == wanted):
            return position
    shown = ", ".join(map(str, known[:8])) + (", ..." if len(known) > 8 else "")
    raise ValueError(f"at[{dim!r}] = {wanted!r} is not allowed: it must be one of {shown}")
