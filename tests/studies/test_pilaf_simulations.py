"""arXiv 2502.04270, simulated: many labels and few, and the printed rounds and steps."""

import numpy as np
import pytest

import simulator
from tests.cases.pilaf import SMALL
from tests.studies.test_pilaf import predicted


def test_a_billion_labels_reach_the_limit():
    """In float32 too; control variates leave nothing of the noise of the labels."""
    for dtype in ("float64", "float32"):
        found = simulator.simulate(
            "pilaf",
            replicates=100,
            seed=4,
            num_preferences=10**9,
            dtype=dtype,
            **{n: v for n, v in SMALL.items() if n != "num_preferences"},
        )
        right = predicted(**SMALL)["regret_coefficient"]
        assert found.mean["regret_coefficient"] == pytest.approx(float(right), rel=1e-3)


def test_few_labels_have_an_estimate():
    """One pair, or responses that won all their comparisons: the prior of the fit decides."""
    found = simulator.simulate(
        "pilaf",
        replicates=200,
        num_preferences=1,
        **{n: v for n, v in SMALL.items() if n != "num_preferences"},
    )
    assert np.isfinite(found.mean["regret_coefficient"])


@pytest.mark.slow
def test_printed_rounds():
    """1000 pairs per round: the printed regrets of 400 runs, beside their limit of many pairs."""
    printed = {
        ("pilaf", "tilt"): ".00309 .00197 .00142 .00114 .00098",
        ("vanilla", "none"): ".00326 .00231 .00184 .00156 .00134",
        ("best_of_n", "none"): ".00308 .00165 .00120 .00093 .00078",
    }
    for (sampler, weighting), values in printed.items():
        found = simulator.simulate(
            "pilaf.iterated", replicates=1000, keep_values=True, sampler=sampler,
            prompt_weighting=weighting,
        )  # fmt: skip
        error = np.hypot(found.values["regret"].std(axis=0) / 20, found.standard_error["regret"])
        gap = np.abs(found.mean["regret"] - np.array(values.split(), float))
        assert np.all(gap <= 4 * error + 5e-6), sampler


@pytest.mark.slow
def test_printed_levels_of_new_pairs():
    """Without replay regret levels off at the coefficient over the pairs of a round."""
    for sampler, weighting, level, error in (
        ("pilaf", "tilt", 0.0071, 0.0003),
        ("vanilla", "none", 0.0133, 0.0014),
        ("best_of_n", "none", 0.0053, 0.0003),
    ):
        found = simulator.simulate(
            "pilaf.iterated", replicates=1000, replay="new", num_rounds=3, sampler=sampler,
            prompt_weighting=weighting,
        )  # fmt: skip
        gap = np.abs(found.mean["regret"][-1] - level)
        assert gap <= 5 * np.hypot(error, found.standard_error["regret"][-1]) + 5e-5


@pytest.mark.slow
def test_printed_steps():
    """Batches of 256 to 4096 pairs, T-PILAF, vanilla, and best of n with its tie at the start."""
    for setting, mean, error in (
        ({}, 0.004886, 0.00006),
        ({"sampler": "vanilla", "prompt_weighting": "none"}, 0.01069, 0.0001),
        ({"sampler": "best_of_n", "prompt_weighting": "none"}, 0.002236, 0.00006),
        ({"sampler": "best_of_n", "prompt_weighting": "none", "batch_size": 256}, 0.0033, 0.0002),
    ):
        found = simulator.simulate("pilaf.online", replicates=1000, **setting)
        gap = abs(found.mean["online_regret"] - mean)
        assert gap <= 5 * np.hypot(error, found.standard_error["online_regret"])
