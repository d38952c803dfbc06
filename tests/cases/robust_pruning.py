"""``robust-pruning``: printed rows and regimes, and thresholds by search."""

from math import inf

import numpy as np

from tests.cases import Case, Tests, digits
from tests.references import robust_pruning as reference

BASE = {"means": (-1.0, 1.0), "stds": (0.5, 1.0), "priors": (0.5, 0.5)}
UNEQUAL = {"priors": (0.8, 0.2)}
#: The constant rules: density ratios never cross.
CONSTANT = {"means": (0.0, 1.0), "stds": (0.5, 1.5), "priors": (0.05, 0.95)}


def row(label, params, threshold, densities, risks):
    return Case(
        label,
        BASE | params,
        {
            "threshold": threshold,
            "class_density": digits(densities),
            "class_risk": digits(risks),
        },
        rtol=0,
        atol=5.1e-8,
    )


TABLE = [
    row("full", {"pruner": "full"}, -0.1700452, "1 1", "0.0484663 0.1209914"),
    row(
        "optimal",
        {"pruner": "optimal", "density": 0.5},
        -0.3333333,
        ".3333333 .6666667",
        "0.0912112 0.0912112",
    ),
    row(
        "optimal, saturated",
        {"pruner": "optimal", "density": 0.9},
        -0.2205984,
        ".8 1",
        "0.0595215 0.1111191",
    ),
    row(
        "drop",
        {"pruner": "drop", "density": 0.5},
        -0.3899617,
        ".2860083 .7139917",
        "0.1112179 0.0822703",
    ),
    row(
        "random",
        {"pruner": "random", "density": 0.5} | UNEQUAL,
        0.1121172,
        ".5 .5",
        "0.0130663 0.1873019",
    ),
    row(
        "balanced",
        {"pruner": "balanced", "density": 0.3} | UNEQUAL,
        -0.1700452,
        ".1875 .75",
        "0.0484663 0.1209914",
    ),
    row(
        "ssp",
        {"pruner": "ssp", "density": 0.8},
        -0.1700452,
        ".7346011 .8653989",
        "0.0484663 0.1209914",
    ),
    *(
        Case(
            f"ssp past its jump, density {density}",
            BASE | {"pruner": "ssp", "density": density},
            {"threshold": threshold, "worst_class_risk": risk},
            rtol=0,
            atol=1e-7,
        )
        for density, threshold, risk in (
            (0.1, -2.3074124, 0.9955364),
            (0.2, -1.9494104, 0.9712060),
            (0.3, -1.7384006, 0.9301355),
            (0.4, -1.5853715, 0.8791490),
        )
    ),
    Case(
        "never class 0",
        CONSTANT | {"pruner": "random"},
        {"threshold": -inf, "class_risk": np.array([1.0, 0.0])},
    ),
    Case(
        "never class 0, one class saturated",
        CONSTANT | {"pruner": "drop", "density": 0.5},
        {"threshold": -inf, "class_density": digits("1 .4736842105263158")},
        rtol=1e-12,
    ),
    Case(
        "never class 1",
        CONSTANT | {"pruner": "drop", "density": 0.02},
        {"threshold": inf, "class_density": digits(".4 0"), "class_risk": np.array([0.0, 1.0])},
        rtol=1e-12,
    ),
]

GENERIC = {"means": (-0.7, 1.2), "stds": (1.3, 0.8), "priors": (0.35, 0.65), "density": 0.45}
PROGRAMMED = [
    Case(label, GENERIC | params, rtol=1e-8, atol=1e-9, program=reference.population)
    for label, params in {
        "random": {"pruner": "random"},
        "balanced": {"pruner": "balanced"},
        "balanced, saturated": {"pruner": "balanced", "density": 0.85},
        "optimal": {"pruner": "optimal"},
        "drop": {"pruner": "drop"},
        "drop, saturated": {"pruner": "drop", "density": 0.9},
        "drop_equal_base": {"pruner": "drop_equal_base"},
        "drop_equal_base, saturated": {"pruner": "drop_equal_base", "density": 0.8},
        "ssp, moderate": {"pruner": "ssp", "density": 0.9},
        "ssp, jumped": {"pruner": "ssp", "density": 0.25},
        "equal deviations": {"pruner": "drop", "stds": (0.9, 0.9)},
    }.items()
]

# The densities cross, and a constant rule errs less than the crossing; just before that, more.
CROSSED = {"means": (0.0, 1.0), "density": 0.5, "pruner": "random"}
PROGRAMMED += [
    Case(
        f"{label}, {share}",
        CROSSED | {"stds": stds, "priors": priors},
        rtol=1e-8,
        atol=1e-9,
        program=reference.population,
    )
    for label, stds, wide_first in (
        ("wide first class", (1.5, 0.5), True),
        ("wide second class", (0.5, 1.5), False),
    )
    for share in (0.66, 0.7)
    for priors in [(share, 1 - share) if wide_first else (1 - share, share)]
]

#: "ssp, jumped" seen in a mirror; digits of the reference's search for that one.
MIRRORED = Case(
    "ssp, jumped to the other side",
    {
        "means": (-1.2, 0.7),
        "stds": (0.8, 1.3),
        "priors": (0.65, 0.35),
        "pruner": "ssp",
        "density": 0.25,
    },
    {
        "threshold": -2.2976380718874,
        "class_density": digits(".17004862 .39848113"),
        "class_risk": digits(".91497569 .01055880"),
        "prune_radius": 1.0976380718874,
    },
    rtol=1e-6,
    atol=1e-8,
)
#: The wide class is so frequent that its density is the larger one everywhere, also in the tails.
SWALLOWED = [
    Case(
        "ssp, always the first class",
        {
            "means": (-0.3, 0.3),
            "stds": (1.5, 1.0),
            "priors": (0.95, 0.05),
            "pruner": "ssp",
            "density": 0.5,
        },
        {"threshold": inf, "class_risk": np.array([0.0, 1.0])},
    ),
    Case(
        "ssp, always the second class",
        {
            "means": (-0.3, 0.3),
            "stds": (1.0, 1.5),
            "priors": (0.05, 0.95),
            "pruner": "ssp",
            "density": 0.5,
        },
        {"threshold": -inf, "class_risk": np.array([1.0, 0.0])},
    ),
]

TESTS = Tests(cases=[*TABLE, *PROGRAMMED, MIRRORED, *SWALLOWED])
