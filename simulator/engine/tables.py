"""Results as long tables: one row for each output at each point."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: The columns of numbers, in this order; which of them there are depends on the result.
NUMBERS = ("theory", "mean", "standard_error", "replicates")


def long_table(datasets: Mapping[str, "xr.Dataset"]) -> "pd.DataFrame":
    """The rows of all outputs, each given as a dataset of its columns of numbers.

    Entries without any number, which only pad an output to the length of a larger cell, are left
    out; the dims of other outputs are empty cells of a row.
    """
    import pandas as pd

    tables = []
    for name, data in datasets.items():
        numbers = [column for column in NUMBERS if column in data]
        if data.dims:
            table = data.to_dataframe().reset_index()
        else:
            table = pd.DataFrame([{column: data[column].item() for column in data}])
        of_values = [column for column in numbers if column != "replicates"]
        if len(data.dims) > 1:
            table = table.dropna(subset=of_values, how="all")
        table.insert(0, "output", name)
        tables.append(table)
    whole = pd.concat(tables, ignore_index=True)
    numbers = [column for column in NUMBERS if column in whole]
    return whole[[column for column in whole if column not in numbers] + numbers]


def table_of_tree(tree: "xr.DataTree") -> "pd.DataFrame":
    """The table of a sweep: theory, mean and standard error side by side."""
    import xarray as xr

    groups = [name for name in ("theory", "mean", "standard_error") if name in tree.children]
    if not groups:
        raise ValueError("the tree holds no sweep: it has no theory, mean or standard_error")
    names: dict[Any, None] = {}
    for group in groups:
        names |= dict.fromkeys(tree[group].data_vars)
    status = tree["status"]["replicates"] if "status" in tree.children else None
    found = {}
    for name in names:
        columns = {g: tree[g][name] for g in groups if name in tree[g].data_vars}
        if status is not None and "mean" in columns:
            columns["replicates"] = status
        found[str(name)] = xr.Dataset(columns)
    return long_table(found)


def written(mean: float, error: float) -> str:
    """``mean ± error``; the error of a single replicate is not known."""
    return f"{mean:.6g} ± " + ("unknown" if np.isnan(error) else f"{error:.2g}")


def aligned(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a table whose columns stand under each other."""
    whole = [list(header), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in whole
    ]
