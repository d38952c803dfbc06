"""Features and targets from a file or from arrays, checked.

`load` reads ``.npy``, ``.npz``, ``.csv`` (also ``.tsv``, ``.txt``, or a pipe), parquet and
MNIST-like IDX files, each plain or ``.gz`` where the format allows it. `from_arrays` takes arrays.
Both return a `Table` whose numbers are finite float64 and whose features and targets vary; anything
else is refused with one line that names the source, what is wrong and what is allowed.
"""

import io
import numbers
import operator
import os
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simulator.data.files import (  # isort: skip
    DataError, are_row_labels, check_widths, checked_path, content, is_whole, kind_of, read_idx,
    read_npy, read_rows,
)  # fmt: skip
from simulator.checks import plain_array
from simulator.data.columns import Chosen, Column, column_of, columns_of_frame, numeric
from simulator.data.header import header_of, is_named
from simulator.equality import ByValue

MIN_ROWS = 10
_FEATURE_KEYS = ("x", "X", "x_train", "features", "data", "images")
_TARGET_KEYS = ("y", "y_train", "targets", "labels")
_ODD = re.compile(r"[^0-9+\-.eE]")
PARQUET = (".parquet", ".pq")
FORMATS = (
    ".npy, .npz, .csv, .tsv, .txt, .parquet, IDX (-ubyte, .idx), or .gz of a text table and IDX"
)


@dataclass(frozen=True, eq=False, repr=False)
class Table(ByValue):
    """A data set: one row per sample.

    Attributes
    ----------
    features : (num_rows, num_features) float64
    targets : (num_rows,) float64
    name : str
        Where it came from, for titles and errors.
    target : str
        What the targets are called there.
    own_units : bool
        Each column has a unit of its own, as in most text tables: `population` and feature maps
        then standardise them one by one. Pixels, or features of a map, share one.
    categories : tuple of str
        What the whole numbers among the targets stand for, where a file had names (`load`).
    names : tuple of str
        Of the features, where the source names its columns; ``column=category`` of a category.
    """

    features: np.ndarray
    targets: np.ndarray
    name: str
    target: str = ""
    own_units: bool = False
    categories: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def with_features(self, features: Any, description: str) -> "Table":
        """The same targets on new features, such as the image of a feature map."""
        table = from_arrays(features, self.targets, f"{self.name}, {description}")
        return replace(table, target=self.target)


# --------------------------------------------------------------------------------------------
# Arrays
# --------------------------------------------------------------------------------------------
def from_arrays(features: Any, targets: Any, name: str = "arrays") -> Table:
    """A checked `Table`; features of more than two dims (images) are flattened.

    Raises
    ------
    DataError
        For anything that is not numeric, finite, of matching length, at least ``MIN_ROWS`` rows,
        and varying.
    """
    x, y = _numeric(features, name, "features"), _numeric(targets, name, "targets")
    if x.ndim < 2:
        raise DataError(f"{name}: features have shape {x.shape}; allowed: rows x features")
    x = x.reshape(len(x), -1)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"{name}: targets have shape {y.shape}; allowed: one number per row")
    if len(x) != len(y):
        raise DataError(f"{name}: {len(x)} rows of features but {len(y)} targets; they must match")
    if len(x) < MIN_ROWS:
        raise DataError(f"{name}: {len(x)} rows are too few; allowed: at least {MIN_ROWS}")
    if not x.shape[1]:
        raise DataError(f"{name}: no feature is left beside the target; allowed: at least one")
    for values, what in ((x, "features"), (y[:, None], "targets")):
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            row, column = wrong[0]
            where = f"row {row}" + (f", column {column}" if what == "features" else "")
            raise DataError(
                f"{name}: {what} hold {len(wrong)} non-finite values, the first ({where}) is "
                f"{values[row, column]}; allowed: finite numbers"
            )
        if np.all(values == values[0]):
            raise DataError(f"{name}: {what} are constant; allowed: values that vary between rows")
    return Table(x, y, name)


def _numeric(values: Any, name: str, what: str) -> np.ndarray:
    try:
        array = plain_array(values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: {what}: {error}; allowed: an array of real numbers") from error
    if array.dtype == object and all(isinstance(x, numbers.Real) for x in array.flat):
        array = array.astype(float)  # columns of pandas that may hold missing values, and hold none
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name}: {what} have type {array.dtype}; allowed: real numbers")
    return array.astype(np.float64)


