"""`simulator sweep`: a grid, in memory, into a file, or into a store that survives."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import simulator
from simulator.cli import given
from simulator.cli.flags import add_grid, add_overwrite, add_simulation
from simulator.cli.numbers import whole
from simulator.cli.output import say
from simulator.cli.parser import add_study
from simulator.cli.values import axes
from simulator.defaults import REPLICATES
from simulator.registry import get

STUDY_FLAGS = True
USAGE = "simulator sweep STUDY --grid NAME=VALUES [--PARAMETER VALUE ...]"


def add_flags(parser: Any) -> None:
    add_study(parser)
    add_grid(parser)
    add_simulation(parser, replicates=f"{REPLICATES}")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="folder of a store that survives interruptions and can be extended, or a NetCDF file "
        "(.nc) written at the end",
    )
    add_overwrite(parser)
    parser.add_argument(
        "--retry-failed", action="store_true", help="compute cells that failed before again"
    )
    parser.add_argument(
        "--dask",
        metavar="CLUSTER",
        help="compute on Dask workers that share the store in --out: the address of a scheduler, "
        "or local:N for N processes here",
    )
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="one of several processes that share the store in --out (found through SLURM, TPU "
        "pods, ...; or given by the next three)",
    )
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="address of process 0")
    parser.add_argument(
        "--num-processes", type=whole, metavar="N", help="how many processes there are"
    )
    parser.add_argument(
        "--process-id", type=whole, metavar="I", help="which of them this is: 0, ..., N - 1"
    )


def act(options: argparse.Namespace) -> None:
    if not options.grid:
        raise ValueError(f"{options.study}: --grid NAME=VALUES is missing: what is swept?")
    in_store = options.out is not None and options.out.suffix != ".nc"
    if options.dask and options.distributed:
        raise ValueError("--dask and --distributed exclude each other: give one")
    for flag, why in (
        ("dask", "the workers meet in a store"),
        ("distributed", "the processes meet in a store"),
        ("retry_failed", "only a store remembers failures"),
    ):
        if getattr(options, flag) and not in_store:
            raise ValueError(f"--{flag.replace('_', '-')} needs --out FOLDER: {why}")
    with _other_processes(options):
        how = given.simulation(options)
    tree = simulator.sweep(
        options.study,
        axes(get(options.study), options.grid),
        **how,
        out=options.out,
        overwrite=options.overwrite,
        retry_failed=options.retry_failed,
        dask=options.dask,
        **given.parameters(options),
    )
    if tree.attrs.get("remarks"):
        print(f"note: {tree.attrs['remarks']}", file=sys.stderr)
    if options.out is None:
        groups = {group: node.to_dataset().to_dataframe() for group, node in tree.children.items()}
        say("\n".join(f"{group}\n{frame.to_string()}\n" for group, frame in groups.items()))
    elif not in_store:
        print(f"wrote {options.out}", file=sys.stderr)


@contextlib.contextmanager
def _other_processes(options: argparse.Namespace) -> Iterator[None]:
    """Make this process one of those that compute a sweep together; devices are settled inside.

    JAX's service tells each process which one it is, and then ends: the processes meet in the
    store, and none aborts because another one has died.
    """
    explicit = [options.coordinator, options.num_processes, options.process_id]
    if not options.distributed:
        if any(value is not None for value in explicit):
            raise ValueError("--coordinator, --num-processes and --process-id need --distributed")
        yield
        return
    if any(value is None for value in explicit) and any(value is not None for value in explicit):
        raise ValueError("give all of --coordinator, --num-processes and --process-id, or none")
    import jax

    # Where one of them never comes, JAX ends this process after that time, with a stack of C++.
    where = f" at {options.coordinator}" if options.coordinator else ""
    print(f"meeting the other processes{where}, for at most five minutes", file=sys.stderr)
    jax.distributed.initialize(
        options.coordinator,
        options.num_processes,
        options.process_id,
        initialization_timeout=300,
    )
    yield
    jax.process_count()  # starts the devices, and with them what is known of the others
    jax.distributed.shutdown()
