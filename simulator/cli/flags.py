"""Flags that several verbs share; `given` reads what they say."""

from pathlib import Path
from typing import Any

from simulator.cli.numbers import whole


def add_grid(parser: Any) -> None:
    parser.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="an axis: a,b,c or log:first:last:count or lin:first:last:count; repeat for more",
    )


def add_json(parser: Any) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object and nothing else"
    )


def add_size(parser: Any) -> None:
    parser.add_argument(
        "--allow-large",
        action="store_true",
        help="compute also what is estimated to take very long, or more memory than is free",
    )


def add_seed(parser: Any) -> None:
    parser.add_argument(
        "--seed", type=whole, default=0, metavar="N", help="of all random numbers (default 0)"
    )


def add_simulation(parser: Any, replicates: str) -> None:
    """How things are simulated; ``replicates`` says how many there are by default."""
    add_size(parser)
    parser.add_argument(
        "--replicates",
        type=whole,
        metavar="N",
        help=f"independent runs of the experiment per point (default: {replicates})",
    )
    add_seed(parser)
    parser.add_argument("--method", help="fast, direct or conditional (default: the fastest exact)")
    parser.add_argument("--dtype", help="float32 or float64 (default: float64 on CPU)")
    parser.add_argument(
        "--platform",
        choices=("cpu", "gpu", "tpu"),
        help="kind of device to simulate on (default: the best there is); theory is always "
        "computed on the CPU",
    )


def add_overwrite(parser: Any) -> None:
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a NetCDF file that is there already"
    )


def add_store(parser: Any) -> None:
    parser.add_argument(
        "store", type=Path, metavar="STORE", help="the folder that `sweep --out` has made"
    )