# --------------------------------------------------------------------------------------------
# Files
# --------------------------------------------------------------------------------------------
def load(
    path: str | os.PathLike[str],
    target: str | int | os.PathLike[str] | None = None,
    *,
    one_hot: Chosen = False,
    impute: Chosen = False,
    drop: Chosen = False,
    categories: bool = False,
) -> Table:
    """Read a data set from a file.

    In a text table every cell is a number, or all cells of a column are True or False (1 and 0);
    ``one_hot``, ``impute`` and ``drop`` say what to do with other columns. The first row is a
    header if it holds names (they have a letter), among which the numbers 0, 1, 2, ... may stand in
    this order, as pandas writes them. A first column without a name that counts the rows from 0 or
    1, as ``DataFrame.to_csv()`` writes its index, is left out. What could be read in two ways is
    refused.

    Parameters
    ----------
    path : str or path-like
    target : str, int or path-like, optional
        Which column is the target: a name of the header, or else an index, negative from the end
        (``.csv``, ``.npy``; last column by default); the key of an array (``.npz``; ``y`` by
        default, or ``y_train``, ``targets``, ``labels``); the file of labels (IDX; by default the
        name with ``images-idx3`` replaced by ``labels-idx1``).
    one_hot : True, or names of columns
        Columns of categories become one column of 0 and 1 for each category (empty cells are one).
    impute : True, or names of columns
        Empty cells become the mean of the column; in columns that are named, all cells that are no
        numbers do.
    drop : True, or names of columns
        Columns to leave out; True leaves out all that hold something else than numbers.
    categories : bool
        A target of names becomes whole numbers, in alphabetical order: for classes.

    Raises
    ------
    DataError
        One line: the file, what is wrong, what is allowed.
    """
    path, kind = checked_path(path), kind_of(Path(path))
    wishes = {"one_hot": one_hot, "impute": impute, "drop": drop}
    is_idx = "idx" in path.name.lower() or "ubyte" in path.name.lower()
    if kind in PARQUET:
        columns = columns_of_frame(_parquet(path))
        return _from_columns(columns, path.name, target, wishes, categories)
    if not is_idx and kind in (".csv", ".tsv", ".txt", ""):  # without an ending: a pipe
        return _load_text(path, target, wishes, categories)
    for word, wish in wishes.items():
        if wish is not False:
            raise DataError(f"{path.name}: {word} is for columns of a text table, or of parquet")
    if kind == ".npy":
        return _from_matrix(read_npy(path), path.name, target)
    if kind == ".npz":
        return _load_npz(path, target)
    if is_idx:
        return _load_idx(path, target)
    content(path)  # a file that is not there is the first thing to say
    raise DataError(f"{path}: unknown format; allowed: {FORMATS} (the name's ending says which)")


def _from_matrix(matrix: np.ndarray, name: str, target: Any) -> Table:
    if matrix.ndim != 2:
        raise DataError(
            f"{name}: an array of shape {matrix.shape}; allowed: a table of rows x columns, "
            "one of them the target"
        )
    columns = matrix.shape[1]
    index = _index(target)
    if index is None or not -columns <= index < columns:
        raise DataError(
            f"{name}: no target column {target!r}; "
            f"allowed: an index from {-columns} to {columns - 1}"
        )
    index %= columns
    table = from_arrays(np.delete(matrix, index, axis=1), matrix[:, index], name)
    return replace(table, target=f"column {index}", own_units=True)


def _from_columns(
    columns: list[Column], name: str, target: Any, wishes: dict[str, Chosen], categories: bool
) -> Table:
    names = [column.name for column in columns]
    if isinstance(target, str):
        if names.count(target) > 1:
            raise DataError(f"{name}: {target!r} is the name of several columns; allowed: of one")
        if target in names:
            target = names.index(target)
        elif not is_whole(target):
            raise DataError(f"{name}: no column {target!r}; allowed: {', '.join(names)}")
    index = _index(target)
    if index is None or not -len(names) <= index < len(names):
        raise DataError(
            f"{name}: no target column {target!r}; "
            f"allowed: an index from {-len(names)} to {len(names) - 1}"
        )
    index %= len(names)
    found: tuple[str, ...] = ()
    if categories and columns[index].is_categorical and not columns[index].missing:
        found = tuple(columns[index].categories)
        columns = [*columns[:index], columns[index].numbered(), *columns[index + 1 :]]
    features, targets, kept = numeric(columns, index, name, **wishes)
    return replace(
        from_arrays(features, targets, name),
        target=f"column {names[index]}",
        own_units=True,
        categories=found,
        names=kept,
    )


