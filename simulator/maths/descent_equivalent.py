"""Deterministic equivalents of gradient descent for least squares on finitely many samples.

For ``n`` rows ``N(0, diag(lambda))`` and label noise of variance ``sigma^2``, descent from 0 is a
function of the sample covariance ``S``: ``w(t) = h(S) S^+ X^T y / n``, where ``f = 1 - h`` is
``e^(-t z)`` for the flow and ``(1 - eta z)^k`` after ``k`` steps. With the resolvent's equivalent
``V_k(z) = 1 / (1 + m lambda_k)``, where

    1 / m = -z + (1/n) sum_k lambda_k / (1 + m lambda_k),

integrals ``(1 / 2 pi i) \\oint dz`` around 0 and the spectrum of ``S`` give, to relative errors
O(1/n), independent normal coordinates ``w_k`` and the error ``a^2 = E ||w - w0||_Sigma^2``:

    E w_k = c_k (1 - int (f/z) V_k),          noise_k = (sigma^2/n) int (f^2 - 2 f)/z^2 V_k,
    Var w_k = (lambda_k/n) int int f1 f2 / (z1 z2) m1 m2 V_k1 V_k2 K12 + noise_k,
    a^2 = int int f1 f2 / (z1 z2) K12 + sum_k lambda_k noise_k,
    K12 = sum_k lambda_k c_k^2 V_k1 V_k2 / (1 - (1/n) m1 m2 sum_k lambda_k^2 V_k1 V_k2).

(Terms in which ``h = 1 - f`` is replaced by 1 have no singularity outside of the contour and
vanish, but for the mean.) The flow's contour is the parabola of Trefethen, Weideman and Schmelzer
("Talbot quadratures and rational approximations", 2006), scaled by ``1/t``: 16 nodes and their
conjugates serve all times and spectra. Steps have a closed ellipse while there are few of them;
many are flows of ``-log|1 - eta z| / eta`` around either side of ``z = 1/eta``, where ``f``
vanishes.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from simulator.maths.resolvent import effective_penalty
from simulator.runtime.shapes import Scalar

_HALF = 16  # nodes of a parabola in the upper half plane
_FEW = 16  # steps, for which the ellipse serves
_ELLIPSE = 64  # its nodes in the upper half plane
_TURNS, _NEWTON = 8, 3  # from the negative axis to a node


class Law(NamedTuple):
    """Coordinates of the predictor, and its error."""

    mean: Array  # (dim,)
    variance: Array  # (dim,)
    squared_distance: Array  # a^2
    residual: Array


def trained_law(
    eigenvalues: Float[Array, " dim"],
    truth: Float[Array, " dim"],
    num_samples: Scalar,
    noise_std: Scalar,
    time: Scalar,
    step_size: Scalar,
) -> Law:
    """The law of the predictor at a time, for data in the eigenbasis of their covariance.

    Parameters
    ----------
    eigenvalues, truth : arrays (dim,)
        ``lambda_k > 0`` and ``c_k``.
    num_samples, noise_std : float
        ``n > 0`` and ``sigma >= 0``.
    time : float
        ``t >= 0``.
    step_size : float
        0 for the flow; or ``eta > 0`` with ``t / eta`` a whole number.
    """
    moving = time > 0
    time = jnp.where(moving, time, 1 / jnp.max(eigenvalues))
    arguments = eigenvalues, truth, num_samples, noise_std, time, step_size
    found = lax.cond(
        step_size > 0, lambda *a: _law(_steps, *a), lambda *a: _law(_flow, *a), *arguments
    )
    zero, nothing = jnp.zeros_like(truth), jnp.zeros((), float)
    still = Law(zero, zero, jnp.sum(eigenvalues * truth**2), nothing)
    return jax.tree.map(lambda a, b: jnp.where(moving, a, b), found, still)


Contour = Callable[..., tuple[Array, Array, Array]]


def _law(contour: Contour, eigenvalues, truth, num_samples, noise_std, time, step_size) -> Law:
    top = 1.05 * jnp.max(eigenvalues) * (1 + jnp.sqrt(len(eigenvalues) / num_samples)) ** 2

    def resolvents(time):
        z, dz, f = contour(time, step_size, top)
        m, residual = _companion(z, eigenvalues, num_samples)
        # A pair of nodes z, z* gives twice the real part.
        return z, 2 * dz * f / z, m, 1 / (1 + m[:, None] * eigenvalues[None, :]), residual

    z, once, m, v, residual = resolvents(time)
    z_twice, twice, _, v_twice, other = resolvents(2 * time)  # f^2 is f at 2t
    mean = truth * (1 - (once @ v).real)
    squares = (twice / z_twice) @ v_twice - 2 * ((once / z) @ v)
    noise = noise_std**2 / num_samples * squares.real
    every_v, every_m = jnp.concatenate([v, v.conj()]), jnp.concatenate([m, m.conj()])
    weights = once[:, None] * jnp.concatenate([once, once.conj()])[None, :] / 2
    products = m[:, None] * every_m[None, :]
    damping = products * ((v * (eigenvalues**2)[None, :]) @ every_v.T) / num_samples
    kernel = weights * ((v * (eigenvalues * truth**2)[None, :]) @ every_v.T) / (1 - damping)
    error = jnp.sum(kernel).real + jnp.sum(eigenvalues * noise)
    carried = (kernel * products) @ every_v
    variance = eigenvalues / num_samples * jnp.sum(v * carried, axis=0).real + noise
    largest = jnp.maximum(residual, other)
    return Law(mean, jnp.maximum(variance, 0), jnp.maximum(error, 0), largest)


# ------------------------------------------------------------------------------------------------
# Contours: nodes in the upper half plane, dz / (2 pi i), f
# ------------------------------------------------------------------------------------------------
def _flow(time, step_size, top) -> tuple[Array, Array, Array]:
    zeta, d_zeta = _parabola(time)
    return zeta, d_zeta, jnp.exp(-time * zeta)


def _steps(time, step_size, top) -> tuple[Array, Array, Array]:
    """For few steps the ellipse; for many two loops, and nodes that count for nothing.

    ``z = (1 - e^(-eta zeta)) / eta`` goes around the lower side of ``1/eta``, and its mirror image
    ``2/eta - z``, which is run through the other way, around the upper side.
    """
    step_size = jnp.where(step_size > 0, step_size, 0.5 / top)  # of the flow, thrown away
    count = jnp.maximum(jnp.round(time / step_size), 1)
    zeta, d_zeta = _parabola(step_size * count)
    lower = -jnp.expm1(-step_size * zeta) / step_size
    d_lower, damped = d_zeta * jnp.exp(-step_size * zeta), jnp.exp(-step_size * count * zeta)
    sign = jnp.where(jnp.mod(count, 2) == 1, -1, 1)
    rest = jnp.zeros(_ELLIPSE - 2 * _HALF, zeta.dtype)
    many = (
        jnp.concatenate([lower, (2 / step_size - lower).conj(), rest + lower[0]]),
        jnp.concatenate([d_lower, -d_lower.conj(), rest]),
        jnp.concatenate([damped, sign * damped.conj(), rest]),
    )
    z, dz = _ellipse(step_size * count, top)
    few = z, dz, (1 - step_size * z) ** count
    nodes, weights, left = (jnp.where(count <= _FEW, a, b) for a, b in zip(few, many, strict=True))
    return nodes, weights, left


def _parabola(time) -> tuple[Array, Array]:
    """Around the positive half line, from below the axis on the right to above it.

    ``z = (N/t) (-0.1309 + 0.1194 theta^2 - 0.25 i theta)``, ``N = 32`` midpoints in (-pi, pi).
    """
    count = 2 * _HALF
    theta = -(jnp.arange(_HALF, dtype=float) + 0.5) * (2 * jnp.pi / count)
    z = count / time * (-0.1309 + 0.1194 * theta**2 - 0.25j * theta)
    slope = count / time * (0.2388 * theta - 0.25j)
    return z, slope / (1j * count)


def _ellipse(time, top) -> tuple[Array, Array]:
    """Around [0, top], as far from it as ``f`` stays small."""
    room = jnp.minimum(top / 2, 3 / time)
    x = 1 + 2 * room / top
    rho = x + jnp.sqrt(x**2 - 1)
    turn = jnp.exp(1j * (jnp.arange(_ELLIPSE, dtype=float) + 0.5) * (jnp.pi / _ELLIPSE))
    z = top / 2 + top / 4 * (rho * turn + 1 / (turn * rho))
    slope = top / 4 * 1j * (rho * turn - 1 / (turn * rho))
    return z, slope / (2j * _ELLIPSE)


# ------------------------------------------------------------------------------------------------
# The resolvent
# ------------------------------------------------------------------------------------------------
def _companion(z, eigenvalues, num_samples) -> tuple[Array, Array]:
    """``m(z)`` in the upper half plane, by Newton's method on ``kappa = 1/m``.

    ``kappa (1 - df1/n) = -z`` is the effective penalty on the negative axis; from there it is
    continued along circles. With the error that is left, relative.
    """

    def newton(kappa, z, eigenvalues, num_samples):
        keep = eigenvalues[None, :] / (eigenvalues[None, :] + kappa[:, None])
        bent = kappa * jnp.sum(keep * (1 - keep), axis=1) / num_samples
        return (bent - z) / (1 - jnp.sum(keep**2, axis=1) / num_samples)

    nodes, values, count = lax.stop_gradient((z, eigenvalues, num_samples))
    size, share = jnp.abs(nodes), jnp.angle(nodes) / jnp.pi

    def turned(i, kappa):
        angle = jnp.pi * share ** (jnp.asarray(i + 1, float) / _TURNS)
        here = size * jnp.exp(1j * angle)
        return lax.fori_loop(0, _NEWTON, lambda _, k: newton(k, here, values, count), kappa)

    start = jax.vmap(lambda ridge: effective_penalty(values, count, ridge))(size)
    kappa = lax.fori_loop(0, _TURNS, turned, start.astype(nodes.dtype))
    kappa = lax.fori_loop(0, 2 * _NEWTON, lambda _, k: newton(k, nodes, values, count), kappa)
    moved = jnp.max(jnp.abs(newton(kappa, nodes, values, count) / kappa - 1))
    wrong = jnp.any(kappa.imag > 0)  # another branch
    kappa = newton(kappa, z, eigenvalues, num_samples)
    return 1 / kappa, jnp.where(wrong, jnp.inf, moved)
