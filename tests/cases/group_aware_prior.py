"""``group-aware-prior``: printed rows with Monte-Carlo means, the program, and wrong theories."""

from tests.cases import Case, Mutant, Tests
from tests.references import group_aware_prior as reference

BASE = {
    "num_samples": 1000,
    "num_group_samples": 100,
    "dim": 100,
    "core_strength": 1.0,
    "spurious_strength": 1.5,
    "minority_fraction": 0.05,
    "group_prior_weight": 1.0,
    "ridge": 0.01,
}


def row(label, params, errors, worst, average, more=None):
    names = ("majority_error", "minority_error", "average_error")
    return Case(
        label,
        BASE | params,
        dict(zip(names, errors, strict=True)) | (more or {}),
        rtol=0,
        atol=5.1e-8,
        monte_carlo={"worst_group_error": worst, "average_error": average},
    )


TABLE = [
    row(
        "no prior",
        {"group_prior_weight": 0.0},
        (0.0534465, 0.6108773, 0.0813180),
        (0.609632, 0.001993),
        (0.081278, 0.000148),
    ),
    row(
        "a weak prior",
        {"group_prior_weight": 0.2},
        (0.0716326, 0.4627985, 0.0911909),
        (0.463973, 0.001614),
        (0.090886, 0.000216),
    ),
    row(
        "weight 1",
        {},
        (0.1310481, 0.3461041, 0.1418009),
        (0.347297, 0.0018),
        (0.141380, 0.000659),
        {"core_weight": 0.4410012, "spurious_weight": 0.1405936, "noise_norm": 0.3516437},
    ),
    row(
        "a strong prior",
        {"group_prior_weight": 5.0},
        (0.2258335, 0.3210786, 0.2305957),
        (0.318764, 0.002226),
        (0.228551, 0.001285),
    ),
    row(
        "ridge 1",
        {"ridge": 1.0},
        (0.1070414, 0.3646562, 0.1199222),
        (0.365978, 0.001833),
        (0.119554, 0.000465),
    ),
    row(
        "fewer samples than dimensions",
        {
            "num_samples": 200,
            "num_group_samples": 40,
            "dim": 300,
            "core_strength": 1.5,
            "spurious_strength": 1.0,
            "minority_fraction": 0.2,
            "ridge": 0.1,
        },
        (0.1918423, 0.2566303, 0.2047999),
        (0.258865, 0.001911 + 2e-6),
        (0.205673, 0.00125),
    ),
]

GENERIC = {
    "num_samples": 150,
    "num_group_samples": 40,
    "dim": 37,
    "core_strength": 1.2,
    "spurious_strength": 0.8,
    "minority_fraction": 0.13,
    "group_prior_weight": 0.7,
    "ridge": 0.03,
}
PROGRAMMED = [
    Case(label, GENERIC | params, rtol=1e-9, program=reference.proportional)
    for label, params in {
        "generic": {},
        "many dimensions": {"dim": 370},
        "no prior": {"group_prior_weight": 0.0},
        "no ridge": {"ridge": 0.0},
        "no ridge, no prior": {"ridge": 0.0, "group_prior_weight": 0.0},
        "more training samples than dimensions only together": {"dim": 170, "ridge": 0.0},
        "no attribute": {"spurious_strength": 0.0},
        "balanced": {"minority_fraction": 0.5},
    }.items()
]


def average(weight):
    """The mean over groups with a weight of the minority."""

    def of_groups(p, o):
        minority = weight(float(p.minority_fraction))
        mean = (1 - minority) * o["majority_error"] + minority * o["minority_error"]
        return {"average_error": mean}

    return of_groups


MUTANTS = [
    Mutant(
        "weight of the sum over the group set",
        at=lambda p: {"group_prior_weight": p.group_prior_weight * p.num_group_samples},
    ),
    Mutant(
        "weight of the MAP, per training sample",
        at=lambda p: {"group_prior_weight": p.group_prior_weight * p.num_samples},
    ),
    Mutant(
        "groups exchanged",
        after=lambda p, o: {
            "majority_error": o["minority_error"],
            "minority_error": o["majority_error"],
        },
    ),
    Mutant("no prior", at=lambda p: {"group_prior_weight": 0.0}),
    Mutant(
        "minority twice as frequent",
        at=lambda p: {"minority_fraction": 2 * p.minority_fraction},
    ),
    Mutant(
        "no noise",
        at=lambda p: {"num_samples": 10**8, "num_group_samples": 10**8},
        outputs=("noise_norm", "majority_error"),
    ),
    Mutant(
        "average without weights",
        after=average(lambda fraction: 0.5),
        control=average(lambda fraction: fraction),
        outputs=("average_error",),
    ),
    Mutant("one kind of samples", at=lambda p: {
        "num_samples": p.num_samples + p.num_group_samples, "group_prior_weight": 0.0
    }),
]  # fmt: skip

TESTS = Tests(
    cases=[*TABLE, *PROGRAMMED],
    mutants=MUTANTS,
    cells={"small": GENERIC | {"dim": 24, "num_samples": 120, "num_group_samples": 32}},
)
