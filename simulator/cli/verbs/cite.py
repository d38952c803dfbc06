"""`simulator cite`: BibTeX."""

import argparse
from typing import Any

import simulator
from simulator.cli.output import say
from simulator.cli.parser import add_study


def add_flags(parser: Any) -> None:
    add_study(parser, nargs="?", help="the study whose paper is cited, too")


def act(options: argparse.Namespace) -> None:
    say(simulator.cite(options.study))
