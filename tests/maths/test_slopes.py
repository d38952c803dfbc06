"""Values at the ends of ranges keep the slope of the formula beside them."""

import jax
import jax.numpy as jnp
import numpy as np

from simulator.maths.slopes import at_least, at_most, only_slope, ratio, square_root


def value_and_slope(function, x):
    value, slope = jax.value_and_grad(function)(x)
    return float(value), float(slope)


def test_only_slope():
    assert value_and_slope(lambda x: only_slope(x**2), 3.0) == (0, 6)
    assert value_and_slope(lambda x: only_slope(jnp.where(x > 0, jnp.inf, x)), 3.0) == (0, 0)


def test_clamps_keep_the_slope():
    for x in (-1.0, 0.0, 0.25):
        assert value_and_slope(lambda x: at_least(3 * x, 0.75), x) == (0.75, 3)
        assert value_and_slope(lambda x: at_most(3 * x, -4.0), x) == (-4, 3)
    assert value_and_slope(lambda x: at_least(3 * x, 0.75), 1.0) == (3, 3)
    assert value_and_slope(lambda x: at_most(3 * x, jnp.inf), 1.0) == (3, 3)


def test_square_root_and_ratio_are_flat_where_they_end():
    assert value_and_slope(square_root, 0.0) == (0, 0)
    assert value_and_slope(square_root, 4.0) == (2, 0.25)
    assert value_and_slope(lambda x: ratio(1.0, x, otherwise=5), 0.0) == (5, 0)
    assert value_and_slope(lambda x: ratio(1.0, x), 0.5) == (2, -4)
    np.testing.assert_array_equal(ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])), [0.5, 0])
