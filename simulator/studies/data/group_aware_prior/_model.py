"""What the parts share: groups, their moments, the errors of a classifier, and their samples.

``y = ±1``; attribute ``a = y`` with probability ``1 - minority_fraction``, else ``-y``, so
``delta = E[y a] = 1 - 2 minority_fraction``; ``x = y c e1 + a s e2 + N(0, I_d)``. Classifiers are
``sign(x.w)`` without intercept: times its label, every row has target +1, majority rows the mean
``c e1 + s e2`` and minority rows ``c e1 - s e2``.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import block_diag

from simulator.maths.centred import centred_products
from simulator.maths.gaussian import normal_cdf
from simulator.maths.slopes import ratio
from simulator.parameters import parameters, traced
from simulator.sampling.counts import multinomial
from simulator.sampling.row_types import TurnedRows, rows_of_types
from simulator.study import CONTROLS


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


# --------------------------------------------------------------------------------------------
# Control variates: moments of the two sets, of which a fit is made
# --------------------------------------------------------------------------------------------
Set = tuple[Array, Array]  # rows and targets, turned or not


def with_moments(params, outputs: dict, train: Set, group: Set) -> dict:
    """The outputs, beside moments of both sets minus their means."""
    sizes = params.num_samples * 1.0, params.num_group_samples * 1.0
    deltas = 1 - 2 * params.minority_fraction, 0 * params.minority_fraction
    parts = [
        _moments(params, rows, targets, size, delta)
        for (rows, targets), size, delta in zip((train, group), sizes, deltas, strict=True)
    ]
    sums = jnp.concatenate([sums for _, sums, _ in parts])
    covariance = block_diag(*[expected for _, _, expected in parts])
    products = jnp.sum(centred_products(sums.T, covariance), axis=0)
    return outputs | {
        CONTROLS: {"moments": jnp.concatenate([*(moments for moments, _, _ in parts), products])}
    }


def _moments(params, rows, targets, size, delta) -> tuple[Array, Array, Array]:
    """Moments of targets, the two coordinates and the noise in the others.

    Moments of the first minus their means, with the variance of the noise; products of the first
    with the noise, (3, noise), which have mean 0; and the covariance of these.
    """
    first = jnp.concatenate([targets[:, None], rows[:, :2]], axis=1)
    noise = rows[:, 2:]
    v = first_moment(params, delta)
    expected = jnp.block([[jnp.ones((1, 1)), v[None]], [v[:, None], second_moment(params, delta)]])
    found = (first.T @ first / size - expected)[np.triu_indices(3)][1:]  # targets are ±1
    variance = jnp.sum(noise**2) / size - noise.shape[1]
    moments = jnp.concatenate([found, variance[None]])
    return moments, first.T @ noise / jnp.sqrt(size), expected
