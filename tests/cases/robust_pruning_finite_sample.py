"""``robust-pruning.finite-sample``: printed rows with Monte-Carlo means, and wrong laws."""

from tests.cases import Case, Mutant, Tests
from tests.cases.robust_pruning import BASE, CONSTANT, GENERIC, UNEQUAL
from tests.references import robust_pruning as reference

BASE = BASE | {"num_samples": 4000}
#: Threshold's spread and excess risk (1e-4) of erm, spread of plug_in; of 1000 replicates each: the
#: same with the error of the excess, then plug_in's mean threshold and its error.
ROWS = [
    ("full", {"pruner": "full"},
     0.0511006, 5.897, 0.0119245, 0.04953, 5.53, 0.24, 0.011996, -0.169854, 0.000379),
    ("optimal", {"pruner": "optimal", "density": 0.5},
     0.0676332, 10.003, 0.0171036, 0.06486, 9.15, 0.38, 0.017282, -0.333436, 0.000547),
    ("optimal, saturated", {"pruner": "optimal", "density": 0.9},
     0.0533485, 6.496, 0.0125464, 0.0526, 6.29, 0.3, 0.01281, -0.220691, 0.000405),
    ("drop", {"pruner": "drop", "density": 0.5},
     0.0698167, 10.12, 0.0174522, 0.06657, 9.16, 0.4, 0.017336, -0.389132, 0.000548),
    ("random", {"pruner": "random", "density": 0.5} | UNEQUAL,
     0.0706933, 7.173, 0.0187279, 0.06764, 6.53, 0.3, 0.019155, 0.111402, 0.000606),
    ("balanced", {"pruner": "balanced", "density": 0.3} | UNEQUAL,
     0.0763341, 13.16, 0.021771, 0.07132, 11.49, 0.52, 0.022519, -0.169828, 0.000712),
]  # fmt: skip
#: Of a spread over 1000 replicates.
SPREAD_ERROR = 0.022


def printed(label, params, sd, excess, plug_in, *means):
    """The row's two cases."""
    sd_mean, excess_mean, excess_error, plug_in_mean, threshold_mean, threshold_error = means
    erm = {"threshold_sd": sd, "excess_risk": excess * 1e-4}
    erm_means = {
        "threshold_sd": (sd_mean, SPREAD_ERROR * sd_mean),
        "excess_risk": (excess_mean * 1e-4, excess_error * 1e-4),
    }
    plug_in_means = {
        "threshold_sd": (plug_in_mean, SPREAD_ERROR * plug_in_mean),
        "threshold": (threshold_mean, threshold_error),
    }
    for estimator, expected, found in (
        ("erm", erm, erm_means),
        ("plug_in", {"threshold_sd": plug_in}, plug_in_means),
    ):
        given = BASE | params | {"estimator": estimator}
        yield Case(f"{label}, {estimator}", given, expected, rtol=1e-4, monte_carlo=found)


CASES = [
    *(case for row in ROWS for case in printed(*row)),
    Case(
        "ssp",
        BASE | {"pruner": "ssp", "density": 0.8},
        {"excess_risk": 7.37e-4},
        rtol=1e-3,
        monte_carlo={"excess_risk": (7.01e-4, 0.21e-4), "threshold_sd": (0.04947, 0.0011)},
    ),
    Case(
        "ssp, many samples",
        BASE | {"pruner": "ssp", "density": 0.8, "num_samples": 32000},
        {"excess_risk": 1.843e-4},
        rtol=3e-4,
        monte_carlo={"excess_risk": (1.781e-4, 0.098e-4)},
    ),
    Case(
        "ssp, other classes",
        {
            "pruner": "ssp",
            "density": 0.85,
            "means": (-2.0, 2.0),
            "stds": (0.8, 1.1),
            "num_samples": 4000,
        },
        {"excess_risk": 4.18e-4},
        rtol=1.5e-3,
        monte_carlo={"excess_risk": (4.01e-4, 0.12e-4)},
    ),
    Case(
        "a constant rule does not move",
        CONSTANT | {"pruner": "random", "num_samples": 100},
        {"threshold_sd": 0.0, "excess_risk": 0.0, "average_risk": 0.05},
    ),
    Case(
        "past the jump",
        BASE | {"pruner": "ssp", "density": 0.3},
        {"threshold_sd": 0.0, "excess_risk": 0.0, "threshold": -1.7384006},
        rtol=1e-7,
    ),
    *(
        Case(
            f"{pruner}, {estimator}",
            GENERIC | {"pruner": pruner, "estimator": estimator, "num_samples": 700},
            rtol=1e-6,
            program=reference.finite_sample,
        )
        for pruner, estimator in (
            ("drop", "erm"),
            ("drop", "plug_in"),
            ("balanced", "plug_in"),
            ("full", "erm"),
        )
    ),
    Case(
        "ssp, erm",
        GENERIC | {"pruner": "ssp", "density": 0.9, "num_samples": 700},
        rtol=1e-6,
        program=reference.finite_sample,
    ),
]


def spread(factor):
    """Spread times a factor, the risks left alone."""
    return lambda p, o: {"threshold_sd": o["threshold_sd"] * factor(p)}


def excess(factor):
    return lambda p, o: {"excess_risk": o["excess_risk"] * factor(p)}


MUTANTS = [
    Mutant("samples counted before pruning",
           at=lambda p: {"num_samples": p.num_samples / p.density}),
    Mutant("square-root fluctuations of the error count",
           after=spread(lambda p: p.num_samples ** (-1 / 6) if p.estimator == "erm" else 1)),
    Mutant("excess is the whole square", after=excess(lambda p: 2.0)),
    Mutant("risks of the population", after=lambda p, o: {
        "average_risk": o["average_risk"] * 0.85
    }),
    Mutant("spread of known deviations", after=spread(lambda p: 0.7)),
    Mutant("classes exchanged", after=lambda p, o: {"class_risk": o["class_risk"][::-1]}),
    Mutant("no pruning", at=lambda p: {"pruner": "full"}, outputs=("threshold", "class_risk")),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={
        "error count": {"num_samples": 400, "pruner": "optimal", "density": 0.9},
        "plug-in": {
            "num_samples": 600,
            "estimator": "plug_in",
            "pruner": "drop",
            "priors": (0.7, 0.3),
            "density": 0.6,
        },
    },
)
