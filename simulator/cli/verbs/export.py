"""`simulator export`: a store as one NetCDF file."""

import argparse
import sys
from pathlib import Path
from typing import Any

import simulator
from simulator.cli.flags import add_overwrite, add_store


def add_flags(parser: Any) -> None:
    add_store(parser)
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the NetCDF file to write, a name that ends in .nc"
    )
    add_overwrite(parser)


def act(options: argparse.Namespace) -> None:
    from simulator.store.netcdf import check_netcdf, write_netcdf

    if options.store.is_file():
        raise ValueError(f"{options.store} is a file, not the folder of a store: copy it")
    check_netcdf(options.file, options.overwrite)
    write_netcdf(simulator.open_sweep(options.store), options.file)
    print(f"wrote {options.file}", file=sys.stderr)
