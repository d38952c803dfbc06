"""Minimising a training loss plus a worst-case perturbed group loss, in a few dimensions.

    J(w) = L_train(w) + k L_group(w + eps) + ridge |w|²,   eps = rho g/|g|,  g = grad L_group(w),

``eps`` held constant in the gradient: the solution is the root of

    F(w) = grad L_train(w) + k grad L_group(w + rho g/|g|) + 2 ridge w,

or, from a critical radius on, the group-balanced optimum ``w_b`` itself: the perturbation is an
exact penalty. With ``b = grad L_train(w_b) + 2 ridge w_b`` the critical radius is the norm of the
solution ``v`` of ``k grad L_group(w_b + v) = -b``, infinite where there is none.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.scipy.optimize import minimize

from simulator.maths.roots import increasing_root
from simulator.maths.slopes import square_root

Loss = Callable[[Array], Array]

_STAGES = 20  # of the continuation in rho
_NEWTON_STEPS = 5


class Quadratic(NamedTuple):
    """``w'C w - 2 v.w + 1``, a mean-square loss."""

    second: Array  # (dim, dim) C
    first: Array  # (dim,) v


class Solution(NamedTuple):
    weights: Array  # (dim,)
    critical_radius: Array


def quadratic_solution(train: Quadratic, group: Quadratic, weight, ridge, radius) -> Solution:
    """Squared losses, exactly: one scalar equation.

    With ``w = w_b + r C_b^-1 e``, ``|e| = 1``, ``q = (C + ridge) w_b - v`` and
    ``H = C + k C_b + ridge`` the equation reads ``[r H C_b^-1 + k rho C_b] e = -q``; ``|e|`` falls
    with ``r``, and ``r = 0`` where ``k rho >= |C_b^-1 q|``.
    """
    dim = len(train.first)
    balanced = jnp.linalg.solve(group.second, group.first)
    inverse = jnp.linalg.inv(group.second)
    hessian = train.second + weight * group.second + ridge * jnp.eye(dim)
    q = train.second @ balanced + ridge * balanced - train.first
    needed = _norm(inverse @ q)
    critical = jnp.where(weight > 0, needed / jnp.where(weight > 0, weight, 1), jnp.inf)
    inside = (radius < critical) & (needed > 0)

    def direction(r, q, along, against):
        return -jnp.linalg.solve(r * along + against, q)

    def excess(r, *args):
        return 1 - jnp.linalg.norm(direction(r, *args))

    along, against = hessian @ inverse, weight * jnp.where(inside, radius, 0) * group.second
    safe = jnp.where(inside, q, jnp.ones(dim))
    largest = _norm(jnp.linalg.solve(along, safe))
    r = increasing_root(excess, 1e-12 * largest, 1e3 * largest, safe, along, against)
    moved = balanced + r * inverse @ direction(r, safe, along, against)
    return Solution(jnp.where(inside, moved, balanced), critical)


def smooth_solution(
    losses: Callable[..., tuple[Loss, Loss]], args, weight, radius, start: Array, solvable=True
) -> Solution:
    """Any convex losses: Newton's method with a continuation in the radius.

    Parameters
    ----------
    losses : ``args -> (train, group)``
        The training loss with its ridge, and the group loss.
    args : pytree
        What the solution shall be differentiable in, beside weight and radius.
    weight, radius : scalars ``k`` and ``rho``
    start : array (dim,)
        A first guess of ``w_b``.
    solvable : bool
        Whether the equation of the critical radius has a solution, where that is known.
    """
    train, group = losses(args)
    frozen_train, frozen_group = losses(lax.stop_gradient(args))
    k, frozen_k = weight, lax.stop_gradient(weight)

    balanced = _polished(jax.grad(group), _minimum(frozen_group, start))
    pull = jax.grad(train)(balanced) / jnp.where(k > 0, k, 1)
    pull = jnp.where(solvable & (k > 0), pull, 0)
    at, fixed_pull = lax.stop_gradient((balanced, pull))
    shifted = _minimum(lambda w: frozen_group(w) + fixed_pull @ w, at)
    shifted = _polished(lambda w: jax.grad(group)(w) + pull, shifted)
    missing = _norm(jax.grad(group)(shifted) + pull)
    found = solvable & (k > 0) & (missing < 1e-6 * (1 + _norm(pull)))
    critical = jnp.where(found, _norm(shifted - balanced), jnp.inf)

    reachable = jnp.where(radius < critical, radius, 0)
    first = _minimum(lambda w: frozen_train(w) + frozen_k * frozen_group(w), at)

    def stage(w, i):
        smaller = lax.stop_gradient(reachable) * (i + 1) / _STAGES
        equation = stationarity(frozen_train, frozen_group, frozen_k, smaller)

        def step(w, _):
            move = jnp.linalg.solve(jax.jacfwd(equation)(w), equation(w))
            tried = w - _halvings()[:, None] * move
            size = jnp.nan_to_num(jax.vmap(lambda w: _norm(equation(w)))(tried), nan=jnp.inf)
            return tried[jnp.argmin(size)], None

        return lax.scan(step, w, length=_NEWTON_STEPS)[0], None

    inside = lax.scan(stage, first, jnp.arange(_STAGES))[0]
    inside = _polished(stationarity(train, group, k, reachable), inside)
    return Solution(jnp.where(radius < critical, inside, balanced), critical)


def stationarity(train: Loss, group: Loss, weight, radius) -> Callable[[Array], Array]:
    """``F``, the gradient of the objective with the perturbation held constant."""

    def equation(w):
        slope = jax.grad(group)(w)
        size = _norm(slope)
        unit = slope / jnp.where(size > 0, size, 1)
        return jax.grad(train)(w) + weight * jax.grad(group)(w + radius * unit)

    return equation


def full_gradient_minimum(train: Loss, group: Loss, weight, radius, start: Array) -> Array:
    """A local minimum of ``J`` with the perturbation differentiated too, by BFGS."""

    def objective(w):
        slope = jax.grad(group)(w)
        return train(w) + weight * group(w + radius * slope / jnp.sqrt(slope @ slope + 1e-12))

    return minimize(objective, start, method="BFGS").x


def _minimum(function: Loss, start: Array) -> Array:
    """Damped Newton; a strictly convex function of a few variables."""

    def step(w, _):
        move = jnp.linalg.solve(jax.hessian(function)(w), jax.grad(function)(w))
        tried = w - _halvings()[:, None] * move
        value = jnp.nan_to_num(jax.vmap(function)(tried), nan=jnp.inf)
        return tried[jnp.argmin(value)], None

    return lax.scan(step, start, length=40)[0]


def _halvings() -> Array:
    return 0.5 ** jnp.arange(6, dtype=float)


def _polished(equation, root) -> Array:
    """Two recorded Newton steps: they give the root its derivatives."""
    w = lax.stop_gradient(root)
    for _ in range(2):
        w = w - jnp.linalg.solve(jax.jacfwd(equation)(lax.stop_gradient(w)), equation(w))
    return w


def _norm(vector) -> Array:
    return square_root(vector @ vector)
