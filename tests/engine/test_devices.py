"""Any number of devices of one kind gives the same numbers, bit for bit."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from simulator.engine.simulation import simulate_study
from simulator.registry import get
from simulator.runtime.precision import float_dtype
from tests.toy import STUDY

ROOT = Path(__file__).parents[2]


def with_solver(key, params):
    """The toy's value and that of a linear system: what LAPACK does is part of the program."""
    matrix = jax.random.normal(key, (params.dim, params.dim), float_dtype())
    factor = jax.scipy.linalg.cho_factor(matrix @ matrix.T + jnp.eye(params.dim))
    solution = jax.scipy.linalg.cho_solve(factor, matrix[:, 0])
    return {"test_error": STUDY.simulate_fast(key, params)["test_error"] + jnp.sum(solution)}


def numbers(name):
    """Every bit of some means and errors."""
    toy = replace(STUDY, simulate_fast=with_solver)
    study = toy if name == STUDY.name else get(name)
    result = simulate_study(study, replicates=700, dim=12, num_samples=30)
    return [
        (name, result.mean[name].hex(), result.standard_error[name].hex()) for name in result.mean
    ]


def printed(name, devices):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}"
    # LAPACK calls on several forced devices starve each other in a small thread pool.
    environment = os.environ | {"XLA_FLAGS": flags, "NPROC": "16"}
    program = (
        f"import jax; assert jax.device_count() == {devices}; "
        f"from tests.engine.test_devices import numbers; print(numbers({name!r}))"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120,
    ).stdout.strip()  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "devices"), [("toy", 4), pytest.param("ridge-collapse", 2, marks=pytest.mark.slow)]
)
def test_one_and_more_devices_agree_in_every_bit(name, devices):
    assert printed(name, devices) == str(numbers(name))
