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
#: A gradient, and those of the training loss and of the group loss.
Slope = Callable[[Array], Array]
Slopes = tuple[Slope, Slope]

_STAGES = 8  # of the continuation in rho
_MOST_STEPS = 60  # of Newton's method
_ROUGHLY, _NEARLY = 1e-2, 1e-6  # its last move, relative: the error is of the order of its square


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
    slopes: Slopes, weight, radius, balanced: Array, search: Slopes, solvable=True
) -> Solution:
    """Any convex losses: Newton's method with a continuation in the radius.

    Parameters
    ----------
    slopes : functions ``w -> (dim,)``
        The gradients of the training loss with its ridge, and of the group loss.
    weight, radius : scalars ``k`` and ``rho``
    balanced : array (dim,)
        ``w_b``, with its derivatives.
    search : as ``slopes``
        Nearly the same, and maybe cheaper, to search with; without derivatives.
    solvable : bool
        Whether the equation of the critical radius has a solution, where that is known.
    """
    train, group = slopes
    k, at = weight, lax.stop_gradient(balanced)
    pull = train(balanced) / jnp.where(k > 0, k, 1)
    pull = jnp.where(solvable & (k > 0), pull, 0)
    fixed_pull = lax.stop_gradient(pull)
    shifted = _newton(lambda w: search[1](w) + fixed_pull, at, _ROUGHLY)
    shifted = root(lambda w: group(w) + pull, shifted)
    missing = _norm(group(shifted) + pull)
    found = solvable & (k > 0) & (missing < 1e-6 * (1 + _norm(pull)))
    critical = jnp.where(found, _norm(shifted - balanced), jnp.inf)

    reachable = jnp.where(radius < critical, radius, 0)
    fixed_k, end = lax.stop_gradient((k, reachable))

    def stage(i, carry):
        before, w = carry
        equation = stationarity(*search, fixed_k, end * i / _STAGES)
        # On in a straight line, unless that leads across the kink at w_b.
        near = (2 * w - before - at) @ (w - at) > (w - at) @ (w - at) / 2
        return w, _newton(equation, jnp.where((i > 1) & near, 2 * w - before, w), _ROUGHLY)

    near = lax.fori_loop(0, _STAGES + 1, stage, (at, at))[1]
    inside = root(stationarity(train, group, k, reachable), near)
    return Solution(jnp.where(radius < critical, inside, balanced), critical)


def stationarity(train: Slope, group: Slope, weight, radius) -> Slope:
    """``F``, the gradient of the objective with the perturbation held constant."""

    def equation(w):
        slope = group(w)
        size = _norm(slope)
        unit = slope / jnp.where(size > 0, size, 1)
        return train(w) + weight * group(w + radius * unit)

    return equation


def full_gradient_minimum(train: Loss, group: Loss, weight, radius, start: Array) -> Array:
    """A local minimum of ``J`` with the perturbation differentiated too, by BFGS."""

    def objective(w):
        slope = jax.grad(group)(w)
        return train(w) + weight * group(w + radius * slope / jnp.sqrt(slope @ slope + 1e-12))

    return minimize(objective, start, method="BFGS").x


def root(equation: Slope, start: Array) -> Array:
    """A root, differentiable in all that the equation is made of."""

    def tangent_solve(linear, right):
        return _solve(jax.jacobian(linear)(jnp.zeros_like(right)), right)

    return lax.custom_root(equation, start, lambda f, w: _newton(f, w, _NEARLY), tangent_solve)


def _newton(equation: Slope, start: Array, tolerance: float) -> Array:
    """Newton's method until it moves by less than so much, relative.

    A step is halved until the equation's norm falls, as it does along that of a convex function.
    """

    def settled(w, move):
        return ~(_norm(move) > tolerance * _norm(w))

    def unfinished(carry):
        step, w, _, move, share = carry
        return (step == 0) | (step < _MOST_STEPS) & ~settled(w, share * move)

    def step(carry):
        step, w, size, move, share = carry
        tried = w - share * move
        slope, value = jax.jacfwd(lambda w: (equation(w),) * 2, has_aux=True)(tried)
        falls = (_norm(value) < size) | (step == 0)
        new = tried, _norm(value), _solve(slope, value), jnp.ones_like(share)
        old = w, size, move, share / 2
        return step + 1, *(jnp.where(falls, *pair) for pair in zip(new, old, strict=True))

    one = jnp.ones((), start.dtype)
    first = jnp.int32(0), start, one, jnp.zeros_like(start), one
    _, w, _, move, _ = lax.while_loop(unfinished, step, first)
    return w - jnp.where(settled(w, move) & jnp.all(jnp.isfinite(move)), move, 0)


def _solve(matrix: Array, vector: Array) -> Array:
    """Two unknowns by Cramer's rule: LAPACK solves the systems of a batch one by one."""
    if len(vector) != 2:
        return jnp.linalg.solve(matrix, vector)
    (a, b), (c, d) = matrix
    first, second = vector
    return jnp.stack([d * first - b * second, a * second - c * first]) / (a * d - b * c)


def _norm(vector) -> Array:
    return square_root(vector @ vector)
