"""The public face: the verbs, each for a study or its name."""

import functools
import inspect
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from simulator import checks
from simulator.engine.simulation import simulate_study
from simulator.engine.theory import predict_study
from simulator.engine.traceable import theory_study
from simulator.registry import get, register
from simulator.search import optimise_study, solve_study
from simulator.store.contents import open_store, store_status
from simulator.store.manifest import read_manifest
from simulator.store.netcdf import file_status, read_netcdf
from simulator.store.sweep import sweep_study
from simulator.study import Study
from simulator.verdict import check_study

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "check",
    "cite",
    "get",
    "open_sweep",
    "optimise",
    "predict",
    "register",
    "simulate",
    "solve",
    "sweep",
    "sweep_status",
    "theory",
]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _verb(
    function: Callable[Concatenate[Study, Arguments], Result],
) -> Callable[Concatenate[str | Study, Arguments], Result]:
    """The function itself, documentation and signature, for a study given by name too."""

    @functools.wraps(function)
    def verb(study: str | Study, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return function(get(study), *args, **kwargs)

    signature = inspect.signature(function)
    first, *others = signature.parameters.values()
    verb.__signature__ = signature.replace(  # type: ignore[attr-defined]  # read by `inspect`
        parameters=[first.replace(annotation=str | Study), *others]
    )
    verb.__name__ = verb.__qualname__ = function.__name__.removesuffix("_study")
    verb.__module__ = "simulator"
    return verb


predict = _verb(predict_study)
simulate = _verb(simulate_study)
sweep = _verb(sweep_study)
check = _verb(check_study)
optimise = _verb(optimise_study)
solve = _verb(solve_study)
theory = _verb(theory_study)


def cite(study: str | Study | None = None) -> str:
    """BibTeX of the package, and of the paper of a study.

    Parameters
    ----------
    study : str or Study, optional
    """
    package = "\n".join(
        [
            "@software{simulator,",
            "  title = {simulator: theory and simulation of modern learning theory},",
            "  author = {{The simulator developers}},",
            f"  version = {{{version('theory-simulator')}}},",
            "}",
        ]
    )
    return package if study is None else f"{package}\n\n{get(study).paper.bibtex()}"


def open_sweep(path: str | Path, study: str | Study | None = None) -> "xr.DataTree":
    """The results of a sweep: in a store, checked against its records, or in a NetCDF file.

    Parameters
    ----------
    path : path of the folder, or of the file
    study : str or Study, optional
        The study that was swept; the one that the store names unless given.

    Returns
    -------
    xarray.DataTree
        As :func:`simulator.sweep`; from a store (also an exported one) with a child ``status``, the
        number of ``replicates`` of each cell (0: not computed) and whether it ``failed``.

    Raises
    ------
    StoreError
        If there is no sweep, or something in its store is damaged; the message names the file.
    """
    found = checks.path("path", path, PLACE)
    if found.is_file():
        return read_netcdf(found)
    return open_store(found, _study_in(found, study))


def sweep_status(path: str | Path, study: str | Study | None = None) -> dict[str, Any]:
    """What the store of a sweep holds and what it still misses; or what its NetCDF file holds.

    Parameters
    ----------
    path, study
        As in :func:`simulator.open_sweep`.

    Returns
    -------
    dict
        ``study``, ``cells`` (points of the grid), ``replicates`` (asked for), ``done``,
        ``started``, ``missing``, ``failed`` (list of (cell, reason)), ``seconds_left`` of one
        process (None before anything was computed).

    Raises
    ------
    StoreError
        If there is no sweep, or something in its store is damaged; the message names the file.
    """
    found = checks.path("path", path, PLACE)
    if found.is_file():
        tree = read_netcdf(found)
        return file_status(tree, get(tree.attrs["study"] if study is None else study))
    return store_status(found, _study_in(found, study))


PLACE = "the folder of a store, or a NetCDF file"


def _study_in(folder: Path, study: Any) -> Study:
    """The study that a store is of."""
    return get(read_manifest(folder)["study"] if study is None else study)
