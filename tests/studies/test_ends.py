"""Every theory at the closed ends of its parameters' ranges: continuous, with one-sided slopes.

The reference are differences of values beside the end, extrapolated to it. A study whose theory
jumps at an end, or whose slope there is infinite, says so in its test data:

    ENDS = {"ridge": "exact at 0, a deterministic equivalent beside it"}   # the value jumps
    STEEP_ENDS = {"synthetic_shift": "a square root"}                      # no finite slope
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.maths.compilation import float64_on_cpu
from simulator.study import RESIDUAL
from tests.studies.battery import (
    LIKE_ANOTHER,
    STUDIES,
    WITH_THEORY,
    cases_module,
    cell,
    check_cells,
    each,
)

LEVELS = 9
FIRST_STEP = 2.0**-4  # of the parameter's scale; halved at every level


def closed_ends(study, values):
    """``(name, end, inward step)`` of every float parameter that has a derivative at an end."""
    found = []
    for name, p in study.declarations.items():
        if p.type != "float" or p.is_static("theory") or p.integer:
            continue
        for end, sign in ((p.at_least, 1), (p.at_most, -1)):
            if isinstance(end, (int, float)):
                width = abs(values[name] - end) if math.isfinite(values[name]) else 0.0
                found.append((name, float(end), sign * min(width or 0.1, 1.0) * FIRST_STEP))
    return [
        (name, end, step)
        for name, end, step in found
        if all(legal(study, values | {name: x}) for x in (end, end + step))
    ]


def legal(study, values):
    try:
        study.canonical(values)
        if study.validate is not None:
            study.validate(study.params(**values), "theory")
    except ValueError:
        return False
    return True


def around_ends(study, values, ends):
    """Outputs at each end and at `LEVELS` + 1 steps from it, and their derivatives at the end.

    Returns ``{output: (values (ends, points, ...), forward slopes, backward slopes)}``.
    """
    steps = 2.0 ** -np.arange(LEVELS + 1)
    numbers = {n: values[n] for n, p in study.declarations.items() if not p.static}
    arrays = {n: v for n, v in numbers.items() if not study.declarations[n].is_scalar_number}
    static = {n: values[n] for n, p in study.declarations.items() if p.static}
    columns = {
        n: np.full((len(ends), LEVELS + 2), float(v)) for n, v in numbers.items() if n not in arrays
    }
    direction = {n: np.zeros(len(ends)) for n in columns}
    for i, (name, end, step) in enumerate(ends):
        columns[name][i] = end + step * np.concatenate([[0], steps])
        direction[name][i] = 1.0

    def outputs_of(scalars):
        found = dict(study.theory(study.params(**scalars, **arrays, **static)))
        found.pop(RESIDUAL, None)
        return found

    def value_and_slope(scalars, along):
        return jax.jvp(outputs_of, (scalars,), (along,))

    with float64_on_cpu():
        columns = {n: jnp.asarray(c) for n, c in columns.items()}
        direction = {n: jnp.asarray(c) for n, c in direction.items()}
        both = jax.vmap(jax.vmap(value_and_slope, (0, None)))
        values, slopes = jax.jit(both)(columns, direction)
    return {o: (np.array(values[o]), np.array(slopes[o][:, 0])) for o in values}


def extrapolated(sequence):
    """Limit of values at steps 1, 1/2, 1/4, ... that are a power series in the step, and its error.

    Richardson's tableau; its most consistent entry.
    """
    row = [np.asarray(value) for value in sequence]
    best, error = row[-1], np.full(np.shape(row[-1]), np.inf)
    for order in range(1, len(row)):
        last = row
        row = [b + (b - a) / (2.0**order - 1) for a, b in zip(last, last[1:], strict=False)]
        for new, old in zip(row, last[1:], strict=True):
            change = np.abs(new - old)
            best = np.where(change < error, new, best)
            error = np.minimum(error, change)
    return best, error
