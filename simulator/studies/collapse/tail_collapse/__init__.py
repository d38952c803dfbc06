"""Model collapse as a change of scaling laws."""

from simulator.paper import Paper

PAPER = Paper(
    title="A Tale of Tails: Model Collapse as a Change of Scaling Laws",
    authors=(
        "Elvis Dohmatob",
        "Yunzhen Feng",
        "Pu Yang",
        "François Charton",
        "Julia Kempe",
    ),
    year=2024,
    venue="ICML",
    arxiv="2402.07043",
)
