"""`simulator plan`: decisions, with intervals, from a fit that `simulator fit --save` kept."""

import argparse
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import simulator
from simulator.cli.flags import add_json
from simulator.cli.numbers import real, whole
from simulator.cli.output import DISAGREES, say

USAGE = "simulator plan FIT.json [--flop C] [--loss L] [--next --budget C --max-runs N]"
QUESTIONS = {
    "flop": "budget",
    "loss": "loss to reach",
    "params": "size of the model",
    "tokens": "training tokens",
    "unique-tokens": "tokens that are not repetitions",
    "real-tokens": "real tokens",
    "synthetic-tokens": "synthetic tokens beside them",
    "real-fraction": "share of real tokens",
    "synthetic-fraction": "share of synthetic tokens",
    "generation": "generation of a chain, 1 is trained on real data",
    "num-samples-generator": "tokens of each generator",
    "inference-tokens": "tokens to serve",
    "x": "value of the column of the law `power`",
}


def add_flags(parser: Any) -> None:
    parser.add_argument("fit", type=Path, metavar="FIT.json", help="what `simulator fit` saved")
    for name, text in QUESTIONS.items():
        parser.add_argument(f"--{name}", type=real, metavar="X", help=text)
    parser.add_argument("--next", action="store_true", help="which runs to do next")
    parser.add_argument("--budget", type=real, metavar="C", help="of all next runs together")
    parser.add_argument(
        "--max-runs", type=whole, default=4, metavar="N", help="at most (default 4)"
    )
    parser.add_argument(
        "--goal", default="ratio", choices=("ratio", "loss"), help="of the next runs"
    )
    parser.add_argument("--at", type=real, metavar="C", help="budget of the decision they sharpen")
    parser.add_argument("--table", type=Path, help="warn if this file is not the one fitted")
    add_json(parser)


def act(options: argparse.Namespace) -> int:
    fit = simulator.load_fit(options.fit)
    if options.table is not None:
        digest = hashlib.sha256(options.table.read_bytes()).hexdigest()
        if digest != fit.table.digest:
            warnings.warn(f"{options.table} is not the file that was fitted", stacklevel=2)
    if options.next:
        if options.budget is None:
            raise ValueError("--next needs --budget: FLOP of all next runs together")
        found: Any = fit.next_runs(options.budget, options.max_runs, options.goal, options.at)
    else:
        names = (name.replace("-", "_") for name in QUESTIONS)
        found = fit.plan(**{name: getattr(options, name) for name in names})
    if options.json:
        from simulator.planner.artefact import text

        say(json.dumps(json.loads(text(found.as_dict()))))
    else:
        say(str(found))
    return DISAGREES if fit.verdict.status == "disagrees" else 0
