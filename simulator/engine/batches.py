"""The replicates that cells still miss, batch by batch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from simulator.engine.program import Program, unless_out_of_memory


class Tasks(NamedTuple):
    """Replicates that the cells of a program still miss, numbered through, block by block.

    A block is a row, or rows that share their draws and miss the same replicates: these are
    neighbours, replicate by replicate.

    Attributes
    ----------
    rows : rows of the program (positions in ``Program.members``) that miss any
    starts, widths : where the rows of each block begin, and their number
    targets : replicates that the rows of each block are to have
    ends : number of the task behind each block's last
    """

    rows: np.ndarray
    starts: np.ndarray
    widths: np.ndarray
    targets: np.ndarray
    ends: np.ndarray

    @classmethod
    def missing(
        cls, counts: Sequence[int], targets: Sequence[int], draws: Sequence[int] | np.ndarray
    ) -> "Tasks":
        """The tasks of rows that have so many replicates and are to have so many.

        Rows with the same number in ``draws`` share them.
        """
        which = np.stack([draws, counts, targets])
        rows = np.flatnonzero(which[2] > which[1])
        rows = rows[np.lexsort(which[::-1, rows])]
        which = which[:, rows]
        begins = np.r_[True, np.any(np.diff(which) != 0, axis=0)][: len(rows)]
        starts = np.flatnonzero(begins)
        widths = np.diff([*starts, len(rows)])
        missing = (which[2] - which[1])[starts]
        return cls(rows, starts, widths, which[2, starts], np.cumsum(missing * widths))

    @property
    def total(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def lanes(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Row and replicate of each lane of a batch; the last task pads."""
        task = np.minimum(np.arange(start, start + count), self.total - 1)
        block = np.searchsorted(self.ends, task, side="right")
        width = self.widths[block]
        before_the_end, place = divmod(task - self.ends[block], width)
        return self.rows[self.starts[block] + place], self.targets[block] + before_the_end


class Batch(NamedTuple):
    """Computed replicates, row by row: of which one, which one, and outputs, lanes first."""

    rows: np.ndarray
    replicates: np.ndarray
    outputs: Mapping[str, np.ndarray]


class OneReplicateTooLarge(MemoryError):
    """Not even one replicate per device fits into the memory that is free."""


def batches(program: Program, tasks: Tasks) -> Iterator[Batch]:
    """Compute the tasks in order; a batch that does not fit into memory is halved until it does.

    The reader digests one batch while the device computes the next. Never two programs in flight:
    on the CPU they compete for one thread pool, and LAPACK calls in both can starve each other for
    ever.

    Raises
    ------
    OneReplicateTooLarge
        After everything that could be computed has been yielded.
    """
    lanes, start = program.lanes * program.num_devices, 0
    computed: tuple[np.ndarray, np.ndarray, Any] | None = None
    while start < tasks.total:
        rows, replicates = tasks.lanes(start, lanes)
        out = program.run(rows, replicates, if_it_fits=start == 0)
        if computed is not None:
            yield _on_the_host(*computed)
            computed = None
        if out is None or unless_out_of_memory(jax.block_until_ready, out) is None:
            if lanes <= program.num_devices:
                raise OneReplicateTooLarge
            lanes //= 2
            continue
        kept = min(lanes, tasks.total - start)
        computed = rows[:kept], replicates[:kept], out
        start += kept
    if computed is not None:
        yield _on_the_host(*computed)


def _on_the_host(rows: np.ndarray, replicates: np.ndarray, out: Mapping[str, Any]) -> Batch:
    by_row = np.argsort(rows, kind="stable")
    outputs = {k: np.asarray(v, dtype=np.float64)[by_row] for k, v in out.items()}
    return Batch(rows[by_row], replicates[by_row], outputs)
