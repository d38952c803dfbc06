"""`simulator list`: the studies there are. It imports none of them, and no JAX."""

import argparse
import json
from typing import Any

from simulator.cli.flags import add_json
from simulator.cli.output import say
from simulator.registry import titles
from simulator.spelling import suggestion


def add_flags(parser: Any) -> None:
    parser.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="only studies that have all these words in their name or title",
    )
    add_json(parser)


def act(options: argparse.Namespace) -> None:
    everything = titles()
    found = {
        name: title
        for name, title in everything.items()
        if all(word.lower() in f"{name} {title}".lower() for word in options.words)
    }
    if options.json:
        say(json.dumps([{"study": name, "title": title} for name, title in found.items()]))
        return
    if not found:
        hint = suggestion(options.words[0], everything)
        raise ValueError(f"no study has {' and '.join(options.words)} in name or title{hint}")
    width = max(map(len, found))
    say("\n".join(f"{name:<{width}}  {title}" for name, title in found.items()))
