"""What to do with a result: a table, a file, a picture."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator import checks
from simulator.engine.results import SimulationResult
from simulator.engine.tables import table_of_tree
from simulator.store.files import write_file
from simulator.store.manifest import strict
from simulator.store.netcdf import check_netcdf, write_netcdf
from simulator.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ENDINGS = (".csv", ".json", ".nc")
ALLOWED = "what `sweep`, `simulate` or `check` returned"


def to_dataframe(result: Any, output: str | None = None) -> "pd.DataFrame":
    """A result as a long table.

    Parameters
    ----------
    result : what `sweep`, `open_sweep`, `simulate` or `check` returned
    output : str, optional
        Only this output.

    Returns
    -------
    pandas.DataFrame
        One row for each output at each point of the grid (and each entry of an output that is an
        array). Of a sweep: its axes, ``theory``, ``mean`` and ``standard_error``; of a simulation:
        its grid, ``mean``, ``standard_error`` and ``replicates``; of a verdict: one row for each
        comparison, with all parameters, both sides, ``z`` and ``status``.
    """
    if isinstance(result, (SimulationResult, Verdict)):
        table = result.to_dataframe()
    elif _is_tree(result):
        table = table_of_tree(result)
    else:
        raise TypeError(checks.refusal("result", result, ALLOWED))
    if output is None:
        return table
    names = list(dict.fromkeys(table["output"]))
    if output not in names:
        raise ValueError(checks.refusal("output", output, f"one of {', '.join(names)}"))
    mine = table[table["output"] == output].dropna(axis="columns", how="all")
    return mine.reset_index(drop=True)


def save(result: Any, path: str | Path) -> Path:
    """Write a result to a file, which appears whole.

    Parameters
    ----------
    result : what `sweep`, `open_sweep`, `simulate` or `check` returned
    path : path that ends in .csv or .json (the table of `to_dataframe`), or, for a sweep, in .nc
        A NetCDF file of all arrays and attributes, which `simulator.open_sweep` reads. A file of
        this name is replaced.

    Returns
    -------
    pathlib.Path
    """
    found = checks.path("path", path, f"a file that ends in {', '.join(ENDINGS)}")
    if found.suffix == ".nc" and _is_tree(result):
        check_netcdf(found)
        write_netcdf(result, found)
        return found
    table = to_dataframe(result)
    if found.suffix == ".csv":
        content = table.to_csv(index=False)
    elif found.suffix == ".json":
        known = table.astype(object).where(table.notna(), None)  # JSON has no NaN, but null
        rows = [strict(row) for row in known.to_dict(orient="records")]
        content = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    else:
        allowed = ", ".join(ENDINGS) if _is_tree(result) else ".csv or .json"
        raise ValueError(checks.refusal("path", path, f"a file that ends in {allowed}"))
    write_file(found, content.encode())
    return found


def plot(
    tree: Any,
    output: str | None = None,
    *,
    x: str | None = None,
    xscale: str | None = None,
    yscale: str | None = None,
) -> "Figure":
    """Draw an output of a sweep: theory as lines, simulation as points with error bars.

    Parameters
    ----------
    tree : what `sweep` or `open_sweep` returned
    output : str, optional
        The first one unless given.
    x : str, optional
        The axis of the grid, or dim of the output, along which it is drawn: the longest axis of
        numbers unless given. Every combination of the others is a line of its own.
    xscale, yscale : {"linear", "log"}, optional
        Logarithmic unless given, where values are positive and span more than a decade.

    Returns
    -------
    matplotlib.figure.Figure
        `figure.savefig(...)` writes it; a notebook shows it.
    """
    if not _is_tree(tree):
        raise TypeError(checks.refusal("tree", tree, "what `sweep` or `open_sweep` returned"))
    from simulator.pictures.tree import draw_tree  # with matplotlib, which most sessions do without

    return draw_tree(tree, output, x=x, xscale=xscale, yscale=yscale)


def _is_tree(result: Any) -> bool:
    import xarray as xr

    return isinstance(result, xr.DataTree)
