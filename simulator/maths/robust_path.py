"""From accuracy to robustness: the path of linear predictors that no other beats in both.

For inputs of covariance ``Sigma``, a true weight vector ``w0`` and attacks bounded in a norm
``||.||``, a predictor ``w`` is as inaccurate as ``a = ||w - w0||_Sigma`` and as exposed as the dual
norm ``b = ||w||_*``. The pairs that cannot be improved are those of (arXiv 2308.00556)

    w(lambda) = argmin_w ||w - w0||_Sigma^2 / 2 + lambda ||w||_*,    0 <= lambda <= ||Sigma w0||,

on which ``lambda = ||z||`` with ``z = Sigma (w0 - w)``. `Problem.at` follows it from ``w0`` to 0
with a position ``x`` of its own for each norm, in which it has a closed form for a diagonal
``Sigma`` and is one quadratic problem (`separable`) otherwise:

    l2, mahalanobis   x = kappa,   w = (Sigma + kappa B^-1)^-1 Sigma w0        (B = 1 for l2)
    linf              x = lambda,  |w_k| = (|w0_k| - x / Sigma_kk)_+
    l1                x = max |w0| - m,   |w_k| = min(|w0_k|, m)
    lp                nu = nu_0 x^max(1, q - 1),   Sigma_kk (|w0_k| - |w_k|) = nu |w_k|^{q-1}

`stopped` ends the path where a rule holds; all rules are equations between ``lambda``, ``a`` and
``b``, increasing along the path, and share one root finding. A point is certified by duality:
``b >= z^T w / lambda`` for every predictor that is as accurate as ``w``.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.maths import separable
from simulator.maths.norms import Norm
from simulator.maths.proximal import log_power_root
from simulator.maths.roots import increasing_root
from simulator.maths.slopes import ratio, square_root
from simulator.runtime.shapes import Scalar

_LOG_REACH = 40.0  # of the position of lp


class Point(NamedTuple):
    """A predictor on the path."""

    weights: Array  # (dim,) w
    distance: Array  # a = ||w - w0||_Sigma
    dual_norm: Array  # b = ||w||_*
    multiplier: Array  # lambda
    gap: Array  # of the certificate, relative to ||w0||_*


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Problem:
    """Linear regression under attack.

    Attributes
    ----------
    covariance, precision : arrays (dim,) or (dim, dim)
        ``Sigma``, positive definite, and its inverse: their diagonals, or full matrices.
    truth : array (dim,)
        ``w0``.
    norm : Norm
        That bounds the attack.
    """

    covariance: Array
    precision: Array
    truth: Array
    norm: Norm

    @property
    def diagonal(self) -> bool:
        return self.covariance.ndim == 1

    def spread(self, vector: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """``Sigma v``."""
        return _times(self.covariance, vector)

    def whitened(self, vector: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """``Sigma^-1 v``."""
        return _times(self.precision, vector)

    def signal(self) -> Float[Array, ""]:
        """``||w0||_Sigma``, the inaccuracy of the predictor 0."""
        return square_root(self.truth @ self.spread(self.truth))

    def strongest(self) -> Float[Array, ""]:
        """``||Sigma w0||``, the multiplier at which the path ends in 0."""
        return self.norm.size(self.spread(self.truth))

    # -- the path -------------------------------------------------------------------------------
    def at(self, position: Scalar) -> Point:
        """The point of the path at a position between its `ends`."""
        weights, shrink, pull = self._explicit(position) if self.diagonal else self._full(position)
        distance = square_root(shrink @ pull)
        dual_norm, multiplier = self.norm.dual(weights), self.norm.size(pull)
        bound = pull @ weights / multiplier
        gap = (dual_norm - bound) / self.norm.dual(self.truth)
        return Point(weights, distance, dual_norm, multiplier, lax.stop_gradient(jnp.abs(gap)))

    def ends(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Positions closest to ``w0`` and to 0."""
        kind, size = self.norm.kind, jnp.abs(self.truth)
        rounding = float(jnp.finfo(self.truth.dtype).eps)
        nearest, farthest = rounding**1.5, 1 / rounding  # relative to the path's natural scale
        if kind == "lp":
            reach = jnp.asarray(_LOG_REACH, float)
            return jnp.exp(-reach), jnp.exp(reach)
        if kind in ("linf", "l1"):
            last = self.strongest() if kind == "linf" else size.max()
            return nearest * last, last
        metric = self._metric()
        root = jnp.sqrt(metric)
        if self.diagonal:
            return nearest * (metric * self.covariance).min(), farthest * (
                metric * self.covariance
            ).max()
        largest = _row_sum(root[:, None] * self.covariance * root[None, :])
        smallest = 1 / _row_sum(self.precision / root[:, None] / root[None, :])
        return nearest * smallest, farthest * largest

    def _metric(self) -> Array:
        """``B`` of ``||w||_*^2 = w^T B^-1 w``."""
        euclidean = self.norm.kind == "l2"
        return jnp.ones_like(self.truth) if euclidean else self.norm.metric

    def _explicit(self, x) -> tuple[Array, Array, Array]:
        """``w``, ``w0 - w`` without cancellation, and ``z``, for a diagonal covariance."""
        kind, spread = self.norm.kind, self.covariance
        size, sign = jnp.abs(self.truth), jnp.sign(self.truth)
        if kind in ("l2", "mahalanobis"):
            ridge = x / self._metric()
            weights = size * (spread / (spread + ridge))
            shrink = size * (ridge / (spread + ridge))
        elif kind == "linf":
            shrink = jnp.minimum(size, x / spread)
            weights = jnp.where(size * spread > x, size - x / spread, 0)
        elif kind == "l1":
            largest = size.max()
            shrink = jnp.maximum(x - (largest - size), 0)
            weights = jnp.minimum(size, largest - x)
        else:
            weights, shrink = self._power_path(x)
        return sign * weights, sign * shrink, sign * shrink * spread

    def _power_path(self, x) -> tuple[Array, Array]:
        """``lp``: ``t = w / w0`` solves ``t + c t^{q-1} = 1``, ``c = nu w0^{q-2} / Sigma_kk``."""
        power = 1 / (self.norm.order - 1)  # q - 1
        positive = self.truth != 0
        log_size = jnp.log(jnp.where(positive, jnp.abs(self.truth), 1))
        log_c = self._log_weight(x) + (power - 1) * log_size - jnp.log(self.covariance)
        log_t = log_power_root(0, log_c, 0, power)
        weights = jnp.exp(log_size + log_t)
        lost = jnp.where(log_t > -0.7, jnp.exp(log_c + power * log_t), -jnp.expm1(log_t))
        shrink = jnp.exp(log_size) * lost
        return jnp.where(positive, weights, 0), jnp.where(positive, shrink, 0)

    def _log_weight(self, x) -> Array:
        """``log nu``, of the penalty ``nu ||w||_q^q / q``."""
        power = 1 / (self.norm.order - 1)
        log_scale = jnp.log(self.strongest()) - power * jnp.log(self.norm.dual(self.truth))
        return log_scale + jnp.maximum(power, 1) * jnp.log(x)

    def _full(self, x) -> tuple[Array, Array, Array]:
        """The same for a full covariance."""
        kind, covariance = self.norm.kind, self.covariance
        if kind in ("l2", "mahalanobis"):
            regular = covariance + jnp.diag(x / self._metric())
            sides = jnp.stack([self.spread(self.truth), x * self.truth / self._metric()], axis=1)
            factor = jax.scipy.linalg.cho_factor(regular, lower=True)
            weights, shrink = jax.scipy.linalg.cho_solve(factor, sides).T
            return weights, shrink, x * weights / self._metric()
        if kind == "linf":
            pull, weights = separable.minimum(self.precision, self.truth, separable.bounded, -x, x)
            return weights, self.whitened(pull), pull
        if kind == "l1":
            sign = jnp.where(self.truth < 0, -1, 1).astype(self.truth.dtype)
            size = jnp.abs(self.truth)
            largest = size.max()
            room = largest - x
            lower, upper = x - (largest - size), size + room
            flipped = covariance * sign[:, None] * sign[None, :]
            shrink, slope = separable.minimum(
                flipped, jnp.zeros_like(size), separable.bounded, lower, upper
            )
            weights = jnp.clip(size - shrink, -room, room)
            return sign * weights, sign * shrink, -sign * slope
        # The side on which the penalty is smooth: of w for p < 2, of its dual z for p > 2.
        order, log_weight = self.norm.order, self._log_weight(x)
        dual = order > 2
        matrix = jnp.where(dual, self.precision, covariance)
        linear = jnp.where(dual, self.truth, self.spread(self.truth))
        log_weight = jnp.where(dual, (1 - order) * log_weight, log_weight)
        smooth_order = jnp.where(dual, order, order / (order - 1))
        x, slope = separable.minimum(matrix, linear, separable.power, log_weight, smooth_order)
        weights, pull = jnp.where(dual, slope, x), jnp.where(dual, x, slope)
        return weights, self.whitened(pull), pull


