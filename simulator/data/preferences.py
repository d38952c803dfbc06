"""Tables of preferences: users by items, from a table of scores or from a log of ratings.

A table (CSV, one row per user, one column per item) holds relevances in [0, 1] and no gaps. A log
(user, item, score; MovieLens' ``u.data``, ``ratings.csv`` and ``ratings.dat``, Last.fm's plays) has
gaps: its most active users and most rated items are kept, scores are put on [0, 1] by their ranks,
and what nobody rated is imputed by a ridge factorisation, whose error on held-out scores is told.
`Preferences.ranker` is the policy to deploy at a point of the Pareto frontier.
"""

import os
from dataclasses import dataclass

import numpy as np

from simulator.data.files import DataError, checked_path, text

_SWEEPS = 30  # of alternating ridge regressions
_HELD_OUT = 10  # one score in so many


@dataclass(frozen=True, eq=False)
class Preferences:
    """A table of relevances.

    Attributes
    ----------
    table : array (users, items)
        In [0, 1].
    users, items : tuple of str
    observed : float
        The share of the table that was observed; the rest is imputed.
    held_out_error : float
        Root mean square error of imputed scores, on held-out ones; 0 where nothing is imputed.
    """

    table: np.ndarray
    users: tuple[str, ...]
    items: tuple[str, ...]
    observed: float = 1.0
    held_out_error: float = 0.0

    def parameters(self) -> dict[str, np.ndarray]:
        """What the studies of `fair-ranking` take."""
        return {"preference_table": self.table}

    def ranker(self, num_slots: int, fairness_weight: float) -> "Ranker":
        """The online ranker of these users and items: what to deploy.

        Parameters
        ----------
        num_slots : int
            Items on a list.
        fairness_weight : float
            Of the quadratic objective, at least 0: a point of the Pareto frontier.
        """
        items = len(self.items)
        if not 1 <= num_slots <= items:
            raise ValueError(f"num_slots = {num_slots} is not allowed: 1 to {items}, the items")
        if not 0 <= fairness_weight < float("inf"):
            raise ValueError(
                f"fairness_weight = {fairness_weight} is not allowed: a finite number, at least 0"
            )
        return Ranker(self, num_slots, fairness_weight)


class Ranker:
    """Sorts by relevance less ``beta`` times how much an item was seen beyond an equal share.

    It maximises ``mean u - beta/2 sum_j (v_j - B/m)^2`` (Usunier, Do, Dohmatob, arXiv 2209.13019)
    over the users as they come; all that it remembers is how much every item was seen.

    Attributes
    ----------
    exposure : array (items,)
        Mean exposure over the lists so far; the equal share before the first.
    rounds : int
        Lists so far.
    """

    def __init__(self, preferences: Preferences, num_slots: int, fairness_weight: float):
        self._preferences = preferences
        self._places = {user: i for i, user in enumerate(preferences.users)}
        self._fairness_weight = fairness_weight
        self._weights = 1 / np.log2(1 + np.arange(1, num_slots + 1))
        self._equal = self._weights.sum() / len(preferences.items)
        self.exposure = np.full(len(preferences.items), self._equal)
        self.rounds = 0

    def scores(self, user: str) -> np.ndarray:
        """By which the next list of a user is sorted; item by item."""
        if user not in self._places:
            raise ValueError(f"user = {user!r} is not in the table; allowed: Preferences.users")
        relevance = self._preferences.table[self._places[user]]
        return relevance - self._fairness_weight * (self.exposure - self._equal)

    def rank(self, user: str) -> tuple[str, ...]:
        """The list to show to a user, the first item first; it counts as seen."""
        top = np.argsort(-self.scores(user), kind="stable")[: len(self._weights)]
        shown = np.zeros_like(self.exposure)
        shown[top] = self._weights
        self.rounds += 1
        self.exposure = self.exposure + (shown - self.exposure) / self.rounds
        return tuple(self._preferences.items[j] for j in top)


def preference_table(path: str | os.PathLike[str]) -> Preferences:
    """A table of relevances in [0, 1], one row per user and one column per item.

    Parameters
    ----------
    path : path of a CSV file
        A first row of item names and a first column of user names are told by not being numbers.

    Raises
    ------
    DataError
        With the row and column of the first bad cell, in one line: nothing is rescaled or filled.
    """
    file = checked_path(path)
    rows = [[cell.strip() for cell in line.split(",")] for line in text(file).split("\n") if line]
    if not rows:
        raise DataError(f"{file.name}: no rows; allowed: one row per user")
    named = len(rows) > 1 and all(_number(cell) is None for cell in rows[0][1:])
    header = rows[0] if named else None
    body = rows[1:] if named else rows
    by_name = all(_number(row[0]) is None for row in body)
    users = tuple(row[0] if by_name else str(i + 1) for i, row in enumerate(body))
    first = 1 if by_name else 0
    width = len(rows[0])
    items = tuple(header[first:]) if header else tuple(str(j + 1) for j in range(width - first))
    table = np.empty((len(body), width - first))
    for i, row in enumerate(body):
        where = f"row {i + 1 + named}"
        if len(row) != width:
            raise DataError(f"{file.name}, {where}: {len(row)} cells; allowed: {width}, as above")
        for j, cell in enumerate(row[first:]):
            value = _number(cell)
            if value is None or not 0 <= value <= 1:
                raise DataError(
                    f"{file.name}, {where}, column {j + 1 + first}: {cell or 'nothing'!r}; "
                    "allowed: numbers in [0, 1] in every cell (impute and rescale before)"
                )
            table[i, j] = value
    if min(table.shape) < 2:
        raise DataError(
            f"{file.name}: {table.shape[0]} x {table.shape[1]}; allowed: at least 2 x 2"
        )
    return Preferences(table, users, items)


