"""Labels made by models that were trained on labels made by models."""

from simulator.paper import Paper

PAPER = Paper(
    title="Model Collapse Demystified: The Case of Regression",
    authors=(
        "Elvis Dohmatob",
        "Yunzhen Feng",
        "Julia Kempe",
    ),
    year=2024,
    venue="NeurIPS",
    arxiv="2402.07712",
)
