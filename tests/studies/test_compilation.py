"""Every study: one compilation per static signature."""

import contextlib

import jax
import numpy as np

from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.theory import theory_of_cells
from tests.studies.battery import STUDIES, WITH_THEORY, cell, each, each_method, perturbed_floats

BACKEND_COMPILE = "/jax/core/compile/backend_compile_duration"


@contextlib.contextmanager
def compilations():
    """Count the programs compiled inside the block."""
    events = []

    def listener(event, duration, **_):
        if event == BACKEND_COMPILE:
            events.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        yield events
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)


@each(WITH_THEORY)
def test_theory_compiles_once_for_a_grid(name):
    study = STUDIES[name]
    rng = np.random.default_rng(2)
    grid = [_moved(study, rng, "theory") for _ in range(4)]
    other = [_moved(study, rng, "theory") for _ in range(3)]
    theory_of_cells(study, grid)
    with compilations() as compiled:
        theory_of_cells(study, other)
    assert not compiled


@each_method(slow_others=True)
def test_simulation_compiles_once_for_traced_values(name, method):
    study = STUDIES[name]
    rng = np.random.default_rng(2)
    values = cell(study)  # whose program the verdict runs too
    side = study.sampler(method, study.params(**values)).side
    grids = [[_moved(study, rng, side) for _ in range(2)] for _ in range(2)]
    signature = {n: values[n] for n, p in study.declarations.items() if p.is_static(side)}
    grids = [[c | signature for c in grid] for grid in grids]
    setting = checked_setting(study, method=method)
    Run(study, grids[0], setting).extend(4)
    with compilations() as compiled:
        Run(study, grids[1], setting).extend(4)
    assert not compiled


def _moved(study, rng, side):
    """Floats moved, and whole numbers too, traced or padded (sizes share one compilation)."""
    values = perturbed_floats(study, cell(study), rng)
    for name, p in study.declarations.items():
        padded = side == "theory" and p.padded
        if p.type == "int" and (padded or not p.is_static(side)):
            step = int(rng.integers(1, 4)) * (-1 if padded else 1)
            with contextlib.suppress(ValueError):
                values = study.canonical(values | {name: values[name] + step})
    return values
