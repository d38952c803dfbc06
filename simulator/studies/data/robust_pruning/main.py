"""How much of each class should a pruned data set keep?

Question. A data set must be cut to a share ``density``. How many samples of each class serve the
worst class best, and what do random pruning, selection of hard examples and error-driven quotas do
to it?

Model. Two classes on a line (`_model`), the learner minimises the average 0-1 risk of what is left;
risks are measured on the unpruned law. In ``D`` dimensions with isotropic noise the problem is the
one along the line through the means.

Theory. With ``G = mu_1 - mu_0``, ``A = 1/sigma_0² - 1/sigma_1²``, ``L = ln(q_0 sigma_1/(q_1
sigma_0))``, ``disc = G²/(sigma_0 sigma_1)² + 2 A L``, the minimiser is

    t_avg = mu_0 + (G²/sigma_1² + 2 L)/(G/sigma_1² + sqrt(disc))

or a constant rule (threshold -inf, +inf), whichever has the smaller risk; the worst class does
best, ``minimax_risk = Phi(-G/(sigma_0 + sigma_1))``, where ``q_0/q_1 = sigma_0/sigma_1``. Pruners:
full; random, ``d_k = density``; balanced, ``d_k ~ 1/phi_k``; optimal, ``d_k ~ sigma_k/phi_k``;
drop, ``d_k ~ R_k`` of the full data's rule; drop_equal_base, ``d_k ~ R_k/phi_k``, all capped at
1; ssp keeps what is farther than ``M`` from its class mean: moderate pruning leaves the threshold
exactly where it was, and past a critical density it jumps to an edge of what is left. Exact
population limits.

Reference: A. Vysogorets, K. Ahuja, J. Kempe, "DRoP: Distributionally Robust Data Pruning", ICLR
2025, arXiv 2404.05579.
"""

import jax.numpy as jnp

from simulator.studies.data.robust_pruning._model import (  # isort: skip
    ClassParams, check_classes, minimax_risk, pruned,
)  # fmt: skip
from simulator.parameters import parameters
from simulator.studies.data.robust_pruning import PAPER
from simulator.study import Figure, Study, theory_only


@parameters
class Params(ClassParams):
    pass


def theory(params):
    """The rule of the pruned population, judged on the unpruned one."""
    found = pruned(params)
    risks = found.rule.risks
    return {
        "threshold": found.rule.threshold,
        "class_density": found.class_density,
        "class_risk": risks,
        "average_risk": found.classes.priors @ risks,
        "worst_class_risk": jnp.max(risks),
        "risk_gap": jnp.abs(risks[0] - risks[1]),
        "prune_radius": found.radius,
        "minimax_risk": minimax_risk(found.classes),
    }


figures = {
    "pruners": Figure(
        title="Quotas help the worst class, hard examples do not",
        x="density", y=("worst_class_risk",), series="pruner", xscale="linear", yscale="linear",
        grid={"density": [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
              "pruner": ["random", "ssp", "drop", "optimal"]},
        caption="Means ±1, deviations 0.5 and 1, equal priors.",
    ),
}  # fmt: skip

STUDY = Study(
    name="robust-pruning",
    title="class by class pruning and the worst class, two classes on a line",
    paper=PAPER, params=Params,
    outputs=(
        *theory_only(threshold="minimiser of the pruned average risk; ±inf: a constant rule"),
        *theory_only(
            dims=("class",),
            class_density="share of each class that is kept",
            class_risk="risk of each class on the unpruned law",
        ),
        *theory_only(
            average_risk="risk with the original priors",
            worst_class_risk="the larger class risk",
            risk_gap="difference of the class risks",
            prune_radius="distance from the class mean below which ssp drops; 0 for the others",
            minimax_risk="smallest worst-class risk of any threshold",
        ),
    ),
    theory=theory, validate=check_classes, coordinates={"class": lambda params: range(2)},
    figures=figures,
)  # fmt: skip
