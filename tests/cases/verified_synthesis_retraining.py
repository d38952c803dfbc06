"""``verified-synthesis.retraining``: the printed chain, the map in cosines, and wrong maps."""

import numpy as np

from tests.cases import Case, Mutant, Tests, digits
from tests.references import verified_synthesis as reference

CHAIN = {
    "num_samples_synthetic": 2000,
    "dim": 100,
    "ridge": 0.1,
    "generator_angle": 1.4,
    "verifier_angle": 0.6,
    "azimuth": 1.0,
    "num_generations": 3,
}
GENERIC = {
    "num_samples_synthetic": 300,
    "dim": 37,
    "ridge": 0.02,
    "generator_angle": 1.1,
    "verifier_angle": 0.7,
    "azimuth": 2.0,
    "num_generations": 3,
}

CASES = [
    Case(
        "printed chain",
        CHAIN,
        {"test_accuracy": digits("0.55436616 0.69546610 0.75643473 0.78141004")},
        rtol=0,
        atol=5.1e-9,
        monte_carlo={
            "test_accuracy": (
                digits("0.55436616 .69523 .75631 .78134"),
                digits("1e-9 16e-5 16e-5 16e-5"),
            )
        },
    ),
    Case("generic", GENERIC, rtol=1e-10, program=reference.retraining),
    Case(
        "no ridge, fewer samples than dimensions",
        GENERIC | {"num_samples_synthetic": 30, "ridge": 0.0},
        rtol=1e-9,
        program=reference.retraining,
    ),
    Case(
        "from the verifier's own halfspace",
        GENERIC | {"generator_angle": 0.7, "azimuth": 0.0},
        rtol=1e-8,
        program=reference.retraining,
    ),
    Case(  # all is kept, and as many samples as dimensions have a fit of infinite norm
        "from the verifier's own halfspace, at the threshold, no ridge",
        GENERIC
        | {
            "generator_angle": 0.7,
            "azimuth": 0.0,
            "num_samples_synthetic": 37,
            "ridge": 0.0,
            "num_generations": 1,
        },
        {"test_accuracy": np.array([1 - 0.7 / np.pi, 0.5])},
        rtol=1e-12,
    ),
    Case(
        "many samples end at the verifier",
        GENERIC | {"num_samples_synthetic": 10**9, "num_generations": 30, "ridge": 0.0},
        {"verifier_accuracy": 1 - 0.7 / np.pi},
    ),
]


def shifted(p, o):
    accuracy = o["test_accuracy"]
    return {"test_accuracy": np.concatenate([accuracy[:1], accuracy[:-1]])}


def one_step(p, o):
    accuracy = o["test_accuracy"]
    return {
        "test_accuracy": np.concatenate([accuracy[:2], np.full(len(accuracy) - 2, accuracy[1])])
    }


MUTANTS = [
    Mutant("one generation late", after=shifted),
    Mutant("only the first generation learns", after=one_step),
    Mutant("no noise in the fit", at=lambda p: {"num_samples_synthetic": 10**9, "ridge": 0.0}),
    Mutant("verifier's azimuth reversed", at=lambda p: {"azimuth": np.pi - p.azimuth}),
    Mutant("exponential approach to the truth", after=lambda p, o: {
        "test_accuracy": 1 - (1 - o["test_accuracy"][0]) / 2.0 ** np.arange(len(o["test_accuracy"]))
    }),
    Mutant("verifier right where it is wrong",
           at=lambda p: {"verifier_angle": np.pi - p.verifier_angle}),
    Mutant("cosine for accuracy", after=lambda p, o: {
        "test_accuracy": np.cos(np.pi * (1 - o["test_accuracy"]))
    }),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"small": GENERIC | {"dim": 16, "num_samples_synthetic": 160, "num_generations": 2}},
    expected={"other methods": (0.05, "a thousand rows of 32 inputs, one by one")},
)
