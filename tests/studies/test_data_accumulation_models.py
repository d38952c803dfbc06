"""data-accumulation: what a Gaussian and a law of tokens keep."""

import numpy as np
import pytest

import simulator
from simulator.studies.collapse.data_accumulation._policies import POLICIES

GAUSSIAN, TOKENS = "data-accumulation.gaussian", "data-accumulation.tokens"


def predict(name, **given):
    return simulator.predict(name, **given)


# -- Gaussian ----------------------------------------------------------------------------------
@pytest.mark.parametrize("policy", POLICIES)
def test_conservation(policy):
    given = {"policy": policy, "dim": 2, "num_samples": 14, "num_samples_synthetic": 9,
             "num_samples_budget": 20, "synthetic_weight": 0.6, "num_generations": 7}  # fmt: skip
    found = predict(GAUSSIAN, **given)
    np.testing.assert_allclose(found["mean_error"] + found["trace_ratio"], 1, rtol=1e-13)
    np.testing.assert_allclose(found["kl_divergence"], -found["log_determinant"] / 2, rtol=1e-9)
    np.testing.assert_allclose(found["num_samples_effective"], 1 / found["mean_error"])
    # The same products as the heterozygosity of tokens.
    law = np.arange(1, 21.0) ** -1.3
    same = np.sum((law / law.sum()) ** 2)
    text = given | {"num_tokens": 20, "zipf_exponent": 1.3}
    text.pop("dim")
    simpson = predict(TOKENS, **text)["simpson_index"]
    np.testing.assert_allclose((1 - simpson) / (1 - same), found["trace_ratio"], rtol=1e-12)
    if policy != "fresh_mix":
        assert np.all(np.diff(found["mean_error"]) >= 0)


def test_variance_that_accumulating_keeps():
    """sin(pi/sqrt T)/(pi/sqrt T) for equal sizes; Gamma functions in general."""
    found = predict(GAUSSIAN, policy="accumulate", num_generations=3000)["trace_ratio"]
    np.testing.assert_allclose(found[[9, 99, 499]], [0.9845682, 0.9837295, 0.9836513], rtol=6e-8)
    angle = np.pi / 10
    np.testing.assert_allclose(found[-1], np.sin(angle) / angle, rtol=4e-6)
    other = predict(
        GAUSSIAN, policy="accumulate", num_samples=30, num_samples_synthetic=20,
        synthetic_weight=0.7, num_generations=2000,
    )["trace_ratio"]  # fmt: skip
    np.testing.assert_allclose(other[-1], 0.9487346159, rtol=4e-5)


def test_numbers_of_the_gaussian_figure():
    chosen = [9, 99, 499]
    found = {
        p: predict(GAUSSIAN, policy=p, num_generations=500)
        for p in ("replace", "accumulate", "accumulate_subsample")
    }
    for policy, trace in {
        "replace": (0.9043821, 0.3660323, 0.0065705),
        "accumulate_subsample": (0.9737654, 0.9712860, 0.9710551),
    }.items():
        np.testing.assert_allclose(found[policy]["trace_ratio"][chosen], trace, rtol=5e-6)
    for policy, divergence in {
        "replace": (0.100927, 1.009268, 5.046339),
        "accumulate": (0.0155710, 0.0164222, 0.0165017),
    }.items():
        np.testing.assert_allclose(found[policy]["kl_divergence"][chosen], divergence, rtol=4e-6)
    drift = found["replace"]["log_variance_drift"]
    np.testing.assert_allclose(drift, -0.0201854, rtol=3e-6)
    np.testing.assert_allclose(np.diff(found["replace"]["log_determinant"]), drift, rtol=1e-9)
    unbiased = predict(GAUSSIAN, estimator="unbiased", num_generations=500)
    np.testing.assert_allclose(unbiased["trace_std"][[99, 499]], [2.53, 148], rtol=3e-3)


