"""Exact margins that bound the trajectories (arXiv 2410.22069), and wrong versions of them."""

import math

import jax.numpy as jnp

from simulator.studies.robustness.steepest_descent_margin.trajectory import theory
from tests.cases import Case, Mutant, altered

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
    return altered(theory, lambda p, o: {name: f(o[name], p) for name, f in changes.items()})


def _both(change):
    return _with(margin=change, smoothed_margin=change)


MUTANTS = [
    Mutant("dual norms in place of norms", _both(lambda margin, p: margin[:, ::-1])),
    Mutant("l1 margin in every norm", _both(lambda margin, p: margin[:, :1] + 0 * margin)),
    Mutant(
        "smoothed margin stays log(n) behind",
        _with(smoothed_margin=lambda margin, p: margin - math.log(3)),
    ),
    Mutant(
        "wrong degree of homogeneity",
        _both(lambda margin, p: margin / (2 if p.model == "linear" else 1)),
    ),
    Mutant("l2 margin in every norm", _both(lambda margin, p: margin[:, 1:2] + 0 * margin)),
    Mutant("support vectors with half their margin", _both(lambda margin, p: margin / 2)),
    Mutant(
        "linf margin smaller than the l2 margin",
        _both(lambda margin, p: jnp.minimum(margin, 0.9 * margin[:, 1:2])),
    ),
]
