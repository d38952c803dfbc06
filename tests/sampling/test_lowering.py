"""Every sampler lowers for TPU, GPU and CPU in single precision, with the sample size traced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulator.sampling.bidiagonal import isotropic_ridge, squared_bidiagonal
from simulator.sampling.gamma import chi
from simulator.sampling.increments import least_squares_increment
from simulator.sampling.trapezoid import trapezoidal_factor

RIDGES = np.array([0.0, 0.1], np.float32)
SAMPLERS = {
    "chi": lambda key, n: chi(key, n - jnp.arange(6)),
    "trapezoid": lambda key, n: trapezoidal_factor(key, n, 6),
    "bidiagonal": lambda key, n: isotropic_ridge(squared_bidiagonal(key, n, 6), n, RIDGES),
    "increments": lambda key, n: least_squares_increment(key, n, 6, 3),
}


# What depends on the platform does not lower for TPU and others at once.
@pytest.mark.parametrize("platforms", [("tpu",), ("cuda", "cpu")])
@pytest.mark.parametrize("name", SAMPLERS)
def test_lowers_in_single_precision(name, platforms):
    batched = jax.jit(jax.vmap(SAMPLERS[name], (0, None)))
    keys = jax.random.split(jax.random.key(0), 3)
    exported = jax.export.export(batched, platforms=platforms)(keys, np.int32(9))
    assert "f64" not in exported.mlir_module()
