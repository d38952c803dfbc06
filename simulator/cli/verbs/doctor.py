"""`simulator doctor`: where a study breaks the contract, in words."""

import argparse
from typing import Any

from simulator.cli.output import DISAGREES, say
from simulator.cli.parser import add_study
from simulator.registry import get


def add_flags(parser: Any) -> None:
    add_study(parser)


def act(options: argparse.Namespace) -> int:
    from simulator.testing import diagnose

    complaints = diagnose(get(options.study))
    for words in complaints:
        say(words)
    say(f"{options.study}: {len(complaints) or 'no'} complaint{'s' * (len(complaints) != 1)}")
    return DISAGREES if complaints else 0
