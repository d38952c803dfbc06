"""Settings of the test application, made before JAX is imported."""

import gc
import itertools
import os
from importlib.metadata import version
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

import tests.checked  # noqa: F401  the hook finds it by its name

# The suite compiles hundreds of small programs and runs each for a moment. Parts of a program that
# are compiled in parallel cost more in all, and its workers are as many as the cores.
FAST_COMPILATION = [
    "--xla_backend_optimization_level=0",
    "--xla_cpu_parallel_codegen_split_count=1",
]
if version("jaxlib").startswith("0.10."):  # XLA aborts on a flag that a version does not know
    FAST_COMPILATION.append("--xla_cpu_use_fusion_emitters=false")

SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "NPROC": "8",  # XLA's thread pool: on two threads LAPACK calls can starve each other
    "XLA_FLAGS": " ".join(FAST_COMPILATION),
    "JAX_COMPILATION_CACHE_DIR": str(Path.home() / ".cache" / "theory-simulator"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "JAX_TRACEBACK_IN_LOCATIONS_LIMIT": "0",  # where a program was written: nobody looks
}
for _name, _value in SETTINGS.items():
    os.environ.setdefault(_name, _value)

# What signatures say of shapes and dtypes is checked wherever the suite calls mathematics.
install_import_hook(["simulator.maths", "simulator.sampling"], "tests.checked.signatures")

# A worker holds millions of objects of compiled programs, and looking through them for cycles again
# and again took a fifth of its time.
gc.set_threshold(500_000, 50, 100)


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, default=0, help="seed of the slow statistical tests")
    parser.addoption(
        "--study",
        help="all that there is for one study: every method, slow tests, a thousand points of its "
        "box, and the tests of its paper",
    )


def pytest_configure(config):
    study = config.getoption("--study")
    if study is None:
        return
    from simulator.registry import names
    from simulator.spelling import suggestion

    if study not in names():
        raise pytest.UsageError(f"--study: there is no study {study}{suggestion(study, names())}")
    config.option.markexpr = ""  # slow tests, too


def _concerns(item, study):
    """Whether a test is one of the battery for the study, or one of its paper's own."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if "name" in params:
        return params["name"] == study
    paper = study.partition(".")[0].replace("-", "_")
    return f"{item.path.stem}_".startswith(f"test_{paper}_")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config, items):
    """Tests of one file share a worker and its programs, unless they are grouped already."""
    study = config.getoption("--study")
    if study is not None:
        others = [item for item in items if not _concerns(item, study)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _concerns(item, study)]
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    result = yield
    if getattr(config.option, "loadgroup", False):
        for item in items:  # else every worker compiles the programs of every study
            assert item.nodeid.endswith(f"@{_group(item)}"), "pytest-xdist does not group tests"
    return result


@pytest.fixture(scope="session")
def seed(request):
    """Seed of the slow statistical tests; printed, so that a failure can be repeated."""
    value = request.config.getoption("--seed")
    print(f"--seed {value}")
    return value


@pytest.fixture
def optimised(monkeypatch):
    """For a test whose simulations run longer than it takes to optimise their programs."""
    from simulator.engine import program
    from simulator.runtime.compilation import CPU_OPTIONS

    options = CPU_OPTIONS | {"xla_backend_optimization_level": 1}
    monkeypatch.setattr(program, "compiler_options", lambda platform: options)


_tests = itertools.count()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Drop the programs of a group when it is done, and at any time if they are too many.

    A worker full of old programs is slow, and the kernel allows a process 65,530 memory maps.
    """
    done = nextitem is None or _group(nextitem) != _group(item)
    maps = Path("/proc/self/maps")
    # Counting takes longer than many a test: every tenth time.
    if (next(_tests) % 10 and not done) or not maps.exists():
        return
    if maps.read_bytes().count(b"\n") > (5000 if done else 20_000):
        import jax

        from simulator.engine import program, theory
        from simulator.search import objective

        for module in (objective, program, theory):
            module._compiled.cache_clear()
        jax.clear_caches()
        gc.collect()


def _group(item):
    return item.get_closest_marker("xdist_group").args[0]