def _times(matrix, vector) -> Array:
    return matrix * vector if matrix.ndim == 1 else matrix @ vector


def _row_sum(matrix) -> Array:
    return jnp.abs(matrix).sum(axis=1).max()


# ------------------------------------------------------------------------------------------------
# Where to stop
# ------------------------------------------------------------------------------------------------
RULES = ("optimum", "proxy", "regularised", "budget")
"""Of the smallest adversarial risk; of ``(s + r b)^2``; of a given penalty; of a given accuracy."""

MEAN_ABSOLUTE = (2 / math.pi) ** 0.5
"""``c0 = E |Z|`` of a standard normal ``Z``."""


class Setting(NamedTuple):
    """A rule, and what it depends on: numbers, or arrays with one entry for each rule."""

    rule: Array  # position in `RULES`
    radius: Array  # r
    noise_std: Array  # sigma
    budget: Array  # epsilon, the largest a


def residual_std(distance: Scalar, noise_std: Scalar) -> Float[Array, ""]:
    """``s = sqrt(a^2 + sigma^2)``, with the slope of sigma at ``a = 0``."""
    apart = distance > 0
    return jnp.where(apart, jnp.hypot(jnp.where(apart, distance, 1), noise_std), noise_std)


def stopped(problem: Problem, settings: Setting) -> tuple[Point, Float[Array, " rules"]]:
    """The points at which the rules hold.

    =========== =================================================================================
    optimum     ``lambda = r s (r b + c0 s) / (s + c0 r b)``: least ``s^2 + 2 c0 r s b + r^2 b^2``
    proxy       ``lambda = r s``: least ``(s + r b)^2``
    regularised ``lambda = r^2 b``: least ``a^2 + r^2 b^2``
    budget      ``a = epsilon``: least ``b`` of those that are as accurate
    =========== =================================================================================

    Parameters
    ----------
    problem : Problem
    settings : Setting
        Arrays, one entry for each rule, which must hold somewhere between the ends of the path.

    Returns
    -------
    Point
        With the rules as leading axis.
    array (rules,)
        How far, relative, each multiplier is from its rule.
    """
    ends = problem.ends()

    def stop(setting):
        position = increasing_root(_excess, *ends, problem, setting)
        point = problem.at(position)
        return point, lax.stop_gradient(jnp.abs(_off(point, setting)))

    return jax.vmap(stop)(settings)


def _excess(x, problem, setting) -> Array:
    return _off(problem.at(x), setting)


def _off(point, setting) -> Array:
    """``log lambda`` over what the rule wants it to be; ``lambda epsilon / a`` for a budget."""
    s, exposed = residual_std(point.distance, setting.noise_std), setting.radius * point.dual_norm
    wanted = jnp.stack(
        [
            setting.radius * s * ratio(exposed + MEAN_ABSOLUTE * s, s + MEAN_ABSOLUTE * exposed),
            setting.radius * s,
            setting.radius * exposed,
            ratio(point.multiplier * setting.budget, point.distance),
        ]
    )
    return jnp.log(point.multiplier) - jnp.log(wanted[setting.rule])
