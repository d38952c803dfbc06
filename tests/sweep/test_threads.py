"""XLA gets enough threads for LAPACK calls that wait for each other."""

import os
import subprocess
import sys

PROGRAM = """
import os, warnings
import jax
from simulator.sweep import threads
from simulator.sweep.threads import _threads_of_xla, ensure_threads
threads._cores = lambda: 2
if {late}:
    os.environ["NPROC"] = "2"
    jax.numpy.ones(3).block_until_ready()
    del os.environ["NPROC"]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    ensure_threads()
jax.numpy.ones(3).block_until_ready()
print(_threads_of_xla(), [str(w.message) for w in caught if w.category is RuntimeWarning])
"""


def run(late):
    environment = {name: value for name, value in os.environ.items() if name != "NPROC"}
    command = [sys.executable, "-c", PROGRAM.format(late=late)]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=120
    ).stdout.strip()


def test_threads_are_asked_for_before_the_first_computation():
    assert run(late=False) == "8 []"


def test_a_late_call_says_so():
    found = run(late=True)
    assert found.startswith("2 [")
    assert "NPROC=8" in found
