"""Strong model collapse: regression on a mixture of real and synthetic data."""

from simulator.paper import Paper

PAPER = Paper(
    title="Strong Model Collapse",
    authors=(
        "Elvis Dohmatob",
        "Yunzhen Feng",
        "Arjun Subramonian",
        "Julia Kempe",
    ),
    year=2025,
    venue="ICLR",
    arxiv="2410.04840",
)
