"""What the battery's test files share: the studies, and points inside their declared boxes."""

import math

import jax
import numpy as np
import pytest

from simulator.registry import get, names
from simulator.verdict.compare import comparable
from tests.cases import load

STUDIES = {name: get(name) for name in names()}
WITH_THEORY = [name for name, study in STUDIES.items() if study.theory]
WITH_SIMULATION = [name for name, study in STUDIES.items() if study.methods()]
#: Those with an output on both sides: a theory may also stand beside a simulation of other things.
WITH_BOTH = [
    name
    for name in WITH_THEORY
    if STUDIES[name].methods() and comparable(STUDIES[name], STUDIES[name].canonical({}))
]


def each(names):
    """Parametrise a test over studies; those of one study share a worker and its programs."""
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names]
    )


def each_method(slow_others=False):
    """Parametrise a test over studies and their simulations; all but the default may be slow."""

    def marks(name, position):
        others = [pytest.mark.slow] if slow_others and position else []
        return [pytest.mark.xdist_group(name), *others]

    return pytest.mark.parametrize(
        ("name", "method"),
        [
            pytest.param(name, method, marks=marks(name, position))
            for name in WITH_SIMULATION
            for position, method in enumerate(STUDIES[name].methods())
        ],
    )


def cells(study):
    """The points at which a study is tested: those that its test data name, and its own."""
    return load(study.name).points(study)


def cell(study):
    """The first of them: off special values, and its programs serve the whole battery."""
    return cells(study)[0]


def perturbed_floats(study, values, rng, spread=0.2):
    """The cell with its interior float parameters moved by up to ``spread``, relative."""
    moved = dict(values)
    for name in interior_floats(study, values):
        moved[name] = values[name] * (1 + spread * rng.uniform(-1, 1))
    try:
        return study.canonical(moved)
    except ValueError:  # left the box: halve the step
        return perturbed_floats(study, values, rng, spread / 2)


def interior_floats(study, values):
    """Float traced parameters strictly inside their range: those a gradient is taken in."""
    names = []
    for name, p in study.declarations.items():
        if p.type != "float" or p.static or p.integer or not math.isfinite(values[name]):
            continue
        step = 1e-3 * max(abs(values[name]), 1e-3)
        try:
            for moved in (values[name] - step, values[name] + step):
                study.canonical(values | {name: moved})
        except ValueError:
            continue
        names.append(name)
    return names


def box_points(study, rng, count, around):
    """Random legal points: scalar traced parameters over decades, bounds included now and then.

    All other parameters are those of the cells ``around`` which the points lie.
    """
    points = []
    for attempt in range(50 * count):
        values = study.canonical(around[attempt % len(around)])
        for name, p in study.declarations.items():
            if not p.is_scalar_number or p.static:
                continue
            values[name] = _random_value(p, values, rng)
        try:
            values = study.canonical(values)
            if study.validate is not None:
                study.validate(study.params(**values), "theory")
        except ValueError:
            continue
        points.append(values)
        if len(points) == count:
            return points
    raise AssertionError(f"{study.name}: hardly any random point is legal")


def _random_value(p, values, rng):
    low = p.at_least if p.at_least is not None else p.above
    high = p.at_most if p.at_most is not None else p.below
    closed = [b for b in (p.at_least, p.at_most) if isinstance(b, (int, float))]
    if closed and rng.uniform() < 0.1:
        value = rng.choice(closed)
    elif isinstance(low, (int, float)) and isinstance(high, (int, float)):
        value = low + (high - low) * rng.uniform(0.02, 0.98)
    else:
        centre = values[p.name] if math.isfinite(values[p.name]) else 100.0
        value = (centre or 0.3) * 10 ** rng.uniform(-0.7, 0.7)
    return round(value) if p.type == "int" or p.integer else float(value)


def assert_close(actual, desired, rtol, atol, message):
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=atol, err_msg=message)


def memory_of(module, **given):
    """Bytes beside its results that a replicate of a study's module takes."""
    simulate = jax.jit(module.simulate_direct)
    compiled = simulate.lower(jax.random.key(0), module.Params(**given)).compile()
    return compiled.memory_analysis().temp_size_in_bytes
