"""Concave functions of randomised rankings, maximised with a certificate.

One row for each user, every row in the permutahedron of the same weights. Accelerated projected
ascent (Y. Nesterov, 1983; restarts of B. O'Donoghue, E. Candès, 2015) converges linearly on
polytopes. The certificate is the Frank-Wolfe gap ``max_b <grad f(a), b - a>``, which for concave
``f`` is at least ``max f - f(a)`` and needs one sort of every row.

Derivatives are those of a Newton step, by conjugate gradients, on the faces of the maximum: they
are exact wherever it is differentiable.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from simulator.maths.permutahedron import Face, face_of, onto_face, project, sort_to_exposure
from simulator.runtime.shapes import Scalar

_PERIOD = 16  # steps of ascent between certificates
_MOST_STEPS = 50_000

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
        Its gap is limited by rounding, or by 50,000 steps.
    """

    @jax.custom_jvp
    def ascended(weights, start, step, args):
        point, step = ascend(objective, weights, start, step, args)
        if weights.dtype == jnp.float32:
            point = polished(objective, weights, point, step, args)
        return point, step

    @ascended.defjvp
    def slope(primals, tangents):
        weights, _, _, args = primals
        point, step = ascended(*primals)

        def stepped(weights, args):
            return newton_step(objective, weights, point, step, args)

        value, move = jax.jvp(stepped, (weights, args), (tangents[0], tangents[3]))
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
    point: Float[Array, "rows items"]
    ahead: Float[Array, "rows items"]
    momentum: Float[Array, ""]
    step: Float[Array, ""]
    best: Float[Array, "rows items"]
    gap: Float[Array, ""]
    done: Bool[Array, ""]


def ascend(
    objective: Objective,
    weights: Float[Array, " items"],
    start: Float[Array, "rows items"],
    step: Float[Array, ""],
    args: Any,
) -> tuple[Float[Array, "rows items"], Float[Array, ""]]:
    """Accelerated ascent until the gap is rounding: the point, the last step.

    Without derivatives; arguments as those of `maximise`.
    """
    slope = jax.grad(objective)
    eps = jnp.finfo(weights.dtype).eps
    one = jnp.ones((), weights.dtype)

    def ascended(_, state):
        gradient = slope(state.ahead, args)
        point = jax.vmap(project, (0, None))(state.ahead + state.step * gradient, weights)
        move = point - state.ahead
        bend = -jnp.sum((slope(point, args) - gradient) * move)
        rounding = 8 * eps * jnp.sum(jnp.abs(gradient * move))
        accepted = bend <= jnp.sum(move**2) / (2 * state.step) + rounding
        restart = jnp.sum(gradient * (point - state.point)) < 0
        momentum = jnp.where(restart, one, (1 + jnp.sqrt(1 + 4 * state.momentum**2)) / 2)
        weight = jnp.where(restart, 0, (state.momentum - 1) / momentum)
        after = state._replace(
            point=point,
            ahead=point + weight * (point - state.point),
            momentum=momentum,
            step=1.1 * state.step,
        )
        # Momentum leads out of the polytope, perhaps to where there is no value.
        outside = ~jnp.isfinite(jnp.sum(gradient))
        shorter = state._replace(
            ahead=jnp.where(outside, state.point, state.ahead),
            momentum=jnp.where(outside, one, state.momentum),
            step=jnp.where(outside, state.step, state.step / 2),
        )
        return jax.tree.map(lambda new, old: jnp.where(accepted, new, old), after, shorter)

    def certified(state):
        state = lax.fori_loop(0, _PERIOD, ascended, state)
        gap, scale = certificate(objective, weights, state.point, args)
        return state._replace(
            steps=state.steps + _PERIOD,
            best=jnp.where(gap < state.gap, state.point, state.best),
            gap=jnp.minimum(gap, state.gap),
            done=gap <= 256 * eps * scale,
        )

    def unfinished(state):
        return ~state.done & (state.steps < _MOST_STEPS)

    zero, no = jnp.int32(0), jnp.array(False)
    first = _State(zero, start, start, one, step, start, jnp.inf * one, no)
    last = lax.while_loop(unfinished, certified, first)
    return last.best, last.step


def polished(
    objective: Objective,
    weights: Float[Array, " items"],
    point: Float[Array, "rows items"],
    step: Float[Array, ""],
    args: Any,
) -> Float[Array, "rows items"]:
    """The point after a Newton step, unless that leads away from the maximum.

    A gap that is all rounding leaves a point uncertain by the gap's square root: half the digits,
    which in single precision are missed. Once the faces are found the step is right to rounding.
    """
    moved = newton_step(objective, weights, point, step, args)
    moved = jax.vmap(project, (0, None))(moved, weights)
    (gap, scale), (before, _) = (certificate(objective, weights, x, args) for x in (moved, point))
    rounding = 256 * jnp.finfo(weights.dtype).eps * scale
    return jnp.where(gap <= jnp.maximum(before, rounding), moved, point)


def _onto_faces(x, weights):
    """The rows' projections, and the map of moves to their parts along the faces."""
    faces = lax.stop_gradient(jax.vmap(face_of, (0, None))(x, weights))
    point = jax.vmap(onto_face, (0, None, 0))(x, weights, faces)
    return point, lambda move: jax.vmap(Face.centred)(faces, move)


def newton_step(objective, weights, point, step, args):
    """A Newton step along the faces onto which a step of ascent projects, with derivatives."""
    slope = jax.grad(objective)
    point, along = _onto_faces(point + step * slope(point, args), weights)

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
