"""Processes of one sweep wait for each other, and say which one has died."""

import json
import threading
import time

import jax
import pytest

from simulator.store import processes
from simulator.store.processes import Processes, meeting


@pytest.fixture
def several(monkeypatch, tmp_path):
    """Makes process ``index`` of three, all in this one."""
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    monkeypatch.setattr(processes, "SIGN_EVERY", 0.02)

    def make(index):
        monkeypatch.setattr(jax, "process_index", lambda: index)
        return Processes(tmp_path)

    return make


def in_thread(function):
    caught = []

    def run():
        try:
            function()
        except ConnectionError as error:
            caught.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, caught


def test_one_process_waits_for_nobody(tmp_path):
    with meeting(tmp_path) as alone:
        alone.wait()
        alone.check()
    assert list(tmp_path.rglob("*")) == []


def test_they_wait_for_the_last_one_and_leave_nothing(several, tmp_path):
    passed = []

    def live(process, delay):
        with process.alive():
            for stage in range(3):
                time.sleep(delay)
                passed.append((stage, "reached"))
                process.wait()
                passed.append((stage, "left"))

    three = [several(i) for i in range(3)]
    threads = [in_thread(lambda p=p: live(p, 0.1 * p.index)) for p in three]
    for thread, caught in threads:
        thread.join(30)
        assert not thread.is_alive()
        assert caught == []
    for stage in range(3):
        left = passed.index((stage, "left"))
        assert passed[:left].count((stage, "reached")) == 3
    assert list(tmp_path.iterdir()) == []


def test_one_that_dies_is_named(several, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "PATIENCE", 0.5)
    first, second, dying = (several(i) for i in range(3))
    (tmp_path / "2.json").write_text(json.dumps({"token": "of an earlier run", "met": {}}))

    def live(process):
        with process.alive():
            process.wait()
            process.wait()

    threads = [in_thread(lambda p=p: live(p)) for p in (first, second)]
    with dying.alive():
        dying.wait()
        dying._over.set()  # no sign any more, and no farewell
        for thread, _ in threads:
            thread.join(30)
    for _, (message,) in threads:
        assert message.startswith(f"process 2 (pid {dying._mine['pid']} on ")
        assert "start all processes again with the same command" in message


def test_one_that_fails_tells_the_others(several):
    first, second, failing = (several(i) for i in range(3))

    def live(process):
        with process.alive():
            process.wait()
            process.wait()

    threads = [in_thread(lambda p=p: live(p)) for p in (first, second)]

    def fail():
        with failing.alive():
            failing.wait()
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    for thread, caught in threads:
        thread.join(30)
        assert len(caught) == 1
        assert caught[0].startswith("process 2 (pid ")
        assert caught[0].endswith(": disk full")


def test_what_an_earlier_run_has_left_is_nobody(several, monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "PATIENCE", 0.3)
    for index in (1, 2):
        stale = {"token": "x", "met": {"0": "y"}, "stage": 9, "failure": "long ago"}
        (tmp_path / f"{index}.json").write_text(json.dumps(stale))
    process = several(0)
    with (
        pytest.raises(ConnectionError, match=r"^process 1 has died, or its machine has"),
        process.alive(),
    ):
        process.wait()
