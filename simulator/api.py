"""The public face: the verbs, by name of the study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

# `simulator.sweep` is the verb, so everything inside the package imports from the subpackage of
# that name with `from simulator.sweep import ...`.
from simulator import checks
from simulator.engine.results import SimulationResult
from simulator.engine.simulation import simulate_study
from simulator.engine.theory import predict_study
from simulator.registry import get
from simulator.search import optimise_study, solve_study
from simulator.store.manifest import read_manifest
from simulator.store.resume import open_store, store_status
from simulator.store.sweep import sweep_study
from simulator.study import Study
from simulator.verdict import Verdict, check_study

if TYPE_CHECKING:
    import xarray as xr


def get(name: str) -> Study:
    """The study called ``name``; its ``theory`` is the pure function for jax transformations."""
    return get(name)


def predict(name: str, *, allow_large: bool = False, **params: Any) -> dict[str, np.ndarray]:
    """Theory of a study: see :func:`simulator.sweep.predict_study`."""
    return predict_study(get(name), allow_large=allow_large, **params)


def simulate(
    name: str,
    *,
    replicates: int,
    seed: int = 0,
    method: str | None = None,
    dtype: str | None = None,
    keep_values: bool = False,
    allow_large: bool = False,
    **params: Any,
) -> SimulationResult:
    """Monte-Carlo of a study: see :func:`simulator.sweep.simulate_study`."""
    return simulate_study(
        get(name),
        replicates=replicates,
        seed=seed,
        method=method,
        dtype=dtype,
        keep_values=keep_values,
        allow_large=allow_large,
        **params,
    )


def sweep(
    name: str,
    grid: Mapping[str, Sequence[Any]],
    *,
    replicates: int,
    seed: int = 0,
    method: str | None = None,
    dtype: str | None = None,
    keep_values: bool = False,
    out: str | Path | None = None,
    retry_failed: bool = False,
    dask: str | None = None,
    allow_large: bool = False,
    **params: Any,
) -> "xr.DataTree":
    """Theory and simulation on a grid: see :func:`simulator.sweep.sweep_study`."""
    return sweep_study(
        get(name),
        grid,
        replicates=replicates,
        seed=seed,
        method=method,
        dtype=dtype,
        keep_values=keep_values,
        out=out,
        retry_failed=retry_failed,
        dask=dask,
        allow_large=allow_large,
        **params,
    )


def optimise(
    study: str | Study,
    output: str,
    over: Mapping[str, Any],
    *,
    maximise: bool = False,
    at: Mapping[str, Any] | None = None,
    points: int | None = None,
    allow_large: bool = False,
    **params: Any,
) -> "xr.Dataset":
    """Where an output of a theory is smallest: see :func:`simulator.search.optimise_study`."""
    return optimise_study(
        _study(study),
        output,
        over,
        maximise=maximise,
        at=at,
        points=points,
        allow_large=allow_large,
        **params,
    )


def solve(
    study: str | Study,
    output: str,
    *,
    equals: Any,
    over: Mapping[str, Any],
    which: str = "smallest",
    at: Mapping[str, Any] | None = None,
    points: int | None = None,
    allow_large: bool = False,
    **params: Any,
) -> "xr.Dataset":
    """Where an output of a theory takes a value: see :func:`simulator.search.solve_study`."""
    return solve_study(
        _study(study),
        output,
        equals=equals,
        over=over,
        which=which,
        at=at,
        points=points,
        allow_large=allow_large,
        **params,
    )


def _study(study: str | Study) -> Study:
    """A study, or the one of that name."""
    if isinstance(study, Study):
        return study
    return get(checks.text("study", study, "the name of a study, or a Study"))


def open_sweep(path: str | Path) -> "xr.DataTree":
    """The results in the store of a sweep: see :func:`simulator.sweep.open_store`."""
    return open_store(*_store(path))


def sweep_status(path: str | Path) -> dict[str, Any]:
    """What the store of a sweep holds and misses: see :func:`simulator.sweep.store_status`."""
    return store_status(*_store(path))


def _store(path: Any) -> tuple[Path, Study]:
    """Where the store lies, and the study that it is of."""
    folder = checks.path("path", path, "the folder of a store")
    return folder, get(read_manifest(folder)["study"])


def check(name: str, grid: Mapping[str, Sequence[Any]] | None = None, **options: Any) -> Verdict:
    """Verdict on a study: see :func:`simulator.verdict.check_study`."""
    return check_study(get(name), grid, **options)
