"""A z that few replicates and heavy tails do not exaggerate."""

import numpy as np
import pytest

from simulator.engine.moments import Moments
from simulator.verdict.points import estimate_of_spread
from simulator.verdict.scores import critical_ratio, normal_score

LAWS = {
    "gaussian": (lambda rng, size: rng.standard_normal(size), 0.0),
    "exponential": (lambda rng, size: rng.exponential(1.0, size), 1.0),
    "inverse chi-square of 3": (lambda rng, size: 1 / rng.chisquare(3, size), 1.0),
    "pareto 1.3": (lambda rng, size: rng.random(size) ** (-1 / 1.3), 1.3 / 0.3),
    "its mirror": (lambda rng, size: -(rng.random(size) ** (-1 / 1.3)), -1.3 / 0.3),
    "student 1.5": (lambda rng, size: rng.standard_t(1.5, size), 0.0),
}


@pytest.mark.parametrize("replicates", [2, 5, 20, 128])
@pytest.mark.parametrize("law", LAWS)
def test_scores_of_means_stay_below_five(law, replicates):
    """4,000 samples of each law: at five standard errors, four would be one in a thousand."""
    draw, mean = LAWS[law]
    values = draw(np.random.default_rng(5), (replicates, 4000))
    z = scores(values, mean, lambda s: (s.mean, s.standard_error, s.skewness / replicates**0.5))
    assert np.sum(np.abs(z) > 5) <= 1


SPREADS = {
    "gaussian": (lambda rng, size: rng.standard_normal(size), 1.0),
    "exponential": (lambda rng, size: rng.exponential(1.0, size), 1.0),
    "lognormal": (lambda rng, size: rng.lognormal(0, 1, size), ((np.e - 1) * np.e) ** 0.5),
    "two values": (lambda rng, size: 1.0 * (rng.random(size) < 0.3), 0.21**0.5),
    "student 2.5": (lambda rng, size: rng.standard_t(2.5, size), 5**0.5),
}


@pytest.mark.parametrize("statistic", ["std", "variance"])
@pytest.mark.parametrize("replicates", [2, 5, 20, 128])
@pytest.mark.parametrize("law", SPREADS)
def test_scores_of_spreads_stay_below_five(law, replicates, statistic):
    draw, std = SPREADS[law]
    values = draw(np.random.default_rng(6), (replicates, 4000))
    expected = std if statistic == "std" else std**2
    z = scores(values, expected, lambda s: estimate_of_spread(s, statistic))
    assert np.sum(np.abs(z) > 5) <= 1


def scores(values, expected, estimate):
    moments = Moments()
    moments.update(values)
    mean, error, skewness = estimate(moments.summary())
    spread = error > 0
    ratio = (mean - expected)[spread] / error[spread]
    return normal_score(ratio, skewness[spread], len(values))


def test_scores_of_tame_means_are_the_plain_ratio_and_skewness_only_ever_lowers_them():
    ratio = np.linspace(-40, 40, 81)
    plain = normal_score(ratio, np.zeros(81), 10**9)
    np.testing.assert_allclose(plain[30:51], ratio[30:51], rtol=1e-6)
    skewed = normal_score(ratio, np.full(81, 0.05), 10**9)
    assert np.all(np.abs(skewed) <= np.abs(plain) + 1e-9)
    assert np.all(np.diff(skewed) >= 0)
    np.testing.assert_allclose(skewed[41:], plain[41:])  # on the harmless side
    c = 2 * 0.05 / 3  # Hall: ((1 + c t)^3 - 1) / 3c
    np.testing.assert_allclose(skewed[35], ((1 - 5 * c) ** 3 - 1) / (3 * c), rtol=1e-6)


@pytest.mark.parametrize("skewness", [0.0, 0.02, -0.02])
@pytest.mark.parametrize("replicates", [20, 500, 10**6])
def test_the_critical_ratio_scores_the_threshold(skewness, replicates):
    ratio = critical_ratio(5.0, np.array(skewness), replicates)
    both = normal_score(np.array([ratio, -ratio]), np.full(2, skewness), replicates)
    assert np.min(np.abs(both)) == pytest.approx(5.0, rel=1e-6)


def test_nothing_scores_the_threshold_if_the_skewness_is_large_or_there_is_one_replicate():
    assert critical_ratio(5.0, np.array(0.11), 10**6) == np.inf
    assert critical_ratio(5.0, np.array(0.0), 1) == np.inf
