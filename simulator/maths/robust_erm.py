"""Regularised robust empirical risk of a linear classifier, solved to rounding with a certificate.

With rows ``Z_i = y_i x_i`` (scaled so that ``Z_i . w`` is the margin) and margin losses ``l``:

    min_w  P(w) = sum_i l(t_i) + sum_j lambda_j |w_j|^r,     t_i = Z_i . w - e N(w),
    N(w) = ||w||_1  ("linf" attack)   or   sqrt(sum_j S_j w_j^2)  ("l2" attack, weights S).

The problem is convex. For the linf attack and for r < 2 it is smooth in the halves of
``w = u - v``, ``u, v >= 0`` (losses and penalty increase with both); for the hinge in the slacks of
``xi >= 0``, ``t + xi >= 1``. A primal-dual barrier method (Newton's method on ``P`` minus
``mu log`` of every bounded variable, with primal-dual curvatures, ``mu`` falling tenfold after
every full step) takes 10 to 25 steps whatever the data; without bounds it is Newton's method.
Each step costs one Cholesky factorisation of order ``min(n, d)``.

Any ``a`` in [0, 1]^n and any ``s`` in the dual ball of ``N`` bound the optimum from below,

    P(w) >= sum_i H(a_i) - R*(Z^T a - e s sum_i a_i),

``H`` the entropy (logistic) or ``a`` (hinge), ``R*`` the conjugate of the penalty. The relative gap
between the two sides is part of the result: it certifies the solution, whatever the solver did.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.nn import sigmoid
from jax.scipy.linalg import cho_solve
from jax.scipy.special import entr
from jaxtyping import Array, Float, Int

from simulator.maths.proximal import loss_value
from simulator.maths.slopes import square_root
from simulator.runtime.shapes import Numbers, Scalar

_STEPS = 60
_TO_BOUNDARY = 0.995
_HALVINGS = 12
_STALLED = 6


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


class _Problem(NamedTuple):
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


class _Point(NamedTuple):
    """Iterate. ``z`` is (u, v), or ``w`` where nothing is split; ``reduced`` are the multipliers
    of ``z >= 0``. Only the hinge uses the rest: ``xi`` and the multipliers ``a`` of
    ``t + xi >= 1`` and ``b`` of ``xi >= 0``."""

    z: Array
    reduced: Array
    xi: Array
    a: Array
    b: Array


def robust_erm(
    data: Float[Array, "samples dim"],
    radius: Scalar,
    penalty: Numbers,
    *,
    order: float = 2.0,
    loss: str = "logistic",
    attack: str = "linf",
    spread: Numbers = 1.0,
    tolerance: float | None = None,
) -> RobustFit:
    """Minimise ``sum_i l(Z_i . w - e N(w)) + sum_j lambda_j |w_j|^r``.

    Parameters
    ----------
    data : array, shape (n, d)
        Rows ``Z_i``, label times input.
    radius : scalar
        ``e >= 0`` in the units of ``N``.
    penalty : scalar or array, shape (d,)
        ``lambda_j > 0``.
    order : float
        ``r >= 1``.
    loss : {"logistic", "hinge"}
    attack : {"linf", "l2"}
    spread : scalar or array, shape (d,)
        ``S_j > 0`` of the l2 attack (Mahalanobis, in its own axes).
    tolerance : float, optional
        Relative gap at which to stop: 1e-10, or what the precision allows.
    """
    data = jnp.asarray(data)
    dim, dtype = data.shape[1], data.dtype

    def full(x):
        return jnp.broadcast_to(jnp.asarray(x, dtype), (dim,))

    problem = _Problem(
        data, jnp.asarray(radius, dtype), full(penalty), full(spread), order, loss, attack
    )
    enough = 1e-10 if tolerance is None else tolerance
    enough = max(enough, 4 * float(jnp.finfo(dtype).eps))

    def unfinished(carry):
        step, _, best, _, stalled = carry
        return (step < _STEPS) & (best.relative_gap > enough) & (stalled < _STALLED)

    def advance(carry):
        step, point, best, mu, stalled = carry
        point, mu = _newton_step(problem, point, mu)
        new = _certify(problem, point)._replace(steps=step + 1)
        better = new.relative_gap < best.relative_gap
        best = RobustFit(*(jnp.where(better, x, y) for x, y in zip(new, best, strict=True)))
        return step + 1, point, best, mu, jnp.where(better, 0, stalled + 1)

    point, mu = _start(problem)
    best = _certify(problem, point)
    return lax.while_loop(unfinished, advance, (best.steps, point, best, mu, best.steps))[2]


# --------------------------------------------------------------------------------------------
# The problem
# --------------------------------------------------------------------------------------------
def _weights(problem: _Problem, z) -> Array:
    if not problem.split:
        return z
    u, v = jnp.split(z, 2)
    return u - v


def _size(problem: _Problem, w) -> Array:
    """``N(w)``."""
    if problem.attack == "linf":
        return jnp.abs(w).sum()
    return square_root(jnp.sum(problem.spread * w**2))


def _damage(problem: _Problem, z) -> Array:
    """``e N``, as a smooth function of ``z``."""
    size = z.sum() if problem.attack == "linf" else _size(problem, _weights(problem, z))
    return problem.radius * size


def _penalty(problem: _Problem, z, derivative: int = 0) -> Array:
    """``lambda |z|^r`` entry by entry, or its first or second derivative."""
    weight = jnp.tile(problem.penalty, len(z) // len(problem.penalty))
    r, size = problem.order, jnp.abs(z)
    if derivative == 0:
        return weight * size**r
    if derivative == 1:
        return weight * r * jnp.sign(z) * size ** (r - 1)
    return weight * r * (r - 1) * size ** (r - 2) if r > 1 else jnp.zeros_like(z)


def _start(problem: _Problem) -> tuple[_Point, Array]:
    """A mean direction of unit size, where ``N`` is smooth."""
    mean = problem.data.sum(axis=0)
    w = mean / jnp.sqrt(jnp.mean(mean**2))
    z = jnp.concatenate([w + jnp.abs(w), jnp.abs(w) - w]) / 2 + 1 if problem.split else w
    margins = problem.data @ w - _damage(problem, z)
    xi = jnp.maximum(1 - margins, 0) + 1
    half = jnp.full_like(xi, 0.5)
    scale = jnp.abs(_pull(problem, half, w)).mean() + _penalty(problem, z, 1).mean()
    mu = scale if problem.split else jnp.ones_like(scale)
    reduced = mu / z if problem.split else jnp.ones_like(z)
    return _Point(z, reduced, xi, half, half), mu


def _pull(problem: _Problem, a, w) -> Array:
    """``Z^T a - e s sum(a)``, with the subgradient ``s`` of ``N`` that leaves least to the penalty:
    soft thresholding (linf), or else the gradient at ``w``."""
    pulled, attack = problem.data.T @ a, problem.radius * a.sum()
    if problem.attack == "linf":
        return jnp.sign(pulled) * jnp.maximum(jnp.abs(pulled) - attack, 0)
    size = _size(problem, w)
    return pulled - attack * problem.spread * w / jnp.where(size > 0, size, 1)


def _certify(problem: _Problem, point: _Point) -> RobustFit:
    """Primal value of the iterate (or of w = 0, if that is better) and a dual lower bound."""
    kept = jnp.where(point.z > point.reduced, point.z, 0) if problem.split else point.z
    w = _weights(problem, kept)
    margins = problem.data @ w - problem.radius * _size(problem, w)
    value = loss_value(problem.loss, margins).sum() + _penalty(problem, w).sum()
    at_zero = loss_value(problem.loss, jnp.zeros_like(margins)).sum()
    a = sigmoid(-margins) if problem.loss == "logistic" else jnp.clip(point.a, 0, 1)
    bound = _lower_bound(problem, a, _pull(problem, a, w))
    if problem.attack == "l2":
        # Near w = 0 the gradient of N is undecided; shrinking the pull itself decides it.
        pulled, root = problem.data.T @ a, jnp.sqrt(problem.spread)
        strength = jnp.linalg.norm(pulled / root)
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


def _lower_bound(problem: _Problem, a, pull) -> Array:
    """``sum H(a) - R*(pull)``; for r = 1 after shrinking ``a`` until ``|pull| <= lambda``."""
    r, weight = problem.order, problem.penalty
    if r == 1:
        a = a / jnp.maximum(jnp.max(jnp.abs(pull) / weight), 1)
        conjugate = jnp.zeros_like(pull)
    else:
        conjugate = (r - 1) * weight * (jnp.abs(pull) / (r * weight)) ** (r / (r - 1))
    entropy = a if problem.loss == "hinge" else entr(a) + entr(1 - a)
    return entropy.sum() - conjugate.sum()


# --------------------------------------------------------------------------------------------
# One step
# --------------------------------------------------------------------------------------------
def _newton_step(problem: _Problem, point: _Point, mu) -> tuple[_Point, Array]:
    """One primal-dual Newton step towards the minimum of the barrier function at ``mu``."""
    data, radius, split = problem.data, problem.radius, problem.split
    hinge, linf = problem.loss == "hinge", problem.attack == "linf"
    z, reduced, xi, a, b = point
    w = _weights(problem, z)
    margins = data @ w - _damage(problem, z)

    # Loss: gradient and curvature in the margins, the hinge's slack xi being eliminated.
    if hinge:
        slack = margins - 1 + xi
        by_slack, by_xi = a / slack, b / xi
        by_margin, pull_xi = -mu / slack, 1 - mu / slack - mu / xi
        share = by_slack / (by_slack + by_xi)
        slope, curvature = by_margin - share * pull_xi, share * by_xi
    else:
        by_margin = slope = -sigmoid(-margins)
        curvature = sigmoid(margins) * sigmoid(-margins)

    # Weights: barrier gradient and primal-dual curvature of u and v, in w = u - v and u + v.
    gradient, second = _penalty(problem, z, 1), _penalty(problem, z, 2)
    if split:
        (gu, gv), (du, dv) = (jnp.split(x, 2) for x in (gradient - mu / z, second + reduced / z))
        mean, skew, diagonal = (du + dv) / 4, (du - dv) / (du + dv), du * dv / (du + dv)
        g_w, g_sum = (gu - gv) / 2, (gu + gv) / 2
    else:
        mean, skew, diagonal = second, jnp.zeros_like(z), second
        g_w, g_sum = gradient, jnp.zeros_like(z)
    if linf:
        tau = radius  # the margins fall by tau sum(u + v)
        g_sum = g_sum - tau * slope.sum()
        jacobian = data + tau * skew[None, :]
        lift = (g_sum / mean).sum() * tau
        looseness = tau**2 * (1 / mean).sum()
        damping = 1 + looseness * curvature.sum()
        rank_one = jacobian.T @ curvature
        weight = looseness / damping
        right = -g_w - data.T @ slope + skew * g_sum - rank_one * lift / damping
    else:
        size = _size(problem, w)
        rank_one = problem.spread * w / size
        jacobian = data - radius * rank_one[None, :]
        weight = radius * -by_margin.sum() / size
        diagonal = diagonal + weight * problem.spread
        right = -g_w - jacobian.T @ slope + skew * g_sum
    step_w = _solve(diagonal, jacobian, curvature, weight, rank_one, right)
    if linf:
        flow = (rank_one @ step_w + lift * curvature.sum()) / damping
        step_margin = jacobian @ step_w + lift - looseness * flow
        step_sum = (tau * flow - g_sum) / mean - skew * step_w
    else:
        step_margin = jacobian @ step_w
        step_sum = -g_sum / mean - skew * step_w
    step_z = jnp.concatenate([step_sum + step_w, step_sum - step_w]) / 2 if split else step_w
    if hinge:
        step_xi = -(pull_xi + by_slack * step_margin) / (by_slack + by_xi)
        step_a = mu / slack - a - by_slack * (step_margin + step_xi)
        step_b = mu / xi - b - by_xi * step_xi
    else:
        step_xi, step_a, step_b = (jnp.zeros_like(x) for x in (xi, a, b))
    step_reduced = (mu - reduced * step_z) / z - reduced

    # Primal step: halved until the barrier function does not rise.
    longest = _longest([(z, step_z)] * split + [(xi, step_xi)] * hinge)
    along = data @ _weights(problem, step_z)
    base = data @ w

    def barrier(share):
        new_z, new_xi = z + share * step_z, xi + share * step_xi
        t = base + share * along - _damage(problem, new_z)
        value = _penalty(problem, new_z).sum()
        bounded = [new_z] if split else []
        if hinge:
            value = value + new_xi.sum()
            bounded += [new_xi, t - 1 + new_xi]
        else:
            value = value + loss_value("logistic", t).sum()
        for x in bounded:
            inside = jnp.all(x > 0)
            value = value - mu * jnp.log(jnp.where(x > 0, x, 1)).sum()
            value = jnp.where(inside, value, jnp.inf)
        return jnp.where(jnp.isfinite(value), value, jnp.inf)

    # Near the minimum the decrease drowns in rounding.
    now = barrier(jnp.zeros_like(longest))
    enough = now + 4 * jnp.finfo(z.dtype).eps * jnp.abs(now)

    def too_long(carry):
        halvings, share = carry
        return (halvings < _HALVINGS) & ~(barrier(share) <= enough)

    _, share = lax.while_loop(too_long, lambda c: (c[0] + 1, c[1] / 2), (0, longest))
    dual = _longest([(reduced, step_reduced)] * split + [(a, step_a), (b, step_b)] * hinge)
    moved = _Point(
        z + share * step_z,
        reduced + dual * step_reduced if split else reduced,
        xi + share * step_xi,
        a + dual * step_a,
        b + dual * step_b,
    )
    return moved, _next_barrier(problem, moved, mu, jnp.minimum(share, dual))


def _next_barrier(problem: _Problem, point: _Point, mu, share) -> Array:
    """A tenth of the average product of bounds and multipliers, more after a short step.

    Under an l2 attack the hinge's margins bend. A product far below the average then keeps the
    steps short for ever, so that ``mu`` waits for it.
    """
    total, count = jnp.zeros_like(mu), 0
    lagging = jnp.zeros((), bool)
    if problem.split:
        total, count = total + point.z @ point.reduced, count + len(point.z)
    if problem.loss == "hinge":
        margins = problem.data @ _weights(problem, point.z) - _damage(problem, point.z)
        slack = margins - 1 + point.xi
        total = total + slack @ point.a + point.xi @ point.b
        count += 2 * len(slack)
        if problem.attack == "l2":
            least = jnp.minimum(slack * point.a, point.xi * point.b).min()
            lagging = least < 0.1 * total / count
    centring = jnp.where(share > 0.9, 0.1, jnp.where(share > 0.3, 0.4, 1.0))
    centring = jnp.where(lagging, 1.0, centring)
    return jnp.minimum(mu, centring * total / max(count, 1))


def _longest(pairs) -> Array:
    """The largest step in (0, 1] that keeps ``x + step dx`` inside, with a margin."""
    limits = [jnp.ones(())]
    for x, dx in pairs:
        falling = dx < 0
        limits.append(jnp.where(falling, -x / jnp.where(falling, dx, -1), jnp.inf).min())
    shortest = jnp.stack([jnp.asarray(limit, limits[-1].dtype) for limit in limits[1:] or limits])
    return jnp.minimum(1, _TO_BOUNDARY * shortest.min()) if pairs else limits[0]


def _solve(diagonal, jacobian, curvature, weight, rank_one, right) -> Array:
    """``(D + J^T C J - weight g g^T)^{-1} right`` by one Cholesky factor of order min(n, d)."""
    rows, columns = jacobian.shape
    root = jnp.sqrt(diagonal)
    scaled = jnp.sqrt(curvature)[:, None] * jacobian / root[None, :]
    wide = rows < columns
    small = scaled @ scaled.T if wide else scaled.T @ scaled
    factor = jnp.linalg.cholesky(small + jnp.eye(len(small), dtype=small.dtype))

    def inverse(x):
        x = x / root
        if wide:
            x = x - scaled.T @ cho_solve((factor, True), scaled @ x)
        else:
            x = cho_solve((factor, True), x)
        return x / root

    base, towards = inverse(right), inverse(rank_one)
    room = 1 - weight * (rank_one @ towards)
    room = jnp.maximum(room, jnp.finfo(room.dtype).eps)
    return base + towards * (weight * (rank_one @ base) / room)
