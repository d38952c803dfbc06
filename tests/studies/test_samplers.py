"""Every fast sampler draws from the law of the direct one, at sizes where a single row shows.

Battery and verdicts compare means at sizes where a design with one row too few, or a dimension too
many, hides in the noise. Here designs have two to four rows and columns, and whole laws are
compared, output by output and entry by entry.
"""

from dataclasses import replace

import numpy as np
import pytest

from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from tests.sampling.laws import assert_same_law
from tests.studies.battery import STUDIES

COUNT = 2000

_RIDGE = {
    "dim": 3,
    "num_generations": 2,
    "num_samples": 4,
    "num_samples_generator": 2,
    "noise_std": 0.4,
    "noise_std_generator": 0.6,
    "ridge": 0.1,
    "ridge_generator": 0.05,
}
_STEEP = {"spectrum": "power_law", "spectrum_exponent": 1.2}
_MIXTURE = _STEEP | {
    "dim": 3,
    "num_samples": 4,
    "synthetic_fraction": 0.25,
    "ridge": 0.05,
    "noise_std_real": 0.4,
    "noise_std_synthetic": 0.7,
    "signal_variance": 1.3,
    "shift_profile": "signal",
}
_CORRELATED = {"shift_correlation": -0.5}
_MIXED = {"weighting": "mixing", "mixing_weight": 0.2}
_UNBIASED = {"num_samples_generator": 5, "ridge_generator": 0.0}
# No token beyond the heads, which are drawn together.
_TOKENS = {"zipf_exponent": 1.4, "num_samples": 6.0, "cutoff": 4.0}
_CHAIN = {"num_generations": 3, "num_samples_generator": 5.0}
_MEMORY = {"num_tokens": 6, "num_classes": 3, "zipf_exponent": 1.2, "dim": 3}
_ATTACK = {
    "sample_ratio": 1.0,
    "attack_radius_train": 0.3,
    "attack_radius_test": 0.4,
    "regularization": 0.3,
    "noise_std": 0.3,
    "dim": 3,  # smaller than the study allows: its fits are the same
}
_PAIRS = {"num_prompts": 2, "num_responses": 3, "dim": 2, "kl_regularization": 0.8}
_ROWS = {
    "dim": 4,
    "num_samples_synthetic": 3,
    "num_generations": 3,
    "noise_std": 0.5,
    "noise_std_synthetic": 0.8,
}
_FITTED = {
    "num_samples": 5,
    "num_samples_synthetic": 4,
    "num_generations": 3,
    "synthetic_weight": 0.7,
}
_TEXT = {
    "num_tokens": 5,
    "num_samples": 7,
    "num_samples_synthetic": 4,
    "num_samples_budget": 6,
    "num_generations": 3,
    "synthetic_weight": 0.5,
}
_BLOCKS = ((0.5, 0.7, 1.3, 2.0, 0.6), (0.5, 1.5, 0.9, 0.5, 1.8))

