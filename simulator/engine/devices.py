"""Does a device compute rightly? One simulation with an exactly known mean tells, before others.

Some releases of JAX and of drivers compute wrong numbers on some accelerators, without a word.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from simulator.runtime.compilation import compiler_options, local_devices, simulation_scope

ROWS, COLUMNS, REPLICATES = 64, 8, 4096
DEVIATION = 6.0  # standard errors, of a right device once in 5e8 programs


class WrongDevice(RuntimeError):
    """A device computes wrong numbers."""


def check_accelerators(dtype: str) -> None:
    """Check every local device that is no CPU, each once in a process.

    Raises
    ------
    WrongDevice
    """
    for device in local_devices():
        if device.platform != "cpu":
            check_device(device, dtype)


@functools.cache
def check_device(device: jax.Device, dtype: str) -> None:
    """Compare a simulated mean with the known one.

    ``tr (X^T X)^-1`` of ``n x d`` normal numbers has the mean ``d/(n - d - 1)``: random numbers,
    products, a factorisation and sums take part.
    """
    with simulation_scope(dtype), jax.default_device(device):
        keys = jax.random.split(jax.random.key(0, impl="threefry2x32"), REPLICATES)
        simulated = jax.jit(
            jax.vmap(inverse_trace), compiler_options=compiler_options(device.platform)
        )
        values = np.asarray(simulated(keys), np.float64)
    expected = COLUMNS / (ROWS - COLUMNS - 1)
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(REPLICATES)
    if not abs(mean - expected) <= DEVIATION * error:
        raise WrongDevice(
            f"{device} computes wrong numbers in {dtype}: a simulation whose mean is "
            f"{expected:.6g} gave {mean:.6g} ± {error:.1g}. Take another release of JAX or of the "
            "driver, or the CPU (JAX_PLATFORMS=cpu)"
        )


def inverse_trace(key: jax.Array) -> jax.Array:
    """One replicate."""
    rows = jax.random.normal(key, (ROWS, COLUMNS), float)
    factor = jnp.linalg.cholesky(rows.T @ rows)
    inverse = jax.scipy.linalg.solve_triangular(factor, jnp.eye(COLUMNS, dtype=float), lower=True)
    return jnp.sum(inverse**2)
