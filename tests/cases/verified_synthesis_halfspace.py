"""``verified-synthesis.halfspace``: printed rows with Monte-Carlo means, and wrong theories."""

from math import pi

import numpy as np

from tests.cases import Case, Mutant, Tests
from tests.references import verified_synthesis as reference

NAMES = (
    "keep_rate",
    "kept_label_accuracy",
    "breakdown_error",
    "test_accuracy",
    "test_accuracy_infinite_data",
)
BASE = {"num_samples_synthetic": 1000, "dim": 100, "ridge": 0.1}


def row(label, params, values, monte_carlo):
    return Case(
        label,
        BASE | params,
        dict(zip(NAMES, values, strict=True)),
        rtol=0,
        atol=5.1e-9,
        monte_carlo={"test_accuracy": monte_carlo},
    )


TABLE = [
    row(
        "independent directions",
        {},
        (0.6262812, 0.84093487, 0.67975658, 0.75541911, 0.76831578),
        (0.75485, 0.00049),
    ),
    row(
        "no verifier",
        {"keep_agree": 1.0, "keep_disagree": 1.0},
        (1, 0.7135211, 0.5, 0.70597011, 0.7135211),
        (0.70562, 0.00042),
    ),
    row(
        "errors on one side",
        {"verifier_angle": 0.3, "azimuth": 0.0},
        (0.80901407, 0.88196378, 0.75, 0.79562104, 0.80901407),
        (0.79635, 0.00041),
    ),
    row(
        "the mixture",
        {"signal_norm": 1.5},
        (0.77130817, 0.92063465, 0.71182931, 0.89166415, 0.8985679),
        (0.89144, 0.00026),
    ),
    row(
        "right labels in the majority, accuracy below 1/2",
        {
            "num_samples_synthetic": 800,
            "signal_norm": 1.2,
            "ridge": 0.5,
            "generator_angle": 2.0,
            "verifier_angle": 0.5,
            "azimuth": 0.3,
            "keep_agree": 0.9,
            "keep_disagree": 0.25,
        },
        (0.49233209, 0.51023161, 0.69990975, 0.40820706, 0.37841337),
        (0.40882, 0.00067),
    ),
]

GENERIC = {
    "dim": 37,
    "num_samples_synthetic": 150,
    "generator_angle": 1.1,
    "verifier_angle": 0.6,
    "azimuth": 0.8,
    "keep_agree": 0.85,
    "keep_disagree": 0.2,
}
PROGRAMMED = [
    Case(label, GENERIC | params, rtol=1e-10, program=reference.halfspace)
    for label, params in {
        "Gaussian inputs": {},
        "mixture": {"signal_norm": 1.3},
        "mixture, far angles": {"signal_norm": 0.7, "generator_angle": 2.4, "verifier_angle": 1.9},
        "more dimensions than samples, no ridge": {"num_samples_synthetic": 30, "ridge": 0.0},
        "nearly the same halfspace": {"generator_angle": 0.6001, "azimuth": 1e-3},
        "all nearly right": {"generator_angle": 0.05, "verifier_angle": 0.06, "azimuth": 1.5},
        "the same halfspace": {"generator_angle": 0.6, "azimuth": 0.0, "signal_norm": 1.3},
        "opposite halfspaces": {"generator_angle": pi - 0.6, "azimuth": pi, "signal_norm": 1.3},
    }.items()
]
SAME = {"generator_angle": 0.7, "verifier_angle": 0.7, "azimuth": 0.0, "keep_agree": 1.0}
SPECIAL = [
    Case(  # all is kept, and as many samples as dimensions have a fit of infinite norm
        "the same halfspace at the threshold, no ridge",
        GENERIC | SAME | {"num_samples_synthetic": 37, "ridge": 0.0, "signal_norm": 0.0},
        {"keep_rate": 1.0, "test_accuracy": 0.5},
        rtol=1e-12,
    ),
    Case(
        "a perfect generator",
        GENERIC | {"generator_angle": 0.0, "verifier_angle": 0.0, "signal_norm": 0.0},
        {"generator_accuracy": 1.0, "test_accuracy_infinite_data": 1.0},
        rtol=1e-12,
    ),
]


def _with(p, **changed):
    """The reference at changed parameters, without its rates."""
    names = [
        "num_samples_synthetic",
        "dim",
        "signal_norm",
        "ridge",
        "generator_angle",
        "verifier_angle",
        "azimuth",
        "keep_agree",
        "keep_disagree",
    ]
    return reference.halfspace(**{name: float(getattr(p, name)) for name in names} | changed)


def _independent_errors(p, o):
    """The same rates, but errors that do not depend on the inputs (mixture)."""
    return {
        "test_accuracy": reference.independent(
            p.num_samples_synthetic,
            p.dim,
            max(float(p.signal_norm), 1e-9),
            p.ridge,
            float(o["generator_accuracy"]),
            float(o["keep_correct"]),
            float(o["keep_incorrect"]),
        )["test_accuracy"]
    }


MUTANTS = [
    Mutant("azimuth reversed", at=lambda p: {"azimuth": pi - p.azimuth}),
    Mutant(
        "generator and verifier exchanged",
        at=lambda p: {
            "generator_angle": p.verifier_angle,
            "verifier_angle": p.generator_angle,
        },
    ),
    Mutant(
        "keeps where they disagree",
        at=lambda p: {"keep_agree": p.keep_disagree, "keep_disagree": p.keep_agree},
    ),
    Mutant(
        "errors independent of the inputs",
        after=_independent_errors,
        control=lambda p, o: {"test_accuracy": _with(p)["test_accuracy"]},
    ),
    Mutant(
        "infinitely many samples",
        after=lambda p, o: {"test_accuracy": o["test_accuracy_infinite_data"]},
        cells=[GENERIC | {"dim": 32, "num_samples_synthetic": 60}],
    ),
    Mutant(
        "psi among right labels",
        after=lambda p, o: {
            "keep_incorrect": o["keep_incorrect"]
            * (1 - o["generator_accuracy"])
            / o["generator_accuracy"]
        },
        outputs=("keep_incorrect",),
    ),
    Mutant(
        "accuracy of agreement",
        after=lambda p, o: {"generator_accuracy": o["verifier_accuracy"]},
        outputs=("generator_accuracy",),
    ),
    Mutant(
        "cosine for accuracy",
        after=lambda p, o: {"test_accuracy": np.cos(pi * (1 - o["test_accuracy"]))},
        outputs=("test_accuracy",),
    ),
]

TESTS = Tests(
    cases=[*TABLE, *PROGRAMMED, *SPECIAL],
    mutants=MUTANTS,
    cells={
        # Steep in `keep_agree` near 0 where few disagreements are kept.
        "Gaussian inputs": GENERIC | {"dim": 16, "num_samples_synthetic": 120, "keep_disagree": 0.6}
    },
    expected={
        "other methods": (0.05, "a thousand rows of 32 inputs, one by one"),
        "no slope at ends": {
            "signal_norm": "0 is another law of the inputs",
            **{
                f"generator_angle: {output}": "a rate among no labels is 0 by convention"
                for output in ("keep_correct", "keep_incorrect", "breakdown_error")
            },
        },
    },
)