#: Study, cell, and whether `make test` can do without it, for it has a cheaper neighbour.
CELLS = [
    ("ridge-collapse", _RIDGE | {"design": "same"}, False),
    ("ridge-collapse", _RIDGE, True),
    ("ridge-collapse", _RIDGE | {"design": "same", "num_samples_generator": 1}, True),
    # The shortcuts: generators, and then all fits, without any matrix.
    (
        "ridge-collapse",  # heavy tails: one chi for all generations shows
        _RIDGE | _UNBIASED | {"design": "same", "num_samples_generator": 4, "num_generations": 4},
        False,
    ),
    ("ridge-collapse", _RIDGE | _UNBIASED | _STEEP, True),
    ("ridge-collapse", _RIDGE | _UNBIASED | {"ridge": 0.0}, True),
    ("ridge-collapse", _RIDGE | _UNBIASED | {"ridge": 0.0, "design": "same"}, True),
    # One sample too few for the second shortcut.
    ("ridge-collapse", _RIDGE | _UNBIASED | {"ridge": 0.0, "num_samples": 2}, True),
    ("strong-collapse", _MIXTURE | _CORRELATED | _MIXED, False),
    ("strong-collapse", _MIXTURE | _CORRELATED | {"num_samples": 2, "ridge": 0.0}, True),
    # A ridge against which the scale of the projection shows.
    (
        "strong-collapse.random-projections",
        _MIXTURE | _CORRELATED | _MIXED | {"width": 2, "ridge": 0.6},
        False,
    ),
    (
        "strong-collapse.random-projections",
        _MIXTURE | _CORRELATED | _MIXED | {"width": 5, "num_samples": 2},
        True,
    ),
    ("strong-collapse.multi-step", _MIXTURE | _CORRELATED | {"num_steps": 1}, False),
    (
        "strong-collapse.two-covariances",
        _MIXTURE | _MIXED | {"covariance_scale_synthetic": 2.0, "spectrum_synthetic": "isotropic"},
        False,
    ),
    ("tail-collapse", _TOKENS | {"sampling": "poisson"}, True),
    ("tail-collapse", _TOKENS, True),
    ("tail-collapse.corpus", {"counts": (5, 3, 2, 1), "num_samples": 6, "cutoff": 3}, False),
    # Too many tokens to draw them one by one.
    ("tail-collapse", _TOKENS | {"zipf_exponent": 6.0, "num_samples": 600.0}, True),
    ("tail-collapse.corpus", {"counts": (900, 3, 2, 1), "num_samples": 600, "cutoff": 3}, True),
    ("tail-collapse.generations", _TOKENS | _CHAIN, True),
    ("tail-collapse.generations", _TOKENS | _CHAIN | {"sampling": "poisson"}, True),
    ("tail-collapse.bigram", _TOKENS | {"num_contexts": 2}, True),
    ("associative-memory", _MEMORY | {"scheme_exponent": 0.7, "threshold": 5}, False),
    ("associative-memory", _MEMORY | {"scheme_exponent": 0.7, "unembedding": "sphere"}, True),
    ("associative-memory", _MEMORY | {"threshold": 1}, True),  # ties of classes without a token
    (
        "associative-memory.finite-data",
        _MEMORY | {"num_samples": 5.0, "scheme_exponent": 0.7, "threshold": 5, "cutoff": 4},
        True,
    ),
    ("adversarial-training", _ATTACK | {"attack_norm": "l2", "teacher_variance": 1.4}, False),
    (
        "adversarial-training.mahalanobis",  # one sample: the blocks' factors are used
        _ATTACK | {"dim": 5, "sample_ratio": 0.2, "spectrum": _BLOCKS},
        False,
    ),
    ("data-accumulation", _ROWS | {"num_samples": 6, "synthetic_weight": 0.6}, False),
    ("data-accumulation", _ROWS | {"num_samples": 2, "synthetic_weight": 0.6}, False),
    ("data-accumulation", _ROWS | {"policy": "keep_real", "ridge": 0.2, "num_samples": 3}, True),
    ("data-accumulation", _ROWS | {"policy": "fresh_mix", "num_samples": 3}, True),
    ("data-accumulation", _ROWS | {"policy": "replace", "num_samples": 3}, True),
    (
        "data-accumulation",
        _ROWS
        | {"policy": "fresh_mix", "num_samples": 6, "num_samples_synthetic": 6}
        | {"design": "same"},
        False,
    ),
    ("data-accumulation.gaussian", _FITTED | {"policy": "accumulate"}, False),
    ("data-accumulation.gaussian", _FITTED | {"policy": "replace", "dim": 2}, True),
    ("data-accumulation.gaussian", _FITTED | {"policy": "keep_real", "dim": 2}, False),
    (
        "data-accumulation.gaussian",
        _FITTED | {"policy": "fresh_mix", "dim": 3, "estimator": "unbiased"},
        True,
    ),
    ("data-accumulation.tokens", _TEXT | {"policy": "accumulate_subsample"}, False),
    (
        "data-accumulation.tokens",
        _TEXT | {"policy": "accumulate_subsample", "sampling": "poisson"},
        True,
    ),
    ("data-accumulation.tokens", _TEXT | {"policy": "fresh_mix"}, True),
    ("data-accumulation.tokens", _TEXT | {"policy": "keep_real", "sampling": "poisson"}, True),
    ("data-accumulation.tokens", _TEXT | {"policy": "accumulate"}, True),
    ("ridge-regression", _STEEP | {"dim": 3, "num_samples": 4, "ridge": 0.1}, False),
    ("ridge-regression", _STEEP | {"dim": 3, "num_samples": 2, "ridge": 0.05}, True),
    (
        "verified-synthesis",
        {"dim": 4, "num_samples_synthetic": 6, "ridge": 0.2, "keep_incorrect": 0.5},
        False,
    ),
    (
        "verified-synthesis",  # fewer rows than dimensions, often none, no ridge
        {"dim": 4, "num_samples_synthetic": 3, "ridge": 0.0, "keep_correct": 0.5},
        True,
    ),
    (
        "verified-synthesis.halfspace",
        {"dim": 5, "num_samples_synthetic": 7, "azimuth": 0.8, "keep_disagree": 0.2},
        False,
    ),
    (
        "verified-synthesis.halfspace",  # fewer than four rows are kept
        {"dim": 6, "num_samples_synthetic": 4, "signal_norm": 1.2, "ridge": 0.01},
        True,
    ),
    (
        "verified-synthesis.retraining",
        {"dim": 5, "num_samples_synthetic": 8, "azimuth": 0.8, "num_generations": 2},
        True,
    ),
    (
        "robust-regression",
        {"dim": 2, "attack_norm": "linf", "attack_radius": 0.4, "noise_std": 0.3},
        False,
    ),
    (
        "robust-regression",
        {"dim": 2, "spectrum": "ar1", "signal_scale": -1.0, "attack_radius": 0.2},
        True,
    ),
    (
        "robust-regression.least-squares",
        {"dim": 2, "num_samples": 4, "attack_norm": "linf", "attack_radius": 0.4},
        False,
    ),
    (
        "robust-regression.least-squares",
        {"dim": 3, "num_samples": 5, "spectrum": "ar1", "attack_radius": 0.4},
        True,
    ),
    ("early-stopping", {"dim": 2, "attack_radius": 0.4, "times": (0.5, 3.0)}, False),
    (
        "early-stopping.finite-sample",
        {"dim": 3, "num_samples": 4, "attack_radius": 0.4, "times": (0.5, 9.0)},
        False,
    ),
    (
        "early-stopping.finite-sample",  # fewer rows than dimensions, steps that overshoot
        {
            "dim": 3,
            "num_samples": 2,
            "attack_norm": "linf",
            "preconditioner": "whiten",
            "step_size": 0.3,
            "times": (0.9, 9.0),
        },
        True,
    ),
    ("early-stopping.two-stage", {"dim": 2, "num_samples": 4, "attack_radius": 0.4}, False),
    (
        "group-aware-prior",
        {"dim": 4, "num_samples": 5, "num_group_samples": 4, "minority_fraction": 0.3},
        False,
    ),
    (
        "group-aware-prior",  # fewer rows than dimensions
        {"dim": 12, "num_samples": 5, "num_group_samples": 4, "minority_fraction": 0.3},
        True,
    ),
    (
        "group-aware-prior.population",
        {"dim": 3, "num_samples": 5, "num_group_samples": 4, "minority_fraction": 0.3},
        True,
    ),
    (
        "group-aware-prior.last-layer",
        {"dim": 3, "num_samples": 4, "minority_fraction": 0.3},
        False,
    ),
    (
        "robust-pruning.finite-sample",
        # Far apart and of like deviations: no threshold is infinite.
        {
            "num_samples": 12,
            "estimator": "plug_in",
            "density": 0.6,
            "means": (-3.0, 3.0),
            "stds": (0.9, 1.0),
        },
        False,
    ),
    (
        "pilaf",
        _PAIRS | {"num_preferences": 3, "behavior_scale": 0.7, "prompt_weighting": "importance"},
        False,
    ),
    (
        "pilaf",
        _PAIRS | {"num_preferences": 9, "sampler": "best_of_n", "num_candidates": 3},
        True,
    ),
    ("pilaf.alignment", _PAIRS | {"num_preferences": 2, "prompt_weighting": "tilt"}, True),
    ("pilaf.online", _PAIRS | {"num_steps": 2, "batch_size": 2}, True),
    (
        "pilaf.iterated",
        _PAIRS | {"num_rounds": 2, "num_preferences": 3, "sampler": "pilaf_practical"},
        True,
    ),
    (
        "jailbreaking",
        {"num_explanations": 3, "num_harmful": 1, "harm_threshold": 0.4, "concentration": 1.2},
        False,
    ),
    (
        "jailbreaking.alignment",
        {"num_explanations": 3, "num_harmful": 1, "num_preferences": 6},
        False,
    ),
    ("jailbreaking.attack", {"num_attempts": 3, "harmful_logit": -1.0, "reward_gap": 0.2}, True),
    (
        "jailbreaking.pac-bayes",
        {"num_models": 3, "num_samples": 5, "inverse_temperature": 9.0, "model_spread": 2.0},
        True,
    ),
    (
        "robust-pruning.high-dim",
        {"dim": 3, "num_samples": 10, "density": 0.6, "means": (0.0, 6.0), "stds": (0.9, 0.9)},
        False,
    ),
]

