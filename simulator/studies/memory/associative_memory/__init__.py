"""Scaling laws for associative memories."""

from simulator.paper import Paper

PAPER = Paper(
    title="Scaling Laws for Associative Memories",
    authors=(
        "Vivien Cabannes",
        "Elvis Dohmatob",
        "Alberto Bietti",
    ),
    year=2024,
    venue="ICLR",
    arxiv="2310.02984",
)
