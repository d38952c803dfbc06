"""Any number of devices of one kind gives the same numbers, bit for bit."""

import os
import subprocess
import sys

import pytest

from simulator.cli import main

WORDS = [
    *("simulate", "ridge-collapse", "--dim", "10", "--num-samples", "30"),
    *("--replicates", "700", "--json"),
]


def printed(devices):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    # LAPACK calls on several forced devices starve each other in a small thread pool.
    environment = os.environ | {"XLA_FLAGS": flags, "NPROC": "16"}
    command = [sys.executable, "-m", "simulator.cli", *WORDS]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=120
    ).stdout


@pytest.mark.timeout(300)
@pytest.mark.parametrize("devices", [pytest.param(2, marks=pytest.mark.slow), 4])
def test_one_and_more_devices_agree_in_every_bit(devices, capsys):
    assert main(WORDS) == 0
    one = capsys.readouterr().out
    assert '"test_error"' in one
    assert printed(devices) == one
