"""Pruning a data set class by class, so that the worst class does best."""

from simulator.paper import Paper

PAPER = Paper(
    title="DRoP: Distributionally Robust Data Pruning",
    authors=("Artem Vysogorets", "Kartik Ahuja", "Julia Kempe"),
    year=2025,
    venue="ICLR",
    arxiv="2404.05579",
)
