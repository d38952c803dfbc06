"""Reference values of arXiv 2410.22069 (see the study) and wrong versions of its theory.

Monte-Carlo means are of 40 replicates with independent solvers.
"""

import math

import jax.numpy as jnp

from tests.cases import Case, Mutant, Tests, times
from tests.references import steepest_descent_margin as reference


def _case(label, params, margin, error, margin_mc=None, error_mc=None):
    found = {"margin": margin_mc, "generalization_error": error_mc}
    return Case(
        label,
        params,
        {"margin": margin, "generalization_error": error},
        rtol=1e-8,
        atol=6e-9,  # eight decimals are printed
        monte_carlo={name: rows for name, rows in found.items() if rows is not None},
    )


CASES = [
    _case(
        "teacher, alpha = 1",
        {"sample_ratio": 1.0},
        [1.12756834, 0.78654984, 0.49591236],
        [0.29247536, 0.26571147, 0.29895112],
        ([1.1345, 0.7933, 0.5000], [0.0096, 0.0056, 0.0043]),
        ([0.2913, 0.2686, 0.3017], [0.0025, 0.0020, 0.0031]),
    ),
    _case(
        "teacher, alpha = 2",
        {"sample_ratio": 2.0},
        [0.60393557, 0.45457756, 0.24728930],
        [0.20005843, 0.18847861, 0.21822320],
        ([0.5847, 0.4430, 0.2452], [0.0076, 0.0059, 0.0044]),
        ([0.1988, 0.1850, 0.2123], [0.0022, 0.0021, 0.0031]),
    ),
    _case(
        "random labels, alpha = 1/2",
        {"sample_ratio": 0.5, "label_rule": "random"},
        [1.63283849, 1.03431406, 0.71611713],
        [0.5, 0.5, 0.5],
        ([1.591, 1.011, 0.701], [0.017, 0.010, 0.008]),
    ),
    _case(
        "random labels, alpha = 1",
        {"sample_ratio": 1.0, "label_rule": "random"},
        [0.65737399, 0.47065535, 0.28520448],
        [0.5, 0.5, 0.5],
    ),
]

# The root's bracket is another one above alpha = 1.
CASES += [
    Case(
        f"random labels, alpha = {alpha}",
        {"sample_ratio": alpha, "label_rule": "random"},
        rtol=1e-9,
        program=reference.theory_of_random_labels,
    )
    for alpha in (0.02, 0.3, 0.99, 1.01, 1.7)
]


MUTANTS = [
    Mutant("half the samples are used",
           at=lambda p: {"sample_ratio": p.sample_ratio / 2}),
    Mutant(
        "labels taken as random (teacher) or from a teacher (random)",
        at=lambda p: {"label_rule": "random" if p.label_rule == "teacher" else "teacher"},
    ),
    Mutant("l1 margin of an isotropic direction",
           after=times([math.sqrt(2 / math.pi), 1, 1], "margin")),
    Mutant(
        "linf margin from the Gaussian norm",
        after=times([1, 1, math.sqrt(math.pi / 2)], "margin"),
    ),
    Mutant(
        "l2 margin squared",
        after=lambda p, o: {"margin": o["margin"] ** jnp.asarray([1.0, 2.0, 1.0])},
    ),
    Mutant(
        "one sample more per ten dimensions",
        at=lambda p: {"sample_ratio": p.sample_ratio + 0.1},
        slow=True,
    ),
    Mutant("geometries in reverse order", after=lambda p, o: {"margin": o["margin"][::-1]}),
    Mutant(
        "all directions generalise like l2",
        after=lambda p, o: {"generalization_error": jnp.full(3, o["generalization_error"][1])},
        outputs=("generalization_error",),
    ),
]  # fmt: skip

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "resolution": (0.1, "convex problems: finer takes minutes"),
    },
    cells={"small": {"dim": 24, "sample_ratio": 1.25}},
)
