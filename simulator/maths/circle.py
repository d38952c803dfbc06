"""Users and items on a circle: tastes that differ from user to user, without any randomness."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

GOLDEN = 0.6180339887498949  # of a turn: no number of items comes round to where they began


def closeness(num_users: int, num_items: int) -> Float[Array, "users items"]:
    """``cos(2 pi ((i + 1/2)/n - golden j))``: how near item j lies to user i, of n.

    The angles grow with the number of items: they are float64 whatever the scope.
    """
    user = (np.arange(num_users)[:, None] + 0.5) / num_users
    item = GOLDEN * np.arange(num_items)
    return jnp.asarray(np.cos(2 * np.pi * (user - item)), float)
