"""The verdict on an approximation: agrees, fails, or cannot tell."""

import numpy as np
import pytest

from simulator.data.comparison import compare
from simulator.data.experiment import Estimate

THEORY = np.array([[0.3, 0.07, 1.9]])
WORDS = ["n = 40"], ["clean", "1 generation", "2 generations"]


def verdict(relative, relative_error, **options):
    mean = THEORY * (1 + np.asarray(relative))
    return compare("toy", THEORY, Estimate(mean, THEORY * relative_error, 50), *WORDS, **options)


def test_small_deviations_agree_even_if_significant():
    found = verdict([0.03, -0.02, 0.04], 0.001)
    assert found.outcome == "agrees"
    assert np.max(np.abs(found.z)) > 30


def test_a_large_significant_deviation_fails_and_is_named():
    found = verdict([0.01, -0.3, 0.02], 0.02)
    assert found.outcome == "fails"
    assert found.fails.tolist() == [[False, True, False]]
    assert "fails (tolerance 5%, 3 points, 1 beyond it)" in str(found)
    assert "largest -30.0% ± 2.0% (z = -15.0) at n = 40, 1 generation" in str(found)


def test_a_large_deviation_within_its_error_is_inconclusive():
    assert verdict([0.01, -0.3, 0.02], 0.08).outcome == "inconclusive"


def test_agreement_needs_resolution():
    assert verdict([0.0, 0.001, 0.0], 0.04).outcome == "inconclusive"
    assert verdict([0.0, 0.001, 0.0], 0.04, tolerance=0.1).outcome == "agrees"


@pytest.mark.parametrize("relative", [0.0, 0.01, np.nan])
@pytest.mark.parametrize("error", [0.0, 0.001, np.nan])
def test_what_is_no_number_agrees_with_nothing(relative, error):
    found = verdict([0.0, relative, 0.0], [0.001, error, 0.001])
    number = np.isfinite(relative) and error > 0
    assert found.outcome == ("agrees" if number else "inconclusive")


def test_a_large_deviation_without_an_error_fails():
    assert verdict([0.0, 0.3, 0.0], [0.001, 0.0, 0.001]).outcome == "fails"


@pytest.mark.parametrize(
    "theory", [np.ones((1, 2)), np.array([[1, np.inf, 1]]), np.array([[1, 0, 1]])]
)
def test_nonsense_is_refused(theory):
    with pytest.raises(ValueError, match=r"toy: "):
        compare("toy", theory, Estimate(THEORY, THEORY, 5), *WORDS)
