"""Bounds on the robust margins along the optimisers (arXiv 2406.04981), and wrong ones."""

import jax.numpy as jnp

from simulator.studies.robustness.implicit_bias.trajectory import theory
from tests.cases import Case, Mutant, altered

CASES = [
    Case(optimizer, {"optimizer": optimizer, "num_steps": 149}, {"robust_margin_fraction": [1, 1]})
    for optimizer in ("gradient_descent", "sign_descent", "diagonal_network")
]


def _bounded(bound):
    return altered(
        theory,
        lambda p, o: {"robust_margin_fraction": bound(p) * o["robust_margin_fraction"]},
    )


SIGN_DESCENT = {
    "dim": 20,
    "num_steps": 1500,
    "optimizer": "sign_descent",
    "attack_radius_fraction": 0.3,
}

MUTANTS = [
    Mutant("attack subtracted twice", _bounded(lambda p: 1 - p.attack_radius_fraction)),
    Mutant("margin under attack relative to the clean one",
           _bounded(lambda p: (1 - p.attack_radius_fraction) ** 2)),
    Mutant("half of the largest margin is reached", _bounded(lambda p: 0.5)),
    Mutant("limit of a constant step on the raw loss, 1 - 1/log(T)",
           _bounded(lambda p: 1 - 1 / jnp.log(p.num_steps))),
    Mutant("norms of the l2 ball in the linf problem",
           _bounded(lambda p: jnp.sqrt(2 / jnp.pi)), cells=[SIGN_DESCENT]),
    Mutant("share of samples on the margin", _bounded(lambda p: p.sample_ratio)),
]  # fmt: skip
