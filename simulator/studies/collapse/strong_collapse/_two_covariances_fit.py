"""Deterministic equivalent of ridge regression on two sources with different covariances.

With ``Sigma_1``, ``Sigma_2`` diagonal in one basis and weights ``a_j``,

    G = (sum_j p_j h_j Sigma_j + ridge)^-1,   h_j = a_j/(1 + a_j e_j),   e_j = tr(Sigma_j G)/n,

and for the test covariance ``Sigma_1``: ``t_j = tr(Sigma_j G Sigma_1 G)/n``, ``Mat_jl = p_l h_l^2
tr(Sigma_j G Sigma_l G)/n``, ``T = (1 - Mat)^-1 t`` and ``E2 = G Sigma_1 G + sum_j p_j h_j^2 T_j G
Sigma_j G`` are what the error is made of. Relative error ``O(1/d)``.

Solution. ``e -> tr(Sigma_j G)/n`` is increasing and concave, and ``Mat`` is its Jacobian. Newton's
method from a point above the root therefore decreases to it, with a 2 x 2 system per step.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from simulator.maths.roots import MAX_ITERATIONS, increasing_root
from simulator.maths.slopes import only_slope, ratio


class TwoCovariancesFit(NamedTuple):
    """Symbols of the module docstring; arrays over the sources have the real one first."""

    ridge: Array  # 1 where a fit without ridge interpolates, whose G is defined up to a factor
    h: Array  # (2,)
    resolvent: Array  # (d,) G
    traces: Array  # (2,) T
    second: Array  # (d,) E2
    residual: Array  # of the equations, or what rounding may have done to all of it; relative


class _Problem(NamedTuple):
    covariances: Array  # (2, d)
    num_samples: Array
    fractions: Array  # (2,) p_j, 0 for an inactive source
    weights: Array  # (2,)
    per: Array  # (2,) a_j = weights_j / per_j
    ridge: Array


def two_covariances_fit(
    covariances, num_samples, fractions, weights, ridge, per=1.0
) -> TwoCovariancesFit:
    """Solve for ``e`` and gather what the error needs.

    Parameters
    ----------
    covariances : array (2, d)
        Eigenvalues ``lambda_k > 0`` and ``mu_k > 0``; directions in which both are 0 (padding)
        count nowhere.
    num_samples : float
    fractions, weights : array (2,)
        ``p_j`` and ``a_j``; a source with ``p_j a_j = 0`` is inactive: it changes no value, only
        derivatives.
    ridge : float
        ``>= 0``. Without ridge and with ``n_eff = n sum_active p_j < d`` the fit interpolates and
        forgets the weights: ``h_j = 1/e_j``, ``G`` with ridge 1. At ``n_eff = d`` the equations
        have no solution; values for ``d + 1`` active samples are returned, of which the caller
        may use what does not depend on the difference.
    per : array (2,), optional
        The weights are ``weights / per``; 0 is allowed where ``p_j = 0``.
    """
    dim = _dimension(covariances)
    fractions, weights, per = jnp.broadcast_arrays(fractions, weights, per)
    per = jnp.where((weights == 0) & (per == 0), 1, per)
    active = (fractions > 0) & (weights > 0)

    share = jnp.sum(jnp.where(active, fractions, 0))
    ridgeless = ridge == 0
    rounding = 100 * jnp.finfo(covariances.dtype).eps * dim
    meets = ridgeless & (jnp.abs(num_samples * share - dim) <= rounding)
    num_samples = jnp.where(meets, (dim + 1) / jnp.where(share > 0, share, 1), num_samples)
    interpolates = ridgeless & (num_samples * share < dim)
    # In units of the ridge: G is 1/ridge times one with ridge 1 and 1/a_j times the ridge.
    problem = _Problem(
        covariances,
        num_samples,
        fractions,
        weights,
        jnp.where(interpolates, only_slope(ridge) * per, per),
        jnp.where(interpolates, 1, ridge),
    )
    frozen = lax.stop_gradient(problem)
    offsets = lax.stop_gradient(jnp.where(active, ratio(per, weights), 0))
    e = jnp.where(
        problem.ridge > 0, _newton_from_above(frozen), _least_squares(frozen, offsets, active)
    )
    e = lax.stop_gradient(e)
    for _ in range(2):  # recorded: exact first derivatives
        e = _newton_step(e, problem)

    h, resolvent, jacobian = _at(e, problem)
    traces = covariances @ (covariances[0] * resolvent**2) / num_samples
    traces = _solve_two(jacobian, traces)
    second = resolvent**2 * (covariances[0] + (problem.fractions * h**2 * traces) @ covariances)
    # Near interpolation the determinant of 1 - Mat vanishes with the ridge, a difference of ones.
    determinant = lax.stop_gradient(_determinant(jacobian))
    lost = 16 * jnp.finfo(covariances.dtype).eps / jnp.where(determinant > 0, determinant, 0)
    missed = jnp.max(jnp.abs(covariances @ resolvent / (num_samples * e) - 1))
    residual = lax.stop_gradient(jnp.where(jnp.all(e > 0), jnp.maximum(lost, missed), jnp.inf))
    return TwoCovariancesFit(problem.ridge, h, resolvent, traces, second, residual)


def _dimension(covariances):
    """Directions that count."""
    return jnp.sum(covariances[0] > 0).astype(covariances.dtype)


def _at(e, problem):
    """``h``, ``G`` and the Jacobian ``Mat`` at ``e``."""
    h = ratio(problem.weights, problem.per + problem.weights * e)
    resolvent = ratio(1, (problem.fractions * h) @ problem.covariances + problem.ridge)
    scaled = problem.covariances * resolvent
    jacobian = scaled @ scaled.T / problem.num_samples * (problem.fractions * h**2)
    return h, resolvent, jacobian


def _newton_step(e, problem):
    _, resolvent, jacobian = _at(e, problem)
    value = problem.covariances @ resolvent / problem.num_samples
    # e - (1 - Mat)^-1 (e - value), without subtracting nearly equal numbers.
    return _solve_two(jacobian, value - jacobian @ e)


def _solve_two(jacobian, right):
    """``(1 - jacobian)^-1 right`` for a 2 x 2 matrix."""
    (a, b), (c, d) = jacobian
    adjugate = [(1 - d) * right[0] + b * right[1], (1 - a) * right[1] + c * right[0]]
    return jnp.stack(adjugate) / _determinant(jacobian)


def _determinant(jacobian):
    """``det(1 - jacobian)`` of a 2 x 2 matrix."""
    (a, b), (c, d) = jacobian
    return (1 - a) * (1 - d) - b * c


def _newton_from_above(problem):
    """Positive root for ``ridge > 0``, from the bound ``G <= 1/ridge``."""
    tolerance = 8 * jnp.finfo(problem.ridge.dtype).eps

    def unfinished(carry):
        iteration, e, previous = carry
        return (iteration < MAX_ITERATIONS) & jnp.any(e < previous * (1 - tolerance))

    def step(carry):
        iteration, e, _ = carry
        return iteration + 1, _newton_step(e, problem), e

    positive = jnp.where(problem.ridge > 0, problem.ridge, 1)
    start = jnp.sum(problem.covariances, axis=1) / (problem.num_samples * positive)
    problem = problem._replace(ridge=positive)
    return lax.while_loop(unfinished, step, (jnp.int32(0), start, jnp.full_like(start, jnp.inf)))[1]


def _least_squares(problem, offsets, active):
    """Root without ridge, for more active samples than features.

    Only the ratio ``r = h_2/h_1`` enters ``c_j(r) = h_1 e_j = tr(Sigma_j (p_1 Sigma_1 +
    p_2 r Sigma_2)^-1)/n``, and ``h_j = a_j (1 - h_j e_j)``, so that ``r a_1 (1 - c_1) =
    a_2 (1 - r c_2)``: one equation, negative below its root and positive above.
    """
    (real, synthetic), (p1, p2) = problem.covariances, jnp.where(active, problem.fractions, 0)
    both, dim = jnp.all(active), _dimension(problem.covariances)
    p1_, p2_ = jnp.where(both, p1, 1), jnp.where(both, p2, 1)
    inverse = jnp.where(active, offsets, 1)  # 1/a_j
    # A harmless problem where it is not asked for: more samples than features.
    enough = problem.num_samples * (p1 + p2) > dim
    n = jnp.where(both & enough, problem.num_samples, 2 * dim / (p1_ + p2_))

    def traces(r):
        total = p1_ * real + p2_ * r * synthetic
        return jnp.sum(ratio(real, total)) / n, jnp.sum(ratio(synthetic, total)) / n

    def imbalance(r):
        c1, c2 = traces(r)
        return r * (1 - c1) / inverse[0] - (1 - r * c2) / inverse[1]

    # c_1 <= 1/2 and r a_1 >= a_2 above; r c_2 <= 1/2 and r a_1 <= a_2 / 2 below.
    heavier = inverse[0] / inverse[1]
    upper = 2 * jnp.maximum(jnp.sum(ratio(real, synthetic)) / (n * p2_), heavier)
    lower = jnp.minimum(n * p1_ / jnp.sum(ratio(synthetic, real)), heavier) / 2
    r = increasing_root(imbalance, lower, upper)
    c1, c2 = traces(r)
    h1 = (1 - c1) / inverse[0]
    mixed = jnp.stack([c1, c2]) / h1
    # One active source j: h_j = a_j (1 - d/(n p_j)) and G = Sigma_j^-1 / (p_j h_j).
    position = jnp.argmax(active)
    p = jnp.where(jnp.any(active), problem.fractions[position], 1)
    count = jnp.where(enough, problem.num_samples, 2 * dim / p)
    h = (1 - dim / (count * p)) / inverse[position]
    alone = problem.covariances @ ratio(1, problem.covariances[position]) / (count * p * h)
    return jnp.where(both, mixed, alone)
