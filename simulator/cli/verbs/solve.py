"""`simulator solve`: where an output of the theory takes a value."""

import argparse
from typing import Any

import simulator
from simulator.cli import given
from simulator.cli.numbers import named_number
from simulator.cli.search import add_question, add_search, check_question, say_found
from simulator.cli.values import entry, ranges

STUDY_FLAGS = True
USAGE = "simulator solve STUDY OUTPUT --equals VALUE --over NAME=LOW:HIGH [--PARAMETER VALUE ...]"


def add_flags(parser: Any) -> None:
    add_question(parser)
    parser.add_argument("--equals", metavar="VALUE", help="the value, or several: a,b,c")
    parser.add_argument(
        "--which",
        default="smallest",
        choices=("smallest", "largest", "all"),
        help="which solution, where there are several (default smallest)",
    )
    add_search(parser)


def act(options: argparse.Namespace) -> None:
    if options.equals is None:
        raise ValueError(f"{options.study}: --equals VALUE is missing: solve for what?")
    check_question(options)
    values = [named_number("--equals", text) for text in options.equals.split(",")]
    others = given.points(options, {"equals": values} if len(values) > 1 else {})
    found = simulator.solve(
        options.study,
        options.output,
        equals=others.pop("equals", values[0]),
        over=ranges(options.over),
        which=options.which,
        at=entry(options.at),
        points=options.points,
        allow_large=options.allow_large,
        **others,
    )
    say_found(options, found)
