"""Does collapse stop when real data are kept?"""

from simulator.paper import Paper

PAPER = Paper(
    title="Is Model Collapse Inevitable? Breaking the Curse of Recursion by Accumulating Real and "
    "Synthetic Data",
    authors=(
        "Matthias Gerstgrasser",
        "Rylan Schaeffer",
        "Apratim Dey",
        "Rafael Rafailov",
        "Henry Sleight",
        "John Hughes",
        "Tomasz Korbak",
        "Rajashree Agrawal",
        "Dhruv Pai",
        "Andrey Gromov",
        "Daniel A. Roberts",
        "Diyi Yang",
        "David L. Donoho",
        "Sanmi Koyejo",
    ),
    year=2024,
    venue="COLM",
    arxiv="2404.01413",
)
