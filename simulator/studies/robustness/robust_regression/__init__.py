"""Linear regression under attacks bounded in any norm: what robustness costs in accuracy."""

from simulator.paper import Paper

PAPER = Paper(
    title="Robust Linear Regression: Phase-Transitions and Precise Tradeoffs for General Norms",
    authors=("Elvis Dohmatob", "Meyer Scetbon"),
    year=2023,
    arxiv="2308.00556",
)
