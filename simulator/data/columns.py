"""Columns of a table as people have them: numbers, truth values, categories, empty cells.

Whatever is no number is complained of in one message, column by column, with what can be done about
it: ``one_hot`` (``--one-hot`` of the scripts), ``impute`` or ``drop``.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.data.files import MISSING, DataError, is_number, shown

MOST_CATEGORIES = 100
TRUTH = {"true": 1.0, "false": 0.0}
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*", re.ASCII)
#: All columns for which it is the thing to do, or those of these names.
Chosen = bool | str | Sequence[str]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    numbers : (num_rows,) float64
        NaN where a cell holds no number.
    others : mapping row -> cell
        The cells that are no numbers; an empty one is ``""``.
    """

    name: str
    numbers: np.ndarray
    others: dict[int, str]

    @property
    def missing(self) -> list[int]:
        """Rows in which the cell is empty, or says that it is."""
        return [row for row, cell in self.others.items() if cell.casefold() in MISSING]

    @property
    def is_categorical(self) -> bool:
        """No cell is a number, and not all are empty."""
        return len(self.missing) < len(self.others) == len(self.numbers)

    @property
    def categories(self) -> list[str]:
        return sorted(set(self.others.values()))

    def numbered(self) -> "Column":
        """The place of each cell's category in `categories`."""
        number = {category: float(i) for i, category in enumerate(self.categories)}
        cells = (self.others[row] for row in range(len(self.numbers)))
        return Column(self.name, np.array([number[cell] for cell in cells]), {})

    def complaint(self, is_target: bool = False) -> str:
        """What is wrong with it, and what can be done."""
        row, cell = next(iter(self.others.items()))
        found = f"data row {row + 1}, column {self.name}: {shown(cell)}"
        count, missing, total = len(self.others), len(self.missing), len(self.numbers)
        if all(_DECIMAL_COMMA.fullmatch(cell) for cell in self.others.values()):
            return f"{found} (decimal commas: write points)"
        if self.is_categorical:
            what, ways = f"{len(self.categories)} categories", ["one-hot", "drop"]
            if len(self.categories) > MOST_CATEGORIES:
                ways = ["drop"]
        elif missing == total:
            what, ways = "empty", ["drop"]
        else:
            kind = "empty" if missing == count else "no numbers"
            what, ways = f"{count} of {total} cells {kind}", ["impute", "drop"]
        if is_target:
            return f"{found} ({what}, and it is the target: remove these rows, or write numbers)"
        return f"{found} ({what}: {' or '.join(f'--{way} {self.name}' for way in ways)})"


def column_of(name: str, cells: Sequence[str]) -> Column:
    """The column of the cells of a text table; ``True`` and ``False`` alone are 1 and 0."""
    numbers, others = np.full(len(cells), math.nan), {}
    for row, cell in enumerate(cells):
        if is_number(cell) and math.isfinite(value := float(cell)):
            numbers[row] = value
        else:
            others[row] = cell
    return _with_truth_values(Column(name, numbers, others))


def columns_of_frame(frame: Any) -> list[Column]:
    """The columns of a data frame, without its index."""
    import pandas as pd

    found = []
    for name, series in frame.items():
        if pd.api.types.is_numeric_dtype(series) and series.dtype.kind != "c":
            numbers = series.to_numpy(float, na_value=math.nan)
            odd = np.flatnonzero(~np.isfinite(numbers))
            others = {int(row): "" if math.isnan(v := numbers[row]) else str(v) for row in odd}
            numbers = np.where(np.isfinite(numbers), numbers, math.nan)
            found.append(Column(str(name), numbers, others))
        else:
            empty = series.isna().to_numpy()
            cells = ["" if e else str(v) for v, e in zip(series, empty, strict=True)]
            found.append(column_of(str(name), cells))
    return found


