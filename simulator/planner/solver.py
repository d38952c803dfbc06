"""Minimising Huber's loss of a law's residuals: variable projection, then Newton, with certificate.

A bootstrap draw, a start, a group and an influence deletion are all *weights* on the same rows, so
one program serves them: a batch of `LANES` problems on rows padded to a multiple of `BLOCK` with
weight 0. It is compiled once for all tables of a law that have so many rows.
"""

import concurrent.futures
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from simulator.planner.laws import Law
from simulator.runtime.compilation import float64_on_cpu, jit_on_cpu

BLOCK = 64  # rows are padded to a multiple of it
LANES = 16  # problems of one call of the program
STEPS = 600  # a safeguard: where few rows are inside a small threshold they are short
DRAW_STEPS = 100  # of a bootstrap draw, which starts at the estimate
LONGEST_STEP = 1.5
#: Residuals of this root mean square are rounding: the law fits exactly.
EXACT = 1e-12
#: A lane is done when its certificate is below; *converged* asks for 1e-8.
DONE = 1e-11


class Rows(NamedTuple):
    """What the program sees of a table.

    Attributes
    ----------
    features : mapping name -> (padded,)
    target : (padded,)
        Logarithms of the losses.
    weight : (padded,)
        0 for padding.
    """

    features: Mapping[str, np.ndarray]
    target: np.ndarray
    weight: np.ndarray


class Solutions(NamedTuple):
    """Minima of a batch of problems.

    Attributes
    ----------
    theta : (problems, variables)
    objective, certificate : (problems,)
    steps : (problems,)
    """

    theta: np.ndarray
    objective: np.ndarray
    certificate: np.ndarray
    steps: np.ndarray


