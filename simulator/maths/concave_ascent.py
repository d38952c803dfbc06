"""Concave functions of randomised rankings, maximised with a certificate.

One row for each user, every row in the permutahedron of the same weights. Accelerated projected
ascent (Y. Nesterov, 1983; restarts of B. O'Donoghue, E. Candès, 2015) finds the faces of the
maximum; on these Newton steps by conjugate gradients jump to it. The certificate is the
Frank-Wolfe gap ``max_b <grad f(a), b - a>``, which for concave ``f`` is at least ``max f - f(a)``
and needs one sort of every row.

Derivatives are those of the last Newton step, with the faces fixed: they are exact wherever the
maximum is differentiable.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from simulator.maths.permutahedron import Face, face_of, onto_face, project, sort_to_exposure
from simulator.runtime.shapes import Scalar

_PERIOD = 16  # steps of ascent between attempts to jump
_NEWTON_STEPS = 12
_DAMPING = (1.0, 0.5, 0.2, 0.05)
_PATIENCE = 30  # attempts in a row that do not halve the gap, and the ascent has stalled
_MOST_STEPS = 20_000

Objective = Callable[[Array, Any], Array]


class Maximum(NamedTuple):
    """Where a concave function is largest.

    Attributes
    ----------
    point : array (rows, items)
    gap : scalar
        The Frank-Wolfe gap there: at least the distance of its value from the maximum.
    scale : scalar
        The size of the terms whose difference the gap is.
    """

    point: Float[Array, "rows items"]
    gap: Float[Array, ""]
    scale: Float[Array, ""]

    @property
    def residual(self) -> Float[Array, ""]:
        """The gap relative to its terms, less what rounding explains."""
        eps = float(jnp.finfo(self.gap.dtype).eps)
        return jnp.maximum(self.gap / self.scale - 1000 * eps, 0)


def maximise(
    objective: Objective,
    weights: Float[Array, " items"],
    start: Float[Array, "rows items"],
    step: Scalar,
    args: Any,
) -> Maximum:
    """The maximum of ``objective(point, args)`` over the rows' permutahedra.

    Parameters
    ----------
    objective : callable
        Concave and smooth; differentiable in ``args``.
    weights : array (items,)
        Decreasing: the permutahedron of every row.
    start : array (rows, items)
        A feasible point.
    step : scalar
        First step of the ascent; it adapts.
    args : pytree
        Everything that derivatives shall see, beside the weights.

    Returns
    -------
    Maximum
        Its gap is limited by rounding, or by 20,000 steps.
    """

    @jax.custom_jvp
    def ascended(weights, start, step, args):
        return _ascend(objective, weights, start, step, args)

    @ascended.defjvp
    def slope(primals, tangents):
        weights, _, _, args = primals
        point, step = ascended(*primals)

        def sharpened(weights, args):
            return _sharpened(objective, weights, point, step, args)

        value, move = jax.jvp(sharpened, (weights, args), (tangents[0], tangents[3]))
        return (point, step), (jnp.where(jnp.isfinite(value), move, 0), jnp.zeros_like(step))

    point, _ = ascended(weights, start, jnp.asarray(step, weights.dtype), args)
    gap, scale = certificate(objective, *lax.stop_gradient((weights, point, args)))
    return Maximum(point, gap, scale)


def certificate(
    objective: Objective, weights: Float[Array, " items"], point: Float[Array, "rows items"],
    args: Any,
) -> tuple[Float[Array, ""], Float[Array, ""]]:  # fmt: skip
    """The Frank-Wolfe gap at a feasible point, and the size of its terms."""
    gradient = jax.grad(objective)(point, args)
    best = jax.vmap(sort_to_exposure, (0, None))(gradient, weights)
    # A constant in all scores of a row changes nothing but rounding.
    centred = gradient - jnp.mean(gradient, axis=1, keepdims=True)
    gap = jnp.sum(centred * (best - point))
    return jnp.maximum(gap, 0), jnp.sum(jnp.abs(gradient) * best)


class _State(NamedTuple):
    steps: Int[Array, ""]
    stalled: Int[Array, ""]
    point: Float[Array, "rows items"]
    ahead: Float[Array, "rows items"]
    momentum: Float[Array, ""]
    step: Float[Array, ""]
    reach: Float[Array, ""]
    gap: Float[Array, ""]
    done: Bool[Array, ""]


def _ascend(objective, weights, start, step, args):
    """Accelerated ascent with jumps until the gap is rounding, or no longer falls."""
    both = jax.value_and_grad(objective)
    project_rows = jax.vmap(project, (0, None))
    eps = jnp.finfo(weights.dtype).eps
    one = jnp.ones((), weights.dtype)

    def ascended(_, state):
        value, gradient = both(state.ahead, args)
        point = project_rows(state.ahead + state.step * gradient, weights)
        move = point - state.ahead
        promised = value + jnp.sum(gradient * move) - jnp.sum(move**2) / (2 * state.step)
        rounding = 8 * eps * (jnp.abs(value) + jnp.sum(jnp.abs(gradient * point)))
        accepted = objective(point, args) >= promised - rounding
        restart = jnp.sum(gradient * (point - state.point)) < 0
        momentum = jnp.where(restart, one, (1 + jnp.sqrt(1 + 4 * state.momentum**2)) / 2)
        weight = jnp.where(restart, 0, (state.momentum - 1) / momentum)
        after = state._replace(
            point=point,
            ahead=point + weight * (point - state.point),
            momentum=momentum,
            step=1.1 * state.step,
        )
        shorter = state._replace(ahead=state.point, momentum=one, step=state.step / 2)
        return jax.tree.map(lambda new, old: jnp.where(accepted, new, old), after, shorter)

    def attempt(state):
        state = lax.fori_loop(0, _PERIOD, ascended, state)
        jumped = _proximal_point(objective, weights, state.point, state.reach * state.step, args)
        # What far scores lose to rounding.
        near = _sharpened(objective, weights, jumped, state.step, args)
        jumps = jax.vmap(project_rows, (0, None))(jnp.stack([jumped, near]), weights)
        candidates = jnp.concatenate([state.point[None], jumps])
        gaps, scales = jax.vmap(lambda a: certificate(objective, weights, a, args))(candidates)
        values = jax.vmap(lambda a: objective(a, args))(candidates)
        high = values >= jnp.max(values) - 8 * eps * jnp.abs(values[0])
        best = jnp.argmin(jnp.where(high, gaps, jnp.inf))
        better = best > 0
        gap, scale, point = gaps[best], scales[best], candidates[best]
        stalled = jnp.where(gap < state.gap / 2, 0, state.stalled + 1)
        close = (gap <= 1000 * eps * scale) | ((stalled > 2) & (gap <= 1e7 * eps * scale))
        return state._replace(
            steps=state.steps + _PERIOD,
            stalled=stalled,
            point=point,
            ahead=jnp.where(better, point, state.ahead),
            momentum=jnp.where(better, one, state.momentum),
            reach=jnp.where(better, 4 * state.reach, jnp.maximum(state.reach / 4, 1)),
            gap=jnp.minimum(gap, state.gap),
            done=close,
        )

    def unfinished(state):
        return ~state.done & (state.steps < _MOST_STEPS) & (state.stalled < _PATIENCE)

    zero = jnp.int32(0)
    first = _State(zero, zero, start, start, one, step, 16 * one, jnp.inf * one, jnp.array(False))
    last = lax.while_loop(unfinished, attempt, first)
    return last.point, last.step


def _proximal_point(objective, weights, centre, reach, args):
    """Nearly the maximum of ``f(a) - |a - centre|^2 / (2 reach)``, by semismooth Newton steps.

    Its scores ``s`` solve ``s = grad f(project(centre + reach s))``; where ``f`` is quadratic and
    the faces are right a step solves that exactly.
    """
    slope = jax.grad(objective)
    scores = slope(centre, args)
    reach = jnp.minimum(reach, 1e6 / jnp.max(jnp.abs(scores)))

    def landing(scores):
        point, faces = _landing(centre + reach * scores, weights)
        value = objective(point, args) - jnp.sum((point - centre) ** 2) / (2 * reach)
        return value, (scores, point, faces)

    def unfinished(carry):
        return (carry[0] < _NEWTON_STEPS) & ~carry[2]

    def step(carry):
        count, (scores, point, faces), _ = carry
        along = _along(faces)
        gradient, curvature = jax.linearize(lambda a: slope(a, args), point)

        def damped(x):
            return x / reach - along(curvature(along(x)))

        move = _conjugate_gradients(damped, along(gradient - scores), 4 * sum(point.shape))
        newton = gradient + curvature(along(move))
        shares = jnp.asarray(_DAMPING, scores.dtype)[:, None, None]
        trials = scores[None] + shares * (newton - scores)[None]
        values, landed = jax.vmap(landing)(trials)
        best = jnp.max(values)
        rounding = 64 * jnp.finfo(best.dtype).eps * jnp.abs(best)
        longest = jnp.argmax(values >= best - rounding)
        after = jax.tree.map(lambda x: x[longest], landed)
        size = jnp.max(jnp.abs(scores))
        still = jnp.max(jnp.abs(after[0] - scores)) <= 64 * jnp.finfo(size.dtype).eps * size
        return count + 1, after, still

    first = (jnp.int32(0), landing(scores)[1], jnp.array(False))
    _, (_, point, _), _ = lax.while_loop(unfinished, step, first)
    return point


def _landing(x, weights):
    """The rows' projections, and the faces that they land on."""
    faces = lax.stop_gradient(jax.vmap(face_of, (0, None))(x, weights))
    return jax.vmap(onto_face, (0, None, 0))(x, weights, faces), faces


