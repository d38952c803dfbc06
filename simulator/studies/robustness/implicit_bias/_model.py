"""What the parts of arXiv 2406.04981 share: the data, the errors and the two geometries.

Array outputs over the dim ``geometry`` have the entries (l1, l2): l1 is where coordinate descent
and diagonal networks go, l2 where gradient descent goes.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array

from simulator.maths.gaussian import attacked_error
from simulator.maths.margins import MaxMargin, max_margin
from simulator.maths.norms import lp_norm

TEACHERS = ("gaussian", "signs")


def num_samples(params) -> int:
    """n = round(alpha d), at least 1."""
    return max(1, round(params.sample_ratio * params.dim))


def validate(params, side: str) -> None:
    """A training set needs at least one point."""
    if side != "theory" and round(params.sample_ratio * params.dim) < 1:
        raise ValueError(
            f"sample_ratio = {params.sample_ratio} is not allowed with dim = {params.dim}: "
            "round(sample_ratio * dim) must be at least 1"
        )


def draw_teacher(key: Array, params) -> Array:
    """``w*`` with exactly round(k d) non-zero entries: N(0, 1/k) or +-1/sqrt(k).

    They come first: the coordinates of the inputs are exchangeable.
    """
    count = jnp.maximum(jnp.round(params.teacher_density * params.dim), 1)
    if params.teacher == "gaussian":
        entries = jax.random.normal(key, (params.dim,), float)
    else:
        entries = jax.random.rademacher(key, (params.dim,), float)
    entries = entries / jnp.sqrt(params.teacher_density)
    return jnp.where(jnp.arange(params.dim) < count, entries, 0)


def signed_gaussian_inputs(key: Array, params, teacher: Array) -> Array:
    """Training rows ``y_i x_i``, ``y = sign(w*.x)``, x standard normal."""
    shape = (num_samples(params), params.dim)
    inputs = jax.random.normal(key, shape, float)
    scores = inputs @ teacher
    return jnp.where(scores < 0, -1, 1)[:, None] * inputs


def margin_directions(
    signed_inputs: Array, attack_radius_fraction: Array
) -> tuple[MaxMargin, MaxMargin, Array]:
    """The l1 solution without attack, the l2 solution under attack, and its raw radius e.

    ``e = f e_max``, ``e_max`` being the largest linf margin of this training set. The l1
    direction is the same at every ``e < e_max``.
    """
    l1 = max_margin(signed_inputs, 1)
    radius = attack_radius_fraction * l1.margin
    return l1, max_margin(signed_inputs, 2, radius), radius


def gaussian_errors(weights: Array, teacher: Array, radius: Array | float) -> Array:
    """Probability that ``y w.x <= e ||w||_1`` for a new Gaussian input: exact at any size."""
    return attacked_error(
        weights @ teacher, lp_norm(teacher, 2), lp_norm(weights, 2), radius * lp_norm(weights, 1)
    )


def cosine(weights: Array, teacher: Array) -> Array:
    return weights @ teacher / (lp_norm(weights, 2) * lp_norm(teacher, 2))


def norm_ratio(weights: Array) -> Array:
    """``||w||_1 / (sqrt(d) ||w||_2)``: 1 for weights of equal size, ``1/sqrt(d)`` for one."""
    return lp_norm(weights, 1) / (math.sqrt(weights.size) * lp_norm(weights, 2))
