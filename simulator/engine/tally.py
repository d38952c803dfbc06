"""What is known of one cell: the moments of its replicates, or why it cannot be computed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.engine.moments import Moments, Summary

State = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Stalled:
    """Replicates whose solver did not quite reach its tolerance, and their largest residual."""

    count: int = 0
    residual: float = 0.0

    def __add__(self, other: "Stalled") -> "Stalled":
        return Stalled(self.count + other.count, max(self.residual, other.residual))


class Tally:
    """Replicates of one cell, entered in their order.

    Attributes
    ----------
    count : int
    failure : str or None
    stalled : Stalled
    values : mapping output -> list of blocks with the replicate first, or None if not kept
    """

    def __init__(self, keep_values: bool = False) -> None:
        self.count = 0
        self.failure: str | None = None
        self.stalled = Stalled()
        self.values: dict[str, list[np.ndarray]] | None = {} if keep_values else None
        self._moments: dict[str, Moments] = {}

    def add(self, outputs: Mapping[str, np.ndarray], last: int) -> None:
        """Enter consecutive replicates, the last of which has the number ``last``."""
        for name, values in outputs.items():
            self._moments.setdefault(name, Moments()).update(values)
            if self.values is not None:
                self.values.setdefault(name, []).append(values)
        self.count = last + 1

    def summary(self) -> dict[str, Summary]:
        """Moments of every output."""
        return {name: moments.summary() for name, moments in self._moments.items()}

    def state(self) -> State:
        """What another process needs to go on, for :meth:`restore`."""
        return {name: moments.state() for name, moments in self._moments.items()}

    def restore(
        self, count: int, state: Mapping[str, Mapping[str, np.ndarray]], stalled: Stalled
    ) -> None:
        """Go on from what another process computed."""
        self.count, self.stalled = count, stalled
        self._moments = {name: Moments.from_state(moments) for name, moments in state.items()}
