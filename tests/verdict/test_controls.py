"""Studies with control variates: their means are exact, and they save what they cost."""

import jax
import numpy as np
import pytest
from scipy import stats

from simulator.engine import program as programs
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from simulator.engine.simulation import simulate_study
from simulator.engine.theory import theory_of_cells
from simulator.registry import get, names
from simulator.runtime.compilation import simulation_scope
from simulator.study import CONTROLS
from simulator.verdict import gather, judge
from simulator.verdict.scores import normal_score

WITH_CONTROLS = {name: get(name) for name in names() if get(name).controls is not None}

MIXING = {
    "dim": 6,
    "num_samples": 14,
    "synthetic_fraction": 0.4,
    "ridge": 0.05,
    "spectrum": "power_law",
    "weighting": "mixing",
    "mixing_weight": 0.25,
}

#: Cells that reach every branch of the statistics: both laws, both weightings, shared designs.
CELLS = {
    "strong-collapse": (
        {"dim": 6, "num_samples": 21, "synthetic_fraction": 0.3, "ridge": 0.2},
        MIXING | {"shift_profile": "signal"},
    ),
    "strong-collapse.multi-step": (
        {"dim": 6, "num_samples": 21, "synthetic_fraction": 0.3, "num_steps": 1},
    ),
    "strong-collapse.random-projections": (
        {"dim": 6, "width": 4, "num_samples": 21, "synthetic_fraction": 0.3, "ridge": 0.2},
        MIXING | {"width": 13},
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
    "tail-collapse.bigram": (
        {"zipf_exponent": 1.7, "num_samples": 90.0, "cutoff": 23.0},
        {  # one context may be unseen
            "num_samples": 4.0,
            "num_contexts": 2,
            "zipf_exponent_context": 1.6,
            "cutoff": 12.0,
        },
    ),
    "tail-collapse.generations": tuple(
        {
            "zipf_exponent": 1.7,
            "num_samples": 90.0,
            "num_samples_generator": 50.0,
            "num_generations": 3,
            "cutoff": cutoff,
            "sampling": sampling,
        }
        for cutoff, sampling in ((20.0, "poisson"), (float("inf"), "multinomial"))
    ),
    "associative-memory": (
        {
            "num_tokens": 9,
            "num_classes": 4,
            "zipf_exponent": 1.4,
            "dim": 5,
            "scheme_exponent": 0.7,
            "threshold": 7,
        },
        {
            "num_tokens": 9,
            "num_classes": 4,
            "dim": 3,
            "scheme_exponent": 0.7,
            "unembedding": "sphere",
        },
        # tokens without any noise of their class; too many for a control variate each
        {"num_tokens": 66, "num_classes": 4, "dim": 7, "threshold": 5, "embedding": "sphere"},
    ),
    "associative-memory.finite-data": (
        {
            "num_tokens": 9,
            "num_classes": 4,
            "dim": 5,
            "num_samples": 20,
            "scheme_exponent": 0.7,
            "threshold": 7,
            "cutoff": 5,
        },
        {"num_tokens": 9, "num_classes": 4, "dim": 3, "num_samples": 20, "unembedding": "sphere"},
    ),
    "robust-pruning.finite-sample": (
        {"num_samples": 20, "estimator": "plug_in", "priors": (0.7, 0.3), "density": 0.6},
    ),
    "jailbreaking": (
        {"num_explanations": 7, "num_harmful": 3, "dirichlet_harmful": 0.2, "dirichlet_safe": 1.4},
    ),
    "jailbreaking.attack": ({"num_attempts": 7},),
    "early-stopping": (
        {"dim": 9, "spectrum_exponent": 1.3, "attack_radius": 0.4, "times": [0.3, 4.0]},
    ),
    "robust-regression": ({"dim": 9, "spectrum_exponent": 1.3, "noise_std": 0.3},),
    "group-aware-prior": (
        {"dim": 5, "num_samples": 14, "num_group_samples": 8, "minority_fraction": 0.2},
    ),
    "group-aware-prior.population": (
        {"num_samples": 14, "num_group_samples": 8, "minority_fraction": 0.2},
        {"num_samples": 40, "num_group_samples": 40, "loss": "logistic", "ridge": 0.1},
    ),
    "group-aware-prior.last-layer": (
        {"dim": 5, "num_samples": 21, "minority_fraction": 0.07},  # it may have no minority
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
def test_the_means_of_controls_are_exact(name, cell, request):
    if name.startswith("tail-collapse"):  # hundreds of binomial numbers a replicate
        request.getfixturevalue("optimised")
    means_are_exact(name, cell)


def test_the_means_of_controls_are_exact_where_a_squared_count_is_no_int32():
    cell = {"dim": 6, "num_samples": 100_000, "synthetic_fraction": 0.3}
    means_are_exact("strong-collapse", cell, dtype="float32")


def means_are_exact(name, cell, dtype=None, count=2000):
    """The controls alone, as the engine computes them: what only the outputs need is left out."""
    study = WITH_CONTROLS[name]
    setting = checked_setting(study, method=method_of(study), dtype=dtype)
    (program,) = Run(study, [study.canonical(cell)], setting).programs
    batch, options = program.batch.__wrapped__, programs.compiler_options("cpu")
    with simulation_scope(setting.dtype):
        alone = jax.jit(lambda *lanes: batch(*lanes)[CONTROLS], compiler_options=options)
        arguments = [
            program.arguments(np.zeros(count // 8, int), np.arange(start, start + count // 8))
            for start in range(0, count, count // 8)
        ]
        found = np.concatenate([np.asarray(alone(*lanes), np.float64) for lanes in arguments])
    found = found[:, np.any(found != 0, axis=0)]  # one may be left out at some parameters, not all
    assert found.size
    ratio = np.mean(found, axis=0) / (np.std(found, axis=0, ddof=1) / np.sqrt(count))
    z = normal_score(ratio, stats.skew(found) / np.sqrt(count), count)
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
    "strong-collapse.random-projections": (
        {"dim": 32, "width": 256, "num_samples": 320, "synthetic_fraction": 0.3},
        {"test_error": 10, "bias": 5, "variance": 10, "synthetic_error": 10},
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
    "tail-collapse.bigram": ({"zipf_exponent": 1.7, "num_samples": 900.0}, {"l1_error": 6}),
    "tail-collapse.generations": (
        {"num_generations": 3, "num_samples": 1500.0},
        {"test_error": 8, "num_distinct_tokens": 20},
    ),
    "associative-memory": (
        {"num_tokens": 9, "num_classes": 4, "dim": 11, "scheme_exponent": 0.7, "threshold": 7},
        {"test_error": 3},
    ),
    "associative-memory.finite-data": (
        {"num_tokens": 9, "num_classes": 4, "dim": 11, "num_samples": 90, "scheme_exponent": 0.7},
        {"test_error": 3},
    ),
    "robust-pruning.finite-sample": (
        {"num_samples": 2000, "estimator": "plug_in", "priors": (0.7, 0.3), "density": 0.6},
        {"threshold": 1000, "class_risk": 1000, "excess_risk": 50},
    ),
    "jailbreaking": (
        {"num_explanations": 20, "num_harmful": 5, "attack_radius": 0.15, "concentration": 1.3},
        {"uniform_probability": 3, "jailbreak_lower_bound": 4},
    ),
    "jailbreaking.attack": (
        {"num_attempts": 7, "harmful_logit": -0.6, "safe_prompt_logit": -1.1, "reward_gap": 0.2},
        {"attack_success_rate_rlhf": 3, "attack_success_rate_erlhf": 4},
    ),
    "early-stopping": (
        {"dim": 9, "spectrum_exponent": 1.3, "attack_radius": 0.4, "times": [0.3, 4.0]},
        {"risk_path": 50, "risk_optimal": 50},
    ),
    "robust-regression": (
        {"dim": 9, "spectrum_exponent": 1.3, "attack_radius": 0.4, "noise_std": 0.3},
        {"risk_optimal": 50, "risk_ground_truth": 50},
    ),
    "group-aware-prior": (
        {"dim": 32, "num_samples": 320, "num_group_samples": 64},
        {"core_weight": 10, "spurious_weight": 10, "worst_group_error": 6},
    ),
    "group-aware-prior.population": (
        {"num_samples": 2000, "num_group_samples": 2000, "minority_fraction": 0.1},
        {"core_weight": 100, "minority_error": 100, "critical_radius": 10},
    ),
    "group-aware-prior.last-layer": (
        {"dim": 64, "num_samples": 600, "minority_fraction": 0.1},
        {"worst_group_error": 15},
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


def test_the_plain_mean_is_taken_where_it_is_believed_sooner():
    """Tokens are missed so rarely that only 10^5 residuals would say what their error is."""
    study = WITH_CONTROLS["tail-collapse.generations"]
    cell = {
        "sampling": "poisson",
        "zipf_exponent": 1.5,
        "num_samples": 200.0,
        "num_samples_generator": 100.0,
        "num_generations": 4,
        "cutoff": 20.0,
    }
    facts = gather(study, [study.canonical(cell)], seed=2, tolerance=0.05)
    assert facts.run.counts == [512]
    plain, *_ = (c for c in judge(study, facts, tolerance=0.05).comparisons if "plain" in c.note)
    assert plain.status == "agrees"
    summary = facts.run.summary(0)[plain.output]
    assert (plain.mean, plain.standard_error) == (summary.mean, summary.standard_error)
    wrong = {0: {n: 1.06 * v for n, v in theory_of_cells(study, facts.run.cells)[0].items()}}
    verdict = judge(study, facts, tolerance=0.05, theories=wrong)
    assert {c.output for c in verdict.comparisons if c.status == "disagrees"} >= {plain.output}
