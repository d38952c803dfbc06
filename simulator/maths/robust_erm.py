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

import jax.numpy as jnp
from jax import lax
from jax.nn import sigmoid
from jaxtyping import Array, Float

from simulator.maths.robust_risk import (  # isort: skip
    Point, RobustErm, RobustFit, certify, damage, penalty_of, size_of, start, weights_of,
)  # fmt: skip
from simulator.maths.newton_system import NewtonSystem
from simulator.maths.proximal import loss_value
from simulator.maths.smooth_erm import smooth_erm
from simulator.runtime.shapes import Numbers, Scalar

_STEPS = 60
_TO_BOUNDARY = 0.995
_HALVINGS = 12
_STALLED = 6


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

    problem = RobustErm(
        data, jnp.asarray(radius, dtype), full(penalty), full(spread), order, loss, attack
    )
    enough = 1e-10 if tolerance is None else tolerance
    enough = max(enough, 4 * float(jnp.finfo(dtype).eps))
    if loss == "logistic" and not problem.split:
        return smooth_erm(problem, enough)

    def unfinished(carry):
        step, _, best, _, stalled = carry
        return (step < _STEPS) & (best.relative_gap > enough) & (stalled < _STALLED)

    def advance(carry):
        step, point, best, mu, stalled = carry
        point, mu = _newton_step(problem, point, mu)
        new = certify(problem, point)._replace(steps=step + 1)
        better = new.relative_gap < best.relative_gap
        best = RobustFit(*(jnp.where(better, x, y) for x, y in zip(new, best, strict=True)))
        return step + 1, point, best, mu, jnp.where(better, 0, stalled + 1)

    point, mu = start(problem)
    best = certify(problem, point)
    return lax.while_loop(unfinished, advance, (best.steps, point, best, mu, best.steps))[2]


# --------------------------------------------------------------------------------------------
# One step
# --------------------------------------------------------------------------------------------
def _newton_step(problem: RobustErm, point: Point, mu) -> tuple[Point, Array]:
    """One primal-dual Newton step towards the minimum of the barrier function at ``mu``."""
    data, radius, split = problem.data, problem.radius, problem.split
    hinge, linf = problem.loss == "hinge", problem.attack == "linf"
    z, reduced, xi, a, b = point
    w = weights_of(problem, z)
    margins = data @ w - damage(problem, z)

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
    gradient, second = penalty_of(problem, z, 1), penalty_of(problem, z, 2)
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
        size = size_of(problem, w)
        rank_one = problem.spread * w / size
        jacobian = data - radius * rank_one[None, :]
        weight = radius * -by_margin.sum() / size
        diagonal = diagonal + weight * problem.spread
        right = -g_w - jacobian.T @ slope + skew * g_sum
    system = NewtonSystem(diagonal, jacobian, curvature, weight, rank_one)
    step_w = system.factor(right.dtype).solve(right)
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
    along = data @ weights_of(problem, step_z)
    base = data @ w

    def barrier(share):
        new_z, new_xi = z + share * step_z, xi + share * step_xi
        t = base + share * along - damage(problem, new_z)
        value = penalty_of(problem, new_z).sum()
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
    moved = Point(
        z + share * step_z,
        reduced + dual * step_reduced if split else reduced,
        xi + share * step_xi,
        a + dual * step_a,
        b + dual * step_b,
    )
    return moved, _next_barrier(problem, moved, mu, jnp.minimum(share, dual))


def _next_barrier(problem: RobustErm, point: Point, mu, share) -> Array:
    """A tenth of the average product of bounds and multipliers, more after a short step.

    Under an l2 attack the hinge's margins bend. A product far below the average then keeps the
    steps short for ever, so that ``mu`` waits for it.
    """
    total, count = jnp.zeros_like(mu), 0
    lagging = jnp.zeros((), bool)
    if problem.split:
        total, count = total + point.z @ point.reduced, count + len(point.z)
    if problem.loss == "hinge":
        margins = problem.data @ weights_of(problem, point.z) - damage(problem, point.z)
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
