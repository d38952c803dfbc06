"""``robust-pruning.high-dim``: printed rows with Monte-Carlo means, the program, wrong limits."""

from tests.cases import Case, Mutant, Tests, digits
from tests.references import robust_pruning as reference

BASE = {
    "means": (0.0, 2.0),
    "stds": (0.5, 1.0),
    "priors": (0.5, 0.5),
    "density": 0.2,
    "num_samples": 2000,
    "dim": 150,
}
GENERIC = {
    "means": (-0.7, 1.2),
    "stds": (1.3, 0.8),
    "priors": (0.35, 0.65),
    "density": 0.45,
    "num_samples": 400,
    "dim": 60,
}
CASES = [
    Case(
        "optimal",
        BASE | {"pruner": "optimal"},
        {
            "threshold": 0.605826,
            "effective_mean_gap": 1.8174779,
            "class_density": digits(".1333333 .2666667"),
            "class_risk": digits("0.1128228 0.1128228"),
        },
        rtol=0,
        atol=5.1e-8,
        monte_carlo={
            "effective_mean_gap": (1.817446, 0.00068),
            "class_risk": (0.112851, 0.000087),
        },
    ),
    Case(
        "drop",
        BASE | {"pruner": "drop"},
        {
            "threshold": 0.5405468,
            "effective_mean_gap": 1.8156353,
            "class_density": digits(".1138454 .2861546"),
            "class_risk": digits("0.1398277 0.1011390"),
        },
        rtol=0,
        atol=5.1e-8,
        monte_carlo={
            "effective_mean_gap": (1.816105, 0.000711),
            "class_risk": (digits(".139789 .101107"), digits(".000118 .000079")),
        },
    ),
    *(
        Case(pruner, GENERIC | {"pruner": pruner}, rtol=1e-8, program=reference.high_dim)
        for pruner in ("full", "random", "balanced", "optimal", "drop", "drop_equal_base")
    ),
]

MUTANTS = [
    Mutant("the true direction", at=lambda p: {"num_samples": 10**9}),
    Mutant("samples counted before pruning",
           at=lambda p: {"num_samples": p.num_samples / p.density}),
    Mutant("no pruning", at=lambda p: {"pruner": "full"}),
    Mutant("twice the dimension", at=lambda p: {"dim": 2 * p.dim}),
    Mutant("classes exchanged", after=lambda p, o: {"class_risk": o["class_risk"][::-1]},
           cells=[GENERIC | {"pruner": "random"}]),
    Mutant("gap squared", after=lambda p, o: {"effective_mean_gap": o["effective_mean_gap"] ** 2}),
    Mutant("deviations exchanged", at=lambda p: {"stds": p.stds[::-1]},
           cells=[GENERIC | {"pruner": "random"}]),
    Mutant("priors exchanged", at=lambda p: {"priors": p.priors[::-1]},
           cells=[GENERIC | {"pruner": "random"}]),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={
        # Of nearly equal deviations: the rule is constant nowhere on the ladder.
        "small": GENERIC | {"dim": 24, "num_samples": 240, "stds": (0.9, 0.8), "pruner": "drop"}
    },
)
