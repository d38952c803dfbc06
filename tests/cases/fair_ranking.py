"""Optima and bounds of the online ranker (arXiv 2209.13019), and wrong versions of them."""

import numpy as np

from tests.cases import Case, Mutant, Tests
from tests.references.fair_ranking import ranking

SMALL = {
    "num_users": 5,
    "num_items": 4,
    "num_slots": 2,
    "num_epochs": 12,
    "num_checkpoints": 2,
    "popularity": 0.7,
    "taste": 1.4,
    "fairness_weight": 0.2,
    "smoothing": 0.3,
}  # the central limit is near: with strong penalties it needs thousands of epochs
STRONG = SMALL | {"fairness_weight": 0.9, "smoothing": 0.08}
TABLE = ((0.9, 0.2, 0.55), (0.35, 0.8, 0.1), (0.6, 0.45, 0.7))
MEDIUM = {"num_users": 20, "num_items": 10, "num_slots": 3, "num_epochs": 1}
NEAR = {"rtol": 2e-5, "atol": 2e-6}  # what sequential quadratic programming reaches

CASES = [
    Case("quality_weighted", SMALL | {"objective": "quality_weighted"}, program=ranking, **NEAR),
    Case("strong penalty", STRONG | {"objective": "quality_weighted"}, program=ranking, **NEAR),
    Case("a table", {"preference_table": TABLE, "num_slots": 1, "fairness_weight": 1.7},
         program=ranking, **NEAR),
    Case("every item is shown", STRONG | {"num_slots": 4}, program=ranking, slow=True, **NEAR),
    Case("welfare", STRONG | {"objective": "welfare", "welfare_exponent_item": -0.5},
         program=ranking, slow=True, **NEAR),
    Case("balanced", STRONG | {"objective": "balanced"}, program=ranking, slow=True, **NEAR),
    Case("certificate", SMALL | {"objective": "quality_weighted"}, {"optimality_gap": 0.0},
         atol=1e-10),
    Case("defaults", {}, {"optimal_value": 2.10005220, "optimal_utility": 2.13301619,
                          "optimal_unfairness": 0.194726366, "relevance_value": 1.35644968,
                          "uniform_value": 1.47422956, "regret": [0.0341147872],
                          "regret_noise_std": 4.43232e-4}, rtol=2e-6),
    Case("quality_weighted, 40 x 20", {"objective": "quality_weighted", "fairness_weight": 1.0},
         {"optimal_value": 1.94276926, "optimal_utility": 2.17849714,
          "optimal_unfairness": 0.0746165792, "regret": [0.0877480446],
          "regret_noise_std": 6.39020e-4}, rtol=2e-6, slow=True),
    Case("concave users", {"objective": "welfare", "fairness_weight": 2.0,
                           "welfare_exponent_user": 0.5, "arrivals": "shuffled"},
         {"optimal_value": 2.38276065, "optimal_utility": 2.25518679,
          "relevance_value": 2.35391428, "regret": [np.inf]}, rtol=5e-9, slow=True),
    Case("groups", {"objective": "balanced", "fairness_weight": 1.0, "arrivals": "shuffled"},
         {"optimal_value": 2.08635785, "optimal_utility": 2.30997822,
          "relevance_value": 2.07925332}, rtol=5e-9, slow=True),
    Case("identical users", {"taste": 0.0},
         {"optimal_value": 1.52608824, "relevance_value": -1.04011845}, rtol=5e-9),
    *[
        Case(f"{objective}, 20 x 10", MEDIUM | {"objective": objective, **given},
             {"optimal_value": value}, rtol=2e-10, slow=True)
        for objective, given, value in (
            ("quadratic", {}, 1.4917518855),
            ("quality_weighted", {"fairness_weight": 1.0}, 1.3247412648),
            ("welfare", {"fairness_weight": 2.0, "welfare_exponent_user": 0.5}, 2.2847602388),
            ("balanced", {"fairness_weight": 1.0}, 1.4044468767),
        )
    ],
    *[
        Case(f"frontier, beta {beta:g}", {"fairness_weight": beta},
             {"optimal_utility": utility, "optimal_unfairness": unfair, "optimal_value": value},
             rtol=4e-6, atol=5e-7, slow=beta > 0)
        for beta, utility, unfair, value in (
            (0.0, 2.310268, 1.047461, 2.31026796), (0.5, 2.286593, 0.750824, 2.22533354),
            (1.0, 2.251455, 0.585043, 2.17706640), (2.0, 2.185659, 0.355945, 2.13058755),
            (8.0, 2.100381, 0.099008, 2.08333745), (16.0, 2.083471, 0.050348, 2.07465640),
            (64.0, 2.070196, 0.012776, 2.06792534),
        )
    ],
]  # fmt: skip


def _below(bound):
    """A bound that the ranker does not keep."""
    return lambda p, o: dict.fromkeys(("regret_controlled",), bound(p, o) * o["regret_controlled"])


def _rounds(p):
    return p.num_users * np.array([p.num_epochs // 2**j for j in range(p.num_checkpoints)][::-1])


NOISE = {"outputs": ("regret_noise_std",)}
MUTANTS = [
    Mutant("a bound of 1/T² alone", after=_below(lambda p, o: 1 / _rounds(p))),
    Mutant("smoothness divided by the number of items and users",
           after=_below(lambda p, o: 1 / (p.num_items * p.num_users))),
    Mutant("cumulative regret for its average", outputs=("regret",),
           after=lambda p, o: {"regret": o["regret"] / _rounds(p) ** 2}),
    Mutant("noise of one round", **NOISE,
           after=lambda p, o: {"regret_noise_std": o["regret_noise_std"] * _rounds(p)[-1] ** 0.5}),
    Mutant("noise over epochs, not rounds", **NOISE,
           after=lambda p, o: {"regret_noise_std": o["regret_noise_std"] * p.num_users**0.5}),
    Mutant("noise of the variance over users", **NOISE,
           after=lambda p, o: {"regret_noise_std": o["regret_noise_std"] ** 2}),
    Mutant("tastes half as different", **NOISE, at=lambda p: {"taste": p.taste / 2}),
    Mutant("users who all count alike", **NOISE, at=lambda p: {"taste": 0.0}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"small": SMALL | {"objective": "quality_weighted"}},
    expected={
        "special": {"optimality_gap": "zero but for rounding"},
        "no slope at ends": {
            "taste": "identical users: the optimal face changes",
            "fairness_weight": "rankings jump where they begin to matter",
            "welfare_exponent_user": "the bound is infinite beside 1",
        },
    },
)
