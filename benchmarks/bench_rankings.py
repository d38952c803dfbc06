"""Online rankings: a million rounds of the ranker, against the loop that a user would write.

The loop would take the better part of an hour: it is timed on 20,000 rounds of one replicate and
scaled, for a round costs the same whenever it comes. Ours is played to the end. The megabytes are
what XLA says the program of all replicates holds at once; they do not depend on the rounds.
"""

from collections.abc import Iterator

import jax
import numpy as np

import simulator
from benchmarks.report import Row, seconds

USERS, ITEMS, SLOTS, BETA = 40, 20, 5, 4.0
EPOCHS = 25_600
ROUNDS = USERS * EPOCHS  # 1,024,000
REPLICATES = 100
SAMPLE = 20_000  # rounds of one replicate that the loop really plays
PARAMS = {
    "num_users": USERS,
    "num_items": ITEMS,
    "num_slots": SLOTS,
    "fairness_weight": BETA,
    "num_epochs": EPOCHS,
    "num_checkpoints": 10,
}


def run() -> Iterator[Row]:
    """100 replicates; the loop is timed on a sample of its rounds and scaled."""
    base = seconds(lambda: _loop(SAMPLE), 1) * ROUNDS / SAMPLE * REPLICATES

    def ours() -> object:
        return simulator.simulate(
            "fair-ranking", replicates=REPLICATES, dtype="float32", allow_large=True, **PARAMS
        )

    task = f"fair-ranking, 1e6 rounds x {REPLICATES} in {_megabytes():.1f} MB"
    yield Row(task, "NumPy loop (scaled)", base, seconds(ours, 1), target=20)


def _megabytes() -> float:
    """Of all replicates' state, random numbers and results, in float32."""
    study = simulator.get("fair-ranking")
    params = study.params(**study.canonical(PARAMS))
    play = jax.jit(jax.vmap(study.simulate_direct, (0, None)))
    keys = jax.random.split(jax.random.key(0), REPLICATES)
    used = play.lower(keys, params).compile().memory_analysis()
    return (used.temp_size_in_bytes + used.output_size_in_bytes) / 2**20


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
