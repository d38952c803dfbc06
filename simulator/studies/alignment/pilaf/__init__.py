"""Which response pairs to show to annotators."""

from simulator.paper import Paper

PAPER = Paper(
    title="PILAF: Optimal Human Preference Sampling for Reward Modeling",
    authors=(
        "Yunzhen Feng",
        "Ariel Kwiatkowski",
        "Kunhao Zheng",
        "Julia Kempe",
        "Yaqi Duan",
    ),
    year=2025,
    arxiv="2502.04270",
)
