"""`simulator optimise`: where an output of the theory is smallest, or largest."""

import argparse
from typing import Any

import simulator
from simulator.cli import given
from simulator.cli.search import add_question, add_search, check_question, say_found
from simulator.cli.values import entry, ranges

STUDY_FLAGS = True
USAGE = "simulator optimise STUDY OUTPUT --over NAME=LOW:HIGH [--PARAMETER VALUE ...]"


def add_flags(parser: Any) -> None:
    add_question(parser)
    parser.add_argument("--maximise", action="store_true", help="where it is largest, instead")
    add_search(parser)


def act(options: argparse.Namespace) -> None:
    check_question(options)
    found = simulator.optimise(
        options.study,
        options.output,
        ranges(options.over),
        maximise=options.maximise,
        at=entry(options.at),
        points=options.points,
        allow_large=options.allow_large,
        **given.points(options, {}),
    )
    say_found(options, found)
