"""Rankings that arrive one by one, and a concave function of average exposures to maximise."""

from simulator.paper import Paper

PAPER = Paper(
    title="Fast online ranking with fairness of exposure",
    authors=("Nicolas Usunier", "Virginie Do", "Elvis Dohmatob"),
    year=2022,
    venue="ACM Conference on Fairness, Accountability, and Transparency",
    arxiv="2209.13019",
)
