"""`simulator check`: theory against simulation."""

import argparse
from typing import Any

import simulator
from simulator.cli import given
from simulator.cli.flags import add_grid, add_simulation
from simulator.cli.numbers import real
from simulator.cli.output import DISAGREES, say
from simulator.cli.parser import add_study
from simulator.cli.values import axes
from simulator.registry import get

STUDY_FLAGS = True
USAGE = "simulator check STUDY [--grid NAME=VALUES] [--PARAMETER VALUE ...]"


def add_flags(parser: Any) -> None:
    add_study(parser)
    add_grid(parser)
    add_simulation(parser, replicates="as many as the tolerance needs")
    parser.add_argument(
        "--tolerance", type=real, metavar="SHARE", help="resolution that *agrees* requires"
    )


def act(options: argparse.Namespace) -> int:
    verdict = simulator.check(
        options.study,
        axes(get(options.study), options.grid) or None,
        **given.simulation(options),
        tolerance=options.tolerance,
        **given.parameters(options),
    )
    say(str(verdict))
    return DISAGREES if verdict.status == "disagrees" else 0
