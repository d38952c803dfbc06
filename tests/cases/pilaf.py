"""``pilaf``: the printed table, sums response by response, and wrong limits."""

import numpy as np

from tests.cases import Case, Mutant, Tests, times
from tests.references import pilaf as reference

#: Coefficient, variance, worst direction, informative share; Monte-Carlo of the first two.
PRINTED = {
    ("pilaf", "tilt"): (6.7708915, 30.563314, 4.5139276, 0.38636135, (6.792, 0.062), (30.42, 0.8)),
    ("pilaf", "none"): (6.5038634, 28.267167, 4.6336363, 0.40101650, (6.579, 0.06), (28.76, 0.8)),
    ("pilaf", "importance"): (
        *(6.5169298, 28.380625, 4.6422784, 0.40101650, (6.522, 0.06), (29.14, 0.85)),
    ),
    ("pilaf_practical", "none"): (
        *(6.7068392, 30.174966, 4.9699195, 0.38910777, (6.708, 0.061), (30.13, 0.8)),
    ),
    ("vanilla", "none"): (9.4091016, 68.423452, 9.8132829, 0.30751988, (9.278, 0.093), (69.0, 2.6)),
    ("best_of_n", "none"): (
        *(4.4174092, 13.744259, 3.8201162, 0.55530343, (4.389, 0.04), (12.86, 0.35)),
    ),
    ("hybrid", "none"): (3.8989501, 11.66957, 3.7965774, 0.84311137, (3.876, 0.038), (11.39, 0.32)),
    ("uniform", "none"): (
        *(3.0914104, 8.2822994, 3.5918205, 0.83333333, (3.059, 0.031), (7.89, 0.25)),
    ),
    ("reference", "none"): (
        *(3.2244185, 8.9947201, 3.7069571, 0.81353444, (3.225, 0.033), (8.88, 0.29)),
    ),
}
SPREAD = {
    ("pilaf", "tilt"): (30.682144, 627.59597, 20.454763, 0.98055798, (30.79, 0.28), (623, 16)),
    ("vanilla", "none"): (10.336256, 143.63897, 16.714889, 0.6023182, (10.23, 0.13), (142.3, 5.5)),
}


def printed(table, setting, quick, partition):
    for (sampler, weighting), (mean, variance, worst, share, first, second) in table.items():
        yield Case(
            f"printed {sampler}, {weighting} {setting}",
            setting | {"sampler": sampler, "prompt_weighting": weighting},
            {
                "regret_coefficient": mean,
                "regret_variance_coefficient": variance,
                "worst_direction_coefficient": worst,
                "informative_fraction": share,
                "mean_partition": partition,
            },
            rtol=4e-8,
            monte_carlo={"regret_coefficient": first, "regret_variance_coefficient": second},
            slow=sampler not in quick,
        )


#: One prompt, one-hot features less the last, uniform reference: the tabular example.
TABULAR = {
    "num_prompts": 1,
    "num_responses": 6,
    "dim": 5,
    "features": np.eye(6)[None, :, :5],
    "reference_policy": np.full((1, 6), 1 / 6),
    "oracle_parameter": (2.0, 1.6, 1.2, 0.8, 0.4),
    "prompt_weighting": "none",
}
TABLE = {
    "pilaf": (11.0794, 4.4317, 0.6514),
    "pilaf_practical": (11.2417, 4.6043, 0.6480),
    "vanilla": (13.8153, 7.6683, 0.6137),
    "best_of_n": (9.3158, 9.4989, 0.9910),
    "hybrid": (7.3691, 6.1299, 0.8333),
    "uniform": (9.3701, 11.3977, 0.8333),
}
SMALL = {
    "num_prompts": 2,
    "num_responses": 3,
    "dim": 2,
    "kl_regularization": 0.7,
    "reward_scale": 1.2,
    "behavior_scale": 1.5,
    "num_preferences": 3000,
}
ARRAYS = {
    "num_prompts": 2,
    "num_responses": 4,
    "dim": 3,
    "features": np.sin(np.arange(24.0) ** 2).reshape(2, 4, 3),
    "reference_policy": ((0.1, 0.2, 0.3, 0.4), (0.25, 0.35, 0.05, 0.35)),
    "prompt_distribution": (0.3, 0.7),
    "oracle_parameter": (0.5, -1.1, 0.4),
    "kl_regularization": 0.6,
    "behavior_scale": 1.3,
}

CASES = [
    *printed(PRINTED, {}, ("pilaf",), 2.2569638),
    *printed(SPREAD, {"kl_regularization": 2.0, "reward_scale": 2.0}, (), 40.909525),
    *(
        Case(
            f"tabular {sampler}",
            TABULAR | {"sampler": sampler},
            {
                "regret_coefficient": mean,
                "worst_direction_coefficient": worst,
                "informative_fraction": share,
            },
            rtol=1e-4,
            slow=sampler != "best_of_n",
        )
        for sampler, (mean, worst, share) in TABLE.items()
    ),
    Case("small", SMALL, rtol=1e-9, program=reference.estimation),
    Case(
        "own arrays, best of three, importance",
        ARRAYS | {"sampler": "best_of_n", "num_candidates": 3, "prompt_weighting": "importance"},
        rtol=1e-9,
        program=reference.estimation,
    ),
    Case(
        "small beta",
        SMALL | {"kl_regularization": 0.15, "sampler": "vanilla"},
        rtol=1e-8,
        program=reference.estimation,
        slow=True,
    ),
    Case(
        "two responses, hardly any reward",
        {
            "num_prompts": 2,
            "num_responses": 2,
            "dim": 1,
            "kl_regularization": 1.0,
            "reward_scale": 1e-4,
            "prompt_weighting": "none",
        },
        {"regret_coefficient": 1.0},
        rtol=1e-7,
        monte_carlo={"regret_coefficient": (1.0, 0.022)},
        slow=True,
    ),
]


BOTH = ("regret_coefficient", "kl_coefficient")
MUTANTS = [
    Mutant("no half", after=times(2, *BOTH)),
    Mutant("divergence times β twice", after=times(lambda p, o: p.kl_regularization**2,
                                                   "kl_coefficient")),
    Mutant("every pair tells", after=times(lambda p, o: o["informative_fraction"], *BOTH)),
    Mutant("one direction too few", after=times(lambda p, o: (p.dim - 1) / p.dim, *BOTH)),
    Mutant("no partition", after=times(lambda p, o: 2 / o["mean_partition"], *BOTH)),
    Mutant("variance of one direction", after=times(lambda p, o: 1 / p.dim,
                                                    "regret_variance_coefficient")),
    Mutant("variance not squared", after=lambda p, o: {
        "regret_variance_coefficient": o["regret_coefficient"]
    }),
    Mutant("all directions as bad as the worst", after=times(
        lambda p, o: p.dim * o["worst_direction_coefficient"] / (2 * o["regret_coefficient"]),
        *BOTH)),
    Mutant("pairs of the reference policy", at=lambda p: {"behavior_scale": 0.0}),
    Mutant("half the penalty", at=lambda p: {"kl_regularization": p.kl_regularization / 2}),
    Mutant("pairs of one policy", at=lambda p: {"sampler": "vanilla"}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"small": SMALL},
    expected={
        "resolution": (0.2, "a variance of squares: finer is slow"),
        "no slope at ends": {
            "reward_scale: worst_direction_coefficient": "an eigenvalue that is d-fold at 0",
        },
    },
)
