"""Files as they come from outside: bytes, text and rows of cells, or one line that says why not."""

import csv
import gzip
import io
import math
import os
import re
import stat
import zlib
from pathlib import Path

import numpy as np

#: Characters that separate cells; blanks do where a file has none of these.
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
#: What programs write where a value is missing, and words that other readers take for numbers.
MISSING = frozenset(
    ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nil", "nat", "missing")
)
_NOT_NAMES = MISSING | {"inf", "infinity", "true", "false"}
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class DataError(ValueError):
    """The data cannot be used; the message says, in one line, what is wrong and what is allowed."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.split("\n")))


# --------------------------------------------------------------------------------------------
# Bytes and text
# --------------------------------------------------------------------------------------------
def checked_path(path: str | os.PathLike[str]) -> Path:
    """The path, or a ``TypeError`` if it is none."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path = {path!r} is not allowed: it must be the path of a file")
    return Path(path)


def kind_of(path: Path) -> str:
    """The last ending in lower case, without ``.gz``."""
    endings = [ending.lower() for ending in path.suffixes]
    if endings[-1:] == [".gz"]:
        endings.pop()
    return endings[-1] if endings else ""


def content(path: Path) -> bytes:
    """All bytes of a file or a pipe, unpacked if its name ends in ``.gz``."""
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            what = "a folder" if stat.S_ISDIR(mode) else "a device"
            raise DataError(f"{path}: {what}; allowed: a file, or a pipe")
        packed = path.read_bytes()
        return gzip.decompress(packed) if path.suffix.lower() == ".gz" else packed
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; allowed: a readable file") from error
    except (OSError, EOFError, zlib.error, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: unreadable ({reason}); allowed: an intact file") from error


def text(path: Path) -> str:
    """The text of a UTF-8 file; byte-order marks are gone and lines end in ``\\n``."""
    try:
        decoded = content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name}: unreadable (no UTF-8 text: {error.reason} at byte {error.start}); "
            "allowed: text saved as UTF-8"
        ) from error
    if "\0" in decoded:
        raise DataError(f"{path.name}: unreadable (a zero byte); allowed: text saved as UTF-8")
    return decoded.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")


def read_npy(path: Path) -> np.ndarray:
    """The array of a ``.npy`` file."""
    packed = content(path)
    try:
        array = np.load(io.BytesIO(packed), allow_pickle=False)
    except Exception as error:  # a broken header raises whatever Python's parser does
        raise DataError(
            f"{path.name}: not an array of numbers ({error}); allowed: a numeric .npy file"
        ) from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DataError(f"{path.name}: an archive of arrays; allowed: one array, or the name .npz")
    return array


def read_idx(path: Path) -> np.ndarray:
    """An array in IDX format: two zero bytes, a type, the number of dims, the dims, the values."""
    packed = content(path)
    dims = packed[3] if len(packed) >= 4 and packed[:2] == b"\0\0" else 0
    if not dims or packed[2] not in _IDX_TYPES or len(packed) < 4 + 4 * dims:
        raise DataError(f"{path.name}: no IDX header; allowed: 00 00, type, number of dims, dims")
    shape = tuple(int(size) for size in np.frombuffer(packed, ">u4", dims, offset=4))
    dtype = np.dtype(_IDX_TYPES[packed[2]])
    expected, found = math.prod(shape) * dtype.itemsize, len(packed) - 4 - 4 * dims
    if found != expected:
        raise DataError(
            f"{path.name}: {found} bytes of values; allowed: {expected} for shape {shape}"
        )
    if dims > 32:
        raise DataError(f"{path.name}: {dims} dims; allowed: at most 32")
    return np.frombuffer(packed, dtype, offset=4 + 4 * dims).reshape(shape)