def _parquet(path: Path) -> Any:
    """The data frame of a parquet file."""
    import pandas as pd

    packed = content(path)
    try:
        return pd.read_parquet(io.BytesIO(packed))
    except ImportError as error:
        raise DataError(
            f"{path.name}: parquet needs pyarrow: pip install 'theory-simulator[data]'"
        ) from error
    except Exception as error:  # a broken file raises whatever its parser does
        raise DataError(f"{path.name}: no table ({error}); allowed: an intact file") from error


def _index(target: Any) -> int | None:
    """A column number; the last without a target; None if it is no whole number."""
    if target is None:
        return -1
    if isinstance(target, str):
        return int(target) if is_whole(target) else None
    try:
        return None if isinstance(target, bool) else operator.index(target)
    except TypeError:
        return None


def _load_npz(path: Path, target: Any) -> Table:
    packed = content(path)
    if not zipfile.is_zipfile(io.BytesIO(packed)):
        raise DataError(f"{path.name}: not an archive of arrays; allowed: an intact .npz file")
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
            features, targets = (archive[key] for key in _keys(list(archive), target, path.name))
    except DataError:
        raise
    except Exception as error:  # a broken archive raises whatever its parsers do
        raise DataError(
            f"{path.name}: not arrays of numbers ({error}); allowed: numeric arrays"
        ) from error
    return from_arrays(features, targets, path.name)


def _keys(names: list[str], target: Any, name: str) -> tuple[str, str]:
    """Which arrays of an archive are the features and the targets."""
    guesses = [str(target)] if target is not None else list(_TARGET_KEYS)
    key = next((guess for guess in guesses if guess in names), None)
    if key is None:
        raise DataError(
            f"{name}: no array {' or '.join(guesses)} for the targets; "
            f"allowed: {', '.join(names) or 'nothing, the archive is empty'}"
        )
    known = [guess for guess in _FEATURE_KEYS if guess in names and guess != key]
    others = known or [other for other in names if other != key]
    if len(others) != 1:
        raise DataError(
            f"{name}: the features could be {' or '.join(others) or 'nothing'}; allowed: "
            f"one array named {', '.join(_FEATURE_KEYS)}, or a single one beside the targets"
        )
    return others[0], key


def _load_text(path: Path, target: Any, wishes: dict[str, Chosen], categories: bool) -> Table:
    name, rows = path.name, read_rows(path, header_mark=True)
    check_widths(rows, name)
    header = header_of(rows, name)
    body = rows if header is None else rows[1:]
    if not body:
        raise DataError(f"{name}: only a header; allowed: one row per sample below it")
    labels = are_row_labels([row[0] for row in body])
    if header is None and labels:
        raise DataError(
            f"{name}: the first column counts the rows and has no name: labels, or a feature? "
            "allowed: a header that names it, or a table without it"
        )
    if header and not is_named(header[0]):
        if not labels:
            raise DataError(
                f"{name}: the first column has no name and does not count the rows; allowed: a "
                "name for every column (or DataFrame.to_csv(index=False))"
            )
        header, body = header[1:], [row[1:] for row in body]
    names = header or [str(j) for j in range(len(body[0]))]
    matrix = _matrix(body)
    if matrix is not None:
        columns = [Column(name, values, {}) for name, values in zip(names, matrix.T, strict=True)]
    else:
        cells = zip(*body, strict=True)
        columns = [column_of(name, mine) for name, mine in zip(names, cells, strict=True)]
    return _from_columns(columns, name, target, wishes, categories)


def _matrix(body: list[list[str]]) -> np.ndarray | None:
    """All cells as finite numbers, or None."""
    if any(_ODD.search("".join(row)) for row in body):
        return None
    try:
        values = np.array([list(map(float, row)) for row in body])
    except ValueError:
        return None
    return values if np.all(np.isfinite(values)) else None


def _load_idx(path: Path, target: Any) -> Table:
    if target is not None:
        labels = Path(target) if isinstance(target, (str, os.PathLike)) else None
    else:
        renamed = path.name.replace("images", "labels").replace("idx3", "idx1")
        labels = path.with_name(renamed) if renamed != path.name else None
    images = read_idx(path)
    if labels is None or not labels.is_file():
        raise DataError(
            f"{path.name}: no file of labels{f' {labels}' if labels else ''}; allowed: give it as "
            "target, or name the pair ...images-idx3... and ...labels-idx1..."
        )
    return from_arrays(images, read_idx(labels), path.name)
