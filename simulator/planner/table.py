"""A table of runs as a law reads it: checked, completed, reduced to what was tuned best.

A refusal is one line that names column, row and value; whatever is changed or dropped is counted in
the ledger and said in a notice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.planner import checking
from simulator.planner.derive import complete
from simulator.planner.laws import Law
from simulator.planner.notices import Notice, TableError
from simulator.planner.reading import read
from simulator.planner.roles import roles, tuning_columns

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Table:
    """The rows that a law is fitted to.

    Attributes
    ----------
    columns : mapping role -> (rows,)
        ``loss``, what the law needs, ``weight``, and ``flop``, ``params``, ``tokens`` where known.
    row : (rows,)
        Numbers of the rows in the table, the first is 1.
    run : (rows,) or None
        Cluster labels.
    names : mapping role -> name of the column
    k : float
        FLOP a parameter and token.
    read : int
        Rows of the table.
    dropped : mapping reason -> number of rows
    notices : list of Notice
    source, digest : str
        Name of the file and SHA-256 of its bytes.
    """

    columns: dict[str, np.ndarray]
    row: np.ndarray
    run: np.ndarray | None
    names: dict[str, str]
    k: float
    read: int
    dropped: dict[str, int] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    source: str = ""
    digest: str = ""

    def __len__(self) -> int:
        return len(self.row)

    def where(self, keep: np.ndarray, reason: str = "") -> "Table":
        """The rows of a mask; those that go are counted under ``reason``, if there is one."""
        gone = int(np.sum(~keep))
        dropped = self.dropped | ({reason: gone} if gone and reason else {})
        return Table(
            {name: values[keep] for name, values in self.columns.items()},
            self.row[keep],
            None if self.run is None else self.run[keep],
            self.names,
            self.k,
            self.read,
            dropped,
            list(self.notices),
            self.source,
            self.digest,
        )

    def points(self, law: Law) -> np.ndarray:
        """A number for each row: rows with equal law columns have the same."""
        key = np.column_stack([self.columns[name] for name in law.needs])
        return np.unique(key, axis=0, return_inverse=True)[1].ravel()


def load(
    table: Any,
    law: Law,
    *,
    loss: str | None = None,
    columns: Mapping[str, str] | None = None,
    weight: Any = None,
    by: str | None = None,
    k: float | None = None,
    raw: bool = False,
    drop_missing: bool = False,
    keep_overfit: bool = False,
) -> dict[Any, Table]:
    """The tables of all groups; without ``by`` one, under None.

    Raises
    ------
    TableError
        See the refusals of the planner's documentation.
    """
    frame, source, digest = read(table)
    told = dict(columns or {})
    frame = _with_weight(frame, weight, told)
    names = roles(list(frame.columns), told, loss, law.needs[0] if law.name == "power" else None)
    if "loss" not in names:
        raise checking.missing("loss", frame.columns)
    if by is not None and by not in frame.columns:
        raise TableError("E-ROLE", f"by = {by!r}: no such column; there are "
                         f"{', '.join(frame.columns)}")  # fmt: skip
    groups = {None: frame.index} if by is None else _groups(frame, by)
    found = {}
    for value, index in groups.items():
        part = frame.loc[index]
        one = _one(part, law, names, k, raw, drop_missing, keep_overfit)
        one.source, one.digest = source, digest
        found[value] = one
    return found


def _groups(frame: "pd.DataFrame", by: str) -> dict[Any, Any]:
    """Rows of each value of a column, every row in one; "none" and "NA" are names like others."""
    absent = frame[by].isna() | frame[by].astype(str).str.strip().str.lower().isin(("", "nan"))
    if absent.any():
        row = int(np.argmax(absent)) + 1
        raise TableError("E-MISSING", f"{by}, row {row}: the row belongs to no group; --by needs a "
                         "value in every row")  # fmt: skip
    return dict(frame.groupby(by, sort=True).groups)


def _with_weight(frame: "pd.DataFrame", weight: Any, told: dict[str, str]) -> "pd.DataFrame":
    """Weights are a column: its name, or its values."""
    if weight is None:
        return frame
    if isinstance(weight, str):
        told["weight"] = weight
        return frame
    values = np.ravel(np.asarray(weight, float))
    if len(values) != len(frame):
        raise TableError("E-TABLE", f"weight has {len(values)} values for {len(frame)} rows")
    told["weight"] = "weight"
    return frame.assign(weight=values)


def _one(
    frame: "pd.DataFrame", law: Law, names: dict[str, str], k: float | None, raw: bool,
    drop_missing: bool, keep_overfit: bool,
) -> Table:  # fmt: skip
    total = len(frame)
    numbers = frame.index.to_numpy() + 1
    dropped: dict[str, int] = {}
    notices: list[Notice] = []
    tuning = tuning_columns(list(frame.columns), names)

    once = ~frame.duplicated().to_numpy()
    if not once.all():
        gone = int(np.sum(~once))
        dropped["identical rows"] = gone
        first = int(numbers[~once][0])
        text = f"{gone} rows equal an earlier one in every column and were dropped (row {first}, …)"
        notices.append(Notice("N-DUPLICATE", text))
        frame, numbers = frame[once], numbers[once]

    used = checking.used(law, names)
    values, absent = checking.numbers_of(frame, used, names, numbers, drop_missing)
    if absent.any():
        dropped["missing values"] = int(absent.sum())
        text = f"{int(absent.sum())} rows without a value in a used column were dropped"
        notices.append(Notice("N-MISSING", text))
        frame, numbers = frame[~absent], numbers[~absent]
    units, positive = not raw and checking.has_units(law), law.needs if law.name == "power" else ()
    checking.check_values(values, names, numbers, units=units, positive=positive)
    made, factor, said = complete(values, law, k, numbers)
    notices += said

    run = frame[names["run"]].astype(str).to_numpy() if "run" in names else None
    result = Table(made, numbers, run, names, factor, total, dropped, notices)
    result = _envelope(result, law, frame, names, tuning)
    if law.name == "data-constrained" and not keep_overfit:
        result = _without_overfit(result)
    checking.check_identified(result.columns, law, result.names)
    _note_ratios(result)
    return result


# --------------------------------------------------------------------------------------------
# Runs that were tuned: the best of each
# --------------------------------------------------------------------------------------------
def _envelope(
    table: Table, law: Law, frame: "pd.DataFrame", names: dict[str, str], tuning: Sequence[str]
) -> Table:
    """Of rows that differ in a tuning column alone, the one with the smallest loss."""
    key = [table.columns[name] for name in law.needs]
    if "seed" in names:
        key.append(np.unique(frame[names["seed"]].astype(str), return_inverse=True)[1])
    group = np.unique(np.column_stack(key), axis=0, return_inverse=True)[1].ravel()
    codes = {name: np.unique(frame[name].astype(str), return_inverse=True)[1] for name in tuning}
    varying = [name for name, code in codes.items() if _varies(group, code)]
    if not varying:
        return table
    loss = table.columns["loss"]
    keep = np.zeros(len(loss), bool)
    for number in np.unique(group):
        members = np.flatnonzero(group == number)
        settings = np.column_stack([codes[name][members] for name in varying])
        if len(np.unique(settings, axis=0)) == 1:
            keep[members] = True  # replicates, not a search
        else:
            keep[members[np.argmin(loss[members])]] = True
    shown = ", ".join(varying)
    best = table.where(keep, f"not the best {shown}")
    text = f"lower envelope over {shown}: {len(table)} rows -> {len(best)}"
    best.notices.append(Notice("N-ENVELOPE", text))
    for name in varying:
        ends, of = _ends(frame[name], group, keep)
        if ends:
            text = f"best {name} at the end of its grid for {ends} of {of} points"
            best.notices.append(Notice("N-EDGE", text))
    return best


def _varies(group: np.ndarray, code: np.ndarray) -> bool:
    pairs = np.unique(np.column_stack([group, code]), axis=0)
    return len(pairs) > len(np.unique(group))


def _ends(column: "pd.Series", group: np.ndarray, keep: np.ndarray) -> tuple[int, int]:
    """Points whose best value is the smallest or largest tried, and all that were tried."""
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").to_numpy(float)
    ends = of = 0
    for number in np.unique(group):
        tried = values[group == number]
        if len(np.unique(tried)) < 2 or np.isnan(tried).any():
            continue
        of += 1
        best = values[(group == number) & keep]
        ends += bool(np.any((best == tried.min()) | (best == tried.max())))
    return ends, of


def _without_overfit(table: Table) -> Table:
    """Without rows whose loss exceeds that of fewer epochs: the law cannot bend upwards."""
    c = table.columns
    same = (c["params"][:, None] == c["params"]) & (
        c["unique_tokens"][:, None] == c["unique_tokens"]
    )
    worse = c["loss"][:, None] > c["loss"]
    over = np.any(same & worse & (c["tokens"][:, None] > c["tokens"]), axis=1)
    if not over.any():
        return table
    kept = table.where(~over, "over-fitted")
    listed = ", ".join(map(str, table.row[over][:8])) + (", …" if over.sum() > 8 else "")
    text = f"{int(over.sum())} rows lose to fewer epochs and were left out: rows {listed}"
    kept.notices.append(Notice("N-OVERFIT", text))
    return kept


def _note_ratios(table: Table) -> None:
    """Rows far from the others in tokens per parameter."""
    c = table.columns
    if "params" not in c or "tokens" not in c:
        return
    ratio = np.log(c["tokens"] / c["params"])
    if len(ratio) < 5:
        return
    apart = max(1, round(0.05 * len(ratio)))  # of each end, which do not say where the others are
    low, high = np.sort(ratio)[[apart, -1 - apart]]
    far = (ratio < low - 2) | (ratio > high + 2)
    if far.any():
        row, value = table.row[far][0], np.exp(ratio[far][0])
        many = f"{int(far.sum())} rows are far from the others in tokens per parameter"
        table.notices.append(Notice("N-RATIO", f"{many} (row {row}: {value:.3g})"))
