"""Sums over the rows of a product are right on a CPU, whatever XLA makes of them by default."""

import os
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from simulator.runtime import threads
from simulator.runtime.compilation import jit_on_cpu, overlapping

SCRIPT = """
import jax.numpy as jnp

from simulator.runtime.precision import float_dtype
from simulator.paper import Paper
from simulator.study import Output, Study, exact
from simulator.parameters import parameters, static, traced
from simulator.engine.theory import predict_study
from simulator.engine.run import Run
from simulator.engine.setting import checked_setting


@parameters
class Params:
    dim: int = static(80, "d", "columns", at_least=1)
    rows: int = static(17000, "n", "rows", at_least=1)
    scale: float = traced(1.5, "s", "factor", above=0)


def theory(params):
    x = params.scale * jnp.sin(jnp.arange(params.rows * params.dim, dtype=float_dtype()))
    x = x.reshape(params.rows, params.dim)
    return {
        "largest": jnp.mean(jnp.max(x @ jnp.ones((params.dim, params.dim), x.dtype), axis=1)),
        "squares": jnp.sum((x @ jnp.eye(params.dim, dtype=x.dtype)) ** 2),
    }


STUDY = Study(
    name="products", title="Sums of products", params=Params,
    paper=Paper("Sums", ("A. Textbook",), 2000),
    outputs=(Output("largest", "mean largest entry", exact("sum")),
             Output("squares", "sum of squares", exact("sum"))),
    theory=theory, simulate_direct=lambda key, params: theory(params), check_cells=({},),
)

import numpy as np

x = 1.5 * np.sin(np.arange(17000 * 80.0)).reshape(17000, 80)
expected = {"largest": x.sum(axis=1).mean(), "squares": (x**2).sum()}
run = Run(STUDY, [STUDY.canonical({})], checked_setting(STUDY))
run.extend(1)
for output, value in expected.items():
    np.testing.assert_allclose(predict_study(STUDY)[output], value, rtol=1e-9)
    np.testing.assert_allclose(run.summary(0)[output].mean, value, rtol=1e-9)
"""


def test_theory_and_simulation_sum_products_rightly():
    """In a process of its own, without the tests' flags."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    subprocess.run([sys.executable, "-c", SCRIPT], env=environment, check=True)


def test_overlapping_calls_keep_their_order_precision_and_program(monkeypatch):
    monkeypatch.setattr("simulator.runtime.compilation.calls_at_a_time", lambda: 3)
    traced = []

    def inverse(x):
        traced.append(x)
        return 1 / x

    program = jit_on_cpu(inverse)
    found = overlapping(lambda x: program(jnp.asarray(float(x))), range(1, 40))
    np.testing.assert_array_equal(found, 1 / np.arange(1.0, 40.0))  # in float64
    assert len(traced) == 1


def test_an_error_among_overlapping_calls_is_raised():
    with pytest.raises(ZeroDivisionError):
        overlapping(lambda x: 1 // (x - 30), range(40))


@pytest.mark.parametrize(("cores", "calls"), [(1, 1), (2, 2), (8, 2), (64, 16)])
def test_every_overlapping_call_has_threads_to_wait_for(monkeypatch, cores, calls):
    monkeypatch.setattr(threads, "cores", lambda: cores)
    assert threads.calls_at_a_time() == calls
