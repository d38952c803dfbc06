"""How far a computation is: a bar on a terminal, one line a minute in a pipe or a log file."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SECONDS_BETWEEN_LINES = 60.0

#: Takes the replicates, and the cells, that were finished since it was last called.
Progress = Callable[[int, int], None]


@dataclass
class Work:
    """Cells and replicates: how many there are, and how many of them are done."""

    cells: int
    replicates: int
    cells_done: int = 0
    replicates_done: int = 0

    def advance(self, replicates: int, cells: int) -> None:
        self.replicates_done += replicates
        self.cells_done += cells


@contextlib.contextmanager
def reported(label: str, work: Work) -> Iterator[Progress]:
    """Report on stderr while the work is done; yields what to call when some of it is.

    It begins at what is done already, after a resume say.
    """
    with (_bar if sys.stderr.isatty() else _lines)(label, work) as advance:
        yield advance


@contextlib.contextmanager
def _bar(label: str, work: Work) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import (
        Progress as Bar,
    )
    from rich.text import Text

    class Cells(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{work.cells_done}/{work.cells} cells")

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} replicates/s" if task.speed else "")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        Cells(),
        Speed(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=work.replicates, completed=work.replicates_done)

        def advance(replicates: int, cells: int) -> None:
            work.advance(replicates, cells)
            bar.advance(task, replicates)

        yield advance


@contextlib.contextmanager
def _lines(label: str, work: Work) -> Iterator[Progress]:
    """From a thread of its own: one program may take minutes to compile, or to run a batch."""
    start, before = time.monotonic(), work.replicates_done
    finished = threading.Event()

    def report() -> None:
        while not finished.wait(SECONDS_BETWEEN_LINES):
            line = _line(label, work, work.replicates_done - before, time.monotonic() - start)
            print(line, file=sys.stderr, flush=True)

    thread = threading.Thread(target=report, name="progress", daemon=True)
    thread.start()
    try:
        yield work.advance
    finally:
        finished.set()
        thread.join()


def _line(label: str, work: Work, replicates: int, seconds: float) -> str:
    """``label: 3 of 21 cells done, 1,234 replicates/s, about 5 min left``."""
    words = f"{label}: {work.cells_done} of {work.cells} cells done"
    if not replicates:
        return f"{words}, compiling or in the first batch for {duration(seconds)}"
    left = (work.replicates - work.replicates_done) * seconds / replicates
    return f"{words}, {replicates / seconds:,.3g} replicates/s, about {duration(left)} left"


def duration(seconds: float) -> str:
    """A length of time in the unit that a person would choose."""
    for unit, length in (("years", 31_557_600), ("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} seconds"