def test_a_correction_that_does_not_correct_a_pool():
    size = 17
    found = predict(
        GAUSSIAN, policy="accumulate", estimator="unbiased", num_samples=size,
        num_samples_synthetic=size, num_generations=2,
    )["trace_ratio"]  # fmt: skip
    np.testing.assert_allclose(found, [1, 1 - 1 / (2 * (2 * size - 1))], rtol=1e-13)


def test_a_subset_of_everything_is_the_pool():
    for name in (GAUSSIAN, TOKENS):
        given = {"num_samples": 30, "num_samples_synthetic": 20, "num_generations": 5}
        extra = {"sampling": "poisson"} if name == TOKENS else {}
        whole = predict(
            name, policy="accumulate_subsample", num_samples_budget=10**6, **given, **extra
        )
        pool = predict(name, policy="accumulate", **given, **extra)
        same = ("mean_error", "trace_ratio") if name == GAUSSIAN else tuple(pool)
        for output in same:
            np.testing.assert_allclose(whole[output], pool[output], rtol=1e-10)


# -- tokens ------------------------------------------------------------------------------------
def test_effective_samples_of_equal_sizes():
    printed = {
        "replace": (0.632121, 0.312080, 0.172255, 0.0195426),
        "accumulate_subsample": (0.696735, 0.575080, 0.537509, 0.504200),
        "accumulate": (1, 1, 1, 1),
        "keep_real": (1, 1, 1, 1),
    }
    for policy, values in printed.items():
        found = predict(TOKENS, policy=policy, num_generations=100)["num_samples_effective"]
        np.testing.assert_allclose(found[[1, 4, 9, 99]] / 1000, values, rtol=3e-6)
    fresh = predict(TOKENS, policy="fresh_mix")["num_samples_effective"] / 1000
    np.testing.assert_allclose(fresh[[1, 4, 9]], [1.632121, 1.739364, 1.740535], rtol=1e-6)


def test_numbers_of_the_token_figures():
    given = {"sampling": "poisson", "num_generations": 20}
    distinct = {
        "replace": (118.2939, 39.67253, 26.40849),
        "accumulate_subsample": (118.2939, 81.08383, 79.34816),
        "fresh_mix": (118.2939, 164.1679, 164.1680),
    }
    for policy, values in distinct.items():
        found = predict(TOKENS, policy=policy, **given)["num_distinct_tokens"]
        np.testing.assert_allclose(found[[0, 9, 19]], values, rtol=5e-7)
    for policy, values in {
        "replace": (2.734412, 2.412533, 2.242694),
        "accumulate": (2.734412, 2.703376, 2.700708),
    }.items():
        found = predict(TOKENS, policy=policy, **given)["entropy"]
        np.testing.assert_allclose(found[[0, 9, 19]], values, rtol=4e-7)
        assert np.all(found <= 2.918171)


def test_one_token_at_a_time_is_an_urn():
    """Polya's: 1 - m_inf = (T_1 - 1)/(T_1 + 1)."""
    law = np.arange(1, 8.0) ** -1.5
    same = np.sum((law / law.sum()) ** 2)
    simpson = predict(
        TOKENS, policy="accumulate", num_tokens=7, num_samples=6, num_samples_synthetic=1,
        num_generations=600,
    )["simpson_index"][-1]  # fmt: skip
    np.testing.assert_allclose((1 - simpson) / (1 - same), 5 / 7, rtol=2e-2)


def test_what_is_known_stays_known():
    for policy in POLICIES:
        for sampling in ("poisson", "multinomial"):
            found = predict(TOKENS, policy=policy, sampling=sampling, num_generations=6)
            effective = found["num_samples_effective"]
            if policy in ("accumulate", "keep_real"):
                np.testing.assert_allclose(effective, 1000, rtol=1e-14)
                np.testing.assert_array_equal(found["test_error"], found["test_error"][0])
            elif policy != "fresh_mix":
                assert np.all(np.diff(effective) < 0)
                assert np.all(effective <= 1000)
