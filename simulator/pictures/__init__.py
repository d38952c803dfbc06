"""One house style, one road from a study to a picture, and the figures that studies declare."""

from simulator.pictures.style import (  # isort: skip
    KEY, OKABE_ITO, Guide, below, colours, few_log_ticks, house_style, kinds_legend, mark_minimum,
    note, panels, readable, save, simulation_points, slope_guide, theory_line,
)  # fmt: skip
from simulator.pictures.curves import Curve, against
from simulator.pictures.script import script

__all__ = [
    "KEY",
    "OKABE_ITO",
    "Curve",
    "Guide",
    "against",
    "below",
    "colours",
    "few_log_ticks",
    "house_style",
    "kinds_legend",
    "mark_minimum",
    "note",
    "panels",
    "readable",
    "save",
    "script",
    "simulation_points",
    "slope_guide",
    "theory_line",
]
