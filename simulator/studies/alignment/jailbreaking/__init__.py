"""Why a pretrained model can be made to say what is harmful, and what alignment changes."""

from simulator.paper import Paper

PAPER = Paper(
    title="Mission Impossible: A Statistical Perspective on Jailbreaking LLMs",
    authors=("Jingtong Su", "Julia Kempe", "Karen Ullrich"),
    year=2024,
    venue="NeurIPS",
    arxiv="2408.01420",
)
