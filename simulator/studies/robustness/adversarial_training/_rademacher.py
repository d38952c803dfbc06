"""Uniform convergence of robust linear classifiers: Rademacher complexities and their bounds.

For the class ``{(x, y) -> min_{||delta|| <= e} y w.(x + delta) : ||w||_R <= W}`` (raw units, attack
norm ``||.||``, dual ``||.||_*``) the empirical Rademacher complexity is

    R = E_s sup_w (1/n) (w.U - e S ||w||_*),    U = sum_i s_i y_i x_i,   S = sum_i s_i,

with independent signs ``s_i`` (arXiv 2410.16073). For the linf attack the inner supremum is known
in closed form; in general

    R <= R(e = 0) + (e W / (2 sqrt n)) sup_{||w||_R <= 1} ||w||_*.

The attack's term is free of the dimension if the penalty norm is the dual of the attack norm, and
grows like ``sqrt d`` for the linf attack with the l2 penalty. These are bounds: what they bound,
the gap between the robust errors of training and test, is usually far smaller.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array

from simulator.maths.norms import dual_order, lp_norm


def robust_complexity(
    key, signed_inputs: Array, radius, penalty_order: int, scale=1.0, num_signs: int = 1000
) -> tuple[Array, Array]:
    """Exact complexity under an linf attack, by Monte-Carlo over the signs only.

    ``sup_w`` is ``W ||(|U| - e S)_+||_2 / n`` on the l2 ball (also for ``S < 0``) and
    ``W (||U||_inf - e S)_+ / n`` on the l1 ball.

    Parameters
    ----------
    key : key
    signed_inputs : array, shape (n, d)
        Rows ``y_i x_i``.
    radius : scalar
        ``e``, per coordinate.
    penalty_order : {1, 2}
        Norm of the ball ``||w|| <= scale``.
    scale : scalar
        ``W``.
    num_signs : int
        Draws of the signs.

    Returns
    -------
    mean, standard error
    """
    if penalty_order not in (1, 2):
        raise ValueError(f"penalty_order = {penalty_order!r} is not allowed: it must be 1 or 2")
    n = len(signed_inputs)

    def supremum(key):
        s = jax.random.rademacher(key, (n,), float)
        pulled, total = jnp.abs(s @ signed_inputs), s.sum()
        if penalty_order == 1:
            return jnp.maximum(pulled.max() - radius * total, 0)
        return jnp.linalg.norm(jnp.maximum(pulled - radius * total, 0))

    values = scale / n * jax.lax.map(supremum, jax.random.split(key, num_signs), batch_size=64)
    return values.mean(), values.std(ddof=1) / math.sqrt(num_signs)


def clean_complexity_bound(inputs: Array, penalty_order: int, scale=1.0) -> Array:
    """Bound on ``R(e = 0)``: ``W sqrt(sum_i ||x_i||_2^2) / n`` on the l2 ball,
    ``W sqrt(2 log 2d) max_j sqrt(sum_i x_ij^2) / n`` on the l1 ball."""
    n, d = inputs.shape
    if penalty_order == 2:
        return scale * jnp.linalg.norm(inputs) / n
    if penalty_order == 1:
        largest = jnp.sqrt(jnp.max(jnp.sum(inputs**2, axis=0)))
        return scale * math.sqrt(2 * math.log(2 * d)) * largest / n
    raise ValueError(f"penalty_order = {penalty_order!r} is not allowed: it must be 1 or 2")


def mahalanobis_complexity_bound(inputs: Array, penalty_variance, scale=1.0) -> Array:
    """Bound on ``R(e = 0)`` for ``w^T Sigma_w w <= W^2``, diagonal ``Sigma_w``:
    ``W sqrt(sum_i x_i^T Sigma_w^{-1} x_i) / n``."""
    return scale * jnp.sqrt(jnp.sum(inputs**2 / penalty_variance)) / len(inputs)


def strongly_convex_complexity_bound(
    inputs: Array, penalty_order: float, convexity, scale=1.0
) -> Array:
    """``W max_i ||x_i||_{R*} sqrt(2 / (sigma n))`` on an l_r ball whose squared norm, halved, is
    ``sigma``-strongly convex (``sigma = r - 1`` for ``1 < r <= 2``)."""
    largest = jnp.max(jax.vmap(lambda x: lp_norm(x, dual_order(penalty_order)))(inputs))
    return scale * largest * jnp.sqrt(2 / (convexity * len(inputs)))


def attack_complexity(dim: int, num_samples: int, radius, attack_order, penalty_order, scale=1.0):
    """What an l_p attack adds on an l_r ball: ``e W / (2 sqrt n) max(1, d^{1-1/r-1/p})``."""
    exponent = 1 - 1 / penalty_order - 1 / attack_order
    return radius * scale / (2 * math.sqrt(num_samples)) * max(1.0, dim**exponent)


def mahalanobis_attack_complexity(
    num_samples: int, radius, attack_variance, penalty_variance, scale=1.0
) -> Array:
    """The same for a Mahalanobis attack and penalty, both diagonal:
    ``e W / (2 sqrt n) sqrt(max_j Sigma_delta / Sigma_w)``."""
    stretch = jnp.sqrt(jnp.max(jnp.asarray(attack_variance) / jnp.asarray(penalty_variance)))
    return radius * scale / (2 * math.sqrt(num_samples)) * stretch
