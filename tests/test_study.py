"""The same problem at another size: what the ladder of an asymptotic theory runs."""

import numpy as np
import pytest

import simulator
from simulator.verdict import check_study
from tests.toy import ASYMPTOTIC


def grown(name, factor, **given):
    study = simulator.get(name)
    values = study.canonical(given)
    return values, *study.resized(values, factor)


def test_sizes_grow_together_and_are_rounded():
    before, after, size = grown("strong-collapse.random-projections", 0.25, dim=50, width=31)
    assert (after["dim"], after["num_samples"], after["width"]) == (12, 100, 8)
    assert size == 12 / 50
    same = set(before) - {"dim", "num_samples", "width"}
    assert all(np.array_equal(after[name], before[name]) for name in same)


def test_penalties_follow_the_eigenvalues_of_a_power_law():
    law = {"spectrum": "power_law", "spectrum_exponent": 1.3, "ridge": 0.2}
    _, after, _ = grown("ridge-collapse", 0.5, **law)
    assert after["ridge"] == pytest.approx(0.2 * 2**1.3)
    _, after, _ = grown("ridge-collapse", 0.5, ridge=0.2)
    assert after["ridge"] == 0.2
    _, after, _ = grown(
        "strong-collapse.two-covariances", 0.5, **law,
        spectrum_synthetic="power_law", spectrum_exponent_synthetic=0.8,
    )  # fmt: skip
    assert after["covariance_scale_synthetic"] == pytest.approx(0.5 ** (0.8 - 1.3))


def test_no_size_falls_below_its_range_and_the_size_is_the_one_that_is_run():
    _, after, size = grown("implicit-bias", 0.25, dim=24)
    assert after["dim"] == 10
    assert size == 10 / 24


def test_a_ladder_whose_sizes_coincide_is_refused_before_anything_is_simulated():
    with pytest.raises(ValueError, match=r"dim = 3 is not allowed.*take a larger one"):
        check_study(ASYMPTOTIC, dim=3, num_samples=40)
