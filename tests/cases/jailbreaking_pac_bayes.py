"""``jailbreaking.pac-bayes``: printed rows, a loop over counts, and wrong bounds."""

import numpy as np

from tests.cases import Case, Mutant, Tests, times
from tests.references import jailbreaking as reference

POINT = {
    "num_models": 3,
    "num_explanations": 4,
    "model_spread": 2.1,
    "num_samples": 12,
    "inverse_temperature": 6.0,
    "failure_probability": 0.2,
}
CASES = [
    Case(
        "printed",
        {},
        {
            "population_risk": 0.00407938655,
            "empirical_risk": 0.00407651826,
            "posterior_kl": 1.81516661,
            "maurer_bound": 0.146845598,
            "catoni_bound": 0.114685507,
        },
        rtol=6e-9,
        monte_carlo={
            "population_risk": (0.00407942, 1.1e-7),
            "empirical_risk": (0.00407654, 4e-8),
            "posterior_kl": (1.815162, 1e-5),
        },
    ),
    Case(
        "printed, colder",
        {"inverse_temperature": 400.0},
        {
            "population_risk": 0.000410051948,
            "posterior_kl": 2.55685457,
            "maurer_bound": 0.149531024,
            "catoni_bound": 0.264290958,
        },
        rtol=6e-9,
    ),
    Case("small", POINT, rtol=1e-10, atol=1e-15, program=reference.pac_bayes),
    Case("one prompt", POINT | {"num_prompts": 1}, rtol=1e-10, program=reference.pac_bayes),
    Case("one sample", POINT | {"num_samples": 1}, rtol=1e-10, program=reference.pac_bayes),
    Case(
        "hot",
        POINT | {"inverse_temperature": 1e-3},
        rtol=1e-9,
        atol=1e-14,
        program=reference.pac_bayes,
    ),
]


def catoni(extra):
    return lambda p, o: {"catoni_bound": o["catoni_bound"] + extra(p)}


MUTANTS = [
    Mutant("no factor two of Maurer", after=lambda p, o: {
        "maurer_bound": o["maurer_bound"] + 0.4142 * (o["maurer_bound"] - o["empirical_risk"])
    }),
    Mutant("no logarithm of the sample", after=lambda p, o: {
        "maurer_bound": o["maurer_bound"] - np.sqrt(np.log(p.num_samples) / (2 * p.num_samples)) / 2
    }),
    Mutant("no temperature in Catoni's excess",
           after=catoni(lambda p: -p.inverse_temperature / (8 * p.num_samples))),
    Mutant("Hoeffding's eighth for a half",
           after=catoni(lambda p: 3 * p.inverse_temperature / (8 * p.num_samples))),
    Mutant("sum for total variation", after=times(2, "population_risk")),
    Mutant("bits", after=times(1 / np.log(2), "posterior_kl")),
    Mutant("half the temperature",
           at=lambda p: {"inverse_temperature": p.inverse_temperature / 2}),
    Mutant("other failure probability",
           at=lambda p: {"failure_probability": 1 - p.failure_probability}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"small": POINT},
    expected={"special": {"violation_probability": "0 to double precision in this family"}},
)