def _with_truth_values(column: Column) -> Column:
    """A column of truth values, and empty cells, as numbers."""
    missing = set(column.missing)
    words = {row: cell for row, cell in column.others.items() if row not in missing}
    whole = len(column.others) == len(column.numbers)
    if not whole or not words or any(cell.casefold() not in TRUTH for cell in words.values()):
        return column
    numbers = column.numbers.copy()
    for row, cell in words.items():
        numbers[row] = TRUTH[cell.casefold()]
    return Column(column.name, numbers, {row: column.others[row] for row in sorted(missing)})


def numeric(
    columns: Sequence[Column], target: int, source: str, *, one_hot: Chosen, impute: Chosen,
    drop: Chosen,
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:  # fmt: skip
    """Features, targets and names of the features, after what was asked for.

    Parameters
    ----------
    columns : sequence of Column
    target : int
    source : str
        For messages.
    one_hot : True, or names
        Columns of categories become one column of 0 and 1 for each; empty cells are a category.
    impute : True, or names
        Empty cells become the column's mean; in columns that are named, all cells that are no
        numbers do.
    drop : True, or names
        Columns are left out; True leaves out all that would be refused.

    Raises
    ------
    DataError
        One line with every column that still holds something else than numbers.
    """
    names = [column.name for column in columns]
    chosen = {
        word: value if isinstance(value, bool) else _names(word, value, names, source)
        for word, value in (("one_hot", one_hot), ("impute", impute), ("drop", drop))
    }
    for word, wanted in chosen.items():
        if not isinstance(wanted, bool) and columns[target].name in wanted:
            raise DataError(f"{source}: {word} = {columns[target].name}; allowed: not the target")

    def asked(word: str, column: Column, by_default: bool) -> bool:
        wanted = chosen[word]
        return wanted and by_default if isinstance(wanted, bool) else column.name in wanted

    features: list[np.ndarray] = []
    kept: list[str] = []
    complaints: list[str] = []
    for position, column in enumerate(columns):
        if position == target:
            if column.others:
                complaints.append(column.complaint(is_target=True))
        elif asked("drop", column, by_default=False):
            pass
        elif asked("one_hot", column, column.is_categorical):
            found = _indicators(column, source)
            features += found.values()
            kept += found
        elif asked("impute", column, len(column.missing) == len(column.others)):
            features.append(_imputed(column, source))
            kept.append(column.name)
        elif not column.others:
            features.append(column.numbers)
            kept.append(column.name)
        elif chosen["drop"] is not True:
            complaints.append(column.complaint())
    if complaints:
        raise DataError(f"{source}: {'; '.join(complaints)}; allowed: a number")
    if not features:
        raise DataError(f"{source}: no feature is left beside the target; allowed: at least one")
    return np.column_stack(features), columns[target].numbers, tuple(kept)


def _names(word: str, given: str | Iterable[str], names: list[str], source: str) -> set[str]:
    wanted = {given} if isinstance(given, str) else {str(name) for name in given}
    for name in sorted(wanted - set(names)):
        raise DataError(f"{source}: {word} = {name}: no such column; allowed: {', '.join(names)}")
    return wanted


def _indicators(column: Column, source: str) -> dict[str, np.ndarray]:
    """A column of 0 and 1 for every category, by name."""
    cells = [column.others.get(row, str(value)) for row, value in enumerate(column.numbers)]
    categories = sorted(set(cells))
    if len(categories) > MOST_CATEGORIES:
        raise DataError(
            f"{source}: one_hot = {column.name}: {len(categories)} categories; allowed: at most "
            f"{MOST_CATEGORIES} (--drop {column.name})"
        )
    return {
        f"{column.name}={category}": np.array([cell == category for cell in cells], float)
        for category in categories
    }


def _imputed(column: Column, source: str) -> np.ndarray:
    known = ~np.isnan(column.numbers)
    if not known.any():
        raise DataError(f"{source}: impute = {column.name}: it holds no number; allowed: drop")
    return np.where(known, column.numbers, column.numbers[known].mean())
