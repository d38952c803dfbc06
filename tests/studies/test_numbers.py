"""Every theory: finite over its box, vmap equals loop, gradients, float32 against float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.engine.theory import CHUNKS, theory_of_cells, theory_on
from simulator.runtime.compilation import float64_on_cpu
from simulator.study import RESIDUAL
from simulator.testing.evidence import wrong_values
from tests.cases import collected, load
from tests.studies.battery import (
    STUDIES,
    WITH_THEORY,
    assert_close,
    box_points,
    cell,
    each,
    interior_floats,
    perturbed_floats,
)


@each(WITH_THEORY)
def test_reference_cases(name):
    matches(name, [case for case in load(name).cases if not case.slow])


@pytest.mark.slow
@each([name for name in WITH_THEORY if any(case.slow for case in collected(name).cases)])
def test_slow_reference_cases(name):
    matches(name, [case for case in load(name).cases if case.slow])


def matches(name, cases):
    """The theory is right at the cases, to the digits that they have."""
    complaints = list(wrong_values(STUDIES[name], cases))
    assert not complaints, "\n".join([name, *complaints])


@pytest.mark.slow
@each(
    [name for name in WITH_THEORY if any(c.expected and c.program for c in collected(name).cases)]
)
def test_independent_programs_give_the_digits_again(name):
    for case in load(name).cases:
        if case.expected and case.program:
            found = case.programmed(STUDIES[name])
            for output, expected in case.expected.items():
                message = f"{case.label}: {output}"
                assert_close(found[output], expected, case.rtol, case.atol, message)


@each(WITH_THEORY)
def test_defined_over_the_box(name):
    """The suite stays with the programs of the first checked cell."""
    is_defined(STUDIES[name], 8, [cell(STUDIES[name])])


@pytest.mark.slow
@each(WITH_THEORY)
def test_defined_over_the_whole_box(name, request):
    """With `--study` so many points that a fault in one of a hundred does not escape."""
    count = 100 if request.config.getoption("--study") is None else 1000
    is_defined(STUDIES[name], count, STUDIES[name].check_cells)


def is_defined(study, count, around):
    points = box_points(study, np.random.default_rng(11), count, around)
    # `theory_of_cells` raises where a value is not a number or a solver did not converge.
    for outputs in theory_of_cells(study, points):
        assert any(np.isfinite(value).any() for value in outputs.values())


@pytest.mark.slow
@each(WITH_THEORY)
def test_a_chunk_of_a_grid_equals_a_loop_over_its_points(name):
    study = STUDIES[name]
    rng = np.random.default_rng(5)
    points = [perturbed_floats(study, cell(study), rng) for _ in range(CHUNKS[1])]
    together = theory_of_cells(study, points)
    for point, outputs in list(zip(points, together, strict=True))[:3]:
        equals_the_theory_at(study, point, outputs)


def equals_the_theory_at(study, point, outputs):
    (alone,) = theory_of_cells(study, [point])
    for output, value in alone.items():
        if not study.output(output).certificate:
            assert_close(outputs[output], value, 1e-9, 1e-12, output)


@each(WITH_THEORY)
def test_vmap_equals_a_loop_and_the_gradient_a_finite_difference(name):
    """At three points of a random line, the gradient of all outputs at once, in one program.

    Slow tests take the outputs one by one, and the chunks that the engine makes of a grid.
    """
    outputs_of, sums_of, values, names = differentiable(name)
    rng = np.random.default_rng(6)
    steps = {n: rng.choice([-1, 1]) * 1e-5 * max(abs(values[n]), 1e-2) for n in names}
    points = [values | {n: values[n] + move * steps[n] for n in names} for move in (-1, 0, 1)]
    study = STUDIES[name]
    sums = sums_of(theory_of_cells(study, [values])[0], np)
    scales = {output: 1 / max(abs(value), 1e-6) for output, value in sums.items()}

    def total(floats):
        outputs = outputs_of(floats)
        sums = sums_of(outputs)
        return sum((scales[output] * value for output, value in sums.items()), 0.0), outputs

    with float64_on_cpu():
        moved = {n: jnp.array([point[n] for point in points]) for n in names}
        both = jax.vmap(jax.value_and_grad(total, has_aux=True), axis_size=len(points))
        (totals, outputs), gradient = jax.jit(both)(moved)
    outputs.pop(RESIDUAL, None)
    for i, point in enumerate(points):
        equals_the_theory_at(study, point, {output: value[i] for output, value in outputs.items()})
    slopes = [float(gradient[n][1]) * steps[n] for n in names]
    size = sum(abs(slope) for slope in slopes)
    low, _, high = np.asarray(totals)
    assert abs((high - low) / 2 - sum(slopes)) <= 2e-4 * size + 1e-11 * len(scales), gradient


@pytest.mark.slow
@each(WITH_THEORY)
def test_gradient_of_each_output_matches_finite_differences(name):
    outputs_of, sums_of, values, names = differentiable(name)
    if not names:
        return
    steps = {n: 1e-5 * max(abs(values[n]), 1e-2) for n in names}
    columns = {n: np.full(2 * len(names), values[n]) for n in names}
    for i, n in enumerate(names):
        columns[n][2 * i] -= steps[n]
        columns[n][2 * i + 1] += steps[n]
    shifted = theory_on(STUDIES[name], values | columns, 2 * len(names))
    with float64_on_cpu():
        # Compiled once: differentiating eagerly dispatches every loop step by itself.
        both = jax.jacrev(lambda floats: (sums_of(outputs_of(floats)),) * 2, has_aux=True)
        gradient, centre = jax.jit(both)({n: jnp.asarray(values[n]) for n in names})
        sums = jax.vmap(sums_of)({k: jnp.asarray(v) for k, v in shifted.items()})
    for output, value in centre.items():
        for i, n in enumerate(names):
            low, high = np.asarray(sums[output])[2 * i : 2 * i + 2]
            difference = (high - low) / (2 * steps[n])
            # Rounding of the difference quotient, in units of the output over the step.
            noise = 1e-12 * abs(float(value)) / steps[n]
            tolerance = 2e-4 * abs(difference) + 10 * noise + 1e-9
            error = abs(float(gradient[output][n]) - difference)
            assert error <= tolerance, f"d {output} / d {n}: {gradient[output][n]} {difference}"


def differentiable(name):
    """Outputs of floats, sums of outputs, a point, and the floats that have derivatives there."""
    study = STUDIES[name]
    values = perturbed_floats(study, cell(study), np.random.default_rng(3))
    tests = load(name)
    names = [n for n in interior_floats(study, values) if n not in tests.excepted("jumps")]
    excused = {*tests.excepted("not differentiable"), *certificates(study)}
    weights = np.random.default_rng(4).uniform(0.5, 1.5, 10_000)

    def sums_of(outputs, xp=jnp):
        """One number for each output: a random weighted sum of its finite entries."""
        found = {}
        for output, value in outputs.items():
            flat = xp.ravel(value)
            if output != RESIDUAL and output not in excused:
                found[output] = xp.sum(xp.where(xp.isfinite(flat), flat, 0) * weights[: flat.size])
        return found

    def outputs_of(floats):
        numbers = {
            n: jnp.asarray(v, float) if study.declarations[n].is_scalar_number else v
            for n, v in values.items()
            if not study.declarations[n].static
        }
        fixed = {n: v for n, v in values.items() if study.declarations[n].static}
        return study.theory(study.params(**{**numbers, **fixed, **floats}))

    return outputs_of, sums_of, values, names


def certificates(study):
    return [output.name for output in study.outputs if output.certificate]


@each(WITH_THEORY)
def test_float32_is_close_to_float64(name):
    study = STUDIES[name]
    rtol = load(name).float32_tolerance(1e-5)
    values = perturbed_floats(study, cell(study), np.random.default_rng(7))
    (precise,) = theory_of_cells(study, [values])
    with jax.enable_x64(False):
        numbers = {
            n: jnp.asarray(v, jnp.float32) if not study.declarations[n].static else v
            for n, v in values.items()
        }
        single = jax.jit(study.theory)(study.params(**numbers))
    for output, value in precise.items():
        assert np.asarray(single[output]).dtype != np.float64
        if study.output(output).certificate:
            continue
        scale = np.max(np.abs(value), initial=0, where=np.isfinite(value))
        assert_close(single[output], value, rtol, rtol * scale, output)
