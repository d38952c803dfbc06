"""`simulator simulate`: Monte-Carlo of the model."""

import argparse
import sys
from typing import Any

import simulator
from simulator.cli import given
from simulator.cli.flags import add_json, add_simulation
from simulator.cli.output import plain, say, say_json
from simulator.cli.parser import add_study
from simulator.defaults import REPLICATES

STUDY_FLAGS = True
USAGE = "simulator simulate STUDY [--PARAMETER VALUE ...]"


def add_flags(parser: Any) -> None:
    add_study(parser)
    add_simulation(parser, replicates=f"{REPLICATES}")
    add_json(parser)


def act(options: argparse.Namespace) -> None:
    params = given.parameters(options, lists=True)
    result = simulator.simulate(options.study, **given.simulation(options), **params)
    if not options.json:
        say(str(result))
        return
    outputs = {
        name: {
            "mean": plain(result.mean[name]),
            "standard_error": plain(result.standard_error[name]),
            "replicates": plain(result.replicates[name]),
        }
        for name in result.mean
    }
    say_json(options.study, params, outputs)
    for remark in result.remarks:
        print(f"note: {remark}", file=sys.stderr)
