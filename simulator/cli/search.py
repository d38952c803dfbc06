"""What `optimise` and `solve` share: flags, and how an answer is printed."""

import argparse
import json
from typing import Any

from simulator.cli.flags import add_grid, add_json, add_size
from simulator.cli.numbers import whole
from simulator.cli.output import lines, plain, say
from simulator.cli.parser import add_study
from simulator.registry import get


def add_question(parser: Any) -> None:
    """The output in question, and the parameters that are free."""
    add_study(parser)
    parser.add_argument("output", metavar="OUTPUT", help="an output of the theory")
    parser.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="NAME=LOW:HIGH",
        help="a free parameter and its range; LOW:HIGH:log or LOW:HIGH:linear settles the scale of "
        "the search; repeat for more",
    )


def add_search(parser: Any) -> None:
    """How to search."""
    parser.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="DIM=VALUE",
        help="the entry of an output that is an array; once per dim",
    )
    parser.add_argument(
        "--points", type=whole, metavar="N", help="points of the first grid per parameter"
    )
    add_grid(parser)
    add_size(parser)
    add_json(parser)


def check_question(options: argparse.Namespace) -> None:
    """Refuse a search over nothing."""
    if not options.over:
        raise ValueError(f"{options.study}: --over NAME=LOW:HIGH is missing: what is free?")


def say_found(options: argparse.Namespace, found: Any) -> None:
    """Print the dataset that a search returns."""
    if options.json:
        declared = get(options.study).declarations
        attributes = {name: plain(value) for name, value in found.attrs.items()}
        answer = {n: v for n, v in attributes.items() if n not in declared}
        answer["params"] = {n: v for n, v in attributes.items() if n in declared}
        answer["grid"] = {name: plain(v.values) for name, v in found.coords.items()}
        answer["outputs"] = {name: plain(v.values) for name, v in found.data_vars.items()}
        say(json.dumps(answer))
    elif found.sizes:
        say(found.to_dataframe().to_string())
    else:
        say(lines(found.data_vars))