#: Outputs whose law the fast sampler does not keep, for it draws their parts apart.
ONLY_PARTS = {
    "associative-memory": {"test_error"},
    "associative-memory.finite-data": {"test_error"},
}


def each_cell(cells):
    def marks(name, slow):
        return [pytest.mark.xdist_group(name), *[pytest.mark.slow] * slow]

    return pytest.mark.parametrize(
        ("name", "cell"),
        [pytest.param(n, c, id=f"{n}-{i}", marks=marks(n, s)) for i, (n, c, s) in enumerate(cells)],
    )


def drawn(study, cell, method, seed):
    """Replicates of all outputs, one row for each entry."""
    # The smallest problems stall at rounding now and then; what is left is far below their spread.
    study = replace(study, residual_tolerance=1e-2)
    dim = {"dim": cell["dim"]} if "dim" in cell else {}
    legal = {"dim": max(cell["dim"], 10)} if study.name.startswith("adversarial") else {}
    values = study.canonical(cell | legal) | dim
    setting = checked_setting(study, method=method, seed=seed, dtype="float64")
    run = Run(study, [values], setting, keep_values=True)
    run.extend(COUNT)
    return {
        output: np.concatenate(found).reshape(COUNT, -1).T
        for output, found in run.tallies[0].values.items()
    }


