"""Exact margins that bound the trajectories (arXiv 2410.22069), and wrong versions of them."""

import math

import jax.numpy as jnp

from tests.cases import Case, Mutant, Tests

_STEPS = 20


CASES = [
    Case(
        model,
        {"model": model, "optimizer": optimizer, "num_steps": 50 * _STEPS},
        {
            "margin": [margins] * _STEPS,
            "smoothed_margin": [margins] * _STEPS,
            "alignment": [[1] * 3] * _STEPS,
            "bregman": [[0] * 3] * _STEPS,
        },
        rtol=1e-11,
    )
    for model, optimizer, margins in (
        ("linear", "sign_descent", [11 / 9, math.sqrt(3.5), 3]),
        ("diagonal", "gradient_descent", [11 / 36, 11 / 18, 3]),
    )
]


def _with(**changes):
    return lambda p, o: {name: f(o[name], p) for name, f in changes.items()}


def _both(change):
    return _with(margin=change, smoothed_margin=change)


MUTANTS = [
    Mutant("dual norms in place of norms", after=_both(lambda margin, p: margin[:, ::-1])),
    Mutant("l1 margin in every norm", after=_both(lambda margin, p: margin[:, :1] + 0 * margin)),
    Mutant(
        "smoothed margin stays log(n) behind",
        after=_with(smoothed_margin=lambda margin, p: margin - math.log(3)),
    ),
    Mutant(
        "wrong degree of homogeneity",
        after=_both(lambda margin, p: margin / (2 if p.model == "linear" else 1)),
    ),
    Mutant("l2 margin in every norm", after=_both(lambda margin, p: margin[:, 1:2] + 0 * margin)),
    Mutant("support vectors with half their margin", after=_both(lambda margin, p: margin / 2)),
    Mutant(
        "linf margin smaller than the l2 margin",
        after=_both(lambda margin, p: jnp.minimum(margin, 0.9 * margin[:, 1:2])),
    ),
]

TESTS = Tests(
    cases=CASES,
    mutants=MUTANTS,
    expected={
        "special": {
            "alignment": "the bound is 1",
            "bregman": "the bound is 0",
        },
    },
)
