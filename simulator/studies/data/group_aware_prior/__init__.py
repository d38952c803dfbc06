"""A prior over parameters that protects minority groups: linear classifiers of Gaussian groups."""

from simulator.paper import Paper

PAPER = Paper(
    title="Mind the GAP: Improving Robustness to Subpopulation Shifts with Group-Aware Priors",
    authors=(
        "Tim G. J. Rudner",
        "Ya Shi Zhang",
        "Andrew Gordon Wilson",
        "Julia Kempe",
    ),
    year=2024,
    venue="AISTATS",
    arxiv="2403.09869",
)
