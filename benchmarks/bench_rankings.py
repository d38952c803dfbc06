"""Online rankings: a million rounds of the ranker, against the loop that a user would write."""

from collections.abc import Iterator

import numpy as np

import simulator
from benchmarks.report import Row, seconds

USERS, ITEMS, SLOTS, BETA = 40, 20, 5, 4.0
ROUNDS = 1_000_000
REPLICATES = 100
SAMPLE = 20_000  # rounds of one replicate that the loop really plays


def run() -> Iterator[Row]:
    """100 replicates of a million rounds; the loop is timed on a sample and scaled."""
    base = seconds(lambda: _loop(SAMPLE), 1) * ROUNDS / SAMPLE * REPLICATES

    def ours() -> object:
        return simulator.simulate(
            "fair-ranking",
            replicates=REPLICATES,
            num_users=USERS,
            num_items=ITEMS,
            num_slots=SLOTS,
            fairness_weight=BETA,
            num_epochs=ROUNDS // USERS,
            num_checkpoints=10,
            allow_large=True,
        )

    yield Row("fair-ranking, 1e6 rounds x 100", "NumPy loop", base, seconds(ours, 1))


def _loop(rounds: int) -> np.ndarray:
    """One replicate: sort by relevance and fairness, show, average."""
    rng = np.random.default_rng(0)
    relevance = rng.uniform(size=(USERS, ITEMS))
    weights = 1 / np.log2(1 + np.arange(1, SLOTS + 1))
    equal = weights.sum() / ITEMS
    exposure, utility = np.full(ITEMS, equal), 0.0
    for t in range(1, rounds + 1):
        user = rng.integers(USERS)
        scores = relevance[user] - BETA * (exposure - equal)
        shown = np.zeros(ITEMS)
        shown[np.argsort(-scores, kind="stable")[:SLOTS]] = weights
        utility += (relevance[user] @ shown - utility) / t
        exposure += (shown - exposure) / t
    return exposure
