"""Bounds on the robust margins along the optimisers (arXiv 2406.04981), and wrong ones."""

import numpy as np

from tests.cases import Case, Mutant, Tests

CASES = [
    Case(optimizer, {"optimizer": optimizer, "num_steps": 149}, {"robust_margin_fraction": [1, 1]})
    for optimizer in ("gradient_descent", "sign_descent", "diagonal_network")
]


def _bounded(bound):
    return lambda p, o: {"robust_margin_fraction": bound(p) * o["robust_margin_fraction"]}


MUTANTS = [
    Mutant("attack subtracted twice", after=_bounded(lambda p: 1 - p.attack_radius_fraction)),
    Mutant("margin under attack relative to the clean one",
           after=_bounded(lambda p: (1 - p.attack_radius_fraction) ** 2)),
    Mutant("half of the largest margin is reached", after=_bounded(lambda p: 0.5)),
    Mutant("limit of a constant step on the raw loss, 1 - 1/log(T)",
           after=_bounded(lambda p: 1 - 1 / np.log(p.num_steps))),
    Mutant("norms of the l2 ball in the linf problem",
           after=_bounded(lambda p: np.sqrt(2 / np.pi))),
    Mutant("share of samples on the margin", after=_bounded(lambda p: p.sample_ratio)),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "special": {
            "robust_margin_fraction": "the bound is 1",
        },
    },
)
