"""The geometry of regularisation in adversarial training.

``_any_order`` has the theory at any order of the penalty, to search over it, ``_rademacher`` the
uniform-convergence bounds.
"""

from simulator.paper import Paper

PAPER = Paper(
    title=(
        "On the Geometry of Regularization in Adversarial Training: "
        "High-Dimensional Asymptotics and Generalization Bounds"
    ),
    authors=(
        "Matteo Vilucchio",
        "Nikolaos Tsilivis",
        "Bruno Loureiro",
        "Julia Kempe",
    ),
    year=2024,
    arxiv="2410.16073",
)
