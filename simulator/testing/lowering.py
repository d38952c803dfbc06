"""Do simulations compile for accelerators, in float32, where there is no float64?

Whether a program compiles is settled by what it is made of: one that adds nothing new (a primitive,
on arrays of other types or ranks) to those that did compile is not lowered again.
"""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.extend import core

from simulator.door import OfArrays, of_arrays
from simulator.engine.batch_size import inner_jaxprs
from simulator.engine.cells import Values
from simulator.engine.program import one_lane
from simulator.runtime.compilation import simulation_scope
from simulator.study import Study
from simulator.testing.sides import KEY, first_line, static_at, traced_at

PLATFORMS = ("tpu", "cuda")
Kind = tuple[str, tuple[tuple[str, int], ...]]
_compiled: set[Kind] = set()


def lowers(study: Study) -> Iterator[str]:
    """Complaints about simulations and shortcuts that do not compile for a TPU or a GPU."""
    for side, simulate, cell in _simulations(study):
        if cell is None:
            yield (
                f"{side}: no check cell reaches the shortcut {simulate.__wrapped__.__name__}: add "
                "one at which it applies"
            )
            continue
        with simulation_scope("float32"):
            lane = jax.jit(
                one_lane(
                    simulate, study.params, static_at(study, simulate.side, cell), study.controls
                )
            )
            arguments: tuple[Any, ...] = (
                KEY,
                np.int32(0),
                traced_at(study, simulate.side, cell, np.float32),
                {},
            )
            kinds = set(_kinds(lane.trace(*arguments).jaxpr.jaxpr))
            doubles = sorted({n for n, types in kinds if any(t == "float64" for t, _ in types)})
            if doubles:
                yield (
                    f"{side} computes in float64 where float32 was asked for (in "
                    f"{', '.join(doubles)}): use dtype=float"
                )
            elif not kinds <= _compiled:
                try:
                    jax.export.export(lane, platforms=PLATFORMS)(*arguments)
                except NotImplementedError as error:
                    yield f"{side} does not compile for a TPU: {first_line(error)}"
                else:
                    _compiled.update(kinds)


def _simulations(study: Study) -> Iterator[tuple[str, OfArrays, Values | None]]:
    """Every simulation and shortcut, with a check cell at which it is the one that runs."""
    cells = [study.canonical(given) for given in study.check_cells]
    for side, function in study.methods().items():
        simulate = of_arrays(function, side)
        reached: dict[OfArrays, Values] = {}
        for cell in cells:
            reached.setdefault(study.sampler(side, study.params(**cell)), cell)
        yield side, simulate, reached.get(simulate, cells[0])
        for shortened, _, shortcut in study.shortcuts:
            if shortened == side:
                yield side, of_arrays(shortcut, side), reached.get(of_arrays(shortcut, side))


def _kinds(jaxpr: core.Jaxpr) -> Iterator[Kind]:
    """What a program is made of: primitives, with the types and ranks that they take and give."""
    for equation in jaxpr.eqns:
        avals: list[Any] = [v.aval for v in (*equation.invars, *equation.outvars)]
        types = ((str(getattr(a, "dtype", "")), getattr(a, "ndim", 0)) for a in avals)
        yield equation.primitive.name, tuple(sorted(set(types)))
        for inner in inner_jaxprs(equation.params):
            yield from _kinds(inner)
