"""Exact maximum (robust) margins of linear classifiers in the l1, l2 and linf norms.

For rows ``A_i = y_i x_i`` and an linf attack of raw radius ``e`` the robust margin of ``w`` is

    gamma(w) = min_i (A_i . w - e ||w||_1) / ||w||_p,

and ``gamma_p = max_w gamma(w)`` is where steepest descent on the robust exponential loss goes:
coordinate descent for p = 1, gradient descent for p = 2, sign descent for p = inf
(arXiv 2406.04981, arXiv 2410.22069). With ``w = u - v``, ``u, v >= 0``,
``z = (u, v)`` and ``C z = A (u - v) - e sum(u + v)`` all three are convex programs

    min  psi(z) - g   s.t.  C z >= g,  z >= 0;
    psi = 0 with sum(z) = 1  (p = 1),   psi = |z|^2 / 2  (p = 2),   psi = 0 with z <= 1  (p = inf),

whose multipliers ``a`` of the margin constraints lie on the simplex. Any ``w`` and any such ``a``
enclose the optimum, whatever the solver did:

    gamma(w)  <=  gamma_p  <=  ||soft(A^T a, e)||_{p*}.

The solver is Mehrotra's predictor-corrector interior-point method (S. Mehrotra, SIAM J. Optim. 2,
1992) with one n x n Cholesky factorisation per step: 10 to 25 steps whatever the data, to a
relative gap of about 1e-12 in float64 and 1e-5 to 1e-3 in float32. The gap is part of the
result. Derivatives of the margin are exact (envelope theorem); the direction has none.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float

from simulator.maths.norms import dual_norm, lp_norm, soft_threshold
from simulator.runtime.shapes import Numbers, Scalar


class MaxMargin(NamedTuple):
    """A maximum-margin direction with its certificate.

    ``direction`` has unit p-norm and exact zeros where the optimum has them. The maximal margin
    lies between ``margin`` (attained by ``direction``) and ``upper_bound`` (attained by the dual
    ``weights`` on the simplex, positive on support vectors only). ``margin <= 0`` means that the
    solver found the data not (robustly) separable; the direction is then meaningless.
    """

    direction: Float[Array, " dim"]
    margin: Float[Array, ""]
    upper_bound: Float[Array, ""]
    weights: Float[Array, " samples"]

    @property
    def relative_gap(self) -> Numbers:
        """``(upper_bound - margin) / upper_bound``: the largest possible relative error."""
        return (self.upper_bound - self.margin) / self.upper_bound

    @property
    def residual(self) -> Numbers:
        """The relative gap in units of what its precision allows: the same bound fits all.

        A solver limited by rounding leaves gaps of order ``sqrt(eps)``; scaled by the ratio to
        float64's, 1e-6 refuses relative gaps of 1e-6 in float64 and 2e-2 in float32.
        """
        rounding = float(jnp.finfo(self.margin.dtype).eps)
        return self.relative_gap * math.sqrt(2.0**-52 / rounding)


def robust_margin(
    signed_inputs: Float[Array, "samples dim"],
    weights: Float[Array, " dim"],
    radius: Scalar,
    order: float,
) -> Float[Array, ""]:
    """``min_i (A_i . w - e ||w||_1) / ||w||_p`` (0 at ``w = 0``)."""
    size = lp_norm(weights, order)
    worst = (signed_inputs @ weights).min() - radius * jnp.abs(weights).sum()
    return worst / jnp.where(size > 0, size, 1)


def margin_upper_bound(
    signed_inputs: Float[Array, "samples dim"],
    simplex: Float[Array, " samples"],
    radius: Scalar,
    order: float,
) -> Float[Array, ""]:
    """``||soft(A^T a, e)||_{p*}``: no direction has a larger robust margin (weak duality)."""
    return dual_norm(soft_threshold(signed_inputs.T @ simplex, radius), order)


def max_margin(
    signed_inputs: Float[Array, "samples dim"],
    order: float,
    radius: Scalar = 0.0,
    max_steps: int = 60,
    any_units: bool = False,
) -> MaxMargin:
    """The direction of largest robust margin in the p-norm, p = 1, 2 or inf.

    Parameters
    ----------
    signed_inputs : array, shape (n, d)
        Rows ``y_i x_i``.
    order : 1, 2 or math.inf
        The norm that the margin is measured in.
    radius : scalar
        Raw linf attack radius ``e >= 0``. For p = 1 it only shifts the margin by ``-e``, so that
        the unattacked problem is solved.
    max_steps : int
        Cap on the interior-point steps; iteration stops earlier once the gap stops shrinking.
    any_units : bool
        Features may differ much in their units (by a factor of 1e6 in float64), and points in
        their lengths (by 1e15). Without an attack.
    """
    if order not in (1, 2, math.inf):
        raise ValueError(f"max_margin solves p = 1, 2 and math.inf, not p = {order!r}")
    # Unit scale: the largest conceivable margin, max_i ||A_i||_*, becomes 1.
    scale = jnp.abs(signed_inputs).max() * signed_inputs.shape[1] ** (1 - 1 / order)
    scale = lax.stop_gradient(jnp.where(scale > 0, scale, 1))
    data = lax.stop_gradient(signed_inputs) / scale
    if any_units:
        data = jnp.where(jnp.abs(data).max(axis=0) > _NOTHING, data, 0)
    shift = lax.stop_gradient(jnp.asarray(radius, data.dtype)) / scale
    attack = jnp.zeros_like(shift) if order == 1 else shift

    def unfinished(carry):
        step, best, point = carry
        left = _complementarity(point, order)
        # For p = 2 the objective is a square: it falls faster where margins are small.
        power = 2 if any_units and order == 2 else 1
        return (step < max_steps) & (left > _epsilon(data) * best.upper_bound**power)

    def advance(carry):
        step, best, point = carry
        moved = _newton_step(data, attack, order, point, any_units)
        new = _certify(data, attack, order, moved)
        # Rounding makes the last steps useless, or not even finite: keep the best point seen.
        better = new.upper_bound - new.margin < best.upper_bound - best.margin
        return step + 1, _where(better, new, best), moved

    start = _start(data, attack, order, any_units)
    nothing_yet = _certify(data, attack, order, start)._replace(margin=-jnp.inf + 0 * shift)
    best = lax.while_loop(unfinished, advance, (0, nothing_yet, start))[1]
    direction, weights = best.direction, best.weights
    # Envelope theorem: at the saddle point only the data's own dependence counts.
    value = weights @ signed_inputs @ direction - radius * jnp.abs(direction).sum()
    value = value - lax.stop_gradient(value)
    excess = attack - shift  # p = 1: the attack, left out above
    margin = (best.margin + excess) * scale + value
    return MaxMargin(direction, margin, (best.upper_bound + excess) * scale + value, weights)


class _Point(NamedTuple):
    """Primal-dual iterate; every entry but ``threshold`` and ``total`` stays positive."""

    z: Array  # (2d,) the halves (u, v) of w = u - v
    reduced: Array  # (2d,) multipliers of z >= 0
    slack: Array  # (n,) C z - g
    weights: Array  # (n,) multipliers of C z >= g
    room: Array  # (2d,) 1 - z (p = inf)
    ceiling: Array  # (2d,) multipliers of z <= 1 (p = inf)
    threshold: Array  # g
    total: Array  # multiplier of sum(z) = 1 (p = 1)


def _epsilon(data: Array):
    return jnp.finfo(data.dtype).eps


def _where(condition, new, old):
    return type(new)(*(jnp.where(condition, a, b) for a, b in zip(new, old, strict=True)))


def _scores(data, attack, z):
    """``C z``."""
    u, v = jnp.split(z, 2)
    return data @ (u - v) - attack * z.sum()


def _pull_back(data, attack, weights):
    """``C^T a``."""
    pulled = data.T @ weights
    return jnp.concatenate([pulled, -pulled]) - attack * weights.sum()


def _complementarity(point: _Point, order):
    """``z . reduced + slack . weights + room . ceiling``: the gap of a feasible iterate."""
    gap = point.z @ point.reduced + point.slack @ point.weights
    return gap + point.room @ point.ceiling if math.isinf(order) else gap


_NOTHING = 1e-30  # a feature so much smaller than the largest moves no digit


def _start(data, attack, order, any_units) -> _Point:
    num_samples, dim = data.shape
    halves, ones = jnp.ones(2 * dim, data.dtype), jnp.ones(num_samples, data.dtype)
    z = halves * {1: 0.5 / dim, 2: (2 * dim) ** -0.5, math.inf: 0.5}[order]
    reach: Array | int = 1
    if any_units:  # every feature moves the scores alike
        size = jnp.abs(data).max(axis=0)
        size = jnp.where(size > 0, size, 1)
        z = jnp.tile(jnp.maximum(size.min() / size, _epsilon(data)), 2)
        z = z / (2 if math.isinf(order) else z.sum() if order == 1 else jnp.sqrt(z @ z))
        reach = (jnp.abs(data) @ z[:dim]).max()
    scores = _scores(data, attack, z)
    threshold = scores.min() - reach
    # Equal products z * reduced, slack * weights: a point near the central path.
    slack, weights = scores - threshold, ones / num_samples
    product = (slack * weights).mean()
    return _Point(
        z, product / z, slack, weights, 1 - z if math.isinf(order) else halves,
        product / (1 - z) if math.isinf(order) else 0 * halves, threshold, 0 * threshold,
    )  # fmt: skip


def _certify(data, attack, order, point: _Point) -> MaxMargin:
    """Primal and dual bounds of an iterate."""

    def unit(z):
        u, v = jnp.split(z, 2)
        size = lp_norm(u - v, order)
        w = (u - v) / jnp.where(size > 0, size, 1)
        return w, robust_margin(data, w, attack, order)

    whole, margin = unit(point.z)
    # Strict complementarity: what is smaller than its multiplier tends to zero.
    sparse, sparse_margin = unit(jnp.where(point.z > point.reduced, point.z, 0))
    enough = sparse_margin > margin - 1e-3 * jnp.abs(margin)
    weights = point.weights / point.weights.sum()
    return MaxMargin(
        jnp.where(enough, sparse, whole),
        jnp.where(enough, sparse_margin, margin),
        margin_upper_bound(data, weights, attack, order),
        weights,
    )


def _newton_step(data, attack, order, point: _Point, any_units) -> _Point:
    """One predictor-corrector step towards the solution along the central path."""
    bounded, summed = math.isinf(order), order == 1
    curvature = 1.0 if order == 2 else 0.0
    z, reduced, slack, weights, room, ceiling, threshold, total = point

    # Residuals of stationarity in z and g, of the slack's definition and of sum(z) = 1.
    stationarity = curvature * z - _pull_back(data, attack, weights) - reduced + ceiling + total
    mass = weights.sum() - 1
    definition = _scores(data, attack, z) - threshold - slack
    excess = z.sum() - 1 if summed else 0.0 * threshold

    # Eliminating all but the weights leaves M = C D C^T + diag(slack / weights).
    inverse = 1 / (curvature + reduced / z + ceiling / room)
    first, second = jnp.split(inverse, 2)
    skew = attack * (data @ (first - second))
    matrix = (data * (first + second)[None, :]) @ data.T - skew[:, None] - skew[None, :]
    matrix = matrix + attack**2 * inverse.sum()
    # sum(da) is known, so any multiple of 1 1^T may be added (it only shifts dg). It keeps M well
    # conditioned where fewer features are free than margins are active.
    diagonal = jnp.diagonal(matrix)
    level = jnp.exp(jnp.log(diagonal).mean()) if any_units else diagonal.mean()
    matrix = matrix + level + jnp.diag(slack / weights)
    # Unit diagonal, and a ridge that one step of refinement takes back where it matters: degenerate
    # problems (more active margins than features) have a singular M in the limit.
    root = jnp.sqrt(jnp.diagonal(matrix))
    scaled = matrix / (root[:, None] * root[None, :])
    factor = cho_factor(scaled + 10 * _epsilon(data) * jnp.eye(len(root), dtype=data.dtype))

    def solve(right):
        half = right / root
        found = cho_solve(factor, half)
        return (found + cho_solve(factor, half - scaled @ found)) / root

    ones = jnp.ones_like(weights)
    spread = _scores(data, attack, inverse)
    by_threshold = solve(ones)
    by_total = solve(spread) if summed else 0 * ones

    def direction(for_reduced, for_slack, for_ceiling):
        """The Newton direction for given targets of the three complementarity equations."""
        target = -stationarity + for_reduced / z - for_ceiling / room
        base = solve(for_slack / weights - definition - _scores(data, attack, inverse * target))
        # Two scalar unknowns, dg and dtotal, from sum(a) = 1 and sum(z) = 1.
        if summed:
            a11, a12 = by_threshold.sum(), by_total.sum()
            a21, a22 = spread @ by_threshold, spread @ by_total - inverse.sum()
            b1, b2 = -mass - base.sum(), -excess - spread @ base - inverse @ target
            determinant = a11 * a22 - a12 * a21
            d_threshold = (b1 * a22 - b2 * a12) / determinant
            d_total = (a11 * b2 - a21 * b1) / determinant
        else:
            d_threshold = (-mass - base.sum()) / by_threshold.sum()
            d_total = 0 * d_threshold
        d_weights = base + d_threshold * by_threshold + d_total * by_total
        d_z = inverse * (_pull_back(data, attack, d_weights) - d_total + target)
        return _Point(
            d_z,
            (for_reduced - reduced * d_z) / z,
            (for_slack - slack * d_weights) / weights,
            d_weights,
            -d_z if bounded else 0 * d_z,
            (for_ceiling + ceiling * d_z) / room,
            d_threshold,
            d_total,
        )

    def longest(move, fraction=1.0):
        """The largest step in (0, 1] that keeps ``fraction`` of the way to the boundary."""
        pairs = zip(point[:6], move[:6], strict=True)
        limits = [
            jnp.where(dx < 0, -x / jnp.where(dx < 0, dx, -1), jnp.inf).min() for x, dx in pairs
        ]
        return jnp.minimum(1, fraction * jnp.stack(limits).min())

    def moved(move, length):
        return _Point(*(x + length * dx for x, dx in zip(point, move, strict=True)))

    count = len(weights) + len(z) * (2 if bounded else 1)
    average = _complementarity(point, order) / count
    predictor = direction(-z * reduced, -slack * weights, -room * ceiling if bounded else 0 * z)
    predicted = _complementarity(moved(predictor, longest(predictor)), order) / count
    centre = average * (predicted / average) ** 3
    corrector = direction(
        centre - z * reduced - predictor.z * predictor.reduced,
        centre - slack * weights - predictor.slack * predictor.weights,
        centre - room * ceiling - predictor.room * predictor.ceiling if bounded else 0 * z,
    )
    return moved(corrector, longest(corrector, 0.995))
