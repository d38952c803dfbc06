"""The margins that steepest descent in different norms maximises."""

from simulator.paper import Paper

PAPER = Paper(
    title=("Flavors of Margin: Implicit Bias of Steepest Descent in Homogeneous Neural Networks"),
    authors=(
        "Nikolaos Tsilivis",
        "Gal Vardi",
        "Julia Kempe",
    ),
    year=2025,
    venue="ICLR",
    arxiv="2410.22069",
)