def test_all_fast_samplers_are_here():
    named = {name for name, _, _ in CELLS}
    assert named == {name for name, study in STUDIES.items() if "fast" in study.methods()}


@each_cell(CELLS)
def test_fast_samplers_have_the_law_of_the_direct_one(name, cell):
    study = STUDIES[name]
    direct, fast = drawn(study, cell, "direct", 1), drawn(study, cell, "fast", 2)
    for output in direct.keys() - ONLY_PARTS.get(name, set()):
        for x, y in zip(direct[output], fast[output], strict=True):
            # Sums of the same tokens in other orders, and tails by quadrature, differ by rounding.
            assert_same_law(np.round(x, 7), np.round(y, 7))


#: Isotropic, so that no matrix is needed: with and without generators, more and fewer samples.
_AVERAGED = [
    ("ridge-collapse", _RIDGE | _UNBIASED | {"num_samples_generator": 9}, False),
    ("ridge-collapse", _RIDGE | _UNBIASED | {"num_samples_generator": 9, "num_samples": 2}, True),
    ("ridge-collapse", _RIDGE | _UNBIASED | {"num_samples_generator": 9, "design": "same"}, True),
    ("ridge-collapse", _RIDGE | {"num_generations": 0}, True),
]


@each_cell(_AVERAGED)
def test_shortcuts_of_the_conditional_sampler_draw_what_its_matrices_do(name, cell):
    """The downstream fit has the law of drawn designs, what generators add has its mean."""
    matrices, cheaper = replace(STUDIES[name], shortcuts=()), STUDIES[name]
    expected, averaged = (
        drawn(matrices, cell, "conditional", 6),
        drawn(cheaper, cell, "conditional", 5),
    )
    assert_same_law(averaged["bias"][0], expected["bias"][0])
    assert_same_law(averaged["variance"][0], expected["variance"][0])
    assert_same_law(*(each["bias"][0] * each["variance"][0] for each in (averaged, expected)))
    assert_same_mean(averaged, expected)


@pytest.mark.slow
@each_cell([cell for cell in CELLS if "conditional" in STUDIES[cell[0]].methods()] + _AVERAGED)
def test_conditional_samplers_have_the_mean_of_the_direct_one(name, cell):
    study = STUDIES[name]
    direct, averaged = drawn(study, cell, "direct", 3), drawn(study, cell, "conditional", 4)
    assert_same_mean(averaged, direct)


def assert_same_mean(some, others):
    for output in some:
        pair = others[output], some[output]
        gap = pair[0].mean(axis=1) - pair[1].mean(axis=1)
        error = np.sqrt(sum(x.var(axis=1) for x in pair) / COUNT)
        assert np.all(np.abs(gap) <= 5 * error + 1e-12), output
