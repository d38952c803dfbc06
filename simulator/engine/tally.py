"""What is known of one cell: the moments of its replicates, or why it cannot be computed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.engine.moments import Moments, Summary
from simulator.engine.regression import STATE, Regression
from simulator.study import CONTROLS

State = dict[str, dict[str, np.ndarray]]
#: Name of the control variates in a state; earlier versions had them in another order.
_IN_ORDER = "controls in order"


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
        self._regressions: dict[str, Regression] = {}
        self._without_controls = False

    def add(self, outputs: Mapping[str, np.ndarray], last: int) -> None:
        """Enter consecutive replicates, the last of which has the number ``last``.

        Control variates, minus their means, may stand among the outputs.
        """
        if CONTROLS in self._moments and CONTROLS in outputs:
            self._without_controls |= self._moments[CONTROLS].shape != outputs[CONTROLS].shape[1:]
        if self._without_controls:
            self._moments.pop(CONTROLS, None)
            self._regressions.clear()
            outputs = {name: values for name, values in outputs.items() if name != CONTROLS}
        controls = outputs.get(CONTROLS)
        for name, values in outputs.items():
            self._moments.setdefault(name, Moments()).update(values)
            if name == CONTROLS:
                continue
            if controls is not None:
                self._regressions.setdefault(name, Regression()).update(values, controls)
            if self.values is not None:
                self.values.setdefault(name, []).append(values)
        self.count = last + 1

    def summary(self) -> dict[str, Summary]:
        """Moments of every output, and of the control variates if there are any."""
        found = {name: moments.summary() for name, moments in self._moments.items()}
        for name, regression in self._regressions.items():
            found[name].regressed = regression.summary()
        return found

    def state(self) -> State:
        """What another process needs to go on, for :meth:`restore`."""
        found = {name: moments.state() for name, moments in self._moments.items()}
        for name, regression in self._regressions.items():
            found[name] |= regression.state()
        return {_IN_ORDER if name == CONTROLS else name: mine for name, mine in found.items()}

    def restore(
        self, count: int, state: Mapping[str, Mapping[str, np.ndarray]], stalled: Stalled
    ) -> None:
        """Go on from what another process computed.

        Where an earlier version computed it without control variates, with others, or in another
        order, it goes on without them.
        """
        self.count, self.stalled = count, stalled
        self._moments = {
            CONTROLS if name == _IN_ORDER else name: Moments.from_state(moments)
            for name, moments in state.items()
            if name != CONTROLS
        }
        self._regressions = {
            name: Regression.from_state(
                mine, int(mine["count"]), (mine["pending"], state[_IN_ORDER]["pending"])
            )
            for name, mine in state.items()
            if STATE[0] in mine and _IN_ORDER in state
        }
        self._without_controls = count > 0 and _IN_ORDER not in state