def _along(faces):
    """The map of the rows' moves to their parts along the faces."""
    return lambda move: jax.vmap(Face.centred)(faces, move)


def _sharpened(objective, weights, point, step, args):
    """A Newton step along the faces onto which a step of ascent projects, with derivatives."""
    slope = jax.grad(objective)
    point, faces = _landing(point + step * slope(point, args), weights)
    along = _along(faces)

    def curvature(x):
        return -along(jax.jvp(lambda a: slope(a, args), (point,), (along(x),))[1])

    def solve(matrix, right):
        return _conjugate_gradients(matrix, right, 4 * sum(right.shape))

    right = along(slope(point, args))
    return point + along(lax.custom_linear_solve(curvature, right, solve, symmetric=True))


def _conjugate_gradients(matrix, right, most):
    """Solve ``matrix(x) = right`` for a positive semidefinite matrix, in its range.

    It stops at rounding, and where nothing but the null space is left of the residual.
    """
    eps = jnp.finfo(right.dtype).eps
    size = jnp.sum(right**2)

    def unfinished(carry):
        count, _, residual, _, _, flat = carry
        return (count < most) & (jnp.sum(residual**2) > (4 * eps) ** 2 * size) & ~flat

    def step(carry):
        count, x, residual, direction, steepest, _ = carry
        product = matrix(direction)
        curved, length = jnp.sum(direction * product), jnp.sum(direction**2)
        steepest = jnp.maximum(steepest, curved / length)
        flat = curved <= 64 * eps * steepest * length
        moved = jnp.where(flat, 0, jnp.sum(residual**2) / jnp.where(flat, 1, curved))
        after = residual - moved * product
        ratio = jnp.sum(after**2) / jnp.sum(residual**2)
        return count + 1, x + moved * direction, after, after + ratio * direction, steepest, flat

    zero = jnp.zeros((), right.dtype)
    first = (jnp.int32(0), jnp.zeros_like(right), right, right, zero, jnp.array(False))
    return lax.while_loop(unfinished, step, first)[1]
