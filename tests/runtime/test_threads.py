"""XLA gets enough threads for LAPACK calls that wait for each other."""

import os
import subprocess
import sys

import jax
import pytest

from simulator.engine.simulation import simulate_study
from simulator.engine.theory import predict_study
from simulator.runtime import threads
from simulator.store.sweep import sweep_study
from tests.toy import STUDY

PROGRAM = """
import os, warnings
import jax
from simulator.runtime import threads
from simulator.runtime.threads import _threads_of_xla, ensure_threads
threads.cores = lambda: 2
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


BLAS = """
import sys
if {late}:
    import scipy.linalg
import numpy as np
import simulator
from threadpoolctl import threadpool_info
def blas():
    return {{("numpy" if "numpy.libs" in d["filepath"] else "scipy"): d["num_threads"]
            for d in threadpool_info() if d["user_api"] == "blas"}}
before = blas().get("numpy")
simulator.predict("strong-collapse", dim=4)
import scipy.linalg
found = blas()
assert found["scipy"] == 1, found
assert found.get("numpy") == before, found  # the user's own is left alone
"""


@pytest.mark.parametrize("late", [False, True])
def test_scipy_is_told_to_use_one_blas_thread_and_numpy_is_left_alone(late):
    hidden = {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-c", BLAS.format(late=late)]
    subprocess.run(command, env=environment, check=True, timeout=120)


@pytest.mark.parametrize(
    "enter",
    [
        lambda folder: predict_study(STUDY),
        lambda folder: simulate_study(STUDY, replicates=2),
        lambda folder: simulate_study(STUDY, replicates=2, dtype="float32"),
        lambda folder: sweep_study(STUDY, {"dim": [4]}, replicates=2, out=folder / "store"),
    ],
    ids=["theory", "simulation", "dtype", "store"],
)
def test_every_entry_asks_before_jax_looks_for_devices(enter, monkeypatch, tmp_path):
    def only_with_threads(function):
        def looks(*args, **options):
            assert "NPROC" in os.environ
            return function(*args, **options)

        return looks

    monkeypatch.delenv("NPROC", raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 2)
    monkeypatch.setattr(threads, "_threads_of_xla", lambda: 0)
    threads._settle_threads.cache_clear()
    for module, name in (
        (jax, "default_backend"), (jax, "local_devices"), (jax, "jit"), (jax, "device_put"),
        (jax.random, "key"), (jax.numpy, "asarray"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, only_with_threads(getattr(module, name)))
    enter(tmp_path)
    assert os.environ["NPROC"] == "8"
