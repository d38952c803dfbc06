"""The two-item ranker, exactly (arXiv 2209.13019), and wrong versions of it."""

import math

import numpy as np

from tests.cases import Case, Mutant, Tests, digits, times
from tests.references.fair_ranking import two_items

SMALL = {"fairness_weight": 1.3, "relevance_gap_mean": 0.4, "relevance_gap_std": 0.6}

CASES = [
    Case("off defaults", SMALL | {"num_rounds": 37, "num_checkpoints": 3}, program=two_items,
         rtol=1e-7),
    Case("item 2 leads", SMALL | {"num_rounds": 9, "relevance_gap_mean": -0.7}, program=two_items,
         rtol=1e-7),
    Case("beta 1, T 1000", {"fairness_weight": 1.0},
         {"regret": [7.70665606e-4], "bregman": [5.73650444e-5], "gap": [7.13300561e-4],
          "log_coefficient": 0.0847517723, "regret_noise_std": 0.00510263830}, rtol=2e-9),
    Case("beta 1, T 20", {"fairness_weight": 1.0, "num_rounds": 20},
         {"regret": [0.0219773029], "bregman": [0.0029427108], "gap": [0.0190345921],
          "regret_noise_std": 0.0360811014}, rtol=2e-8),
    Case("beta 5", {"fairness_weight": 5.0, "relevance_gap_mean": 0.8, "relevance_gap_std": 0.3,
                    "num_rounds": 300},
         {"optimal_value": 0.649438543, "optimal_exposure": 0.425625662,
          "optimal_threshold": 0.743743380, "regret": [0.00928159699], "bregman": [1.52748e-4]},
         rtol=4e-6),
    Case("no fairness", {"fairness_weight": 0.0, "num_rounds": 100},
         {"optimal_value": 0.791657735, "relevance_value": 0.791657735, "regret": [0.0]},
         rtol=1e-9, atol=1e-14),
    *[
        Case(f"frontier, beta {beta:g}", {"fairness_weight": beta, "num_rounds": 1},
             {"optimal_exposure": v, "optimal_threshold": c, "optimal_value": f,
              "log_coefficient": kappa, "regret": [first]}, rtol=4e-6)
        for beta, v, c, f, kappa, first in zip(
            digits("0.1 1 10 100"), digits("0.19046452 0.34780997 0.47647506 0.49751557"),
            digits("0.06190710 0.30438006 0.47049875 0.49688621"),
            digits("0.78107286 0.73770754 0.70535248 0.70009225"),
            digits("0.00137682 0.08475177 1.20927678 12.46064786"),
            digits("0.01441512 0.19604981 2.41369474 24.90843451"), strict=True)
    ],
    Case("T below beta", {"fairness_weight": 100.0, "num_rounds": 1000, "num_checkpoints": 4},
         program=two_items, rtol=1e-7, slow=True),
]  # fmt: skip


MUTANTS = [
    Mutant("gradient of the penalty without its factor two",
           at=lambda p: {"fairness_weight": p.fairness_weight / 2}),
    Mutant("variance for deviation", at=lambda p: {"relevance_gap_std": p.relevance_gap_std**2}),
    Mutant("lead of item 2", at=lambda p: {"relevance_gap_mean": -p.relevance_gap_mean}),
    Mutant("bregman with half the weight", after=times(0.5, "bregman")),
    Mutant("gap without the price of exposure",
           after=lambda p, o: {"gap": o["optimal_utility"] - o["utility"]},
           control={"fairness_weight": 0.0}, slow=True),
    Mutant("noise per user, not per round",
           after=times(lambda p, o: math.sqrt(p.num_rounds), "regret_noise_std")),
    Mutant("noise of the lead itself",
           after=lambda p, o: {"regret_noise_std": p.relevance_gap_std / 2 / np.sqrt(p.num_rounds)
                               + 0 * o["regret_noise_std"]}),
    Mutant("regret is its curvature alone", after=lambda p, o: {"regret_controlled": o["bregman"]}),
    Mutant("exposure of item 1", after=lambda p, o: {"exposure": 1 - o["exposure"]}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"small": SMALL | {"num_rounds": 40, "num_checkpoints": 2, "fairness_weight": 2.0}},
)
