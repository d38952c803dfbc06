"""Progress: lines in a pipe, a bar on a terminal, both in cells and from where a run begins."""

import io
import re
import time

import pytest

from simulator.engine import progress
from simulator.engine.progress import Work, duration, reported
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting
from tests.toy import STUDY

LINE = re.compile(r"toy: (\d) of 3 cells done, [\d.,e+]+ replicates/s, about .* left")


def run_of_three():
    cells = [STUDY.canonical({"num_samples": n}) for n in (20, 30, 40)]
    return Run(STUDY, cells, checked_setting(STUDY))


def test_a_pipe_gets_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.05)
    with reported("toy", Work(3, 300, 1, 100)) as advance:
        time.sleep(0.08)
        advance(100, 1)
        time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 2
    assert lines[0].startswith("toy: 1 of 3 cells done, compiling or in the first batch for")
    assert LINE.fullmatch(lines[-1])[1] == "2"


def test_a_short_run_says_nothing(capsys):
    run = run_of_three()
    with reported("toy", run.work(5)) as advance:
        run.extend(5, progress=advance)
    assert capsys.readouterr().err == ""


def test_what_is_counted_is_cells_and_replicates_to_the_end():
    run = run_of_three()
    run.extend([5, 5, 0])
    work = run.work([5, 9, 4])
    assert work == Work(cells=3, replicates=18, cells_done=1, replicates_done=10)
    run.extend([5, 9, 4], progress=work.advance)
    assert work == Work(cells=3, replicates=18, cells_done=3, replicates_done=18)


def test_a_terminal_gets_a_bar_that_begins_at_the_overall_share(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with reported("toy", Work(4, 400, 3, 300)) as advance:
        advance(1, 0)
        time.sleep(0.3)
    shown = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", terminal.getvalue())
    assert "3/4 cells" in shown
    bar = next(line for line in shown.splitlines() if "3/4 cells" in line)
    assert bar.count("━") > 10


@pytest.mark.parametrize(("seconds", "words"), [(50, "50 s"), (600, "10 min"), (1e6, "11.6 days")])
def test_durations(seconds, words):
    assert duration(seconds).startswith(words)
