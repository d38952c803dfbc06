"""The `simulator` command: the verbs of the package, flags made from the declarations."""

import argparse
import inspect
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

USAGE_ERROR = 2
DISAGREES = 1
#: Errors whose message is meant for the user; anything else is a defect and keeps its traceback.
EXPECTED_ERRORS = (ValueError, TypeError, ArithmeticError, OSError, RuntimeError, MemoryError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    _quiet_one_thread_blas()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _check_words(words)
        options = _parser(words).parse_args(words)
        code = options.run(options) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except EXPECTED_ERRORS as error:
        print(f"simulator: {_one_line(error)}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        print("simulator: interrupted", file=sys.stderr)
        return 130


def _check_words(words: Sequence[str]) -> None:
    """Refuse what argparse would read as a flag with no value at all."""
    for word in words:
        if word.startswith("--") and word.endswith("=--"):
            raise ValueError(f"{word} is not allowed: the value is missing")


def _quiet_one_thread_blas() -> None:
    """Settings of an application, made before JAX is imported."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # many small matrices: BLAS threads only collide
    # XLA's thread pool: on two threads LAPACK calls inside one program can starve each other.
    os.environ.setdefault("NPROC", str(max(8, os.cpu_count() or 1)))
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "theory-simulator"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.encode("utf-8", "backslashreplace").decode()  # words may be no valid unicode


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

    verb = _verb_with_parameters(verbs, words, "predict", "theory at one point")
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
    verb.add_argument("--num-processes", type=int)
    verb.add_argument("--process-id", type=int)
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
    verb.add_argument("--replicates", type=int, help="replicates per point (default: the figure's)")
    verb.add_argument("--seed", type=int, default=0)
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
        from simulator.studies import get_study

        group = verb.add_argument_group(f"parameters of {words[1]}")
        for parameter in get_study(words[1]).declarations.values():
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
    verb.add_argument("--points", type=_whole, help="points of the first grid per parameter")
    _add_grid_flag(verb, required=False)
    verb.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def _add_simulation_flags(verb: Any, replicates: int | None) -> None:
    shown = "as many as the tolerance needs" if replicates is None else str(replicates)
    verb.add_argument("--replicates", type=_whole, default=replicates, help=f"default {shown}")
    verb.add_argument("--seed", type=_whole, default=0)
    verb.add_argument("--method", help="fast, direct or conditional (default: the fastest exact)")
    verb.add_argument("--dtype", help="float32 or float64 (default: float64 on CPU)")
    verb.add_argument(
        "--platform",
        choices=("cpu", "gpu", "tpu"),
        help="kind of device to simulate on (default: the best there is); theory is always "
        "computed on the CPU",
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


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from error


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The parameters given on the command line, read according to their declarations."""
    from simulator.studies import get_study

    declared = get_study(options.study).declarations
    prefix = "parameter_"
    return {
        name[len(prefix) :]: _value(declared[name[len(prefix) :]], text)
        for name, text in vars(options).items()
        if name.startswith(prefix)
    }


def _value(parameter: Any, text: str) -> Any:
    if parameter.type == "choice":
        return text
    try:
        if parameter.type == "array":
            return np.asarray(json.loads(text if text.startswith("[") else f"[{text}]"))
        return _number(text)
    except ValueError as error:
        raise ValueError(
            f"{parameter.name} = {text!r} is not allowed: it must be {parameter.describe_range()}"
        ) from error


def _number(text: str) -> float | int:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _axes(options: argparse.Namespace) -> dict[str, list[Any]]:
    from simulator.studies import get_study

    study = get_study(options.study)
    axes: dict[str, list[Any]] = {}
    for entry in options.grid:
        name, separator, text = entry.partition("=")
        name = name.strip().replace("-", "_")
        if not separator:
            raise ValueError(f"--grid {entry!r} is not allowed: write NAME=VALUES")
        parameter = study.check_name(name)
        if name in axes:
            raise ValueError(f"--grid {name} is given twice")
        whole = parameter.integer or parameter.type == "int"
        axes[name] = _axis(parameter, text, whole)
    return axes


def _axis(parameter: Any, text: str, whole: bool) -> list[Any]:
    spacing, _, rest = text.partition(":")
    if spacing not in ("log", "lin"):
        return [_value(parameter, item.strip()) for item in text.split(",")]
    try:
        first, last, count = rest.split(":")
        ends, size = (float(first), float(last)), int(count)
    except ValueError as error:
        raise ValueError(
            f"--grid {parameter.name}={text} is not allowed: write {spacing}:first:last:count"
        ) from error
    if size < 1 or not all(math.isfinite(e) for e in ends) or (spacing == "log" and min(ends) <= 0):
        raise ValueError(
            f"--grid {parameter.name}={text} is not allowed: it needs finite ends"
            f"{' > 0' if spacing == 'log' else ''} and a count >= 1"
        )
    axis = (np.geomspace if spacing == "log" else np.linspace)(*ends, size)
    return list(dict.fromkeys(np.rint(axis).astype(int).tolist() if whole else axis.tolist()))


# --------------------------------------------------------------------------------------------
# Verbs
# --------------------------------------------------------------------------------------------
def _list(options: argparse.Namespace) -> None:
    from simulator.studies import registry

    found = registry()
    width = max(map(len, found), default=0)
    for name, study in found.items():
        print(f"{name:<{width}}  {study.title}")


def _show(options: argparse.Namespace) -> None:
    from simulator.studies import get_study

    study = get_study(options.study)
    module = inspect.getmodule(study.params)
    print(f"{study.name}: {study.title}\n{study.reference}\n")
    print(inspect.cleandoc((module.__doc__ if module else None) or ""))
    print("\nparameters")
    for p in study.declarations.values():
        kind = "static" if p.static else "traced"
        kind += "".join(f", traced in {side}" for side in p.traced_in)
        print(f"  {p.name} ({p.symbol}) = {p.default}: {p.meaning}; {p.describe_range()} [{kind}]")
    print("\noutputs")
    for output in study.outputs:
        dims = f" [{', '.join(output.dims)}]" if output.dims else ""
        relation = output.relation_at(study.params())
        note = f", {relation.note}" if relation.note else ""
        kind = relation.kind.replace("_", " ")
        print(f"  {output.name}{dims}: {output.meaning} ({output.where}; {kind}{note})")
    methods = ", ".join(study.methods()) or "none"
    print(f"\nsimulations: {methods}\nfigures: {', '.join(study.figures) or 'none'}")


def _predict(options: argparse.Namespace) -> None:
    from simulator import predict

    given = _given(options)
    outputs = predict(options.study, **given)
    if options.json:
        _print_json(options.study, given, {name: _plain(v) for name, v in outputs.items()})
    else:
        for name, value in outputs.items():
            print(f"{name} = {np.array2string(np.asarray(value), precision=10)}")


def _simulate(options: argparse.Namespace) -> None:
    from simulator import simulate

    _use_platform(options.platform)
    given = _given(options)
    result = simulate(
        options.study,
        replicates=options.replicates,
        seed=options.seed,
        method=options.method,
        dtype=options.dtype,
        **given,
    )
    if options.json:
        outputs = {
            name: {
                "mean": _plain(result.mean[name]),
                "standard_error": _plain(result.standard_error[name]),
                "replicates": result.replicates[name],
            }
            for name in result.mean
        }
        _print_json(options.study, given, outputs)
    else:
        print(result)


def _sweep(options: argparse.Namespace) -> None:
    from simulator import sweep

    to_file = options.out is not None and options.out.suffix == ".nc"
    to_store = options.out is not None and not to_file
    if to_file:
        _check_netcdf_target(options.out)
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
    tree = sweep(
        options.study,
        _axes(options),
        replicates=options.replicates,
        seed=options.seed,
        method=options.method,
        dtype=options.dtype,
        out=options.out if to_store else None,
        retry_failed=options.retry_failed,
        dask=options.dask,
        **_given(options),
    )
    if to_store:
        return
    if options.out is None:
        merged = {group: node.to_dataset() for group, node in tree.children.items()}
        for group, dataset in merged.items():
            print(f"{group}\n{dataset.to_dataframe().to_string()}\n")
    else:
        tree.to_netcdf(options.out, engine="h5netcdf")
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


def _check_netcdf_target(path: Path) -> None:
    """Refuse before the computation what could not be written after it."""
    import importlib.util

    if path.suffix != ".nc":
        raise ValueError(f"{path} is not allowed: the file name must end in .nc")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"{path} is not allowed: the folder does not exist")
    if not all(importlib.util.find_spec(name) for name in ("h5netcdf", "h5py")):
        raise ValueError("NetCDF needs h5netcdf and h5py: pip install 'theory-simulator[netcdf]'")


def _status(options: argparse.Namespace) -> None:
    from simulator import sweep_status

    found = sweep_status(options.store)
    if options.json:
        print(json.dumps(found))
        return
    print(
        f"{options.store}: {found['study']}, {found['cells']} cells of {found['replicates']} "
        f"replicates: {found['done']} done, {found['started']} started, {found['missing']} "
        f"missing, {len(found['failed'])} failed"
    )
    for cell, reason in found["failed"]:
        print(f"  failed at {cell}: {reason}")
    if found["seconds_left"]:
        print(f"about {found['seconds_left']:.0f} s of one process are left")


def _export(options: argparse.Namespace) -> None:
    from simulator import open_sweep

    _check_netcdf_target(options.file)
    tree = open_sweep(options.store)
    tree.attrs = {name: _flat(value) for name, value in tree.attrs.items()}
    tree.to_netcdf(options.file, engine="h5netcdf")
    print(f"wrote {options.file}", file=sys.stderr)


def _flat(attribute: Any) -> Any:
    """The attribute as NetCDF can hold it: nested ones as JSON text."""
    return json.dumps(attribute) if isinstance(attribute, (dict, list)) else attribute


def _check(options: argparse.Namespace) -> int:
    from simulator import check

    _use_platform(options.platform)
    verdict = check(
        options.study,
        _axes(options) or None,
        replicates=options.replicates,
        seed=options.seed,
        method=options.method,
        dtype=options.dtype,
        tolerance=options.tolerance,
        **_given(options),
    )
    print(verdict)
    return DISAGREES if verdict.status == "disagrees" else 0


def _optimise(options: argparse.Namespace) -> None:
    from simulator import optimise

    found = optimise(
        options.study,
        options.output,
        _ranges(options),
        maximise=options.maximise,
        at=_entry(options),
        points=options.points,
        **_others(options, _axes(options)),
    )
    _print_found(options, found)


def _solve(options: argparse.Namespace) -> None:
    from simulator import solve

    values = [_named_number("--equals", text) for text in options.equals.split(",")]
    several = {"equals": values} if len(values) > 1 else {}
    others = _others(options, _axes(options) | several)
    found = solve(
        options.study,
        options.output,
        equals=others.pop("equals", values[0]),
        over=_ranges(options),
        which=options.which,
        at=_entry(options),
        points=options.points,
        **others,
    )
    _print_found(options, found)


def _ranges(options: argparse.Namespace) -> dict[str, tuple[Any, ...]]:
    ranges: dict[str, tuple[Any, ...]] = {}
    for entry in options.over:
        name, _, text = entry.partition("=")
        name = name.strip().replace("-", "_")
        ends, scale = text.split(":")[:2], text.split(":")[2:]
        if len(ends) != 2 or len(scale) > 1:
            raise ValueError(
                f"--over {entry!r} is not allowed: write NAME=LOW:HIGH, or NAME=LOW:HIGH:log or "
                "NAME=LOW:HIGH:linear"
            )
        if name in ranges:
            raise ValueError(f"--over {name} is given twice")
        ranges[name] = (*(_named_number(f"--over {name}", end) for end in ends), *scale)
    return ranges


def _entry(options: argparse.Namespace) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    for item in options.at:
        dim, separator, text = item.partition("=")
        if not separator:
            raise ValueError(f"--at {item!r} is not allowed: write DIM=VALUE")
        try:
            entry[dim.strip()] = _number(text)
        except ValueError:
            entry[dim.strip()] = text.strip()  # the coordinates of a dim may be names
    return entry


def _named_number(name: str, text: str) -> float | int:
    try:
        return _number(text)
    except ValueError as error:
        raise ValueError(f"{name} = {text!r} is not allowed: it must be a number") from error


def _others(options: argparse.Namespace, axes: dict[str, list[Any]]) -> dict[str, Any]:
    """Fixed values, and the axes of the grid as arrays that broadcast to their outer product."""
    given = _given(options)
    for name in axes.keys() & given.keys():
        raise ValueError(f"{name} is given twice: in the grid and as a fixed value")
    if not axes:
        return given
    grid = np.meshgrid(*axes.values(), indexing="ij", sparse=True)
    return given | dict(zip(axes, grid, strict=True))


def _print_found(options: argparse.Namespace, found: Any) -> None:
    from simulator.studies import get_study

    if options.json:
        declared = get_study(options.study).declarations
        attributes = {name: _plain(value) for name, value in found.attrs.items()}
        answer = {n: v for n, v in attributes.items() if n not in declared}
        answer["params"] = {n: v for n, v in attributes.items() if n in declared}
        answer["grid"] = {name: _plain(v.values) for name, v in found.coords.items()}
        answer["outputs"] = {name: _plain(v.values) for name, v in found.data_vars.items()}
        print(json.dumps(answer))
    elif found.sizes:
        print(found.to_dataframe().to_string())
    else:
        for name, value in found.data_vars.items():
            print(f"{name} = {np.array2string(value.values, precision=10)}")


def _figure(options: argparse.Namespace) -> None:
    from simulator.figures import save_figures
    from simulator.studies import get_study

    name, _, only = options.figure.partition("/")
    for path in save_figures(
        get_study(name), only or None, options.out, replicates=options.replicates, seed=options.seed
    ):
        print(path)


def _print_json(study: str, params: dict[str, Any], outputs: dict[str, Any]) -> None:
    from simulator.studies import get_study

    complete = {name: _plain(value) for name, value in get_study(study).canonical(params).items()}
    print(json.dumps({"study": study, "params": complete, "outputs": outputs}))


def _plain(value: Any) -> Any:
    """Plain Python values; infinities print as ``Infinity``, as Python's json reads them."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


if __name__ == "__main__":
    sys.exit(main())
