"""``group-aware-prior.population``: printed rows, direct minimisation, and wrong theories."""

from math import inf

from scipy.stats import norm

from tests.cases import Case, Mutant, Tests
from tests.references import group_aware_prior as reference

BASE = {
    "core_strength": 1.0,
    "spurious_strength": 1.5,
    "minority_fraction": 0.05,
    "group_prior_weight": 1.0,
    "dim": 3,
}


def row(label, params, weights, worst, critical, worst_mean, critical_mean):
    return Case(
        label,
        BASE | params,
        {
            "core_weight": weights[0],
            "spurious_weight": weights[1],
            "worst_group_error": worst,
            "critical_radius": critical,
        },
        rtol=0,
        atol=5.1e-8,
        monte_carlo={"worst_group_error": worst_mean, "critical_radius": critical_mean},
    )


TABLE = [
    row(
        "squared, below the critical radius",
        {"ridge": 0.0, "perturbation_radius": 0.1},
        (0.4874985, 0.0568936),
        0.2062845,
        0.2076923,
        (0.206639, 0.000349),
        (0.208269, 0.000816),
    ),
    Case(
        "squared, beyond it",
        BASE | {"ridge": 0.0, "perturbation_radius": 0.3},
        {"core_weight": 0.5, "spurious_weight": 0.0, "worst_group_error": 0.1586553},
        rtol=0,
        atol=5.1e-8,
    ),
    row(
        "logistic",
        {"loss": "logistic", "ridge": 0.01},
        (1.7440544, 0.41836),
        0.2667989,
        0.9763305,
        (0.267499, 0.000418),
        (0.975861, 0.0126),
    ),
    row(
        "logistic, perturbed",
        {"loss": "logistic", "ridge": 0.01, "perturbation_radius": 0.2},
        (1.8145915, 0.3122873),
        0.2323574,
        0.9763305,
        (0.232519, 0.00038),
        (0.975861, 0.0126),
    ),
    *(
        Case(
            f"squared, weight {k}",
            BASE | {"group_prior_weight": k, "ridge": 0.01},
            {"worst_group_error": worst},
            rtol=0,
            atol=5.1e-8,
        )
        for k, worst in ((0.0, 0.6204807), (0.2, 0.4494807), (1.0, 0.2680902), (5.0, 0.1861479))
    ),
    Case(
        "logistic without a critical radius",  # there is one from weight 0.64495 on
        BASE | {"loss": "logistic", "group_prior_weight": 0.644, "ridge": 0.01},
        {"critical_radius": inf},
    ),
]

GENERIC = {
    "core_strength": 1.2,
    "spurious_strength": 0.8,
    "minority_fraction": 0.13,
    "group_prior_weight": 0.7,
    "ridge": 0.2,
}
LOGISTIC = GENERIC | {"loss": "logistic", "ridge": 0.02, "group_prior_weight": 1.7}
PROGRAMMED = [
    Case("squared", GENERIC, rtol=1e-6, program=reference.population),
    Case(
        "squared, perturbed",
        GENERIC | {"perturbation_radius": 0.08},
        rtol=1e-6,
        program=reference.population,
    ),
    Case(
        "squared, beyond the critical radius",
        GENERIC | {"perturbation_radius": 0.8},
        rtol=1e-9,
        program=reference.population,
    ),
    Case("squared, no prior", GENERIC | {"group_prior_weight": 0.0}, rtol=1e-6,
         program=reference.population),
    Case("squared, no spurious correlation", GENERIC | {"minority_fraction": 0.5}, rtol=1e-9,
         atol=1e-9, program=reference.population),
    Case("logistic, with a large critical radius",
         BASE | {"loss": "logistic", "group_prior_weight": 0.66, "ridge": 0.01}, rtol=1e-7,
         program=reference.population),
    Case("logistic, pulled to both sides",
         {"core_strength": 0.6, "spurious_strength": 2.5, "minority_fraction": 0.3, "ridge": 0.2,
          "group_prior_weight": 1.2, "loss": "logistic"}, rtol=1e-7, program=reference.population),
    Case("logistic", LOGISTIC, rtol=1e-7, program=reference.population),
    *(
        Case(f"logistic, {label}", LOGISTIC | params, rtol=1e-7, program=reference.population)
        for label, params in {
            "perturbed": {"perturbation_radius": 0.3},
            "just below the critical radius": {"perturbation_radius": 0.8},  # of 0.81902
            "far classes": {"core_strength": 2.7, "perturbation_radius": 0.6},
        }.items()
    ),
]  # fmt: skip


def errors(p, core, spurious):
    norm_of_w = (core**2 + spurious**2) ** 0.5
    found = reference.group_errors(
        (core, spurious),
        norm_of_w,
        float(p.core_strength),
        float(p.spurious_strength),
        float(p.minority_fraction),
    )
    return found | {"core_weight": core, "spurious_weight": spurious}


MUTANTS = [
    Mutant("no prior", at=lambda p: {"group_prior_weight": 0.0}),
    Mutant(
        "prior doubles the training weight",
        at=lambda p: {"group_prior_weight": p.group_prior_weight / (1 + p.group_prior_weight)},
    ),
    Mutant(
        "radius not divided by the weight",
        after=lambda p, o: {"critical_radius": o["critical_radius"] * p.group_prior_weight},
        outputs=("critical_radius",),
    ),
    Mutant("minimax from the start", at=lambda p: {"perturbation_radius": 1e3}),
    Mutant(
        "spurious weight of the other sign",
        after=lambda p, o: errors(p, float(o["core_weight"]), -float(o["spurious_weight"])),
        control=lambda p, o: errors(p, float(o["core_weight"]), float(o["spurious_weight"])),
    ),
    Mutant("strength squared", at=lambda p: {"spurious_strength": p.spurious_strength**2}),
    Mutant(
        "half the distance between the means",
        after=lambda p, o: {"majority_error": norm.cdf(norm.ppf(o["majority_error"]) / 2)},
        outputs=("majority_error",),
    ),
    Mutant("ridge of the logistic convention", at=lambda p: {"ridge": p.ridge * 10}, slow=True),
]

TESTS = Tests(
    cases=[*TABLE, *PROGRAMMED],
    mutants=MUTANTS,
    cells={"squared": GENERIC | {"num_samples": 1000, "num_group_samples": 1000}},
    expected={
        "jumps": {"perturbation_radius": "a kink at the critical radius"},
    },
)
