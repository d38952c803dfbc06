"""Exact margins of two small data sets (arXiv 2410.22069) and wrong versions of them."""

import math

import jax.numpy as jnp
import numpy as np

from simulator.studies.robustness.steepest_descent_margin._model import DATASET_B
from tests.cases import Case, Mutant, Tests

SMALL = 1e-5
CASES = [
    Case(
        "A",
        {},
        {
            "linear_margin": [11 / 9, math.sqrt(3.5), 3],
            "linear_alignment": [1, 1, 1],
            "diagonal_margin_l2": 11 / 18,
            "diagonal_margin_linf": 3,
        },
        rtol=1e-11,
    ),
    Case(
        "B",
        {"inputs": DATASET_B[0], "labels": DATASET_B[1]},
        {
            "linear_margin": [47 / 62, 1.22555569, 1.9],
            "diagonal_margin_l2": 47 / 124,
            "diagonal_margin_linf": 1.9,
        },
        rtol=5e-9,
    ),
    # By hand, from the point of the hull that is nearest to 0 in the dual norm.
    Case(
        "a long point",
        {"inputs": ((2.0, 1.0, 0.0), (1e8, 3e8, 1e8), (1.0, 0.0, 2.0))},
        {"linear_margin": [4 / 3, math.sqrt(3.5), 3]},
        rtol=1e-10,
    ),
    Case(
        "only a small feature separates",
        {"inputs": ((2.0, SMALL, 0.0), (-1.0, 3 * SMALL, 1.0), (-1.0, 2 * SMALL, -1.0))},
        {
            "linear_margin": [
                2 * SMALL / (1 + SMALL), 2 * SMALL / math.sqrt(1 + SMALL**2 / 2), 2 * SMALL
            ]
        },
        rtol=1e-10,
    ),
]  # fmt: skip


def _with(**changes):
    return lambda p, o: {name: f(o) for name, f in changes.items()}


MUTANTS = [
    Mutant(
        "dual norms in place of norms",
        after=_with(linear_margin=lambda o: o["linear_margin"][::-1]),
    ),
    Mutant(
        "every optimiser maximises the l1 margin",
        after=_with(linear_margin=lambda o: jnp.full(3, o["linear_margin"][0])),
    ),
    Mutant(
        "support vectors counted with half their margin",
        after=_with(linear_margin=lambda o: o["linear_margin"] / 2),
    ),
    Mutant("labels ignored", at=lambda p: {"labels": np.abs(p.labels)}),
    Mutant(
        "diagonal network scored by its l1 norm",
        after=_with(diagonal_margin_l2=lambda o: o["diagonal_margin_l2"] / 2),
    ),
    Mutant(
        "norm of a layer, not of all parameters",
        after=_with(diagonal_margin_l2=lambda o: o["diagonal_margin_l2"] / math.sqrt(2)),
    ),
    Mutant(
        "sign descent on the diagonal network halves its margin like gradient descent",
        after=_with(diagonal_margin_linf=lambda o: o["linear_margin"][2] / 2),
        control=_with(diagonal_margin_linf=lambda o: o["linear_margin"][2]),
    ),
    Mutant(
        "stationarity never complete",
        after=_with(linear_alignment=lambda o: 0.9 * o["linear_alignment"]),
    ),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "special": {
            "linear_alignment": "1 at the end of every run",
        },
    },
)
