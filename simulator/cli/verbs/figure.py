"""`simulator figure`: the pictures that a study declares."""

import argparse
from pathlib import Path
from typing import Any

from simulator.cli.flags import add_seed
from simulator.cli.numbers import whole
from simulator.cli.output import say
from simulator.registry import get, names


def add_flags(parser: Any) -> None:
    parser.add_argument(
        "figure", metavar="STUDY[/NAME]", help="a study, or one of its figures"
    ).completer = lambda **_: names()
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("figures"),
        metavar="FOLDER",
        help="folder (default figures)",
    )
    parser.add_argument(
        "--replicates", type=whole, metavar="N", help="replicates per point (default: the figure's)"
    )
    add_seed(parser)


def act(options: argparse.Namespace) -> None:
    from simulator.pictures.declared import save_figures

    name, _, only = options.figure.partition("/")
    if ".py" in options.figure:  # the path of a module has slashes of its own
        path, _, only = options.figure.partition(".py")
        name, only = f"{path}.py", only.removeprefix("/")
    for path in save_figures(
        get(name), only or None, options.out, replicates=options.replicates, seed=options.seed
    ):
        say(str(path))
