"""Fair rankings whose clicks are learnt (arXiv 2210.09957), and wrong versions of them."""

import numpy as np

from tests.cases import Case, Mutant, Tests
from tests.references.concave_bandits import ranking

SMALL = {"objective": "quadratic", "num_user_types": 3, "num_items": 4, "num_slots": 2,
         "num_rounds": 30, "num_checkpoints": 2, "curvature": 1.3, "item_weight": 1.2,
         "popularity": 0.4}  # fmt: skip
UNIFORM = SMALL | {"algorithm": "uniform"}
SCALARIZED = SMALL | {"algorithm": "scalarized"}
NEAR = {"rtol": 2e-5, "atol": 2e-6}

CASES = [
    Case("uniform", UNIFORM, program=ranking, **NEAR),
    Case("scalarized", SCALARIZED, program=ranking, **NEAR),
    Case("softmin", SMALL | {"objective": "softmin", "algorithm": "scalarized"}, program=ranking,
         slow=True, **NEAR),
    Case("alpha-fair", SMALL | {"objective": "alpha_fair", "algorithm": "uniform",
                                "welfare_exponent": -0.6, "smoothing": 0.3}, program=ranking,
         slow=True, **NEAR),
    Case("certificate", UNIFORM, {"optimality_gap": 0.0}, atol=1e-10),
    Case("defaults", {}, {"optimal_value": 2.528937307, "scalarized_value": 2.501924997,
                          "uniform_value": 2.091316670, "regret": [np.inf]}, rtol=1e-9),
    Case("ggf", {"objective": "ggf"}, {"optimal_value": 1.7740466119}, rtol=1e-9),
    Case("ggf, flatter", {"objective": "ggf", "ggf_decay": 0.8, "item_weight": 1.0},
         {"optimal_value": 1.6880382383}, rtol=1e-9),
]  # fmt: skip


def _term(factor, policy):
    """The term in 1/T of a fixed policy's regret at another size."""

    def after(p, o):
        short = o["optimal_value"] - o[f"{policy}_value"]
        return {"regret_controlled": short + factor * (o["regret_controlled"] - short)}

    return after


FEW = {"num_rounds": 2, "num_checkpoints": 1}
RANDOM = {"cells": (UNIFORM | FEW,)}
MUTANTS = [
    Mutant("no noise of random orders", after=_term(0.0, "uniform"), **RANDOM),
    Mutant("the Hessian without its half", after=_term(2.0, "uniform"), **RANDOM),
    Mutant("types that all see the same list", after=_term(0.0, "scalarized"),
           cells=(SCALARIZED | FEW,)),
    Mutant("items that count once", at=lambda p: {"item_weight": p.item_weight / 2}),
    Mutant("curvature for its square", at=lambda p: {"curvature": p.curvature**2}),
    Mutant("one slot fewer", at=lambda p: {"num_slots": p.num_slots - 1}),
    Mutant("no tastes", at=lambda p: {"taste": 0.0}, cells=(SCALARIZED | FEW,)),
    Mutant("the other policy",
           after=lambda p, o: {"regret": o["regret"] - o["uniform_value"] + o["scalarized_value"]}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"uniform": UNIFORM, "scalarized": SCALARIZED},
    expected={
        "special": {"optimality_gap": "zero but for rounding"},
        "no slope at ends": {
            "taste": "identical users: the optimal face changes",
            "item_weight": "rankings jump where items begin to matter",
            "welfare_exponent": "at 1 the items' part is constant",
        },
    },
)
