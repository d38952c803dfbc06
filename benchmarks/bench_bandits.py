"""Bandits with concave rewards: policies that learn nothing, drawn at once against round by round.

Both sides are this package's own (`method="direct"` and `method="conditional"`) and give the same
rewards in law. The direct side is timed on fewer rounds and scaled where it says so: a round costs
the same whenever it comes.
"""

from collections.abc import Callable, Iterator
from typing import Any

import simulator
from benchmarks.report import Row, seconds

REPLICATES = 100
SAMPLE = 10_000  # rounds of the direct simulation that are really played


def run() -> Iterator[Row]:
    """A fixed mixture of arms, whose counts have a law; contexts of which one number is needed."""
    arms = {"algorithm": "stationary", "num_checkpoints": 8}
    played = seconds(_of("concave-bandits", "direct", SAMPLE, **arms), 3)
    for rounds, target in ((10_000, 0.0), (1_000_000, 100.0)):
        counted = seconds(_of("concave-bandits", "conditional", rounds, **arms), 3)
        scaled = played * rounds / SAMPLE
        task = f"fixed mixture of arms, {rounds:.0e} rounds x {REPLICATES}"
        yield Row(task, "rounds (scaled)", scaled, counted, target)
    study = "concave-bandits.gaussian-contexts"
    for dim, actions, target in ((8, 5, 1.5), (64, 50, 20.0)):
        given = {"dim": dim, "num_actions": actions}
        task = f"oracle, {dim} features x {actions} actions, {SAMPLE:.0e} rounds x {REPLICATES}"
        base = seconds(_of(study, "direct", SAMPLE // 10, **given), 1) * 10
        ours = seconds(_of(study, "conditional", SAMPLE, **given), 1)
        yield Row(task, "features (scaled)", base, ours, target)


def _of(study: str, method: str, rounds: int, **given: Any) -> Callable[[], object]:
    return lambda: simulator.simulate(
        study, method=method, num_rounds=rounds, replicates=REPLICATES, dtype="float32", **given
    )
