"""Every theory at the closed ends of its parameters' ranges: continuous, with one-sided slopes.

The reference are values beside the end and their differences, extrapolated to it. A study whose
theory jumps at an end, or has no slope there, says so in its test data, with the reason:

    TESTS = Tests(
        expected={
            "jumps at ends": {"ridge": "exact without one"},  # the slope is that beside the end
            "no slope at ends": {"shift": "a square root of it"},  # neither is compared
        }
    )

for a parameter, or for ``"parameter: output"``. ``ends`` are more points for the slow test, besides
the cells of the study.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.runtime.compilation import float64_on_cpu
from simulator.study import RESIDUAL
from tests.cases import load
from tests.studies.battery import STUDIES, WITH_THEORY, cell, cells, each

LEVELS = 13
LONG = {"fair-ranking.baselines"}  # they run longer than it takes to optimise their programs
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
    """Outputs at each end and at `LEVELS` + 1 steps from it, and their slopes at the end.

    Returns ``{output: (values (ends, points, ...), slopes (ends, ...))}``.
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
        level = {"xla_backend_optimization_level": 1} if study.name in LONG else None
        values, slopes = jax.jit(both, compiler_options=level)(columns, direction)
    return {o: (np.array(values[o]), np.array(slopes[o][:, 0])) for o in values}


def extrapolated(sequence):
    """Limit of values at steps 1, 1/2, 1/4, ... that are a power series in the step, and its error.

    Richardson's tableau; the entry nearest to both that it is made of, for one may agree by chance.
    """
    row = [np.asarray(value) for value in sequence]
    best, error = row[-1], np.full(np.shape(row[-1]), np.inf)
    for order in range(1, len(row)):
        last = row
        row = [b + (b - a) / (2.0**order - 1) for a, b in itertools.pairwise(last)]
        for new, ends in zip(row, itertools.pairwise(last), strict=True):
            change = np.max(np.abs(new - np.stack(ends)), axis=0)
            best = np.where(change < error, new, best)
            error = np.minimum(error, change)
    return best, error


def is_right_at_the_ends(study, values):
    """Values and slopes at all closed ends agree with those beside them, unless declared not to."""
    ends = closed_ends(study, values)
    tests = load(study.name)
    jumps, no_slopes = tests.excepted("jumps at ends"), tests.excepted("no slope at ends")
    excused = tests.excepted("not differentiable")
    for output, (value, slope) in around_ends(study, values, ends).items() if ends else ():
        for i, (name, end, step) in enumerate(ends):
            declared = {name, f"{name}: {output}"}
            certificate = study.output(output).certificate
            if certificate or output in excused or declared & no_slopes.keys():
                continue
            message = f"{output} at {name} = {end}"
            steps = step * 2.0 ** -np.arange(LEVELS + 1)
            finite = np.isfinite(value[i]).all(axis=0)
            beside = np.where(finite, value[i][1:], 0)
            lengths = np.diff(steps).reshape(-1, *[1] * (beside.ndim - 1))
            right, error = extrapolated(np.diff(beside, axis=0) / lengths)
            scale = np.max(np.abs(right) + np.abs(beside[-1]) / abs(step * 16), initial=1e-9)
            assert np.max(error, initial=0) <= 1e-4 * scale, message
            wrong = np.abs(np.where(finite, slope[i] - right, 0)) > 1e-6 * scale + 10 * error
            assert not wrong.any(), f"{message}: slope {slope[i]}, right {right}"
            if not declared & jumps.keys():
                limit, error = extrapolated(beside)
                wrong = np.abs(np.where(finite, value[i][0] - limit, 0)) > 1e-8 * scale + 10 * error
                assert not wrong.any(), f"{message}: {value[i][0]}, beside it {limit}"


@each(WITH_THEORY)
def test_ends_of_ranges(name):
    is_right_at_the_ends(STUDIES[name], cell(STUDIES[name]))


@pytest.mark.slow
@each(WITH_THEORY)
def test_ends_of_ranges_in_all_cells(name):
    study = STUDIES[name]
    more = [study.canonical(given) for given in load(name).ends.values()]
    for values in (*cells(study), *more):
        is_right_at_the_ends(study, values)


@pytest.mark.slow
@each(WITH_THEORY)
def test_reverse_mode_has_the_same_slopes_at_the_ends(name):
    """`jax.grad` of the sum of all outputs against their forward slopes."""
    study = STUDIES[name]
    values = cell(study)
    ends = closed_ends(study, values)
    numbers = {n: values[n] for n, p in study.declarations.items() if not p.static}
    static = {n: values[n] for n, p in study.declarations.items() if p.static}
    with float64_on_cpu():

        def total(floats):
            outputs = dict(study.theory(study.params(**{**numbers, **static, **floats})))
            outputs.pop(RESIDUAL, None)
            return sum(jnp.sum(jnp.where(jnp.isfinite(x), x, 0)) for x in outputs.values())

        def both(floats, along):
            return jax.grad(total)(floats), jax.jvp(total, (floats,), (along,))[1]

        program = jax.jit(both)
        for parameter, end, _ in ends:
            at = {n: jnp.asarray(float(values[n])) for n, _, _ in ends}
            along = {n: jnp.asarray(1.0 * (n == parameter)) for n in at}
            gradient, slope = program(at | {parameter: jnp.asarray(end)}, along)
            np.testing.assert_allclose(gradient[parameter], slope, rtol=1e-9, atol=1e-9)
