"""Ctrl-C: what is stored is said, nothing else is, and the same command goes on."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.toy import command_line

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(200)
@pytest.mark.parametrize("dask", [(), pytest.param(("--dask", "local:2"), marks=pytest.mark.slow)])
def test_an_interrupt_says_what_is_stored(tmp_path, dask):
    store = tmp_path / "store"
    words = ["sweep", "toy", "--grid", "num_samples=20,30", "--out", str(store)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.toy", *words, "--replicates", "1e9", "--allow-large", *dask],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(store.glob(".simulator/records/*.rec")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    message = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    found = re.fullmatch(
        rf"{re.escape(str(store))}: interrupted; 0 of 2 cells are done and stored, (\d+) of "
        r"2000000000 replicates in all. The same command goes on from there\n"
        r"simulator: interrupted\n",
        message,
    )
    assert found, message
    assert int(found[1]) > 0
    assert command_line([*words, "--replicates", "64"]) == 0
