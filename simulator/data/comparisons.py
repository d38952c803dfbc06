"""Paired comparisons of one's own: fitted rewards with intervals, and which pairs to label next.

>>> from simulator.data.comparisons import fit, from_pairs
>>> rewards = fit(from_pairs([("tea", "water"), ("water", "milk"), ("milk", "tea")] * 3))
>>> rewards.items, rewards.next_pairs(2)

The model is Bradley's and Terry's, ``P(a beats b) = σ(r_a - r_b)``, with rewards of mean 0.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, ndtri

from simulator.data.files import (  # isort: skip
    DataError, check_widths, checked_path, is_number, is_whole, read_rows, shown,
)  # fmt: skip
from simulator.data.checks import number, whole_number
from simulator.data.corpus import COUNT_NAMES
from simulator.equality import ByValue
from simulator.maths import bradley_terry
from simulator.maths.preferences import pair_law, tilted
from simulator.runtime.compilation import float64_on_cpu

WINNERS = ("winner", "chosen", "preferred", "won")
LOSERS = ("loser", "rejected", "other", "lost")
MAX_ITEMS = 2000
_NO_PRIOR = 1e-14  # of the mean loss: rounding


@dataclass(frozen=True, eq=False, repr=False)
class Comparisons(ByValue):
    """A table of labelled pairs.

    Attributes
    ----------
    items : tuple of names
    wins : (items, items) float64
        How often the first was preferred to the second.
    """

    items: tuple[str, ...]
    wins: np.ndarray


class Pair(NamedTuple):
    """A pair to label; ``gain`` is the share of the mean variance that its label takes away."""

    first: str
    second: str
    gain: float


@dataclass(frozen=True, eq=False, repr=False)
class Rewards(ByValue):
    """Fitted rewards, the largest first.

    Attributes
    ----------
    items : tuple of names
    rewards, low, high : (items,) float64
        Of mean 0, with the ends of their intervals.
    covariance : (items, items) float64
    """

    items: tuple[str, ...]
    rewards: np.ndarray
    low: np.ndarray
    high: np.ndarray
    covariance: np.ndarray

    def next_pairs(self, count: int = 5) -> list[Pair]:
        """Pairs whose labels lower the mean variance of the rewards most, one after the other.

        A pair may come twice. Labels are most telling between items whose difference is uncertain
        and whose rewards are close.
        """
        count = whole_number("count", count, 1)
        covariance, found = self.covariance.copy(), []
        gap = self.rewards[:, None] - self.rewards
        slope = expit(gap) * expit(-gap)
        for _ in range(count):
            own, square = np.diagonal(covariance), covariance @ covariance
            apart = own[:, None] + own - 2 * covariance
            reach = np.diagonal(square)[:, None] + np.diagonal(square) - 2 * square
            gain = slope * reach / (1 + slope * apart)
            a, b = divmod(int(np.argmax(np.triu(gain, 1))), len(own))
            found.append(Pair(self.items[a], self.items[b], float(gain[a, b] / np.sum(own))))
            moved = covariance[a] - covariance[b]
            weight = slope[a, b] / (1 + slope[a, b] * apart[a, b])
            covariance = covariance - weight * np.outer(moved, moved)
        return found

    def pilaf_pairs(self, kl_regularization: float, count: int = 5) -> list[Pair]:
        """The pairs that T-PILAF shows most often, with their shares in place of a gain.

        The policy is the best one of the fitted rewards under a penalty ``β KL`` against choosing
        all items alike: pairs that tell where that policy gains value.
        """
        beta = number("kl_regularization", kl_regularization, np.finfo(float).tiny)
        with float64_on_cpu():
            uniform = jnp.full(len(self.items), -np.log(len(self.items)))
            rewards = jnp.asarray(self.rewards)
            policy = tilted(uniform, rewards, beta)
            law = np.asarray(pair_law("pilaf", policy, uniform, beta, rewards, 2))
        both = np.triu(law + law.T, 1)
        order = np.argsort(-both, axis=None)[: whole_number("count", count, 1)]
        cells = zip(*np.unravel_index(order, both.shape), strict=True)
        return [Pair(self.items[a], self.items[b], float(both[a, b])) for a, b in cells if a != b]

    def __str__(self) -> str:
        width = max(len(item) for item in self.items)
        return "\n".join(
            f"{item:<{width}}  {reward:+.3f}  [{low:+.3f}, {high:+.3f}]"
            for item, reward, low, high in zip(
                self.items, self.rewards, self.low, self.high, strict=True
            )
        )


def load_comparisons(path: str | os.PathLike[str]) -> Comparisons:
    """Read a table (``.csv``, ``.tsv``) with a row per labelled pair.

    Its header names a column ``winner`` (or ``chosen``, ``preferred``) and one ``loser`` (or
    ``rejected``, ``other``), and may name one ``count``; without a header the first two columns are
    winner and loser. Items are whatever the cells hold.

    Raises
    ------
    DataError
        One line, if there is no such table.
    """
    path = checked_path(path)
    rows = read_rows(path)
    check_widths(rows, path.name)
    names = [cell.casefold() for cell in rows[0]]
    columns = [
        next((j for j, name in enumerate(names) if name in known), None)
        for known in (WINNERS, LOSERS, COUNT_NAMES)
    ]
    winner, loser, counted = columns
    body = rows[1:]
    if winner is None and loser is None:
        if len(names) != 2:
            raise DataError(
                f"{path.name}: no column is called {WINNERS[0]} or {LOSERS[0]} "
                f"({shown(', '.join(rows[0]))}); allowed: a header that names both, or two columns"
            )
        winner, loser, counted, body = 0, 1, None, rows
    elif winner is None or loser is None:
        missing = WINNERS if winner is None else LOSERS
        raise DataError(f"{path.name}: no column is called {' or '.join(missing)}; allowed: one")
    if not body:
        raise DataError(f"{path.name}: only a header; allowed: one row per labelled pair below it")
    counts = [1] * len(body)
    if counted is not None:
        for number_of_row, row in enumerate(body, 1):
            cell = row[counted]
            if not (is_whole(cell) and is_number(cell) and int(cell) >= 0):
                raise DataError(
                    f"{path.name}: data row {number_of_row}: {shown(cell)}; allowed: a whole "
                    "count >= 0"
                )
        counts = [int(row[counted]) for row in body]
    return from_pairs([(row[winner], row[loser]) for row in body], counts, path.name)


def from_pairs(
    pairs: Iterable[tuple[str, str]], counts: Sequence[int] | None = None, name: str = "pairs"
) -> Comparisons:
    """Comparisons from (winner, loser), each as often as ``counts`` says.

    Raises
    ------
    DataError
        For an item without a name or compared with itself, and for fewer than two items.
    """
    pairs = [(str(winner), str(loser)) for winner, loser in pairs]
    for row, (winner, loser) in enumerate(pairs, 1):
        if winner == loser or not winner or not loser:
            what = "an item without a name" if not (winner and loser) else f"{shown(winner)} twice"
            raise DataError(f"{name}: data row {row}: {what}; allowed: two different items")
    items = tuple(sorted({item for pair in pairs for item in pair}))
    if not 2 <= len(items) <= MAX_ITEMS:
        raise DataError(f"{name}: {len(items)} items; allowed: 2 to {MAX_ITEMS}")
    place = {item: position for position, item in enumerate(items)}
    wins = np.zeros((len(items),) * 2)
    weights = [1] * len(pairs) if counts is None else counts
    for (winner, loser), weight in zip(pairs, weights, strict=True):
        wins[place[winner], place[loser]] += weight
    return Comparisons(items, wins)


def fit(comparisons: Comparisons, *, prior: float | None = None, level: float = 0.95) -> Rewards:
    """Maximum likelihood, or the mode under a Gaussian prior, with normal intervals.

    Parameters
    ----------
    prior : float, optional
        Standard deviation of the rewards. With one there is a fit of any comparisons.
    level : float
        Of the intervals.

    Raises
    ------
    DataError
        Without a prior, if some items won (or lost) all their comparisons with the others, or
        were never compared with them: then no finite rewards are the most likely ones.
    """
    level = number("level", level, 0, 1)
    wins = comparisons.wins
    total = max(wins.sum(), 1.0)
    if prior is None:
        _check_connected(comparisons)
        features, precision = np.eye(len(wins))[:, 1:], 0.0
    else:
        features = np.eye(len(wins))
        precision = 1 / number("prior", prior, np.finfo(float).tiny) ** 2
    with float64_on_cpu():
        ridge = max(precision / total, _NO_PRIOR)
        rewards, curvature = map(np.asarray, _most_likely(wins, features, ridge))
    inverse = np.linalg.inv(curvature + precision * np.eye(len(curvature)))
    centre = np.eye(len(wins)) - 1 / len(wins)
    covariance = centre @ features @ inverse @ features.T @ centre
    rewards = rewards - rewards.mean()
    reach = ndtri((1 + level) / 2) * np.sqrt(np.diagonal(covariance))
    order = np.argsort(-rewards, kind="stable")
    return Rewards(
        tuple(comparisons.items[i] for i in order),
        rewards[order],
        (rewards - reach)[order],
        (rewards + reach)[order],
        covariance[np.ix_(order, order)],
    )


@jax.jit
def _most_likely(
    wins: jax.Array, features: jax.Array, ridge: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Rewards, and the curvature of their log-likelihood in the coefficients of the features."""
    wins, phi = wins[None], features[None]
    zero, base = jnp.zeros(features.shape[1]), jnp.zeros((1, len(features)))
    coefficients, _ = bradley_terry.fit(wins, phi, base, zero, zero, ridge)
    rewards = features @ coefficients
    return rewards, bradley_terry.hessian(wins, rewards[None], phi)


def _check_connected(comparisons: Comparisons) -> None:
    """Every item beats every other one through a chain of wins, or a line that says which not."""
    won = comparisons.wins > 0
    count, group = connected_components(won, directed=True, connection="strong")
    if count == 1:
        return
    for label in range(count):
        inside = group == label
        wins, losses = won[inside][:, ~inside].any(), won[~inside][:, inside].any()
        if wins and losses:
            continue
        names = [item for item, own in zip(comparisons.items, inside, strict=True) if own]
        what = "won all their" if wins else "lost all their" if losses else "have no"
        raise DataError(
            f"{shown(', '.join(names))}: {what} comparisons with the other items, so that no "
            "finite rewards are the most likely; allowed: labels across, or --prior 2 (prior=2), "
            "a standard deviation of the rewards"
        )
