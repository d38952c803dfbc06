"""Studies with control variates: their means are exact, and they save what they cost."""

import numpy as np
import pytest

from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.simulation import simulate_study
from simulator.registry import get, names
from simulator.study import CONTROLS
from simulator.verdict.scores import normal_score

WITH_CONTROLS = {name: get(name) for name in names() if get(name).controls is not None}

#: Cells that reach every branch of the statistics: both laws, both weightings, shared designs.
CELLS = {
    "strong-collapse": (
        {"dim": 6, "num_samples": 21, "synthetic_fraction": 0.3, "ridge": 0.2},
        {
            "dim": 6,
            "num_samples": 14,
            "synthetic_fraction": 0.4,
            "ridge": 0.05,
            "spectrum": "power_law",
            "weighting": "mixing",
            "mixing_weight": 0.25,
            "shift_profile": "signal",
        },
    ),
    "strong-collapse.multi-step": (
        {"dim": 6, "num_samples": 21, "synthetic_fraction": 0.3, "num_steps": 1},
    ),
    "strong-collapse.two-covariances": (
        {
            "dim": 6,
            "num_samples": 21,
            "synthetic_fraction": 0.4,
            "ridge": 0.2,
            "spectrum": "power_law",
            "spectrum_synthetic": "power_law",
            "spectrum_exponent_synthetic": 0.4,
            "covariance_scale_synthetic": 2.0,
            "weighting": "mixing",
            "mixing_weight": 0.25,
        },
    ),
    "ridge-regression": (
        {"dim": 6, "num_samples": 18},
        {"dim": 6, "num_samples": 4, "ridge": 0.05, "spectrum": "power_law"},
    ),
    "ridge-collapse": (
        {"dim": 6, "num_samples": 18, "num_samples_generator": 15, "num_generations": 2},
        {
            "dim": 6,
            "num_samples": 18,
            "num_samples_generator": 15,
            "num_generations": 2,
            "ridge": 0.05,
            "spectrum": "power_law",
        },
        {
            "dim": 6,
            "num_samples": 4,
            "num_samples_generator": 9,
            "num_generations": 3,
            "spectrum": "power_law",
            "design": "same",
        },
    ),
    "data-accumulation.gaussian": tuple(
        {
            "dim": 2,
            "num_samples": 14,
            "num_samples_synthetic": 9,
            "num_samples_budget": 11,
            "sample_growth": 0.5,
            "synthetic_weight": 0.7,
            "num_generations": 4,
            "policy": policy,
            "estimator": estimator,
        }
        for policy, estimator in (
            ("replace", "maximum_likelihood"),
            ("accumulate", "unbiased"),
            ("accumulate_subsample", "maximum_likelihood"),
            ("keep_real", "unbiased"),
            ("fresh_mix", "maximum_likelihood"),
        )
    ),
    "pilaf": (
        {"num_prompts": 2, "num_responses": 4, "dim": 2, "num_preferences": 300},
        {
            "num_prompts": 2,
            "num_responses": 3,
            "dim": 4,
            "num_preferences": 300,
            "sampler": "hybrid",
            "prompt_weighting": "importance",
        },
    ),
    "pilaf.iterated": (
        {"num_rounds": 3, "num_preferences": 400},
        {
            "num_prompts": 2,
            "num_responses": 4,
            "dim": 2,
            "num_rounds": 2,
            "num_preferences": 400,
            "sampler": "hybrid",
            "prompt_weighting": "importance",
            "replay": "new",
        },
    ),
}


def method_of(study):
    """That which has controls."""
    return "conditional" if "conditional" in study.methods() else "fast"


def test_every_study_with_controls_is_tested():
    assert CELLS.keys() == WITH_CONTROLS.keys()


@pytest.mark.parametrize(
    ("name", "cell"), [(name, cell) for name, cells in CELLS.items() for cell in cells]
)
def test_the_means_of_controls_are_exact(name, cell):
    study = WITH_CONTROLS[name]
    run = Run(study, [study.canonical(cell)], checked_setting(study, method=method_of(study)))
    run.extend(2000)
    known = run.summary(0)[CONTROLS]
    ratio = known.mean / known.standard_error
    z = normal_score(ratio, known.skewness / np.sqrt(known.count), known.count)
    assert np.max(np.abs(z)) < 4.5


GAINS = {
    "strong-collapse": (
        {"dim": 32, "num_samples": 320, "synthetic_fraction": 0.3},
        {"test_error": 10, "bias": 5, "variance": 10, "synthetic_error": 10},
    ),
    "strong-collapse.multi-step": (
        {"dim": 32, "num_samples": 320, "synthetic_fraction": 0.3, "num_steps": 1},
        {"test_error": 10},
    ),
    "strong-collapse.two-covariances": (
        {"dim": 32, "num_samples": 320, "synthetic_fraction": 0.3},
        {"test_error": 10, "bias": 5, "variance": 10, "synthetic_error": 10},
    ),
    "ridge-regression": (
        {"dim": 32, "num_samples": 320},
        {"test_error": 10, "bias": 5, "variance": 10, "train_error": 10},
    ),
    "ridge-collapse": (
        {"dim": 32, "num_samples": 320, "num_samples_generator": 100, "num_generations": 2},
        {"test_error": 10, "bias": 5, "variance": 10, "generator_variance": 10},
    ),
    "data-accumulation.gaussian": (
        {"num_samples": 100, "num_generations": 10},
        {"log_determinant": 4, "trace_ratio": 8},
    ),
}


@pytest.mark.parametrize("name", GAINS)
def test_controls_save_replicates(name):
    """So many times fewer for the same error, at ten samples per dimension."""
    cell, least = GAINS[name]
    study = WITH_CONTROLS[name]
    found = simulate_study(study, replicates=256, method=method_of(study), keep_values=True, **cell)
    for output, gain in least.items():
        plain = np.var(found.values[output], axis=0, ddof=1) / 256
        assert np.all(plain / found.standard_error[output] ** 2 > gain)
