"""What cannot be computed is refused at once, with an estimate; what takes minutes is not."""

import re
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import simulator
from simulator.engine import progress, sizes
from simulator.engine.batch_size import cost_of
from simulator.engine.simulation import simulate_study
from simulator.engine.theory import predict_study
from simulator.parameters import parameters, static, traced
from simulator.store.sweep import sweep_study
from simulator.study import Output, Study, exact
from simulator.verdict import check_study
from tests.toy import STUDY


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: simulator.predict("ridge-collapse", dim=10**9, num_samples=10**10), "dim = 10000"),
        (lambda: simulator.predict("ridge-collapse", num_generations=10**9), "about 3.54 hours"),
        (lambda: simulator.predict("ridge-collapse", num_generations=10**20), "num_generations ="),
        (lambda: simulator.predict("associative-memory", num_tokens=10**5), "num_tokens = 100000"),
        (
            lambda: simulator.simulate("associative-memory", num_tokens=10**8, replicates=10**4),
            "num_tokens = 100000000",
        ),
        (lambda: simulator.predict("implicit-bias.trajectory", num_steps=10**12), "num_steps = 1"),
        (
            lambda: simulator.predict("strong-collapse.multi-step", num_steps=10**9),
            "would take about",
        ),
        (lambda: simulator.predict("tail-collapse.bigram", num_contexts=10**9), "years"),
        (
            lambda: simulator.simulate(
                "ridge-collapse.resampled", num_samples=10**9, replicates=10**4
            ),
            "num_samples = 1000000000",
        ),
        (
            lambda: simulator.simulate(
                "verified-synthesis.halfspace", num_samples_synthetic=2**31 - 1, replicates=10**4
            ),
            "num_samples_synthetic = 2147483647",
        ),
        (
            lambda: simulator.simulate("tail-collapse", num_samples=1e12, method="direct"),
            "would take about",
        ),
        (
            lambda: simulator.sweep(
                "ridge-collapse", {"num_generations": [1, 10**9]}, method="fast", replicates=10**4
            ),
            "would take about",
        ),
        (
            lambda: simulator.simulate(
                "steepest-descent-margin.trajectory", num_steps=10**9, replicates=10**6
            ),
            "num_steps = 1000000000",
        ),
        (lambda: simulate_study(STUDY, replicates=10**12), "1000000000000 replicates at dim = 10"),
        (lambda: simulate_study(STUDY, replicates=2, dim=10**12, num_samples=10**13), "2147483647"),
        (lambda: simulate_study(STUDY, replicates=10**10, keep_values=True), "of memory, of which"),
        (lambda: check_study(STUDY, replicates=10**12), "would take about"),
        (lambda: sweep_study(STUDY, {"dim": [4, 5]}, replicates=10**12), "would take about"),
        (
            lambda: sweep_study(
                STUDY,
                {"noise_std": np.linspace(0, 1, 10_000), "num_samples": range(20, 10_020)},
                replicates=0,
            ),
            "a grid of 100000000 points would take",
        ),
        (
            lambda: check_study(
                STUDY, {"noise_std": np.linspace(0, 1, 10_000), "num_samples": range(20, 10_020)}
            ),
            "a grid of 100000000 points would take",
        ),
        (
            lambda: simulate_study(
                STUDY,
                noise_std=np.linspace(0, 1, 10_000),
                num_samples=np.arange(20, 10_020)[:, None],
                replicates=2,
            ),
            "a grid of 100000000 points would take",
        ),
    ],
)
def test_what_would_never_end_is_refused_at_once(call, words):
    start = time.process_time()
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert time.process_time() - start < 15


def test_a_refused_sweep_leaves_no_store(tmp_path):
    with pytest.raises(ValueError, match="allow_large"):
        sweep_study(STUDY, {"dim": [4]}, replicates=10**12, out=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_large_may_be_allowed(monkeypatch):
    """With every limit at nothing, all is refused, and all is computed when it is allowed."""
    monkeypatch.setattr(sizes, "LONGEST_THEORY", 0.0)
    monkeypatch.setattr(sizes, "LONGEST_SIMULATION", 0.0)
    calls = [
        lambda **more: predict_study(STUDY, **more),
        lambda **more: simulate_study(STUDY, replicates=2, **more),
        lambda **more: sweep_study(STUDY, {"dim": [10]}, replicates=2, **more),
        lambda **more: check_study(STUDY, replicates=64, dim=10, **more),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="allow_large=True"):
            call()
        with pytest.raises(ValueError, match="allow_large=True"):
            call(allow_large=False)
        assert call(allow_large=True) is not None
        with pytest.raises(ValueError, match="allow_large=True"):
            call()  # the permission ends with the call


@parameters
class Long:
    dim: int = static(4, "d", "size", at_least=1)
    num_steps: int = static(3, "n", "steps", at_least=0, traced_in=("theory",))
    scale: float = traced(1.0, "s", "scale", at_least=0)


def looped(params):
    start = params.scale * jnp.ones(params.dim)
    return {"total": jax.lax.fori_loop(0, params.num_steps, lambda _, x: 0.5 * x, start).sum()}


LONG = Study("long", "a loop", "none", Long, (Output("total", "sum", exact()),), theory=looped)


def test_loops_of_traced_length_are_counted():
    jaxpr = jax.make_jaxpr(lambda n: looped(Long(num_steps=n)))(3).jaxpr
    short, long = cost_of(jaxpr, [1]), cost_of(jaxpr, [10**6])
    assert long.steps == 10**6
    assert long.least > 10**5 * short.least / 10
    assert long.work == short.work  # which settles how many lanes make a batch
    with pytest.raises(ValueError, match="num_steps = 1000000000"):
        predict_study(LONG, num_steps=10**9)
    assert predict_study(LONG, num_steps=10)["total"] == 4 / 2**10


def test_memory_is_judged_by_the_compiled_program(monkeypatch):
    """A bound beyond what is free is no refusal: the compiler reuses and fuses what it sums."""
    monkeypatch.setattr(sizes, "free_memory", lambda: 1.0)
    assert predict_study(LONG)["total"] == 0.5  # what is small is never refused
    monkeypatch.setattr(sizes, "memory_of", lambda *_: 3e12)
    with pytest.raises(ValueError, match=r"about 3 TB of memory, of which 1e-09 GB are free"):
        predict_study(LONG, dim=5)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (10, "10 sec"),
        (300, "5 minutes"),
        (1e4, "2.78 hours"),
        (1e6, "11.6 days"),
        (1e9, "year"),
    ],
)
def test_durations_are_readable(seconds, words):
    assert words in progress.duration(seconds)


@pytest.mark.parametrize(
    ("function", "shapes", "seconds"),
    [
        (lambda a, b: a @ b, [(4000, 4000)] * 2, 1.28),
        (lambda a: jnp.linalg.cholesky(a), [(4000, 4000)], 2.1),
        (lambda a: jnp.linalg.eigh(a)[0], [(2000, 2000)], 7.2),
        (lambda a: jnp.log(a), [(10_000, 1000)], 0.032),
        (lambda a: jnp.sort(a), [(10**7,)], 0.93),
        (lambda a: jax.random.uniform(jax.random.key(0), a.shape), [(10**7,)], 0.152),
    ],
)
def test_arithmetic_counts_where_it_takes_longer_than_its_result(function, shapes, seconds):
    """In float32; the bytes of the result alone would be a thousandth of it, and less."""
    jaxpr = jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes)).jaxpr
    found = cost_of(jaxpr).least / sizes.CPU_SPEED
    assert found == pytest.approx(seconds, rel=0.1)
