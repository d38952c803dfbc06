"""`simulator predict`: the theory."""

import argparse
from typing import Any

import simulator
from simulator.cli import given
from simulator.cli.flags import add_json, add_size
from simulator.cli.output import lines, plain, say, say_json
from simulator.cli.parser import add_study

STUDY_FLAGS = True
USAGE = "simulator predict STUDY [--PARAMETER VALUE ...]"


def add_flags(parser: Any) -> None:
    add_study(parser)
    add_size(parser)
    add_json(parser)


def act(options: argparse.Namespace) -> None:
    params = given.parameters(options, lists=True)
    outputs = simulator.predict(options.study, allow_large=options.allow_large, **params)
    if options.json:
        say_json(options.study, params, {name: plain(v) for name, v in outputs.items()})
    else:
        say(lines(outputs))
