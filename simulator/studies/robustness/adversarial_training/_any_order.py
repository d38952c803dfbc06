"""The theory of ``adversarial-training`` with the order of the penalty traced, to search over it.

The simulation needs the order as a choice of its solver, and ``r = 1``, whose solutions are sparse,
takes formulas of its own; at any ``r > 1`` the theory is a smooth function of it.
"""

import dataclasses

from simulator.parameters import parameters, traced
from simulator.studies.robustness.adversarial_training import main as isotropic


@parameters
class Params(isotropic.Params):
    penalty_order: float = traced(2.0, "r", "order of the penalty", above=1)


ANY_ORDER = dataclasses.replace(
    isotropic.STUDY,
    params=Params,
    simulate_direct=None,
    simulate_fast=None,
    simulate_conditional=None,
)