def padded(features: Mapping[str, Any], target: Any, weight: Any, least: int = 0) -> Rows:
    """Rows of weight 0, copies of the first, to a multiple of `BLOCK`."""
    count = len(target)
    total = -(-max(count, least) // BLOCK) * BLOCK
    fill = np.r_[np.arange(count), np.zeros(total - count, int)]
    weights = np.where(np.arange(total) < count, np.asarray(weight, float)[fill], 0.0)
    return Rows({k: np.asarray(v)[fill] for k, v in features.items()}, target[fill], weights)


# --------------------------------------------------------------------------------------------
# One evaluation
# --------------------------------------------------------------------------------------------
class Point(NamedTuple):
    """Objective and derivatives at one theta."""

    objective: Any
    gradient: Any
    hessian: Any
    metric: Any


def _residuals(law: Law, absolute: bool, theta: Any, features: Any, target: Any) -> Any:
    """Residual, its gradient and its Hessian, row by row."""
    value, slope, curvature = jax.vmap(law.derivatives, in_axes=(None, 0))(theta, features)
    if not absolute:
        return value - target, slope, curvature
    loss = jnp.exp(value)
    outer = jnp.einsum("ni,nj->nij", slope, slope)
    return (
        loss - jnp.exp(target),
        loss[:, None] * slope,
        loss[:, None, None] * (curvature + outer),
    )


def _evaluate(law: Law, absolute: bool, problem: Any, theta: Any) -> Point:
    features, target, weight, delta, _ = problem
    r, slope, curvature = _residuals(law, absolute, theta, features, target)
    size = jnp.abs(r)
    inside = size <= delta
    psi = jnp.clip(r, -delta, delta)
    tail = jnp.where(inside, 0.0, delta)  # delta may be infinite: no product with it then
    value = jnp.where(inside, 0.5 * r**2, tail * (size - 0.5 * tail))
    down = jnp.where(inside, 1.0, tail / jnp.where(inside, 1.0, size))
    return Point(
        jnp.sum(weight * value),
        (weight * psi) @ slope,
        (slope.T * (weight * inside)) @ slope + jnp.einsum("n,nij->ij", weight * psi, curvature),
        (slope.T * (weight * down)) @ slope,
    )


def _certificate(point: Point, moving: Any, rounding: Any) -> Any:
    """``sqrt(sum_j g_j^2 / (M_jj f))`` over what moves; 0 where residuals are rounding."""
    diagonal = jnp.maximum(jnp.diagonal(point.metric), 1e-300)
    scaled = jnp.sum(jnp.where(moving, point.gradient**2 / diagonal, 0.0))
    exact = point.objective <= rounding
    return jnp.where(exact, 0.0, jnp.sqrt(scaled / jnp.where(exact, 1.0, point.objective)))


# --------------------------------------------------------------------------------------------
# Damped semi-smooth Newton in a box
# --------------------------------------------------------------------------------------------
class _State(NamedTuple):
    theta: Any
    point: Point
    certificate: Any
    damping: Any
    steps: Any
    done: Any


def _moving(theta: Any, gradient: Any, box: Any) -> Any:
    """Variables that are free, and not at a bound across which the objective falls."""
    low, high, free = box
    stuck = ((theta <= low) & (gradient > 0)) | ((theta >= high) & (gradient < 0))
    return free & ~stuck


def _proposal(state: _State, moving: Any) -> Any:
    """The damped Newton step in what moves; down the gradient where that does not descend."""
    p = state.point
    both = moving[:, None] & moving[None, :]
    matrix = jnp.where(both, p.hessian + state.damping * p.metric, jnp.eye(len(moving)))
    gradient = jnp.where(moving, p.gradient, 0.0)
    scale = 1 / jnp.sqrt(jnp.maximum(jnp.diagonal(p.metric), 1e-300))
    scale = jnp.where(moving, scale, 1.0)
    newton = -scale * jnp.linalg.solve(matrix * jnp.outer(scale, scale), scale * gradient)
    slope = newton @ gradient
    descends = jnp.all(jnp.isfinite(newton)) & (slope < 0)
    step = jnp.where(descends, newton, -0.1 * gradient * scale**2)
    return jnp.clip(step, -LONGEST_STEP, LONGEST_STEP)


def _advance(law: Law, absolute: bool, problem: Any, state: _State) -> _State:
    low, high, _ = box = problem[-1]
    rounding = 0.5 * EXACT**2 * jnp.sum(problem[2])
    moving = _moving(state.theta, state.point.gradient, box)
    theta = jnp.clip(state.theta + _proposal(state, moving), low, high)
    point = _evaluate(law, absolute, problem, theta)
    certificate = _certificate(point, _moving(theta, point.gradient, box), rounding)
    change = point.objective - state.point.objective
    level = jnp.abs(change) <= 1e-14 * state.point.objective  # f has no more digits
    accept = jnp.where(level, certificate < state.certificate, change <= 0)
    damping = jnp.where(accept, 0.15 * state.damping, 6 * jnp.maximum(state.damping, 1e-5))
    new = _State(theta, point, certificate, damping, 0, False)
    chosen = jax.tree.map(lambda a, b: jnp.where(accept & ~state.done, a, b), new, state)
    done = state.done | (chosen.certificate < DONE) | (damping > 1e9)
    return _State(
        chosen.theta,
        chosen.point,
        chosen.certificate,
        jnp.where(state.done, state.damping, damping),
        state.steps + ~state.done,
        done,
    )


def _minimise(law: Law, absolute: bool, features: Any, most: Any, theta: Any, lanes: Any) -> Any:
    """`LANES` problems side by side, until the last is done, or after ``most`` steps."""

    def start(lane: Any, theta: Any) -> _State:
        """The first step is none: what is computed there is compiled once, in the loop."""
        size = len(theta)
        nowhere = Point(jnp.inf, jnp.zeros(size), jnp.zeros((size, size)), jnp.zeros((size, size)))
        point = jax.tree.map(jnp.asarray, nowhere)
        idle = jnp.sum(lane[1]) == 0
        return _State(
            theta, point, jnp.asarray(jnp.inf), jnp.asarray(0.1 / 0.15), jnp.asarray(0), idle
        )

    def advance(lane: Any, state: _State) -> _State:
        return _advance(law, absolute, (features, *lane), state)

    state = lax.while_loop(
        lambda state: jnp.any(~state.done & (state.steps < most)),
        lambda state: jax.vmap(advance)(lanes, state),
        jax.vmap(start)(lanes, theta),
    )
    return state.theta, state.point.objective, state.certificate, state.steps


@functools.lru_cache(maxsize=64)
def _program(law: Law, absolute: bool) -> Callable[..., Any]:
    return jit_on_cpu(functools.partial(_minimise, law, absolute))


def solve(
    law: Law,
    rows: Rows,
    theta: Any,
    delta: Any,
    box: tuple[Any, Any, Any],
    *,
    target: Any = None,
    weight: Any = None,
    absolute: bool = False,
    steps: int = STEPS,
) -> Solutions:
    """Minima from given starts.

    Parameters
    ----------
    law : Law
    rows : Rows
    theta : (problems, variables)
        Starts.
    delta : float or (problems,)
        Huber's threshold; infinite for least squares.
    box : (low, high, free), each (variables,) or (problems, variables)
        Bounds of the variables, and whether each is fitted at all.
    target, weight : (problems, padded), optional
        Instead of those of the rows.
    absolute : bool
        Residuals of the loss, not of its logarithm.
    steps : int
        At most so many.
    """
    theta = np.atleast_2d(np.asarray(theta, float))
    count = len(theta)
    full = (count, len(rows.target))
    low, high, free = (np.broadcast_to(side, theta.shape) for side in box)
    given = (
        np.clip(theta, low, high),
        np.broadcast_to(rows.target if target is None else target, full),
        np.broadcast_to(rows.weight if weight is None else weight, full),
        np.broadcast_to(np.asarray(delta, float), (count,)),
        (low, high, free),
    )
    program = _program(law, absolute)

    def part(first: int) -> Any:
        start, *lanes = jax.tree.map(lambda v: _lanes(v[first : first + LANES]), given)
        with float64_on_cpu():
            return [np.asarray(v) for v in program(dict(rows.features), steps, start, tuple(lanes))]

    firsts = range(0, count, LANES)
    parts = [part(0)]  # compiles
    with concurrent.futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        parts += pool.map(part, firsts[1:])
    return Solutions(*(np.concatenate(values)[:count] for values in zip(*parts, strict=True)))


def _lanes(values: np.ndarray) -> np.ndarray:
    """So many problems as the program has lanes: those that lack are copies of the first."""
    missing = LANES - len(values)
    return np.concatenate([values, np.repeat(values[:1], missing, 0)]) if missing else values


def residuals(
    law: Law, rows: Rows, theta: Any, *, absolute: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals (padded,) and their gradients (padded, variables) at one theta."""
    with float64_on_cpu():
        r, slope = _residual_program(law, absolute)(
            np.asarray(theta, float), dict(rows.features), rows.target
        )
        return np.asarray(r), np.asarray(slope)


@functools.lru_cache(maxsize=64)
def _residual_program(law: Law, absolute: bool) -> Callable[..., Any]:
    def program(theta: Any, features: Any, target: Any) -> Any:
        return _residuals(law, absolute, theta, features, target)[:2]

    return jit_on_cpu(program)


def many_residuals(law: Law, rows: Rows, theta: Any, *, target: Any) -> np.ndarray:
    """Residuals of the logarithm of the loss, (problems, padded)."""
    with float64_on_cpu():
        logs = [_log_loss_program(law)(one, dict(rows.features)) for one in np.atleast_2d(theta)]
        return np.array(logs) - target


@functools.lru_cache(maxsize=64)
def _log_loss_program(law: Law) -> Callable[..., Any]:
    return jit_on_cpu(jax.vmap(law.log_loss, in_axes=(None, 0)))
