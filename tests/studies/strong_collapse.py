"""What the tests of strong-collapse share: its studies, and a generic point of their boxes."""

import numpy as np

from simulator.engine.theory import predict_study
from simulator.studies.collapse.strong_collapse import main as classical
from simulator.studies.collapse.strong_collapse import (
    multi_step,
    random_projections,
    two_covariances,
)

CLASSICAL = classical.STUDY
PROJECTED = random_projections.STUDY
STEPS = multi_step.STUDY
TWO = two_covariances.STUDY
PARTS = ("bias", "variance", "synthetic_error", "cross_error")
#: Off every special point: power law, correlated shift, unequal noises, n > d.
GENERIC = {
    "dim": 60,
    "num_samples": 110,
    "synthetic_fraction": 0.35,
    "ridge": 0.03,
    "noise_std_real": 0.4,
    "noise_std_synthetic": 0.7,
    "spectrum": "power_law",
    "spectrum_exponent": 1.3,
    "source_exponent": 0.7,
    "signal_variance": 1.6,
    "synthetic_shift": 0.8,
    "shift_profile": "isotropic",
    "shift_correlation": -0.4,
}
#: s_k ~ lambda_k, so that the isotropic shift has the profile of the signal.
LIKE_THE_SIGNAL = {"source_exponent": (1 - 1 / GENERIC["spectrum_exponent"]) / 2}


def predict(study, **params):
    return predict_study(study, **(GENERIC | params))


def close(actual, desired, rtol=1e-12, atol=1e-14):
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=atol)
