"""Mathematics is tested in strict modes: no dtype and no rank is promoted without a word."""

import jax
import pytest


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def float64():
    """For modules whose every number is float64: they ask for it by ``pytestmark``."""
    with jax.enable_x64(True):
        yield
