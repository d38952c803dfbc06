"""Ridge regression in high dimension: train and test error, bias, variance, the best penalty."""

from simulator.paper import Paper

PAPER = Paper(
    title="Surprises in High-Dimensional Ridgeless Least Squares Interpolation",
    authors=(
        "Trevor Hastie",
        "Andrea Montanari",
        "Saharon Rosset",
        "Ryan J. Tibshirani",
    ),
    year=2022,
    venue="Annals of Statistics",
    arxiv="1903.08560",
)
