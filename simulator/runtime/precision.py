"""The floating-point precision of the surrounding scope.

The library never changes JAX's global configuration. Its public entry points open a scope
(``jax.enable_x64``) in the precision that was asked for, and every array created inside takes
that precision from here.
"""

import jax.numpy as jnp


def float_dtype() -> jnp.dtype:
    """Floating dtype of the scope: float64 inside ``jax.enable_x64(True)``, else float32."""
    return jnp.result_type(float)
