"""A regularised robust empirical risk, with a lower bound of its minimum (see `robust_erm`)."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax.nn import sigmoid
from jax.scipy.special import entr
from jaxtyping import Array, Float, Int

from simulator.maths.proximal import loss_value
from simulator.maths.slopes import square_root
from simulator.runtime.shapes import Numbers


class RobustFit(NamedTuple):
    """Minimiser with its certificate: ``objective (1 - relative_gap) <= min P <= objective``."""

    weights: Float[Array, " dim"]
    objective: Float[Array, ""]
    relative_gap: Float[Array, ""]
    steps: Int[Array, ""]

    @property
    def residual(self) -> Numbers:
        """The relative gap in units of what its precision allows: the same bound fits all.

        Scaled like ``sqrt(eps)``, 1e-8 refuses gaps of 1e-8 in float64 and 2e-4 in float32.
        """
        rounding = float(jnp.finfo(self.objective.dtype).eps)
        return self.relative_gap * math.sqrt(2.0**-52 / rounding)


class RobustErm(NamedTuple):
    data: Array  # (n, d)
    radius: Array
    penalty: Array  # (d,)
    spread: Array  # (d,) S
    order: float
    loss: str
    attack: str

    @property
    def split(self) -> bool:
        return self.attack == "linf" or self.order < 2


class Point(NamedTuple):
    """Iterate. ``z`` is (u, v), or ``w`` where nothing is split; ``reduced`` are the multipliers
    of ``z >= 0``. Only the hinge uses the rest: ``xi`` and the multipliers ``a`` of
    ``t + xi >= 1`` and ``b`` of ``xi >= 0``."""

    z: Array
    reduced: Array
    xi: Array
    a: Array
    b: Array


def weights_of(problem: RobustErm, z) -> Array:
    if not problem.split:
        return z
    u, v = jnp.split(z, 2)
    return u - v


def size_of(problem: RobustErm, w) -> Array:
    """``N(w)``."""
    if problem.attack == "linf":
        return jnp.abs(w).sum()
    return square_root(jnp.sum(problem.spread * w**2))


def damage(problem: RobustErm, z) -> Array:
    """``e N``, as a smooth function of ``z``."""
    size = z.sum() if problem.attack == "linf" else size_of(problem, weights_of(problem, z))
    return problem.radius * size


def penalty_of(problem: RobustErm, z, derivative: int = 0) -> Array:
    """``lambda |z|^r`` entry by entry, or its first or second derivative."""
    weight = jnp.tile(problem.penalty, len(z) // len(problem.penalty))
    r, size = problem.order, jnp.abs(z)
    if derivative == 0:
        return weight * size**r
    if derivative == 1:
        return weight * r * jnp.sign(z) * size ** (r - 1)
    return weight * r * (r - 1) * size ** (r - 2) if r > 1 else jnp.zeros_like(z)


def start(problem: RobustErm) -> tuple[Point, Array]:
    """A mean direction of unit size, where ``N`` is smooth."""
    mean = problem.data.sum(axis=0)
    w = mean / jnp.sqrt(jnp.mean(mean**2))
    z = jnp.concatenate([w + jnp.abs(w), jnp.abs(w) - w]) / 2 + 1 if problem.split else w
    margins = problem.data @ w - damage(problem, z)
    xi = jnp.maximum(1 - margins, 0) + 1
    half = jnp.full_like(xi, 0.5)
    pull = pull_of(problem, half, problem.data.T @ half, w)
    scale = jnp.abs(pull).mean() + penalty_of(problem, z, 1).mean()
    mu = scale if problem.split else jnp.ones_like(scale)
    reduced = mu / z if problem.split else jnp.ones_like(z)
    return Point(z, reduced, xi, half, half), mu


def pull_of(problem: RobustErm, a, pulled, w) -> Array:
    """``pulled - e s sum(a)``, where ``pulled = Z^T a``, with the subgradient ``s`` of ``N`` that
    leaves least to the penalty: soft thresholding (linf), or else the gradient at ``w``."""
    attack = problem.radius * a.sum()
    if problem.attack == "linf":
        return jnp.sign(pulled) * jnp.maximum(jnp.abs(pulled) - attack, 0)
    size = size_of(problem, w)
    return pulled - attack * problem.spread * w / jnp.where(size > 0, size, 1)


def certify(problem: RobustErm, point: Point) -> RobustFit:
    """Certificate of an iterate, whose small weights are zero."""
    kept = jnp.where(point.z > point.reduced, point.z, 0) if problem.split else point.z
    w = weights_of(problem, kept)
    raw = problem.data @ w
    margins = raw - problem.radius * size_of(problem, w)
    a = sigmoid(-margins) if problem.loss == "logistic" else jnp.clip(point.a, 0, 1)
    return certificate(problem, w, raw, a, problem.data.T @ a)


def certificate(problem: RobustErm, w, raw, a, pulled) -> RobustFit:
    """Primal value of ``w`` (or of 0, if that is better) and a lower bound from ``a``.

    The data enter by ``raw = Z w`` and ``pulled = Z^T a``.
    """
    margins = raw - problem.radius * size_of(problem, w)
    value = loss_value(problem.loss, margins).sum() + penalty_of(problem, w).sum()
    at_zero = loss_value(problem.loss, jnp.zeros_like(margins)).sum()
    bound = _lower_bound(problem, a, pull_of(problem, a, pulled, w))
    if problem.attack == "l2":
        # Near w = 0 the gradient of N is undecided; shrinking the pull itself decides it.
        strength = jnp.linalg.norm(pulled / jnp.sqrt(problem.spread))
        attack = problem.radius * a.sum()
        left = jnp.maximum(1 - attack / jnp.where(strength > 0, strength, 1), 0)
        bound = jnp.maximum(bound, _lower_bound(problem, a, left * pulled))
    zero = at_zero <= value
    value = jnp.where(zero, at_zero, value)
    gap = (value - bound) / value
    return RobustFit(
        jnp.where(zero, 0, w),
        value,
        jnp.where(jnp.isfinite(gap), jnp.maximum(gap, 0), jnp.inf),
        jnp.zeros((), jnp.int32),
    )


def _lower_bound(problem: RobustErm, a, pull) -> Array:
    """``sum H(a) - R*(pull)``; for r = 1 after shrinking ``a`` until ``|pull| <= lambda``."""
    r, weight = problem.order, problem.penalty
    if r == 1:
        a = a / jnp.maximum(jnp.max(jnp.abs(pull) / weight), 1)
        conjugate = jnp.zeros_like(pull)
    else:
        conjugate = (r - 1) * weight * (jnp.abs(pull) / (r * weight)) ** (r / (r - 1))
    entropy = a if problem.loss == "hinge" else entr(a) + entr(1 - a)
    return entropy.sum() - conjugate.sum()
