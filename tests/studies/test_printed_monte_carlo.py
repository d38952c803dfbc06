"""Preferences and jailbreaks: printed Monte-Carlo means, simulated again at their sizes."""

import numpy as np
import pytest

import simulator
from tests.cases import load

#: Replicates, and how many labels the printed means had where the case does not say.
RUNS = {
    "pilaf": (2000, {"num_preferences": 200_000}),
    "pilaf.alignment": (2000, {}),
    "pilaf.online": (400, {"batch_size": 4096}),
    "jailbreaking": (100_000, {}),
    "jailbreaking.alignment": (4000, {}),
    "jailbreaking.attack": (400_000, {}),
    "jailbreaking.pac-bayes": (20_000, {}),
}
CASES = [
    pytest.param(name, case, id=f"{name} {case.label}")
    for name in RUNS
    for case in load(name).cases
    if case.monte_carlo
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "case"), CASES)
def test_printed_monte_carlo(name, case, seed):
    replicates, sizes = RUNS[name]
    found = simulator.simulate(name, replicates=replicates, seed=seed, **(sizes | case.params))
    for output, (mean, error) in case.monte_carlo.items():
        own = found.standard_error[output]
        assert abs(found.mean[output] - mean) <= 5 * np.hypot(own, error), output
