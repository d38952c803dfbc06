"""The verbs of the command line: their flags, made from the declarations, and what they do."""

import argparse
import inspect
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import simulator
from simulator.cli.output import plain, say, say_json
from simulator.cli.values import (
    axes,
    entry,
    joined,
    named_number,
    parameter_value,
    ranges,
    whole,
)
from simulator.registry import get, names

DISAGREES = 1


def run(arguments: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    words = joined(arguments)
    options = _parser(words).parse_args(words)
    return options.run(options) or 0


class _Parser(argparse.ArgumentParser):
    """Errors are one readable line; no abbreviated flags, which a new parameter could break."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see `{self.prog} --help`)")


# --------------------------------------------------------------------------------------------
# Flags
# --------------------------------------------------------------------------------------------
def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="simulator",
        description="Learning-theory risk curves, simulations of the same models, and a verdict.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)

    verb = verbs.add_parser("list", help="the studies there are")
    verb.set_defaults(run=_list)

    verb = verbs.add_parser("show", help="model, formulas, parameters and outputs of a study")
    verb.add_argument("study")
    verb.set_defaults(run=_show)

    verb = verbs.add_parser("doctor", help="where a study breaks the contract, in words")
    verb.add_argument("study")
    verb.set_defaults(run=_doctor)

    verb = verbs.add_parser("cite", help="BibTeX of the package, and of a study's paper")
    verb.add_argument("study", nargs="?")
    verb.set_defaults(run=_cite)

    verb = _verb_with_parameters(verbs, words, "predict", "theory at one point")
    _add_size_flag(verb)
    verb.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    verb.set_defaults(run=_predict)

    verb = _verb_with_parameters(verbs, words, "simulate", "Monte-Carlo at one point")
    _add_simulation_flags(verb, replicates=100)
    verb.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    verb.set_defaults(run=_simulate)

    verb = _verb_with_parameters(verbs, words, "sweep", "theory and simulation on a grid")
    _add_grid_flag(verb, required=True)
    _add_simulation_flags(verb, replicates=100)
    verb.add_argument(
        "--out",
        type=Path,
        help="folder of a store that survives interruptions and can be extended, or a NetCDF file "
        "(.nc) written at the end",
    )
    verb.add_argument(
        "--retry-failed", action="store_true", help="compute cells that failed before again"
    )
    verb.add_argument(
        "--dask",
        metavar="CLUSTER",
        help="compute on Dask workers that share the store in --out: the address of a scheduler, "
        "or local:N for N processes here",
    )
    verb.add_argument(
        "--distributed",
        action="store_true",
        help="one of several processes that share the store in --out (found through SLURM, TPU "
        "pods, ...; or given by the next three)",
    )
    verb.add_argument("--coordinator", metavar="HOST:PORT", help="address of process 0")
    verb.add_argument("--num-processes", type=whole)
    verb.add_argument("--process-id", type=whole)
    verb.set_defaults(run=_sweep)

    verb = verbs.add_parser("status", help="what a store holds and what it misses")
    verb.add_argument("store", type=Path)
    verb.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    verb.set_defaults(run=_status)

    verb = verbs.add_parser("export", help="write a store as one NetCDF file")
    verb.add_argument("store", type=Path)
    verb.add_argument("file", type=Path)
    verb.set_defaults(run=_export)

    verb = _verb_with_parameters(verbs, words, "check", "does simulation agree with theory?")
    _add_grid_flag(verb, required=False)
    _add_simulation_flags(verb, replicates=None)
    verb.add_argument("--tolerance", type=float, help="resolution that *agrees* requires")
    verb.set_defaults(run=_check)

    verb = _verb_with_parameters(
        verbs, words, "optimise", "where is an output of the theory smallest?", " OUTPUT"
    )
    _add_search_flags(verb)
    verb.add_argument("--maximise", action="store_true", help="where it is largest, instead")
    verb.set_defaults(run=_optimise)

    verb = _verb_with_parameters(
        verbs, words, "solve", "where does an output of the theory take a value?", " OUTPUT"
    )
    verb.add_argument("--equals", required=True, help="the value, or several: a,b,c")
    _add_search_flags(verb)
    verb.add_argument(
        "--which",
        default="smallest",
        choices=("smallest", "largest", "all"),
        help="which solution, where there are several (default smallest)",
    )
    verb.set_defaults(run=_solve)

    verb = verbs.add_parser("figure", help="draw the figures of a study")
    verb.add_argument("figure", metavar="STUDY[/NAME]")
    verb.add_argument("--out", type=Path, default=Path("figures"), help="folder (default figures)")
    verb.add_argument(
        "--replicates", type=whole, help="replicates per point (default: the figure's)"
    )
    verb.add_argument("--seed", type=whole, default=0)
    verb.set_defaults(run=_figure)
    return parser


def _verb_with_parameters(
    verbs: Any, words: Sequence[str], name: str, text: str, more: str = ""
) -> Any:
    """A verb whose flags are the parameters of the study named on the command line."""
    verb = verbs.add_parser(
        name, help=text, usage=f"simulator {name} STUDY{more} [--PARAMETER VALUE ...]"
    )
    verb.add_argument("study")
    if len(words) > 1 and words[0] == name and not words[1].startswith("-"):
        group = verb.add_argument_group(f"parameters of {words[1]}")
        for parameter in get(words[1]).declarations.values():
            group.add_argument(
                f"--{parameter.name.replace('_', '-')}",
                f"--{parameter.name}",
                dest=f"parameter_{parameter.name}",
                metavar=parameter.symbol,
                default=argparse.SUPPRESS,
                help=(
                    f"{parameter.meaning}; {parameter.describe_range()} "
                    f"(default {parameter.default})"
                ).replace("%", "%%"),
            )
    return verb


def _add_grid_flag(verb: Any, required: bool) -> None:
    verb.add_argument(
        "--grid",
        action="append",
        default=[],
        required=required,
        metavar="NAME=VALUES",
        help="an axis: a,b,c or log:first:last:count or lin:first:last:count; repeat for more",
    )


def _add_search_flags(verb: Any) -> None:
    verb.add_argument("output")
    verb.add_argument(
        "--over",
        action="append",
        required=True,
        metavar="NAME=LOW:HIGH",
        help="a free parameter and its range; LOW:HIGH:log or LOW:HIGH:linear settles the scale of "
        "the search; repeat for more",
    )
    verb.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="DIM=VALUE",
        help="the entry of an output that is an array; once per dim",
    )
    verb.add_argument("--points", type=whole, help="points of the first grid per parameter")
    _add_grid_flag(verb, required=False)
    _add_size_flag(verb)
    verb.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def _add_simulation_flags(verb: Any, replicates: int | None) -> None:
    _add_size_flag(verb)
    shown = "as many as the tolerance needs" if replicates is None else str(replicates)
    verb.add_argument("--replicates", type=whole, default=replicates, help=f"default {shown}")
    verb.add_argument("--seed", type=whole, default=0)
    verb.add_argument("--method", help="fast, direct or conditional (default: the fastest exact)")
    verb.add_argument("--dtype", help="float32 or float64 (default: float64 on CPU)")
    verb.add_argument(
        "--platform",
        choices=("cpu", "gpu", "tpu"),
        help="kind of device to simulate on (default: the best there is); theory is always "
        "computed on the CPU",
    )


def _add_size_flag(verb: Any) -> None:
    verb.add_argument(
        "--allow-large",
        action="store_true",
        help="compute also what is estimated to take very long, or more memory than is free",
    )


def _use_platform(platform: str | None) -> None:
    """Settle the kind of device before JAX starts any."""
    if platform is None:
        return
    import jax

    allowed = "cpu" if platform == "cpu" else ""  # "": the best there is
    jax.config.update("jax_platforms", allowed)
    found = jax.default_backend()
    if found != platform:
        raise ValueError(f"--platform {platform} is not available: JAX finds {found} here")
    os.environ["JAX_PLATFORMS"] = allowed  # for workers that are started here


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The parameters given on the command line, read according to their declarations."""
    declared = get(options.study).declarations
    prefix = "parameter_"
    return {
        name[len(prefix) :]: parameter_value(declared[name[len(prefix) :]], text)
        for name, text in vars(options).items()
        if name.startswith(prefix)
    }


# --------------------------------------------------------------------------------------------
# Verbs
# --------------------------------------------------------------------------------------------
def _list(options: argparse.Namespace) -> None:
    found = {name: get(name) for name in names()}
    width = max(map(len, found), default=0)
    for name, study in found.items():
        say(f"{name:<{width}}  {study.title}")


def _doctor(options: argparse.Namespace) -> int:
    from simulator.registry import get
    from simulator.testing import diagnose

    complaints = diagnose(get(options.study))
    for words in complaints:
        say(words)
    say(f"{options.study}: {len(complaints) or 'no'} complaint{'s' * (len(complaints) != 1)}")
    return DISAGREES if complaints else 0


def _cite(options: argparse.Namespace) -> None:
    say(simulator.cite(options.study))


def _show(options: argparse.Namespace) -> None:
    study = get(options.study)
    module = inspect.getmodule(study.params)
    say(f"{study.name}: {study.title}\n{study.paper}\n")
    say(inspect.cleandoc((module.__doc__ if module else None) or ""))
    say("\nparameters")
    for p in study.declarations.values():
        kind = "static" if p.static else "traced"
        kind += "".join(f", traced in {side}" for side in p.traced_in)
        say(f"  {p.name} ({p.symbol}) = {p.default}: {p.meaning}; {p.describe_range()} [{kind}]")
    say("\noutputs")
    for output in study.outputs:
        dims = f" [{', '.join(output.dims)}]" if output.dims else ""
        relation = output.relation_at(study.params())
        note = f", {relation.note}" if relation.note else ""
        kind = relation.kind
        say(f"  {output.name}{dims}: {output.meaning} ({output.where}; {kind}{note})")
    methods = ", ".join(study.methods()) or "none"
    say(f"\nsimulations: {methods}\nfigures: {', '.join(study.figures) or 'none'}")


def _predict(options: argparse.Namespace) -> None:
    given = _given(options)
    outputs = simulator.predict(options.study, allow_large=options.allow_large, **given)
    if options.json:
        say_json(options.study, given, {name: plain(v) for name, v in outputs.items()})
    else:
        say(_lines(outputs))


def _lines(outputs: Mapping[str, Any]) -> str:
    """One output a line; all together, as what is said at once is lost to no stream."""
    return "\n".join(
        f"{name} = {np.array2string(np.asarray(value), precision=10)}"
        for name, value in outputs.items()
    )


def _simulate(options: argparse.Namespace) -> None:
    _use_platform(options.platform)
    given = _given(options)
    result = simulator.simulate(
        options.study,
        replicates=options.replicates,
        seed=options.seed,
        method=options.method,
        dtype=options.dtype,
        allow_large=options.allow_large,
        **given,
    )
    if options.json:
        outputs = {
            name: {
                "mean": plain(result.mean[name]),
                "standard_error": plain(result.standard_error[name]),
                "replicates": result.replicates[name],
            }
            for name in result.mean
        }
        say_json(options.study, given, outputs)
    else:
        say(str(result))


def _sweep(options: argparse.Namespace) -> None:
    from simulator.store.netcdf import check_netcdf, write_netcdf

    to_file = options.out is not None and options.out.suffix == ".nc"
    to_store = options.out is not None and not to_file
    if to_file:
        check_netcdf(options.out)
    elif to_store and options.out.suffix != ".zarr" and options.out.suffix[1:].isalpha():
        raise ValueError(
            f"--out {options.out} is not allowed: give a file that ends in .nc, or the folder of a "
            "store (no ending, or .zarr)"
        )
    if options.dask and options.distributed:
        raise ValueError("--dask and --distributed exclude each other: give one")
    if options.dask and not to_store:
        raise ValueError("--dask needs --out FOLDER: the workers meet in a store")
    if options.retry_failed and not to_store:
        raise ValueError("--retry-failed needs --out FOLDER: only a store remembers failures")
    _join_other_processes(options, to_store)
    _use_platform(options.platform)
    tree = simulator.sweep(
        options.study,
        axes(get(options.study), options.grid),
        replicates=options.replicates,
        seed=options.seed,
        method=options.method,
        dtype=options.dtype,
        out=options.out if to_store else None,
        retry_failed=options.retry_failed,
        dask=options.dask,
        allow_large=options.allow_large,
        **_given(options),
    )
    if to_store:
        return
    if options.out is None:
        groups = {group: node.to_dataset().to_dataframe() for group, node in tree.children.items()}
        say("\n".join(f"{group}\n{frame.to_string()}\n" for group, frame in groups.items()))
    else:
        write_netcdf(tree, options.out)
        print(f"wrote {options.out}", file=sys.stderr)


def _join_other_processes(options: argparse.Namespace, to_store: bool) -> None:
    """Make this process one of those that compute a sweep together."""
    explicit = [options.coordinator, options.num_processes, options.process_id]
    if not options.distributed:
        if any(value is not None for value in explicit):
            raise ValueError("--coordinator, --num-processes and --process-id need --distributed")
        return
    if not to_store:
        raise ValueError("--distributed needs --out FOLDER: the processes meet in a store")
    if any(value is None for value in explicit) and any(value is not None for value in explicit):
        raise ValueError("give all of --coordinator, --num-processes and --process-id, or none")
    import jax

    jax.distributed.initialize(*explicit)


def _status(options: argparse.Namespace) -> None:
    found = simulator.sweep_status(options.store)
    if options.json:
        say(json.dumps(found))
        return
    say(
        f"{options.store}: {found['study']}, {found['cells']} cells of {found['replicates']} "
        f"replicates: {found['done']} done, {found['started']} started, {found['missing']} "
        f"missing, {len(found['failed'])} failed"
    )
    for cell, reason in found["failed"]:
        say(f"  failed at {cell}: {reason}")
    if found["seconds_left"]:
        say(f"about {found['seconds_left']:.0f} s of one process are left")


def _export(options: argparse.Namespace) -> None:
    from simulator.store.netcdf import check_netcdf, write_netcdf

    check_netcdf(options.file)
    write_netcdf(simulator.open_sweep(options.store), options.file)
    print(f"wrote {options.file}", file=sys.stderr)


def _check(options: argparse.Namespace) -> int:
    _use_platform(options.platform)
    verdict = simulator.check(
        options.study,
        axes(get(options.study), options.grid) or None,
        replicates=options.replicates,
        seed=options.seed,
        method=options.method,
        dtype=options.dtype,
        tolerance=options.tolerance,
        allow_large=options.allow_large,
        **_given(options),
    )
    say(str(verdict))
    return DISAGREES if verdict.status == "disagrees" else 0


def _optimise(options: argparse.Namespace) -> None:
    found = simulator.optimise(
        options.study,
        options.output,
        ranges(options.over),
        maximise=options.maximise,
        at=entry(options.at),
        points=options.points,
        allow_large=options.allow_large,
        **_others(options, {}),
    )
    _say_found(options, found)


def _solve(options: argparse.Namespace) -> None:
    values = [named_number("--equals", text) for text in options.equals.split(",")]
    others = _others(options, {"equals": values} if len(values) > 1 else {})
    found = simulator.solve(
        options.study,
        options.output,
        equals=others.pop("equals", values[0]),
        over=ranges(options.over),
        which=options.which,
        at=entry(options.at),
        points=options.points,
        allow_large=options.allow_large,
        **others,
    )
    _say_found(options, found)


def _others(options: argparse.Namespace, more: dict[str, list[Any]]) -> dict[str, Any]:
    """Fixed values, and the axes of the grid as arrays that broadcast to their outer product."""
    given, grid = _given(options), axes(get(options.study), options.grid) | more
    for name in grid.keys() & given.keys():
        raise ValueError(f"{name} is given twice: in the grid and as a fixed value")
    if not grid:
        return given
    arrays = np.meshgrid(*grid.values(), indexing="ij", sparse=True)
    return given | dict(zip(grid, arrays, strict=True))


def _say_found(options: argparse.Namespace, found: Any) -> None:
    if options.json:
        declared = get(options.study).declarations
        attributes = {name: plain(value) for name, value in found.attrs.items()}
        answer = {n: v for n, v in attributes.items() if n not in declared}
        answer["params"] = {n: v for n, v in attributes.items() if n in declared}
        answer["grid"] = {name: plain(v.values) for name, v in found.coords.items()}
        answer["outputs"] = {name: plain(v.values) for name, v in found.data_vars.items()}
        say(json.dumps(answer))
    elif found.sizes:
        say(found.to_dataframe().to_string())
    else:
        say(_lines(found.data_vars))


def _figure(options: argparse.Namespace) -> None:
    from simulator.pictures.declared import save_figures

    name, _, only = options.figure.partition("/")
    for path in save_figures(
        get(name), only or None, options.out, replicates=options.replicates, seed=options.seed
    ):
        say(str(path))
