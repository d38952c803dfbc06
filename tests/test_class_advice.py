"""Advice for labelled data: right where the rows are Gaussian, and says so where they are not."""

import json

import numpy as np
import pytest

from simulator.class_advice import Prediction, advise_classes
from simulator.data import DataError
from simulator.data.classes import ClassTable

SMALL = {"experiments": 60, "num_group_samples": 80}


def mixture(noise, rows=1200, dim=8):
    """Classes along the first axis, a spurious attribute along the last; and that attribute."""
    rng = np.random.default_rng(5)
    y = rng.uniform(size=rows) < 0.5
    a = np.where(rng.uniform(size=rows) < 0.15, ~y, y)
    x = noise(rng, (rows, dim)) * np.geomspace(0.7, 1.5, dim)
    x[:, 0] += 0.8 * (2 * y - 1)
    x[:, -1] += 1.2 * (2 * a - 1)
    return ClassTable(x, y.astype(int), ("no", "yes"), "mixture"), a.astype(int)


def test_gaussian_rows_agree_with_the_theory():
    data, attribute = mixture(lambda rng, shape: rng.standard_normal(shape))
    found = advise_classes(data, attribute=attribute, **SMALL)
    assert found.classes == ("no", "yes")
    assert not [test for test in found.tests if "FAILS" in test.verdict], str(found)
    assert sum("holds" in test.verdict for test in found.tests) >= 4, str(found)
    assert found.group_prior_weight > 0.1
    assert 0 < found.keep_incorrect < found.keep_correct < 1
    shares = found.class_density
    assert np.mean(shares) == pytest.approx(0.3, abs=0.02)
    json.dumps(found.to_dict())
    assert len(str(found).splitlines()) == 5 + len(found.tests)


def test_heavy_tails_are_found_out():
    data, attribute = mixture(lambda rng, shape: rng.standard_t(1.2, shape))
    found = advise_classes(data, attribute=attribute, **SMALL)
    assert [test for test in found.tests if "FAILS" in test.verdict], str(found)


def test_verdicts():
    assert Prediction("x", 0.1, 0.101, 0.001).verdict == "holds"
    assert Prediction("x", 0.1, 0.119, 0.001).verdict == "inconclusive"
    assert "FAILS" in Prediction("x", 0.1, 0.13, 0.001).verdict


def test_one_line_refusals():
    data, attribute = mixture(lambda rng, shape: rng.standard_normal(shape), rows=60)
    for change, what in (
        ({"density": 1.5}, "density"),
        ({"generator_accuracy": -1}, "generator_accuracy"),
        ({"attribute": np.zeros(60)}, "two values"),
        ({"attribute": attribute[:10]}, "60 rows"),
        ({"attribute": data.labels}, "all four groups"),
    ):
        with pytest.raises(DataError, match=what) as error:
            advise_classes(data, **{"experiments": 2} | change)
        assert "\n" not in str(error.value)
