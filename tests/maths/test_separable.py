"""Proximal maps of separable penalties, at the points where their derivatives begin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.maths.separable import power


@pytest.mark.parametrize("order", [1.5, 2.0, 3.0])
def test_derivatives_of_a_power_at_zero_are_those_beside_it(order, float64):
    """Where they were zero, a coordinate that nothing else moves had a singular Newton step."""

    def both(vector):
        return jnp.stack(power(vector, 0.7, jnp.log(0.3), order))

    at_zero, beside = (jax.jacfwd(both)(jnp.array(x)) for x in (0.0, 1e-9))
    np.testing.assert_allclose(at_zero, beside, atol=1e-4)
    np.testing.assert_array_equal(both(jnp.array(0.0)), 0)
    # The minimiser and its slope times the step make up the vector.
    np.testing.assert_allclose(at_zero[0] + 0.7 * at_zero[1], 1, rtol=1e-12)
