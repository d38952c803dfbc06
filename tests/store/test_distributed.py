"""Two processes on one store compute what one computes, bit for bit."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toy import command_line

ROOT = Path(__file__).parents[2]
SWEEP = [
    *("sweep", "toy", "--grid", "num_samples=30,40,50,60,70"),
    *("--replicates", "300", "--out"),
]


def free_port():
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


@pytest.mark.timeout(300)
def test_two_processes_share_a_sweep(tmp_path):
    assert command_line([*SWEEP, str(tmp_path / "one")]) == 0
    address = f"localhost:{free_port()}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.toy", *SWEEP, str(tmp_path / "two"),
             "--distributed", "--coordinator", address,
             "--num-processes", "2", "--process-id", str(index)],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )
        for index in range(2)
    ]  # fmt: skip
    messages = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], messages
    assert "computed 5, reused 0 of 5 cells" in messages[0]
    records = list((tmp_path / "two/.simulator/records").glob("*.rec"))
    assert len(records) >= 2, "both processes wrote"
    for chunk in (tmp_path / "one").glob("mean/*/c/*"):
        other = tmp_path / "two" / chunk.relative_to(tmp_path / "one")
        assert other.read_bytes() == chunk.read_bytes(), chunk
