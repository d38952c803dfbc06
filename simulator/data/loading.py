"""Features and targets from a file or from arrays, checked.

`load` reads ``.npy``, ``.npz``, ``.csv`` (also ``.tsv``/``.txt``, with or without a header) and
MNIST-like IDX files, each plain or ``.gz`` where the format allows it. `from_arrays` takes arrays.
Both return a `Table` whose numbers are finite float64 and whose features and targets vary;
anything else is refused with one line that names the source, what is wrong and what is allowed.
"""

import csv
import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MIN_ROWS = 10
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_FEATURE_KEYS = ("x", "X", "x_train", "features", "data", "images")
_TARGET_KEYS = ("y", "y_train", "targets", "labels")
FORMATS = ".npy, .npz, .csv, .tsv, .txt, IDX (-ubyte, .idx), or .gz of .csv and IDX"


class DataError(ValueError):
    """The data cannot be used; the message says what is wrong and what is allowed."""


@dataclass(frozen=True)
class Table:
    """A data set: one row per sample.

    Attributes
    ----------
    features : (num_rows, num_features) float64
    targets : (num_rows,) float64
    name : str
        Where it came from, for titles and errors.
    """

    features: np.ndarray
    targets: np.ndarray
    name: str

    def with_features(self, features: Any, description: str) -> "Table":
        """The same targets on new features, such as the image of a feature map."""
        return from_arrays(features, self.targets, f"{self.name}, {description}")


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
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name}: {what} have type {array.dtype}; allowed: real numbers")
    return array.astype(np.float64)


# --------------------------------------------------------------------------------------------
# Files
# --------------------------------------------------------------------------------------------
def load(path: str | Path, target: str | int | None = None) -> Table:
    """Read a data set from a file.

    Parameters
    ----------
    path : str or Path
    target : str or int, optional
        Which column is the target: a name of the header or an index, negative from the end
        (``.csv``, ``.npy``; last column by default); the key of an array (``.npz``; ``y`` by
        default, or ``y_train``, ``targets``, ``labels``); the file of labels (IDX; by default the
        name with ``images-idx3`` replaced by ``labels-idx1``).

    Raises
    ------
    DataError
        One line: the file, what is wrong, what is allowed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; allowed: a readable file ({FORMATS})")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    kind = suffixes[-1] if suffixes else ""
    try:
        if kind == ".npy":
            return _from_matrix(_read_npy(path), path.name, target)
        if kind == ".npz":
            return _load_npz(path, target)
        if kind in (".csv", ".tsv", ".txt"):
            return _load_csv(path, target)
        if "idx" in path.name or "ubyte" in path.name:
            return _load_idx(path, target)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise DataError(f"{path.name}: unreadable ({error}); allowed: an intact file") from error
    raise DataError(f"{path.name}: unknown format; allowed: {FORMATS}")


def _from_matrix(matrix: np.ndarray, name: str, target: str | int | None) -> Table:
    if matrix.ndim != 2:
        raise DataError(
            f"{name}: an array of shape {matrix.shape}; allowed: a table of rows x columns, "
            "one of them the target"
        )
    columns = matrix.shape[1]
    try:
        index = -1 if target is None else int(target)
    except ValueError:
        index = columns
    if not -columns <= index < columns:
        raise DataError(
            f"{name}: no target column {target!r}; "
            f"allowed: an index from {-columns} to {columns - 1}"
        )
    index %= columns
    return from_arrays(np.delete(matrix, index, axis=1), matrix[:, index], name)


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except ValueError as error:
        raise DataError(
            f"{path.name}: not an array of numbers ({error}); allowed: a numeric .npy file"
        ) from error


def _load_npz(path: Path, target: str | int | None) -> Table:
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path.name}: not an archive of arrays; allowed: an intact .npz file")
    with np.load(path, allow_pickle=False) as archive:
        names = list(archive)
        guesses = [str(target)] if target is not None else list(_TARGET_KEYS)
        key = next((name for name in guesses if name in names), None)
        if key is None:
            raise DataError(
                f"{path.name}: no array {' or '.join(guesses)} for the targets; "
                f"allowed: {', '.join(names) or 'nothing, the archive is empty'}"
            )
        known = [name for name in _FEATURE_KEYS if name in names]
        others = known or [name for name in names if name != key]
        if len(others) != 1:
            raise DataError(
                f"{path.name}: the features could be {' or '.join(others) or 'nothing'}; allowed: "
                f"one array named {', '.join(_FEATURE_KEYS)}, or a single one beside the targets"
            )
        try:
            features, targets = archive[others[0]], archive[key]
        except ValueError as error:
            raise DataError(
                f"{path.name}: not arrays of numbers ({error}); allowed: numeric arrays"
            ) from error
    return from_arrays(features, targets, path.name)


def _content(path: Path) -> bytes:
    if path.suffix.lower() == ".gz":
        return gzip.decompress(path.read_bytes())
    return path.read_bytes()


def _load_csv(path: Path, target: str | int | None) -> Table:
    text = _content(path).decode("utf-8-sig")
    first = text.split("\n", 1)[0]
    delimiter = max(",\t; ", key=first.count)
    lines = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    if not lines:
        raise DataError(f"{path.name}: empty; allowed: one row per sample, numbers only")
    header = None if all(map(_is_number, lines[0])) else [cell.strip() for cell in lines.pop(0)]
    width = len(header or lines[0])
    matrix = np.empty((len(lines), width))
    for i, row in enumerate(lines):
        where = f"{path.name}: data row {i + 1}"
        if len(row) != width:
            raise DataError(f"{where} has {len(row)} cells; allowed: {width}, as in the first row")
        for j, cell in enumerate(row):
            if not _is_number(cell):
                column = header[j] if header else j
                raise DataError(f"{where}, column {column}: {cell!r}; allowed: a number")
            matrix[i, j] = float(cell)
    if header and target is not None and target in header:
        target = header.index(str(target))
    elif header and isinstance(target, str) and not target.lstrip("-").isdigit():
        raise DataError(f"{path.name}: no column {target!r}; allowed: {', '.join(header)}")
    return _from_matrix(matrix, path.name, target)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _load_idx(path: Path, target: str | int | None) -> Table:
    if target is not None:
        labels = Path(target) if isinstance(target, str) else None
    else:
        renamed = path.name.replace("images", "labels").replace("idx3", "idx1")
        labels = path.with_name(renamed) if renamed != path.name else None
    if labels is None or not labels.is_file():
        raise DataError(
            f"{path.name}: no file of labels{f' {labels}' if labels else ''}; allowed: give it as "
            "target, or name the pair ...images-idx3... and ...labels-idx1..."
        )
    return from_arrays(_read_idx(path), _read_idx(labels), path.name)


def _read_idx(path: Path) -> np.ndarray:
    """An array in IDX format: two zero bytes, a type, the number of dims, the dims, the values."""
    content = _content(path)
    dims = content[3] if len(content) >= 4 and content[:2] == b"\0\0" else 0
    if not dims or content[2] not in _IDX_TYPES or len(content) < 4 + 4 * dims:
        raise DataError(f"{path.name}: no IDX header; allowed: 00 00, type, number of dims, dims")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dims, offset=4))
    dtype = np.dtype(_IDX_TYPES[content[2]])
    expected, found = int(np.prod(shape)) * dtype.itemsize, len(content) - 4 - 4 * dims
    if found != expected:
        raise DataError(
            f"{path.name}: {found} bytes of values; allowed: {expected} for shape {shape}"
        )
    return np.frombuffer(content, dtype, offset=4 + 4 * dims).reshape(shape)
