"""`simulator fit`: a law fitted to a table of training runs."""

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import simulator
from simulator.cli.flags import add_json, add_seed
from simulator.cli.numbers import real
from simulator.cli.output import DISAGREES, say

USAGE = "simulator fit TABLE [--law LAW] [--out REPORT.html] [--save FIT.json]"
LAWS = ("power", "chinchilla", "tied", "data-constrained", "synthetic-share") + (
    "synthetic-share-additive",
    "tail-mixture",
    "generations",
    "generations-tail",
    "accumulate",
)
#: Flags that are arguments of `simulator.fit`.
ARGUMENTS = ("law", "loss", "by", "weight", "x", "huber", "residual", "cluster", "holdout") + (
    "k",
    "scale",
    "untied",
    "raw",
    "drop_missing",
    "keep_overfit",
    "seed",
)


def add_flags(parser: Any) -> None:
    add = parser.add_argument
    add("table", type=Path, metavar="TABLE", help="a .csv, .tsv, .jsonl or .parquet, one row a run")
    add("--law", default="chinchilla", choices=LAWS, metavar="LAW", help=", ".join(LAWS))
    add("--loss", metavar="COLUMN", help="the column of the loss, where several could be")
    add("--column", action="append", default=[], metavar="ROLE=NAME", help="which column is what")
    add("--by", metavar="COLUMN", help="fit each value of this column by itself")
    add("--weight", metavar="COLUMN", help="weights of the rows")
    add("--x", metavar="COLUMN", help="the column of the law `power`")
    add("--huber", default="auto", metavar="DELTA", help="auto (default), a number, or inf")
    add(
        "--residual",
        default="log",
        metavar="HOW",
        help="log (default), or absolute with --huber inf",
    )
    add(
        "--cluster",
        default="auto",
        metavar="HOW",
        help="which rows share noise: auto, none, run or params",
    )
    add("--holdout", default="auto", metavar="FLOP", help="budget above which runs are held out")
    add("--k", type=real, metavar="K", help="FLOP a parameter and token (default 6)")
    add("--scale", type=real, metavar="S", help="of tail-mixture: loss of an untrained model")
    add("--untied", action="store_true", help="two exponents in data-constrained")
    add("--raw", action="store_true", help="take sizes that look like billions as they are")
    add("--drop-missing", action="store_true", help="drop rows without a value, and count them")
    add("--keep-overfit", action="store_true", help="keep rows that lose to fewer epochs")
    add("--out", type=Path, metavar="FILE.html", help="write a report, one page")
    add("--save", type=Path, metavar="FILE.json", help="keep the fit, for `simulator plan`")
    add_seed(parser)
    add_json(parser)


def act(options: argparse.Namespace) -> int:
    given = {name: getattr(options, name) for name in ARGUMENTS}
    found = simulator.fit(options.table, columns=_columns(options.column), **given)
    fits = {None: found} if options.by is None else found
    shown = []
    for (value, fit), name in zip(fits.items(), _file_names(fits), strict=True):
        if options.save is not None:
            fit.save(_named(options.save, name))
        if options.out is not None:
            fit.report(_named(options.out, name))
        shown.append(_json(fit) if options.json else _titled(options.by, value, str(fit)))
    if options.json:
        say(json.dumps(shown[0] if options.by is None else dict(zip(map(str, fits), shown,
                                                                    strict=True))))  # fmt: skip
    else:
        say("\n\n".join(shown))
    return DISAGREES if any(fit.verdict.status == "disagrees" for fit in fits.values()) else 0


def _named(path: Path, name: str) -> Path:
    return path.with_stem(path.stem + name) if name else path


def _columns(words: list[str]) -> dict[str, str]:
    columns = {}
    for word in words:
        role, equal, name = word.partition("=")
        if not equal:
            raise ValueError(f"--column = {word!r} is not allowed: it must be ROLE=NAME")
        columns[role] = name
    return columns


def _file_names(values: Iterable[Any]) -> list[str]:
    """What is added to the names of files for each group: its value, without what a folder is."""
    found: list[str] = []
    for value in values:
        name = "" if value is None else "-" + re.sub(r"[^\w.+=@-]+", "_", str(value))
        found.append(name if name not in found else f"{name}-{len(found) + 1}")
    return found


def _titled(by: str | None, value: Any, text: str) -> str:
    return text if by is None else f"{by} = {value}\n{text}"


def _json(fit: Any) -> Any:
    from simulator.planner.artefact import contents, text

    return json.loads(text(contents(fit)))
