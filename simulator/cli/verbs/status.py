"""`simulator status`: what a store holds and what it misses."""

import argparse
import json
from typing import Any

import simulator
from simulator.cli.flags import add_json, add_store
from simulator.cli.output import say


def add_flags(parser: Any) -> None:
    add_store(parser)
    add_json(parser)


def act(options: argparse.Namespace) -> None:
    found = simulator.sweep_status(options.store)
    if options.json:
        say(json.dumps(found))
        return
    lines = [
        f"{options.store}: {found['study']}, {found['cells']} cells of {found['replicates']} "
        f"replicates: {found['done']} done, {found['started']} started, {found['missing']} "
        f"missing, {len(found['failed'])} failed"
    ]
    lines += [f"  failed at {cell}: {reason}" for cell, reason in found["failed"]]
    if found["seconds_left"]:
        lines.append(f"about {found['seconds_left']:.0f} s of one process are left")
    say("\n".join(lines))
