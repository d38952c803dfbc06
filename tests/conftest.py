"""Settings of the test application, made before JAX is imported."""

import os

import pytest

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, default=0, help="seed of the slow statistical tests")


@pytest.fixture(scope="session")
def seed(request):
    """Seed of the slow statistical tests; printed, so that a failure can be repeated."""
    value = request.config.getoption("--seed")
    print(f"--seed {value}")
    return value
