"""Selecting synthetic data with an imperfect verifier: linear classifiers of Gaussian inputs."""

from simulator.paper import Paper

PAPER = Paper(
    title="Beyond Model Collapse: Scaling Up with Synthesized Data Requires Verification",
    authors=(
        "Yunzhen Feng",
        "Elvis Dohmatob",
        "Pu Yang",
        "François Charton",
        "Julia Kempe",
    ),
    year=2025,
    venue="ICLR",
    arxiv="2406.07515",
)
