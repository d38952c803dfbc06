"""Mixtures of arms under concave values (arXiv 2210.09957), and wrong versions of them."""

import numpy as np

from tests.cases import Case, Mutant, Tests
from tests.references.concave_bandits import arms, gini_bound

TABLE = ((0.8, 0.15, 0.4, 0.35), (0.2, 0.7, 0.45, 0.3), (0.1, 0.25, 0.5, 0.6))
CURVED = {"objective": "quadratic", "num_actions": 3, "curvature": 1.4, "peak_max": 0.85,
          "peak_min": 0.6, "base_reward": 0.15}  # fmt: skip
UNIFORM = CURVED | {"algorithm": "uniform", "num_rounds": 40, "num_checkpoints": 2}
MIXTURE = CURVED | {"algorithm": "stationary", "num_rounds": 20}
GINI = {"objective": "ggf", "num_actions": 3, "ggf_decay": 0.6, "num_rounds": 400,
        "moreau_scale": 1.7, "peak_min": 0.7}  # fmt: skip
NEAR = {"rtol": 2e-6, "atol": 2e-8}

CASES = [
    Case("quadratic, uniform", UNIFORM, program=arms, **NEAR),
    Case("quadratic, an arm gets nothing", UNIFORM | {"peak_min": 0.45}, program=arms, **NEAR),
    Case("alpha-fair, scalarized", {"objective": "alpha_fair", "welfare_exponent": -0.7,
                                    "algorithm": "scalarized", "smoothing": 0.12,
                                    "num_checkpoints": 2}, program=arms, **NEAR, slow=True),
    Case("a table, Gaussian", {"mean_rewards": TABLE, "noise": "gaussian", "noise_std": 0.3,
                               "algorithm": "stationary", "temperature": 6.0}, program=arms,
         **NEAR),
    Case("ggf", GINI, program=arms, **NEAR),
    Case("ggf, an objective is left behind", GINI | {"peak_min": 0.4}, program=arms, **NEAR),
    Case("ggf of a table", {"objective": "ggf", "mean_rewards": TABLE, "algorithm": "uniform"},
         program=arms, slow=True, **NEAR),
    Case("oracle, softmin", {}, {"optimal_value": 0.220719557, "uniform_value": 0.218402213,
                                 "scalarized_value": 0.153251143, "regret_std": 0.00479837,
                                 "regret": [0.03954], "stationary_regret": 2.81606e-4}, rtol=4e-5,
         slow=True),
    Case("no curvature left in the loop", {}, {"bregman": [0.0]}, atol=0, slow=True),
    Case("oracle, quadratic", {"objective": "quadratic", "num_actions": 3, "peak_min": 0.7,
                               "num_rounds": 2000},
         {"optimal_value": -0.663856191, "bregman": [2.75277e-5]}, rtol=4e-6, slow=True),
    Case("stationary, quadratic", {"objective": "quadratic", "algorithm": "stationary",
                                   "num_rounds": 200},
         {"optimal_value": -1.473856191, "regret": [2.08588284e-3]}, rtol=3e-9, slow=True),
    Case("alpha-fair bound", {"objective": "alpha_fair", "num_rounds": 2000},
         {"optimal_value": 0.527999026, "bregman": [2.74276e-5], "regret": [0.0481]}, rtol=1e-3,
         slow=True),
    Case("ggf bound", {"objective": "ggf", "num_rounds": 2000},
         {"optimal_value": 0.213055182, "regret": [0.119738]}, rtol=4e-6, slow=True),
    Case("ggf, noise", {"objective": "ggf", "num_rounds": 4000}, {"regret_std": 0.00252861},
         rtol=2e-6, slow=True),
    Case("ggf bound, smoother", {"objective": "ggf", "num_rounds": 2000, "moreau_scale": 3.0},
         program=gini_bound, slow=True),
    Case("ggf loop", {"objective": "ggf"}, {"nonsmooth_coefficient": 0.030950}, rtol=2e-5,
         slow=True),
    Case("ggf loop, smoother", {"objective": "ggf", "moreau_scale": 3.0},
         {"nonsmooth_coefficient": 0.092851}, rtol=1e-5, slow=True),
    Case("ucb", {"algorithm": "ucb", "exploration": 1.0, "failure_probability": 0.001,
                 "num_rounds": 2000}, {"regret": [0.631973]}, rtol=1e-6, slow=True),
    *[
        Case(f"alpha {alpha:g}", {"objective": "alpha_fair", "smoothing": 0.1,
                                  "welfare_exponent": alpha}, {"optimal_value": found}, rtol=2e-10,
         slow=True)
        for alpha, found in ((0.5, 0.5752214263), (0.0, -1.1309508775), (-1.0, -3.1458357344))
    ],
]  # fmt: skip


def _rounds(p):
    return np.array([p.num_rounds // 2**j for j in range(p.num_checkpoints)][::-1])


def _noise(factor):
    """The term in 1/T of a fixed policy's regret at another size."""

    def after(p, o):
        short = o["optimal_value"] - o["uniform_value"]
        return {"regret": short + factor(p) * (o["regret"] - short)}

    return after


ONE_ROUND = {"cells": (UNIFORM | {"num_rounds": 2, "num_checkpoints": 1},)}
MUTANTS = [
    Mutant("no noise of rewards", after=_noise(lambda p: 0.0), **ONE_ROUND),
    Mutant("the Hessian without its half", after=_noise(lambda p: 2.0), **ONE_ROUND),
    Mutant("regret against uniform play", after=_noise(lambda p: 1.0 / p.num_rounds), **ONE_ROUND),
    Mutant("cumulative regret", after=lambda p, o: {"regret": o["regret"] * _rounds(p)}),
    Mutant("best arm for best mixture",
           after=lambda p, o: {"regret": o["regret"] - o["optimal_value"] + o["scalarized_value"]}),
    Mutant("curvature for its square root",
           at=lambda p: {"curvature": np.sqrt(p.curvature)}),
    Mutant("noise of one round", cells=(MIXTURE,), outputs=("regret_std",), slow=True,
           after=lambda p, o: {"regret_std": o["regret_std"] * np.sqrt(p.num_rounds)}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"uniform": UNIFORM},
    ends={"ggf": GINI},
)