# --------------------------------------------------------------------------------------------
# Cells
# --------------------------------------------------------------------------------------------
def read_rows(path: Path, *, header_mark: bool = False) -> list[list[str]]:
    """The rows of a text table, stripped of blanks around cells; empty lines are left out.

    Cells are separated by the comma, semicolon or tab of the first line (a ``.tsv``: by tabs); by
    blanks if it has none of them. Where the first line has several, it is the one that gives all
    rows the same number of cells. Quotes are those of RFC 4180. With ``header_mark`` a ``#`` at
    the very beginning is dropped: NumPy writes it before a header.

    Raises
    ------
    DataError
        If the file is no such table: empty, a quote that does not close, several readings.
    """
    name, content = path.name, text(path)
    if header_mark:
        content = re.sub(r"\A\s*#[ \t]*", "", content)
    lines = [line for line in content.split("\n") if line.strip()]
    if not lines:
        raise DataError(f"{name}: empty; allowed: one row per line")
    if kind_of(path) == ".tsv":
        return _split(content, "\t", name)
    found = [separator for separator in SEPARATORS if separator in lines[0]]
    if not found:
        quoted = '"' in content  # as R writes a single column
        bare = "\n".join(map(str.strip, lines))
        pieces = _split(bare, " ", name) if quoted else [line.split() for line in lines]
        even = len({len(row) for row in pieces}) == 1
        return pieces if even else _split(content, ",", name)
    if len(found) == 1:
        return _split(content, found[0], name)
    readings = [rows for rows in (_even(content, separator) for separator in found) if rows]
    if len(readings) != 1:
        words = " or ".join(SEPARATORS[separator] for separator in found)
        raise DataError(
            f"{name}: cells could be separated by {words}; allowed: one of them, the same number "
            "of cells in every row, and points for decimals"
        )
    return readings[0]


def _split(content: str, separator: str, name: str) -> list[list[str]]:
    reader = csv.reader(
        io.StringIO(content, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    rows = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if len(cells) > 1 or any(cells):
                rows.append(cells)
    except csv.Error as error:
        raise DataError(
            f"{name}: no table: {error} at line {reader.line_num}; allowed: cells of moderate "
            'size, quotes that close (a quote inside a quoted cell is written "")'
        ) from error
    for number, row in enumerate(rows, 1):
        for cell in row:
            if "\n" in cell and separator in cell:
                raise DataError(
                    f"{name}: row {number} has a quoted cell of several lines that holds "
                    f"{SEPARATORS[separator]}, {shown(cell)}; allowed: quotes that close on "
                    "their line"
                )
    return rows


def _even(content: str, separator: str) -> list[list[str]] | None:
    """The rows if all have the same number of cells, at least two."""
    try:
        rows = _split(content, separator, "")
    except DataError:
        return None  # not separated like this
    return rows if len({len(row) for row in rows}) == 1 and len(rows[0]) > 1 else None


def check_widths(rows: list[list[str]], name: str) -> None:
    """``DataError`` unless every row has as many cells as the first, which may be a header."""
    width, header = len(rows[0]), not any(map(is_number, rows[0]))
    for number, row in enumerate(rows, 1 - header):
        if len(row) != width:
            raise DataError(
                f"{name}: data row {number} has {len(row)} cells; allowed: {width}, as in the "
                "first row (numbers without separators between thousands)"
            )


def is_number(cell: str) -> bool:
    """A decimal number as every program writes it: no underscores, no ``nan``, no ``inf``."""
    return _NUMBER.fullmatch(cell) is not None


def is_whole(cell: str) -> bool:
    """A number without point and exponent."""
    return _WHOLE.fullmatch(cell) is not None


def is_name(cell: str) -> bool:
    """What may stand in a header: it has a letter and does not stand for a missing value."""
    return any(map(str.isalpha, cell)) and cell.lower().lstrip("+-") not in _NOT_NAMES


def shown(cell: str) -> str:
    """A cell as it is quoted in a message."""
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")


def are_row_labels(column: list[str]) -> bool:
    """Whether a column is the row numbers from 0 (pandas) or 1 (R)."""
    return column[:1] in (["0"], ["1"]) and column == [
        str(int(column[0]) + i) for i in range(len(column))
    ]
