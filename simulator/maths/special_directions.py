"""Linear classifiers by weighted ridge regression: a few special directions, the rest isotropic.

Model. ``n`` rows ``x_i`` with targets ``y_i`` are of several types; type ``j`` is a share ``s_j``
of them, and each of its rows weighs ``w_j``. In a few special directions ``x`` has any law with
``E[x x'] = C_j`` and ``E[y x] = v_j``, ``E[y^2] = 1``; the other coordinates are independent
``N(0, 1)`` noise, ``d`` of them, ``gamma = d/n``. The fit minimises

    (1/n) sum_i w_{j(i)} (y_i - x_i.w)^2 + ridge |w|^2.

Sharp limit (``d, n -> inf``, relative error O(1/d); arXiv 2406.07515 is the case of one type). With
``p_j = w_j / (w_j + z)``, the scalar ``z >= 0`` is the largest root of

    z (gamma - sum_j s_j p_j) = ridge,       k = gamma - sum_j s_j p_j >= 0,

and the fit has the special coordinates ``a`` and, in the noise, the squared norm ``B^2``:

    a = (sum_j s_j p_j C_j + k I)^-1 sum_j s_j p_j v_j,
    B^2 = sum_j s_j p_j^2 E_j / (gamma - sum_j s_j p_j^2),   E_j = 1 - 2 a.v_j + a' C_j a.

Everything is finite for any ``ridge >= 0``, except ``B^2`` at ``ridge = 0``, ``gamma = sum_j s_j``
(as many active rows as noise directions), where it is infinite. For one type of weight 1 the usual
effective ridge is ``kappa = k/p``, ``p = gamma / (1 + kappa)``.
"""

import jax.numpy as jnp
from jax import Array

from simulator.maths.gaussian import normal_cdf
from simulator.maths.resolvent import effective_penalty, residual_fraction
from simulator.maths.roots import increasing_root, newton_steps
from simulator.maths.slopes import ratio, square_root


def weighted_ridge(
    shares: Array, weights: Array, second: Array, first: Array, gamma, ridge
) -> tuple[Array, Array]:
    """The special coordinates of the fit and its squared norm in the noise directions.

    Parameters
    ----------
    shares, weights : array (types,)
        ``s_j >= 0`` and ``w_j >= 0``; a type of weight or share 0 counts for nothing. At least one
        is active.
    second, first : arrays (types, special, special) and (types, special)
        ``C_j`` and ``v_j``.
    gamma : scalar > 0
        Noise directions over rows.
    ridge : scalar >= 0
        Next to the weighted mean of squares.

    Returns
    -------
    a : array (special,)
    B2 : scalar; ``inf`` at the interpolation threshold without ridge
    """
    z = _resolvent_root(shares, weights, gamma, ridge)
    p = shares * ratio(weights, weights + z)
    kept = gamma - jnp.sum(p)
    matrix = jnp.einsum("j,jkl->kl", p, second) + kept * jnp.eye(second.shape[-1])
    a = jnp.linalg.solve(matrix, p @ first)
    residual = 1 - 2 * first @ a + jnp.einsum("k,jkl,l->j", a, second, a)
    left = gamma - jnp.sum(p * ratio(weights, weights + z))
    return a, ratio(jnp.sum(p * ratio(weights, weights + z) * residual), left, jnp.inf)


def coloured_accuracy(
    eigenvalues: Array, mean: Array, label_correlation, num_samples, ridge
) -> Array:
    """Accuracy of ridge regression on two classes ``N(±mu, Sigma)`` whose labels may be wrong.

    Labels are right with probability ``(1 + m)/2``, independently of the inputs. With the largest
    root of ``kappa = ridge + kappa tr[Sigma (Sigma + kappa)^-1]/n``, ``R = (Sigma + kappa)^-1``,
    ``T1 = mu'R mu``, ``T2 = mu'R Sigma R mu`` and ``D = tr[(Sigma R)^2]/n`` it is

        Phi( [m T1/(1 + T1)] / sqrt([m^2 (T2 + D)/(1 + T1)^2 + (1 - m^2) D] / (1 - D)) ),

    relative error O(1/d); 1/2 at the interpolation threshold without ridge (arXiv 2406.07515 has
    ``Sigma = I``, the study ``verified-synthesis``).

    Parameters
    ----------
    eigenvalues, mean : arrays (dim,)
        Of ``Sigma``, positive, and ``mu`` along its eigenvectors.
    label_correlation : scalar in [-1, 1]
        ``m``.
    num_samples, ridge : scalars > 0 and >= 0
        Rows that are kept, and the penalty next to their mean square.
    """
    m = label_correlation
    kappa = effective_penalty(eigenvalues, num_samples, ridge)
    shrunk = eigenvalues / (eigenvalues + kappa)
    t1 = jnp.sum(mean**2 / (eigenvalues + kappa))
    t2 = jnp.sum(mean**2 * shrunk / (eigenvalues + kappa))
    left = residual_fraction(eigenvalues, kappa, num_samples, 2)
    d = 1 - left
    spread = m**2 * (t2 + d) / (1 + t1) ** 2 + (1 - m**2) * d
    return normal_cdf(m * t1 / (1 + t1) * square_root(ratio(left, spread)))


def infinite_data(second: Array, first: Array) -> Array:
    """``C^-1 v``: the special coordinates for infinitely many rows of one type, no ridge."""
    return jnp.linalg.solve(second, first)


def _resolvent_root(shares, weights, gamma, ridge):
    """``z``; 0 without ridge where the noise has at least as many directions as active rows."""

    def excess(z, shares, weights, gamma, ridge):
        return z * (gamma - jnp.sum(shares * ratio(weights, weights + z))) - ridge

    active = jnp.sum(jnp.where(weights > 0, shares, 0))
    interpolates = (ridge <= 0) & (gamma >= active)
    # z lies between ridge / gamma and (ridge + sum_j s_j w_j) / gamma.
    upper = (ridge + jnp.sum(shares * weights)) / gamma
    lower = jnp.finfo(jnp.result_type(upper)).tiny
    args = (shares, weights, gamma, ridge)
    bracketed = increasing_root(
        excess, lower, upper, shares, weights, gamma, jnp.where(interpolates, 1.0, ridge)
    )
    return jnp.where(interpolates, newton_steps(excess, 0.0 * upper, *args), bracketed)
