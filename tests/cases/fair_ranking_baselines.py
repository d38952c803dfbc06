"""Regret of the baselines (arXiv 2209.13019), and wrong versions of it."""

from tests.cases import Case, Mutant, Tests
from tests.cases.fair_ranking import NEAR, SMALL, STRONG, TABLE
from tests.references.fair_ranking import baselines

BATCH = STRONG | {
    "algorithm": "batch_frank_wolfe",
    "objective": "quality_weighted",
    "num_epochs": 6,
}
RELEVANCE = SMALL | {"algorithm": "relevance"}
RANDOM = SMALL | {"algorithm": "random"}

CASES = [
    Case("batch", BATCH, program=baselines, **NEAR),
    Case("batch, welfare",
         BATCH | {"objective": "welfare", "welfare_exponent_item": -0.5, "num_epochs": 3},
         program=baselines, slow=True, **NEAR),
    Case("batch, balanced", BATCH | {"objective": "balanced", "num_epochs": 3},
         program=baselines, slow=True, **NEAR),
    Case("relevance", RELEVANCE, program=baselines, **NEAR),
    Case("random", RANDOM | {"arrivals": "shuffled"}, program=baselines, slow=True, **NEAR),
    Case("a table", {"preference_table": TABLE, "num_slots": 2, "algorithm": "relevance",
                     "objective": "quality_weighted", "num_epochs": 4},
         program=baselines, slow=True, **NEAR),
    Case("merit, controlled", {"preference_table": ((0.9, 0.1), (0.8, 0.05)), "num_slots": 1,
                              "objective": "quality_weighted", "algorithm": "fairco"},
         program=baselines, slow=True, **NEAR),
    Case("certificate", BATCH, {"optimality_gap": 0.0}, atol=1e-10),
    Case("batch, 50 iterations", {}, {"regret": [0.00415563763]}, rtol=2e-8),
    Case("relevance, defaults", {"algorithm": "relevance"}, {"regret": [0.744674153]}, rtol=2e-9,
         slow=True),
    Case("random, 5 epochs", {"algorithm": "random", "num_epochs": 5}, {"regret": [0.641308037]},
         rtol=2e-9, slow=True),
    Case("controlled", {"algorithm": "fairco", "objective": "quality_weighted",
                        "fairness_weight": 1.0, "arrivals": "shuffled"},
         {"constrained_utility": 2.15430591}, rtol=4e-9, slow=True),
]  # fmt: skip


def _spread(factor):
    """The term in 1/T at another size."""
    return lambda p, o: {
        "regret": o["regret"]
        + (factor - 1) * (o["regret"] - o["optimal_value"] + o["relevance_value"])
    }


RELEVANT = {"cells": (RELEVANCE | {"num_epochs": 1, "num_checkpoints": 1},)}
MUTANTS = [
    Mutant("regret against relevance, not the optimum",
           after=lambda p, o: {"regret": o["regret"] - o["optimal_value"] + o["relevance_value"]}),
    Mutant("two steps of batch too few", after=lambda p, o: {"regret": 1.5 * o["regret"]},
           cells=(BATCH,)),
    Mutant("penalty of one visit per user twice", after=_spread(2.0), **RELEVANT),
    Mutant("no noise of arrivals", after=_spread(0.0), **RELEVANT),
    Mutant("random order shows everything once",
           at=lambda p: {"num_slots": p.num_items}, cells=(RANDOM,), slow=True),
    Mutant("gradient of a penalty twice as heavy",
           at=lambda p: {"fairness_weight": 2 * p.fairness_weight}),
    Mutant("value for regret", after=lambda p, o: {"regret": o["optimal_value"] + 0 * o["regret"]}),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    cells={"relevance": RELEVANCE, "random": RANDOM},
    expected={
        "special": {"optimality_gap": "zero but for rounding"},
        "no slope at ends": {
            "taste": "identical users: the optimal face changes",
            "fairness_weight": "rankings jump where they begin to matter",
            "welfare_exponent_user": "FairCo's limit is known at 1 alone",
        },
    },
)
