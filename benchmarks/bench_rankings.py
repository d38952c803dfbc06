"""Online rankings: many rounds of the ranker, against the loop that a user would write.

A round costs the same whenever it comes: 10^5 rounds are timed here, and 10^6 take ten times as
long on both sides (the loop would take the better part of an hour).
"""

from collections.abc import Iterator

import numpy as np

import simulator
from benchmarks.report import Row, seconds

USERS, ITEMS, SLOTS, BETA = 40, 20, 5, 4.0
ROUNDS = 102_400
REPLICATES = 100
SAMPLE = 20_000  # rounds of one replicate that the loop really plays


def run() -> Iterator[Row]:
    """100 replicates; the loop is timed on a sample of its rounds and scaled."""
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
            dtype="float32",
            allow_large=True,
        )

    yield Row("fair-ranking, 1e5 rounds x 100", "NumPy loop", base, seconds(ours, 1), target=20)


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
