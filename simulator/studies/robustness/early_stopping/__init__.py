"""When training of an attacked linear model should stop."""

from simulator.paper import Paper

PAPER = Paper(
    title="Robust Linear Regression: Gradient-descent, Early-stopping, and Beyond",
    authors=("Meyer Scetbon", "Elvis Dohmatob"),
    year=2023,
    venue="AISTATS",
    arxiv="2301.13486",
)
