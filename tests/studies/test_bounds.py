"""Every theory within what is known of it, over its whole box: extremes, too, and their corners."""

import math

import numpy as np
import pytest

from simulator.engine.theory import NotConverged, theory_of_cells
from tests.studies.battery import STUDIES, WITH_THEORY, cell, cells, each

ROUNDING = 1e-12

ERRORS = ("generalization_error", "adversarial_error", "robust_train_error", "per_token_error")
SHARES = (*ERRORS, "plateau_error", "optimal_test_error", "cosine", "norm_ratio", "price",
          "support_fraction_l2", "linear_alignment", "alignment")  # fmt: skip
#: Outputs that may be negative; a two-term law is, where it does not hold yet.
SIGNED = (
    "l1_error_asymptotic",
    "cross_error",
    "excess_error",
    "bregman",
    "cosine",
    "price",
    "boundary_error",
    "V_hat",
    "threshold",
    "core_weight",
    "spurious_weight",
    "gradient_projection",
    "gradient_cosine",
    "alignment_score",
    "alignment_score_expanded",
    "reward_rlhf",
    "reward_erlhf",
    "objective_rlhf",
    "objective_erlhf",
    "log_determinant",
    "log_variance_drift",
)
#: Of sequential decisions: concave values, and what gains and losses make of them.
VALUES = (
    "optimal_value",
    "optimal_reward",
    "optimal_gradient",
    "optimal_threshold",
    "optimal_utility",
    "uniform_value",
    "scalarized_value",
    "relevance_value",
    "constrained_utility",
    "utility",
)


def of_concave_values(study, values, name):
    """Rewards of arms lie in [0, 1], and with them the values that lie between two of them."""
    objective, part = values["objective"], study.name.partition(".")[2]
    between = objective in ("softmin", "ggf")
    if name == "optimal_gradient":
        below = objective == "quadratic" and part != ""  # a target below what is reached
        high = 1.0 if between and part != "ranking" else math.inf
        return (-math.inf if below else 0.0), high
    if part == "gaussian-contexts":
        return -math.inf, 0.0 if name.endswith("value") and objective == "quadratic" else math.inf
    if name == "optimal_reward":
        return 0.0, 1.0 if part == "" else max(1.0, values["num_slots"])
    if part == "ranking":
        return 0.0 if between else -math.inf, math.inf
    return (0.0, 1.0) if between else (-math.inf, 0.0 if objective == "quadratic" else math.inf)


def known_bounds(study, values, output):
    """``(low, high)`` of an output at a point."""
    name, family = output.name, study.name.split(".")[0]
    low = -math.inf if name in SIGNED else 0.0
    high = math.inf
    probabilities = family in ("tail-collapse", "associative-memory")
    if name in SHARES or (probabilities and name in ("test_error", "test_error_std")):
        low, high = (-1.0 if name in SIGNED else 0.0), 1.0
    if name == "gradient_cosine":
        low, high = -1.0, 1.0
    chances = (
        "probability",
        "_lower_bound",
        "attack_success_rate",
        "informative_fraction",
        "harm_",
    )
    if family in ("pilaf", "jailbreaking") and any(word in name for word in chances):
        high = math.inf if "_std_" in name else 1.0
    if family == "concave-bandits" and name in VALUES:
        low, high = of_concave_values(study, values, name)
    if family == "fair-ranking" and name in VALUES:
        low = -math.inf
    if family == "fair-ranking":
        low, high = _of_rankings(study.name, values, name, low)
    if family == "strong-collapse" and name == "plateau_error":
        high = math.inf
    if study.name == "tail-collapse.bigram":
        high = 2.0 if name in ("l1_error", "plateau_error") else math.inf
    if name in ("df1", "df2"):
        dim = values["dim"] if "dim" in values else len(values["eigenvalues"])
        high = min(dim, values["num_samples"])
    if name == "kappa":
        low = 0.0 if family == "strong-collapse" else values["ridge"]
    if family == "data-accumulation":
        if name == "entropy":  # Poisson frequencies may exceed 1
            low = -math.inf
        if name in ("real_fraction", "simpson_index") or study.name.endswith("tokens"):
            high = 1.0
        if name in ("squared_error", "entropy", "num_samples_effective", "simpson_index"):
            high = math.inf
        return low, values["num_tokens"] if name == "num_distinct_tokens" else high
    if name == "num_distinct_tokens":
        uncut = values.get("real_fraction", 0.0) > 0
        high = min(values["num_samples"], math.inf if uncut else values["cutoff"])
    if name == "num_samples_effective":
        high = min(values["num_samples"], values["num_samples_generator"])
        high = values["num_samples"] if values["num_generations"] == 1 else high
    return low, high


