"""Concave rewards with Gaussian contexts (arXiv 2210.09957), and wrong versions of them."""

import numpy as np

from tests.cases import Case, Mutant, Tests, digits
from tests.references.concave_bandits import gaussian, gini_exploration

SMALL = {"objective": "quadratic", "target": 2.3, "num_actions": 3, "num_objectives": 2, "dim": 3,
         "num_rounds": 30, "num_checkpoints": 2, "curvature": 1.3}  # fmt: skip
SCALARIZED = SMALL | {"algorithm": "scalarized"}
UNIFORM = SMALL | {"algorithm": "uniform"}
NEAR = {"rtol": 5e-6, "atol": 1e-7}

CASES = [
    Case("quadratic, scalarized", SCALARIZED, program=gaussian, **NEAR),
    Case("softmin, uniform", {"algorithm": "uniform", "num_objectives": 2, "correlation": 0.4,
                              "temperature": 2.5, "num_actions": 4, "num_rounds": 50},
         program=gaussian, slow=True, **NEAR),
    Case("squarecb", {"algorithm": "squarecb", "num_rounds": 40, "squarecb_rate": 3.0,
                      "num_actions": 4}, program=gaussian, **NEAR),
    Case("few rounds of squarecb", {"algorithm": "squarecb", "num_rounds": 9, "num_actions": 2},
         program=gaussian, slow=True, **NEAR),
    Case("epsilon", {"algorithm": "epsilon_greedy", "num_rounds": 777,
                     "exploration_probability": 4.7}, program=gaussian, **NEAR),
    Case("defaults", {"num_rounds": 4000},
         {"optimal_value": 0.584878933, "scalarized_value": 0.225088030,
          "oracle_log_coefficient": 1.75589557, "doubling_increment": 1.217094,
          "bregman": [0.218664 / 4000], "regret_std": 0.00707414,
          "optimal_reward": digits("0.4979803 0.5979298 0.6983305"),
          "optimal_gradient": digits("0.4718861 0.3163786 0.2117353")}, rtol=2e-6),
    Case("symmetric", {"scale_ratio": 1.0}, {"oracle_log_coefficient": 0.947516}, rtol=1e-6,
         slow=True),
    Case("stationary", {"objective": "quadratic", "target": 2.0, "algorithm": "stationary",
                        "num_rounds": 100},
         {"optimal_value": -2.844587248, "regret": [0.0356154150],
          "optimal_reward": digits("0.3013963 0.6481831 1.0118144")}, rtol=2e-7,
         slow=True),
    Case("scalarized", {"algorithm": "scalarized", "num_rounds": 2000}, {"regret": [0.360264453]},
         rtol=3e-9, slow=True),
    Case("exploration of squarecb", {"algorithm": "squarecb", "num_rounds": 2000},
         {"exploration_regret": 0.0299434}, rtol=2e-6, slow=True),
    Case("exploration of epsilon", {"algorithm": "epsilon_greedy", "num_rounds": 2000},
         {"exploration_regret": 0.0339176}, rtol=2e-6, slow=True),
    # The gradient is w itself: E max sqrt(w' G w), in SciPy.
    Case("ggf, an objective is left behind", {"objective": "ggf", "ggf_decay": 0.8},
         {"optimal_value": 0.60339355093889, "nonsmooth_coefficient": np.inf,
          "optimal_gradient": 0.8 ** np.arange(3) / 2.44}, rtol=1e-9),
    # The third of the weights is the last of w; the others make their two rewards equal.
    Case("ggf, an objective is above the others",
         {"objective": "ggf", "scale_ratio": 1.5, "correlation": 0.3},
         {"optimal_value": 0.9956918178, "nonsmooth_coefficient": np.inf,
          "optimal_gradient": digits("0.5581543 0.29898856 0.14285714")}, rtol=1e-7),
    # A sum over so many rounds that most of them are an integral with its corrections.
    Case("ggf, squarecb", {"objective": "ggf", "ggf_decay": 0.8, "algorithm": "squarecb",
                           "squarecb_rate": 30.0, "num_actions": 4, "num_rounds": 150},
         program=gini_exploration, rtol=1e-9),
    *[
        Case(f"ggf, scale {scale:g}", {"objective": "ggf", "moreau_scale": scale},
             {"nonsmooth_coefficient": found}, rtol=3e-5, slow=scale != 1)
        for scale, found in ((1.0, 3.2284), (3.0, 1.1316), (10.0, 0.52868))
    ],
    Case("ggf, best scale", {"objective": "ggf", "moreau_scale": 12.42},
         {"nonsmooth_coefficient": 0.5165}, rtol=1e-4, slow=True),
]  # fmt: skip


def _term(factor):
    """The term in 1/T of a fixed policy's regret at another size."""

    def after(p, o):
        short = o["optimal_value"] - o["scalarized_value"]
        return {"regret_controlled": short + factor * (o["regret_controlled"] - short)}

    return after


ONE_ROUND = {"cells": (SCALARIZED | {"num_rounds": 2, "num_checkpoints": 1},)}
NOISE = {"outputs": ("regret_noise_std",)}
MUTANTS = [
    Mutant("no noise of rewards", after=_term(0.0), **ONE_ROUND),
    Mutant("the Hessian without its half", after=_term(2.0), **ONE_ROUND),
    Mutant("noise of one round", **NOISE,
           after=lambda p, o: {"regret_noise_std": o["regret_noise_std"] * np.sqrt(p.num_rounds)}),
    Mutant("actions chosen at random", **NOISE, at=lambda p: {"noise_std": 2 * p.noise_std}),
    Mutant("one action more", at=lambda p: {"num_actions": p.num_actions + 1}),
    Mutant("objectives that agree", at=lambda p: {"correlation": -p.correlation}),
    Mutant("scales the other way round", at=lambda p: {"scale_ratio": 1 / p.scale_ratio}),
    Mutant("target per objective", at=lambda p: {"target": p.target * np.sqrt(p.num_objectives)}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"scalarized": SCALARIZED, "uniform": UNIFORM},
)
