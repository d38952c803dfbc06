"""Files and objects -> a pandas data frame, with all digits of its numbers."""

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator import checks
from simulator.planner.notices import TableError

if TYPE_CHECKING:
    import pandas as pd

NESTED = (list, tuple, dict, set, np.ndarray)
KINDS = (".csv", ".tsv", ".jsonl", ".parquet")
ALLOWED = "the path of a .csv, .tsv, .jsonl or .parquet file, a data frame, or a mapping of arrays"


def read(table: Any) -> tuple["pd.DataFrame", str, str]:
    """The frame, the name of the file, and the SHA-256 of its bytes (both empty without one).

    Cells of text files are read as text: they become numbers, all digits of them, where a law reads
    them, and a cell that is none can be named.

    Raises
    ------
    TypeError
        For what is no table.
    TableError
        For a file that cannot be read as one.
    """
    import pandas as pd

    if isinstance(table, (str, os.PathLike)):
        path = checks.path("table", table, "a table")
        return _of_file(path), path.name, hashlib.sha256(path.read_bytes()).hexdigest()
    if isinstance(table, pd.DataFrame):
        frame = table.reset_index(drop=True)
    elif isinstance(table, Mapping):
        given = {str(name): checks.plain_array(v) for name, v in table.items()}
        count = max((v.size for v in given.values()), default=0)
        columns = {n: np.full(count, v) if v.ndim == 0 else v.ravel() for n, v in given.items()}
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise TableError("E-TABLE", f"columns of different lengths: {shown}")
        frame = pd.DataFrame(columns)
    else:
        raise TypeError(checks.refusal("table", table, ALLOWED))
    frame.columns = [str(name) for name in frame.columns]
    return _checked(frame, "the table"), "", ""


def _of_file(path: Path) -> "pd.DataFrame":
    import pandas as pd

    endings = [ending.lower() for ending in path.suffixes]
    kind = endings[-2] if endings[-1:] == [".gz"] and len(endings) > 1 else "".join(endings[-1:])
    if not path.is_file():
        raise TableError("E-TABLE", f"{path}: no such file; it must be {ALLOWED}")
    if kind not in KINDS:
        raise TableError("E-TABLE", f"{path.name}: unknown ending; it must be {ALLOWED}")
    try:
        if kind == ".parquet":
            frame = _parquet(path)
        elif kind == ".jsonl":
            opened = pd.io.common.get_handle(path, "r", compression="infer", encoding="utf-8-sig")
            with opened as lines:
                records = [json.loads(line) for line in lines.handle if line.strip()]
            if not all(isinstance(record, dict) for record in records):
                raise ValueError("a line is no object")
            frame = pd.DataFrame.from_records(records)
        else:
            cells = functools.partial(
                pd.read_csv,
                path,
                sep="\t" if kind == ".tsv" else ",",
                dtype=str,
                keep_default_na=False,
                index_col=False,
                skipinitialspace=True,
                encoding="utf-8-sig",
            )
            _check_header(cells(header=None, nrows=1).iloc[0], path.name)
            frame = cells()
    except TableError:
        raise
    except (ValueError, OSError, EOFError) as error:  # pandas' parser errors are ValueErrors
        raise TableError("E-TABLE", f"{path.name}: unreadable ({error})") from error
    frame.columns = [str(name).strip() for name in frame.columns]
    return _checked(frame, path.name)


def _parquet(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise TableError(
            "E-TABLE",
            f"{path.name}: parquet needs pyarrow: pip install 'theory-simulator[parquet]'",
        ) from error


def _checked(frame: "pd.DataFrame", name: str) -> "pd.DataFrame":
    from pandas.api.types import is_object_dtype

    _check_header(frame.columns, name)
    if not len(frame):
        raise TableError("E-TABLE", f"{name}: no rows; it must have one a run")
    for column in filter(lambda name: is_object_dtype(frame[name]), frame.columns):
        # Lists and records are no numbers.
        frame[column] = [str(v) if isinstance(v, NESTED) else v for v in frame[column]]
    return frame


def _check_header(names: Iterable[str], name: str) -> None:
    """No two columns of one name; pandas would call the second of a text file ``loss.1``."""
    found: set[str] = set()
    for column in filter(None, (str(given).strip() for given in names)):
        if column in found:
            raise TableError("E-ROLE", f"{name}: two columns are called {column}")
        found.add(column)
