"""What the parts share: groups, their moments, the errors of a classifier, and their samples.

``y = ±1``; attribute ``a = y`` with probability ``1 - minority_fraction``, else ``-y``, so
``delta = E[y a] = 1 - 2 minority_fraction``; ``x = y c e1 + a s e2 + N(0, I_d)``. Classifiers are
``sign(x.w)`` without intercept: times its label, every row has target +1, majority rows the mean
``c e1 + s e2`` and minority rows ``c e1 - s e2``.
"""

import jax
import jax.numpy as jnp
from jax import Array

from simulator.maths.gaussian import normal_cdf
from simulator.maths.slopes import ratio
from simulator.parameters import parameters, traced
from simulator.sampling.counts import multinomial
from simulator.sampling.row_types import TurnedRows, rows_of_types


@parameters
class GroupParams:
    """Parameters of the groups."""

    core_strength: float = traced(1.0, above=0)
    spurious_strength: float = traced(1.5, at_least=0)
    minority_fraction: float = traced(0.05, above=0, at_most=0.5)


def group_errors(params, core, spurious, norm) -> dict[str, Array]:
    """Errors of a ``w`` with these coordinates and norm, in closed form; 1/2 for ``w = 0``."""
    along_core = params.core_strength * ratio(core, norm)
    along_spurious = params.spurious_strength * ratio(spurious, norm)
    majority = normal_cdf(-(along_core + along_spurious))
    minority = normal_cdf(-(along_core - along_spurious))
    fraction = params.minority_fraction
    return {
        "majority_error": majority,
        "minority_error": minority,
        # Not `maximum`: where the groups tie, at the end of its range, the minority is the worse.
        "worst_group_error": jnp.where(minority >= majority, minority, majority),
        "average_error": (1 - fraction) * majority + fraction * minority,
    }


def group_means(params, dim: int) -> Array:
    """Means of majority and minority rows, times the label; shape (2, dim)."""
    sign = jnp.asarray([1.0, -1.0], float)
    means = jnp.zeros((2, dim), float).at[:, 0].set(params.core_strength)
    return means.at[:, 1].set(sign * params.spurious_strength)


def drawn_sets(key: Array, params) -> tuple[Array, Array]:
    """Rows of the training set and of the balanced set, times their labels."""
    keys = jax.random.split(key, 3)
    train, group = params.num_samples, params.num_group_samples
    means = group_means(params, params.dim)
    minority = jax.random.uniform(keys[0], (train,), float) < params.minority_fraction
    inputs = jax.random.normal(keys[1], (train, params.dim), float) + means[minority.astype(int)]
    balanced = jax.random.normal(keys[2], (group, params.dim), float) + means[jnp.arange(group) % 2]
    return inputs, balanced


def turned_sets(key: Array, params) -> tuple[TurnedRows, TurnedRows]:
    """The same law up to a turn of each set's rows, from the number of minority samples."""
    key_counts, key_train, key_group = jax.random.split(key, 3)
    fraction = params.minority_fraction
    drawn = multinomial(key_counts, params.num_samples, jnp.stack([1 - fraction, fraction]))
    half = jnp.full(2, params.num_group_samples // 2)
    means, one = group_means(params, params.dim), jnp.ones(2, float)
    return (
        rows_of_types(key_train, drawn, means, one),
        rows_of_types(key_group, half, means, one),
    )


def second_moment(params, delta) -> Array:
    """``C = E[x x']`` on ``(e1, e2)`` where label and attribute have correlation ``delta``."""
    c, s = params.core_strength, params.spurious_strength
    cross = delta * c * s
    return jnp.stack([jnp.stack([1 + c**2, cross]), jnp.stack([cross, 1 + s**2])])


def first_moment(params, delta) -> Array:
    """``v = E[y x]`` on ``(e1, e2)``."""
    return jnp.stack([params.core_strength + 0 * delta, delta * params.spurious_strength])
