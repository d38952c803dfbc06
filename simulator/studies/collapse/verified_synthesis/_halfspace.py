"""Generator and verifier that are halfspaces: geometry, moments of what is kept, and its samplers.

Coordinates ``t`` of an input along ``(w*, e2, e3)``, with ``w_gen = (cos tg, sin tg, 0)`` and
``w_prune = (cos tp, sin tp cos az, sin tp sin az)``; the other ``d - 3`` are noise. In the mixture
inputs and labels may be turned to class +1; Gaussian inputs need no turning. So in both laws
``t ~ N((|mu|, 0, 0), I_3)`` with synthetic label ``sign(t.w_gen)``.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from simulator.maths.slopes import at_least, ratio, square_root
from simulator.maths.wedge import wedge_moments
from simulator.sampling.row_types import followed_by_noise, ridge_fit

_CHUNK = 1024  # inputs drawn at a time
#: Standard deviations beyond which an event has too small a chance (1e-283) to be conditioned on.
_FARTHEST = 36.0


class Geometry(NamedTuple):
    """Two unit vectors of R^3, and the plane that they span."""

    generator: Array  # (3,) w_gen = u
    verifier: Array  # (3,) w_prune = cos(angle) u + sin(angle) e
    across: Array  # (3,) e
    angle: Array  # between them, in [0, pi]


def geometry(generator_angle, verifier_angle, azimuth) -> Geometry:
    """Unit vectors and their angle, without loss of digits where they nearly agree."""
    cg, sg = jnp.cos(generator_angle), jnp.sin(generator_angle)
    cp, sp = jnp.cos(verifier_angle), jnp.sin(verifier_angle)
    ca, sa = jnp.cos(azimuth), jnp.sin(azimuth)
    zero = jnp.zeros_like(cg)
    generator = jnp.stack([cg, sg, zero])
    verifier = jnp.stack([cp, sp * ca, sp * sa])
    # The verifier across the generator, in the frame (-sin tg, cos tg, 0), (0, 0, 1).
    inside, beside = cg * sp * ca - sg * cp, sp * sa
    sin = square_root(inside**2 + beside**2)
    parallel = sin == 0
    safe = jnp.where(parallel, 1, sin)
    cos_turn, sin_turn = jnp.where(parallel, 1, inside / safe), beside / safe
    across = jnp.stack([-sg * cos_turn, cg * cos_turn, sin_turn])
    cos = cg * cp + sg * sp * ca
    return Geometry(generator, verifier, across, jnp.arctan2(sin, cos))


def may_agree_and_disagree(
    generator_angle, verifier_angle, azimuth, signal_norm=0.0
) -> tuple[Any, Any]:
    """Whether the halfspaces ever agree, and ever disagree, up to rounding.

    Not if they are opposite, or equal; nor if the mean is too far from the nearer of their edges.
    Plain numbers stay with NumPy: many points are validated one by one.
    """
    angles = generator_angle, verifier_angle, azimuth
    if any(isinstance(value, jax.core.Tracer) for value in (*angles, signal_norm)):
        angle = geometry(*angles).angle
        cg, cp = jnp.cos(generator_angle), jnp.cos(verifier_angle)
    else:
        (cg, cp, ca), (sg, sp, sa) = np.cos(angles), np.sin(angles)
        across = np.hypot(cg * sp * ca - sg * cp, sp * sa)
        angle = np.arctan2(across, cg * cp + sg * sp * ca)
    rounding = 8 * jnp.finfo(angle.dtype).eps
    near = (signal_norm * abs(cg) < _FARTHEST) | (signal_norm * abs(cp) < _FARTHEST)
    agree_at_mean = cg * cp > 0
    return (
        (angle < math.pi - rounding) & (near | agree_at_mean),
        (angle > rounding) & (near | ~agree_at_mean),
    )


class Kept(NamedTuple):
    """Moments of what the verifier keeps."""

    sides: Array  # (4,) probabilities of (generator's, verifier's) side: ++, --, +-, -+
    rate: Array  # pi
    first: Array  # (3,) E[y' t | kept]
    second: Array  # (3, 3) E[t t' | kept]


def kept_moments(where: Geometry, signal_norm, keep_agree, keep_disagree) -> Kept:
    """Sums over the four sides of the two halfspaces, of which two agree; exact."""
    zero = jnp.zeros_like(where.angle)
    mean = jnp.stack([signal_norm + zero, zero, zero])

    def side(generator_sign, verifier_sign):
        agree = generator_sign * verifier_sign
        return wedge_moments(
            mean,
            generator_sign * where.generator,
            verifier_sign * where.across,
            jnp.where(agree > 0, where.angle, jnp.pi - where.angle),
        )

    signs = jnp.asarray([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]], float)
    probability, first, second = jax.vmap(side)(signs[:, 0], signs[:, 1])
    weight = jnp.stack([keep_agree + zero] * 2 + [keep_disagree + zero] * 2)
    # From the rarer side: exact where all are kept, which shows if a fit has as many dimensions.
    agree, disagree = probability[0] + probability[1], probability[2] + probability[3]
    rate = jnp.where(
        disagree < agree,
        keep_agree + (keep_disagree - keep_agree) * disagree,
        keep_disagree + (keep_agree - keep_disagree) * agree,
    )
    return Kept(
        probability,
        rate,
        (weight * signs[:, 0]) @ first / rate,
        jnp.einsum("s,skl->kl", weight, second) / rate,
    )


class Confusion(NamedTuple):
    """Who is right how often, with respect to the true label."""

    both_right: Array
    both_wrong: Array
    generator_right: Array  # and the verifier's halfspace is not
    verifier_right: Array


def confusion(
    sides: Array, angle, signal_norm, generator_angle, verifier_angle, azimuth
) -> Confusion:
    """Probabilities of the four cases, in the mixture those of `Kept.sides`.

    The law of the inputs, and with it what is right, jumps at ``signal_norm = 0``.
    """
    tg, tp, t, full = generator_angle, verifier_angle, angle, 2 * jnp.pi
    opposite = jnp.sin(tg) * jnp.sin(tp) * jnp.cos(azimuth / 2) ** 2
    gaussian = (
        _sum_minus_third(jnp.pi - tg, jnp.pi - tp, t, opposite),
        _sum_minus_third(tg, tp, t, opposite),
        at_least(tp + t - tg, 0),
        at_least(tg + t - tp, 0),
    )
    return Confusion(
        *(
            jnp.where(signal_norm > 0, mixed, angle / full)
            for mixed, angle in zip(sides, gaussian, strict=True)
        )
    )


def _sum_minus_third(first, second, third, product):
    """``first + second - third`` of the sides of a spherical triangle, to its last digits near 0.

    ``sin((a + b - c)/2) sin((a + b + c)/2) = sin a sin b cos(C/2)^2``, the ``product``.
    """
    other = jnp.sin((first + second + third) / 2)
    sine = ratio(product, other, 1)
    small = (sine < 0.1) & (first + second < jnp.pi)
    precise = 2 * jnp.arcsin(jnp.where(small, sine, 0))
    return jnp.where(small, precise, at_least(first + second - third, 0))


# --------------------------------------------------------------------------------------------
# One fit
# --------------------------------------------------------------------------------------------
class Drawn(NamedTuple):
    """One selected set: what is needed of its special coordinates, and how often who was right."""

    moments: Array  # (4, 4) sum over kept rows of (t, y') (t, y')'
    numbers: Array  # (2, 2) inputs by (generator right, kept)


def draw_set(key, count, where: Geometry, signal_norm, keep_agree, keep_disagree) -> Drawn:
    """The special coordinates of ``count`` inputs, a chunk at a time (``count`` may be traced)."""

    def draw_chunk(chunk, drawn):
        wanted = jnp.arange(_CHUNK) < count - chunk * _CHUNK
        key_inputs, key_verifier = jax.random.split(jax.random.fold_in(key, chunk))
        t = jax.random.normal(key_inputs, (_CHUNK, 3), float).at[:, 0].add(signal_norm)
        label, right, chance = judged(t, where, signal_norm, keep_agree, keep_disagree)
        kept = wanted & (jax.random.uniform(key_verifier, (_CHUNK,), float) < chance)
        rows = jnp.where(kept[:, None], jnp.concatenate([t, label[:, None]], axis=1), 0)
        return Drawn(drawn.moments + rows.T @ rows, drawn.numbers + tabled(wanted, right, kept))

    nothing = Drawn(jnp.zeros((4, 4), float), jnp.zeros((2, 2), float))
    chunks = (count - 1) // _CHUNK + 1  # no product passes the largest integer
    return lax.fori_loop(0, chunks, draw_chunk, nothing)


def judged(t, where: Geometry, signal_norm, keep_agree, keep_disagree):
    """Synthetic labels, whether they are right, and their chance to be kept."""
    label = _sign(t @ where.generator)
    truth = jnp.where(signal_norm > 0, 1, _sign(t[:, 0]))
    agree = _sign(t @ where.verifier) == label
    return label, label == truth, jnp.where(agree, keep_agree, keep_disagree)


def tabled(wanted, right, kept) -> Array:
    """How many of the wanted inputs are (wrong, right) x (dropped, kept)."""
    cell = jnp.stack(
        [wanted & (right == r) & (kept == k) for r in (False, True) for k in (False, True)]
    )
    return jnp.sum(cell, axis=1, dtype=float).reshape(2, 2)


def _sign(x):
    return jnp.where(x < 0, -1.0, 1.0).astype(x.dtype)


def fit_on_set(key, drawn: Drawn, dim: int, ridge) -> Array:
    """Weights of ridge regression on the set, its noise coordinates drawn now; shape (dim,).

    Turned so that only four rows have special coordinates or targets: any four with the set's
    moments serve, as many of them as there are rows.
    """
    key_noise, key_rest = jax.random.split(key)
    count = jnp.sum(drawn.numbers[:, 1])
    values, vectors = jnp.linalg.eigh(drawn.moments)
    there = jnp.arange(4) < count
    root = jnp.where(there, square_root(values[::-1]), 0)[:, None] * vectors[:, ::-1].T
    noise = jnp.where(there[:, None], jax.random.normal(key_noise, (4, dim - 3), float), 0)
    leading = jnp.concatenate([root[:, :3], noise], axis=1)
    active = jnp.minimum(count, 4).astype(jnp.int32)
    turned = followed_by_noise(key_rest, leading, root[:, 3], active, count, noise_from=3)
    return ridge_fit([turned], [1 / jnp.maximum(count, 1)], ridge)
