"""The group-aware prior as an objective for any model: a pure function of parameters and batches.

    J(theta) = L(theta; train) + weight * L(theta + eps; group) + decay |theta|^2,
    eps = radius g/|g|,   g = grad L(theta; group),

``L`` a mean loss. The group batch comes from a small group-labelled set, resampled so that all
groups count alike (`balanced_rows`). It is the MAP estimate of arXiv 2403.09869 for ``weight =
tau_c/N`` and ``decay = tau/(2 N)``. Parameters are any pytree, so those of a flax model too, and
``jax.grad`` of it feeds any optax optimiser:

>>> objective = group_aware_objective(loss, weight=1.0, radius=0.05)
>>> slope = jax.grad(objective)(params, batch, group_batch)
>>> updates, state = optimiser.update(slope, state, params)

(the last layer only: `optax.masked`, or let ``loss`` take the last layer's parameters).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from simulator.maths.slopes import ratio

#: ``(params, batch) -> scalar``, a mean over the batch.
Loss = Callable[[Any, Any], Array]


def group_cost(
    loss: Loss, params: Any, group_batch: Any, radius: Any = 0.0, *, differentiated: bool = False
) -> Array:
    """``L(theta + eps; group)``, the loss after the worst small step to first order.

    Parameters
    ----------
    loss : function ``(params, batch) -> scalar``
    params, group_batch : pytrees
    radius : scalar >= 0
        Euclidean length of the step over all parameters; no step where the gradient vanishes.
    differentiated : bool
        Whether derivatives see the step, which costs second derivatives of the loss; the usual
        choice is that they do not.
    """
    slope = jax.grad(loss)(params, group_batch)
    # The square first: the norm of a vanishing gradient has no derivative.
    square = optax.tree.norm(slope, squared=True)
    size = jnp.sqrt(jnp.where(square > 0, square, 1))
    scale = ratio(radius * jnp.where(square > 0, 1.0, 0.0), size)
    step = jax.tree.map(lambda g: scale * g, slope)
    step = step if differentiated else lax.stop_gradient(step)
    return loss(jax.tree.map(jnp.add, params, step), group_batch)


def group_aware_objective(
    loss: Loss,
    *,
    weight: Any,
    radius: Any = 0.0,
    decay: Any = 0.0,
    differentiated: bool = False,
) -> Callable[[Any, Any, Any], Array]:
    """``(params, train_batch, group_batch) -> J``, pure, for ``jax.grad``, ``jit`` and optax.

    Parameters
    ----------
    loss : function ``(params, batch) -> scalar``
    weight : scalar >= 0
        ``k`` of ``group-aware-prior``.
    radius, differentiated
        As in `group_cost`.
    decay : scalar >= 0
        Next to the squared norm of all parameters.
    """

    def objective(params: Any, train_batch: Any, group_batch: Any) -> Array:
        cost = group_cost(loss, params, group_batch, radius, differentiated=differentiated)
        norm = optax.tree.norm(params, squared=True)
        return loss(params, train_batch) + weight * cost + decay * norm

    return objective


def balanced_rows(key: Array, groups: Array, count: int, num_groups: int) -> Array:
    """``count`` row numbers, every group as often as any other; with replacement within groups.

    Parameters
    ----------
    groups : array (rows,)
        Whole numbers below ``num_groups``, each of which occurs.
    """
    key_order, key_rows = jax.random.split(key)
    wanted = jax.random.permutation(key_order, jnp.arange(count) % num_groups)
    there = groups[None] == wanted[:, None]
    return jax.random.categorical(key_rows, jnp.where(there, 0.0, -jnp.inf), axis=1)
