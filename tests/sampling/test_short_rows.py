"""Short rows are the numbers of `jax.random`, to the bit."""

import jax
import numpy as np
import pytest

from simulator.runtime.compilation import simulation_scope
from simulator.sampling import short_rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("shape", [(64, 3), (5, 4, 2), (7, 1), (0, 3)])
def test_numbers_are_those_of_jax(kind, shape, dtype):
    with simulation_scope(dtype):
        key = jax.random.key(3, impl="threefry2x32")
        found = getattr(short_rows, kind)(key, shape)
        expected = getattr(jax.random, kind)(key, shape, float)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)
