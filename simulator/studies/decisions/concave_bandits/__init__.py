"""Bandits whose vector of average rewards has a concave value."""

from simulator.paper import Paper

PAPER = Paper(
    title="Contextual bandits with concave rewards, and an application to fair ranking",
    authors=(
        "Virginie Do",
        "Elvis Dohmatob",
        "Matteo Pirotta",
        "Alessandro Lazaric",
        "Nicolas Usunier",
    ),
    year=2023,
    venue="ICLR",
    arxiv="2210.09957",
)
