"""Every refusal of a table, each one line with column, row, value and what is allowed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator.planner.laws import Law
from simulator.planner.notices import TableError, cell
from simulator.planner.roles import ALIASES

if TYPE_CHECKING:
    import pandas as pd

MISSING = frozenset(("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nat", "missing"))
SIZES = ("params", "tokens", "flop")
MIXTURE = ("real_tokens", "synthetic_tokens", "synthetic_fraction", "real_fraction")
#: Which given roles each needed one may come from.
SOURCES: dict[str, tuple[str, ...]] = {
    "params": ("tokens", "flop", "unique_tokens", "epochs"),
    "tokens": ("params", "flop", "unique_tokens", "epochs", *MIXTURE),
    "flop": ("params", "tokens"),
    "unique_tokens": ("tokens", "epochs", "params", "flop"),
    "epochs": ("tokens", "unique_tokens"),
    "synthetic_fraction": ("tokens", *MIXTURE),
    "real_fraction": ("tokens", *MIXTURE),
}
#: Smallest believable values, and what smaller ones look like.
LEAST = {
    "params": (1e4, "millions"),
    "tokens": (1e5, "billions"),
    "unique_tokens": (1e5, "billions"),
    "flop": (1e12, "log10"),
}
FRACTIONS = ("synthetic_fraction", "real_fraction")
MAY_BE_ZERO = (*FRACTIONS, "real_tokens", "synthetic_tokens")
MOST_LOSS = 20.0
#: What a constant column leaves open.
OPEN = {
    "params": "alpha",
    "tokens": "beta",
    "flop": "alpha",
    "generation": "the cost of a generation",
}


def missing(role: str, names: Iterable[str]) -> TableError:
    known = ", ".join(ALIASES.get(role, (role,)))
    return TableError("E-ROLE", f"no {role} column: there are {', '.join(names)}; it may be called "
                      f"{known}, or be named by columns={{'{role}': ...}}")  # fmt: skip


def has_units(law: Law) -> bool:
    """Whether the law is one of models that people train: sizes below any of them are mistakes."""
    return law.name in ("power", "chinchilla", "tied", "data-constrained")


def used(law: Law, names: Mapping[str, str]) -> list[str]:
    """Roles that the table has and the law may read."""
    wanted = {"loss", "weight", *law.needs}
    for role in law.needs:
        wanted.update(SOURCES.get(role, ()))
    if set(law.needs) & {"params", "tokens"}:
        wanted.update(SIZES)
    if law.name == "generations-tail":
        wanted.add("num_samples_generator")
    if law.name == "power":
        wanted.add("flop")  # orders the rows that are held out
    return [role for role in names if role in wanted]


def numbers_of(
    frame: "pd.DataFrame", used: Sequence[str], names: Mapping[str, str], rows: np.ndarray,
    drop_missing: bool,
) -> tuple[dict[str, np.ndarray], np.ndarray]:  # fmt: skip
    """The used columns as numbers, without the rows (a mask) in which one is missing."""
    columns, absent = {}, np.zeros(len(frame), bool)
    for role in used:
        columns[role] = np.array(
            [_number(role, names[role], row, value)
             for row, value in zip(rows, frame[names[role]].tolist(), strict=True)]
        )  # fmt: skip
        empty = np.isnan(columns[role])
        if empty.any() and not drop_missing:
            row = int(rows[empty][0])
            what = "is missing: a number is needed, or --drop-missing drops the row"
            raise TableError("E-MISSING", cell(role, names[role], row, "nothing", what))
        absent |= empty
    if absent.all():
        raise TableError("E-MISSING", f"every row lacks a value in one of {', '.join(used)}")
    return {role: values[~absent] for role, values in columns.items()}, absent


def _number(role: str, name: str, row: int, value: Any) -> float:
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return np.nan
    try:
        if isinstance(value, str) and "_" in value:  # Python reads 1_000; nobody writes it
            raise ValueError(value)
        return float(value)
    except (TypeError, ValueError) as error:
        if value is not None and str(value) == "<NA>":
            return np.nan
        raise TableError("E-NUMBER", cell(role, name, row, str(value), "is no number")) from error


def check_values(
    columns: Mapping[str, np.ndarray], names: Mapping[str, str], rows: np.ndarray, *, units: bool,
    positive: Sequence[str] = (),
) -> None:  # fmt: skip
    """Signs, ranges and units; the law takes logarithms of what must be ``positive``."""
    for role, values in columns.items():
        name = names.get(role, role)

        def refuse(code: str, bad: np.ndarray, what: str, role=role, name=name, values=values):
            index = int(np.argmax(bad))
            raise TableError(code, cell(role, name, int(rows[index]), float(values[index]), what))

        endless = ~np.isfinite(values)
        if endless.any():
            refuse("E-NUMBER", endless, "is not finite")
        tiny = (values != 0) & (np.abs(values) < np.finfo(float).tiny)
        if tiny.any():
            refuse("E-NUMBER", tiny, "is too small for a number to have its digits")
        may_be_zero = role in MAY_BE_ZERO and role not in positive
        low = values < 0 if may_be_zero else values <= 0
        if low.any():
            allowed = ">= 0" if may_be_zero else "> 0"
            refuse("E-NONPOSITIVE", low, f"is not allowed: it must be {allowed}")
        if role in FRACTIONS and (values > 1).any():
            refuse("E-RANGE", values > 1, "is not allowed: a share is at most 1")
        if role == "generation" and (values != np.round(values)).any():
            broken = values != np.round(values)
            refuse("E-RANGE", broken, "is not allowed: it must be a whole number >= 1")
        if role == "loss" and (values > MOST_LOSS).any():
            refuse("E-UNIT", values > MOST_LOSS, "looks like a perplexity: give its logarithm")
        if units and role in LEAST and (values < LEAST[role][0]).any():
            words = _unit(role, values)
            refuse("E-UNIT", values < LEAST[role][0], f"looks like {words}, or pass --raw")


def _unit(role: str, values: np.ndarray) -> str:
    """What numbers that are too small may be: logarithms are close together and not below 4."""
    logs = values.min() >= 4 and values.max() <= 30 and values.max() < 2 * values.min()
    what = "log10" if logs or (role == "flop" and values.max() <= 30) else LEAST[role][1]
    if role == "params" and what == "millions" and values.max() < 2000 and values.min() < 5:
        what = "billions"
    return f"{what}; {'raise 10 to it' if what == 'log10' else 'multiply'}"


def check_identified(columns: Mapping[str, np.ndarray], law: Law, names: Mapping[str, str]) -> None:
    """Enough different points, and none of the law's columns constant."""
    for role in law.needs:
        values = columns[role]
        if role not in OPEN and law.name != "power":
            continue
        if np.ptp(values) <= 1e-12 * np.max(np.abs(values)):
            exponents = [name for name in ("beta", "alpha", "theta", "c") if name in law.variables]
            what = exponents[0] if role == "tokens" else OPEN.get(role, "alpha")
            raise TableError("E-CONSTANT", f"{what} cannot be identified: every row has "
                             f"{names.get(role, role)} = {values[0]:g}")  # fmt: skip
    distinct = len(np.unique(np.column_stack([columns[role] for role in law.needs]), axis=0))
    if distinct < law.size:
        shown = ", ".join(law.needs)
        raise TableError("E-FEW", f"{distinct} distinct ({shown}), {law.size} parameters: "
                         f"{law.name} needs at least {law.size}")  # fmt: skip