def rating_log(
    path: str | os.PathLike[str], num_users: int = 100, num_items: int = 60, rank: int = 6
) -> Preferences:
    """A table of preferences from a log of scores, one per row: user, item, score.

    Parameters
    ----------
    path : path of a file
        Cells between tabs, ``::``, semicolons or commas; a header and further columns are ignored.
    num_users, num_items : int
        How many of the most active users and most rated items are kept.
    rank : int
        Of the factorisation that imputes.

    Raises
    ------
    DataError
        In one line, with the row.
    """
    file = checked_path(path)
    scores: dict[tuple[str, str], float] = {}
    lines = [line for line in text(file).split("\n") if line.strip()]
    mark = next((m for m in ("\t", "::", ";", ",") if lines and m in lines[0]), ",")
    for position, line in enumerate(lines):
        cells = [cell.strip().strip('"') for cell in line.split(mark)]
        value = _number(cells[2]) if len(cells) > 2 else None
        if value is None:
            if position == 0 and len(cells) > 2:
                continue  # a header
            raise DataError(
                f"{file.name}, row {position + 1}: {line[:40]!r}; allowed: user, item, score"
            )
        scores[cells[0], cells[1]] = value
    if not scores:
        raise DataError(f"{file.name}: no scores; allowed: rows of user, item, score")
    items = _most_frequent([item for _, item in scores], num_items)
    users = _most_frequent([user for user, item in scores if item in items], num_users)
    if len(users) < 2 or len(items) < 2:
        raise DataError(f"{file.name}: {len(users)} users, {len(items)} items; allowed: at least 2")
    places = {u: i for i, u in enumerate(users)}, {v: j for j, v in enumerate(items)}
    table = np.full((len(users), len(items)), np.nan)
    kept = [(u, v, s) for (u, v), s in scores.items() if u in places[0] and v in places[1]]
    values = np.unique([s for _, _, s in kept])
    for user, item, score in kept:
        rank_of = np.searchsorted(values, score) / max(len(values) - 1, 1)
        table[places[0][user], places[1][item]] = rank_of
    known = ~np.isnan(table)
    if known.all():
        return Preferences(table, users, items)
    held = known & (np.random.default_rng(1).integers(_HELD_OUT, size=table.shape) == 0)
    guess = _imputed(np.where(held, np.nan, table), rank)
    error = float(np.sqrt(np.mean((guess - table)[held] ** 2))) if held.any() else float("nan")
    filled = np.where(known, table, _imputed(table, rank))
    return Preferences(filled, users, items, float(known.mean()), error)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _most_frequent(names: list[str], count: int) -> tuple[str, ...]:
    found, frequency = np.unique(names, return_counts=True)
    order = np.argsort(-frequency, kind="stable")[:count]
    return tuple(str(found[i]) for i in order)


def _imputed(table: np.ndarray, rank: int, ridge: float = 0.5) -> np.ndarray:
    """Every cell by alternating ridge regressions of known deviations from row and item means."""
    known = ~np.isnan(table)
    mean = table[known].mean()
    by_item = _shrunk(np.where(known, table - mean, 0).sum(axis=0), known.sum(axis=0))
    rest = np.where(known, table - mean - by_item, 0)
    by_user = _shrunk(rest.sum(axis=1), known.sum(axis=1))
    base = mean + by_item + by_user[:, None]
    rest = np.where(known, table - base, 0)
    rank = min(rank, *table.shape)
    factors = np.random.default_rng(0).normal(size=(table.shape[1], rank)) / np.sqrt(rank)
    for _ in range(_SWEEPS):
        users = _regressed(rest, known, factors, ridge)
        factors = _regressed(rest.T, known.T, users, ridge)
    return np.clip(base + users @ factors.T, 0, 1)


def _shrunk(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return total / (count + 1.0)


def _regressed(
    rest: np.ndarray, known: np.ndarray, factors: np.ndarray, ridge: float
) -> np.ndarray:
    unit = ridge * np.eye(factors.shape[1])
    return np.stack(
        [
            np.linalg.solve(factors[k].T @ factors[k] + unit, factors[k].T @ row[k])
            for row, k in zip(rest, known, strict=True)
        ]
    )
