"""Theories are continuous across the parameter values at which their code switches formulas."""

import numpy as np
import pytest

from simulator.engine.theory import theory_on
from tests.studies.battery import STUDIES

ETA = 100 / (4 * 100 * 0.05 * 0.95)
#: Study, point, the parameter that crosses, and where.
SWITCHES = [
    # Two poles that cancel.
    ("tail-collapse.bigram", {"num_samples": 1000.0}, "zipf_exponent", 2.0),
    # Closed forms, and the sums that they stand for.
    (
        "tail-collapse",
        {"zipf_exponent": 1.7, "num_samples": 300.0, "cutoff": 37.0, "real_fraction": 0.3},
        "zipf_exponent_synthetic",
        1.7,
    ),
    # Equal weights: which of a quadratic's roots is written how.
    (
        "strong-collapse",
        {"dim": 12, "num_samples": 24, "weighting": "mixing", "synthetic_fraction": 0.375},
        "mixing_weight",
        0.375,
    ),
    # df1 = n / 2 and a single kind of samples: the discriminant is that of a double root.
    ("strong-collapse", {"dim": 12, "num_samples": 18}, "ridge", 1 / 12),
    # Where the largest margin changes its neurons.
    ("steepest-descent-margin.two-points", {"second_label": -1}, "angle_degrees", 90.0),
    ("steepest-descent-margin.two-points", {"second_label": 1}, "angle_degrees", 120.0),
    # Where the best robust head reaches the end of its segment: c² delta η = s² (c² + η).
    (
        "group-aware-prior.last-layer",
        {"num_samples": 100, "dim": 100, "minority_fraction": 0.05},
        "spurious_strength",
        (0.9 * ETA / (1 + ETA)) ** 0.5,
    ),
    # Where a class is full: balanced quotas keep all of it from here on.
    (
        "robust-pruning",
        {"means": (-0.7, 1.2), "stds": (1.3, 0.8), "priors": (0.35, 0.65), "pruner": "balanced"},
        "density",
        0.7,
    ),
    # Where the bracket of the root changes.
    ("steepest-descent-margin", {"label_rule": "random"}, "sample_ratio", 1.0),
]
OFFSETS = np.array([1e-4, 5e-5, 1e-7, 1e-10, 4e-16, 0.0])


@pytest.mark.parametrize(
    ("name", "given", "parameter", "at"),
    [
        pytest.param(*switch, marks=pytest.mark.xdist_group(switch[0]), id=f"{switch[0]}-{i}")
        for i, switch in enumerate(SWITCHES)
    ],
)
def test_continuous_where_formulas_switch(name, given, parameter, at):
    study = STUDIES[name]
    points = at * (1 + np.concatenate([-OFFSETS, OFFSETS[-2::-1]]))
    values = study.canonical(given) | {parameter: points}
    for output, value in theory_on(study, values, len(points)).items():
        value = value.reshape(len(points), -1)
        if not np.isfinite(value).all():
            assert np.isinf(value).all(), output
            continue
        steps = np.diff(points)[:, None]
        changes = np.abs(np.diff(value, axis=0))
        # How steep it is on either side, away from the switch.
        steepest = np.maximum(changes[0] / steps[0], changes[-1] / steps[-1])
        allowed = 3 * steepest * steps + 1e-9 * np.abs(value).max(axis=0)
        assert np.all(changes <= allowed), f"{output}: {value} at {points}"
