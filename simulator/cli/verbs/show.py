"""`simulator show`: what a study declares."""

import argparse
import inspect
from collections.abc import Iterator
from typing import Any

from simulator.cli.output import say
from simulator.cli.parser import add_study
from simulator.registry import get


def add_flags(parser: Any) -> None:
    add_study(parser)


def act(options: argparse.Namespace) -> None:
    say("\n".join(_described(get(options.study))))


def _described(study: Any) -> Iterator[str]:
    module = inspect.getmodule(study.params)
    yield f"{study.name}: {study.title}\n{study.paper}\n"
    yield inspect.cleandoc((module.__doc__ if module else None) or "")
    yield "\nparameters"
    for p in study.declarations.values():
        kind = "static" if p.static else "traced"
        kind += "".join(f", traced in {side}" for side in p.traced_in)
        named = f"{p.name} ({p.symbol}) = {p.describe_default()}"
        yield f"  {named}: {p.meaning}; {p.describe_range()} [{kind}]"
    yield "\noutputs"
    for output in study.outputs:
        dims = f" [{', '.join(output.dims)}]" if output.dims else ""
        relation = output.relation_at(study.params())
        note = f", {relation.note}" if relation.note else ""
        kind = relation.kind
        yield f"  {output.name}{dims}: {output.meaning} ({output.where}; {kind}{note})"
    methods = ", ".join(study.methods()) or "none"
    yield f"\nsimulations: {methods}\nfigures: {', '.join(study.figures) or 'none'}"
