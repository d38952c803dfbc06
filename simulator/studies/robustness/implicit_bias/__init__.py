"""The price of the optimiser's implicit bias in robust classification."""

from simulator.paper import Paper

PAPER = Paper(
    title="The Price of Implicit Bias in Adversarially Robust Generalization",
    authors=(
        "Nikolaos Tsilivis",
        "Natalie Frank",
        "Nathan Srebro",
        "Julia Kempe",
    ),
    year=2024,
    venue="NeurIPS",
    arxiv="2406.04981",
)