def _of_rankings(study, values, name, low):
    """Utilities are relevances in [0, 1] by position weights; two items lead by any number."""
    high = math.inf
    if study == "fair-ranking.two-items":
        if name in ("optimal_value", "optimal_utility"):
            low = 0.5  # less than at c = delta, where nothing is penalised
        return low, 1.0 if name in ("exposure", "optimal_exposure") else high
    if name in ("optimal_utility", "constrained_utility"):
        high = sum(1 / math.log2(1 + k) for k in range(1, values["num_slots"] + 1))
        low = 0.0 if name == "optimal_utility" else low
    return low, 1.0 if name == "optimal_exposure" else high


def extreme_value(p, value, rng):
    """The ends of a range, values close to them, and far away where it has none."""
    low = p.at_least if p.at_least is not None else p.above
    high = p.at_most if p.at_most is not None else p.below
    low, high = (b if isinstance(b, (int, float)) else None for b in (low, high))
    whole = p.type == "int" or p.integer
    choices = [value]
    if low is not None:
        choices += [low + x * max(abs(low), 1) for x in ((0, 1, 2) if whole else (0, 1e-6, 1e-3))]
    if high is not None:
        choices += [high - x * max(abs(high), 1) for x in ((0, 1) if whole else (0, 1e-6, 1e-3))]
    else:
        choices += [10.0**k * (value if 0 < value < math.inf else 1) for k in (1, 3)]
    chosen = float(rng.choice(choices))
    if math.isinf(chosen):
        return chosen
    return round(chosen) if p.type == "int" else round(chosen) * 1.0 if whole else chosen


def extreme_points(study, around, rng, count):
    """Legal points with most scalar traced parameters at extremes."""
    points = []
    while len(points) < count:
        values = dict(around[len(points) % len(around)])
        for name, p in study.declarations.items():
            if p.is_scalar_number and not p.is_static("theory") and rng.uniform() < 0.5:
                if math.isinf(values[name]) and rng.uniform() < 0.5:
                    values[name] = 100.0
                values[name] = extreme_value(p, values[name], rng)
        try:
            values = study.canonical(values)
            if study.validate is not None:
                study.validate(study.params(**values), "theory")
        except ValueError:
            continue
        points.append(values)
    return points


def stays_within_bounds(name, around, count):
    study = STUDIES[name]
    refused = 0
    for values in extreme_points(study, around, np.random.default_rng(17), count):
        try:
            (outputs,) = theory_of_cells(study, [values])
        except NotConverged:
            refused += 1
            continue
        for output in study.outputs:
            if not output.in_theory or output.nan_where_undefined:
                continue
            low, high = known_bounds(study, values, output)
            value = outputs[output.name]
            room = ROUNDING * max(1.0, abs(high) if math.isfinite(high) else 1.0)
            room = 0.0 if output.name == "num_distinct_tokens" else room
            scale = np.max(np.abs(value[np.isfinite(value)]), initial=0) * ROUNDING
            assert np.all((value >= low - room - scale) & (value <= high + room)), (
                f"{output.name} = {value} is not within {low}, {high} at {values}"
            )
    assert refused <= count / 2


@each(WITH_THEORY)
def test_known_bounds_at_extremes(name):
    stays_within_bounds(name, [cell(STUDIES[name])], 12)


@pytest.mark.slow
@each(WITH_THEORY)
def test_known_bounds_at_many_extremes(name):
    stays_within_bounds(name, cells(STUDIES[name]), 150)
