"""A robust empirical risk without bounds: Newton's method that keeps its factor (see `robust_erm`).

With the logistic loss, an l2 attack and ``r >= 2``, ``P`` is smooth and convex. Forming and
factorising its Hessian costs tens of passes over the data, and near the minimum it hardly changes.
One factor therefore serves several steps, each to the minimum of the local model of ``P`` in the
plane of ``H_old^-1 grad P`` and the step before (conjugate gradients with ``H_old`` as a
preconditioner). A step costs two passes over the data, ``Z p`` and ``Z^T a``, and divides the gap
by ten to a hundred; where it falls by less than `_WORTHWHILE`, the Hessian is factorised anew.
Doing so in every step is Newton's method.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.nn import sigmoid
from jaxtyping import Array

from simulator.maths.robust_risk import (  # isort: skip
    RobustErm, RobustFit, certificate, damage, penalty_of, pull_of, size_of,
)  # fmt: skip
from simulator.maths.newton_system import Factor, NewtonSystem
from simulator.maths.proximal import loss_value
from simulator.maths.slopes import ratio

_STEPS = 60
_STALLED = 6
_HALVINGS = 40  # towards w = 0, where the attack bends, its model is far too long
_WORTHWHILE = 4.0
_SCALINGS = 4


class _State(NamedTuple):
    """Weights and the last step, each with its product with the data, and what they certify."""

    w: Array
    raw: Array  # Z w
    step: Array
    raw_step: Array  # Z step
    slope: Array  # a, of the losses
    pulled: Array  # Z^T a
    fit: RobustFit
    best: RobustFit
    fall: Array  # of the gap, in the last step
    stalled: Array


def smooth_erm(problem: RobustErm, enough: float) -> RobustFit:
    """The minimum of a problem with the logistic loss, an l2 attack and ``order >= 2``."""

    def unfinished(state):
        going = (state.fit.steps < _STEPS) & (state.stalled < _STALLED)
        return going & (state.best.relative_gap > enough)

    def with_new_factor(state, dtype=problem.data.dtype):
        factor = _hessian(problem, state).factor(dtype)
        return lax.while_loop(
            lambda state: unfinished(state) & (state.fall > _WORTHWHILE),
            lambda state: _advance(problem, factor, state),
            state._replace(fall=jnp.full_like(state.fall, jnp.inf)),
        )

    # A preconditioner may be rounded; where that makes it useless, its steps do not fall.
    state = with_new_factor(_start(problem), jnp.dtype("float32"))
    return lax.while_loop(unfinished, with_new_factor, state).best


def _start(problem: RobustErm) -> _State:
    """About the best multiple of the direction in which ``P`` falls most steeply from ``w = 0``.

    Along it margins are linear; it falls wherever 0 is not the minimum.
    """
    steepest = problem.data.sum(axis=0) / problem.spread
    w = steepest / jnp.sqrt(jnp.mean(steepest**2))
    raw = problem.data @ w
    margins, penalty = raw - damage(problem, w), penalty_of(problem, w).sum()
    r = problem.order

    def rescaled(_, c):
        a = sigmoid(-c * margins)
        slope = r * penalty * c ** (r - 1) - margins @ a
        curvature = r * (r - 1) * penalty * c ** (r - 2) + margins**2 @ (a * (1 - a))
        return jnp.clip(c - slope / curvature, c / 16, 16 * c)

    c = lax.fori_loop(0, _SCALINGS, rescaled, jnp.ones_like(penalty))
    a, pulled, fit = _certified(problem, c * w, c * raw)
    fall, stalled = jnp.full_like(penalty, jnp.inf), jnp.zeros((), jnp.int32)
    return _State(c * w, c * raw, c * w, c * raw, a, pulled, fit, fit, fall, stalled)


def _certified(problem: RobustErm, w, raw) -> tuple[Array, Array, RobustFit]:
    a = sigmoid(damage(problem, w) - raw)
    pulled = problem.data.T @ a
    return a, pulled, certificate(problem, w, raw, a, pulled)


def _hessian(problem: RobustErm, state: _State) -> NewtonSystem:
    bend = _bend(problem, state.w)
    weight = problem.radius * state.slope.sum() / size_of(problem, state.w)
    return NewtonSystem(
        diagonal=penalty_of(problem, state.w, 2) + weight * problem.spread,
        jacobian=problem.data - problem.radius * bend[None, :],
        curvature=state.slope * (1 - state.slope),
        weight=weight,
        rank_one=bend,
    )


def _bend(problem: RobustErm, w) -> Array:
    """The gradient of ``N``."""
    return problem.spread * w / size_of(problem, w)


def _advance(problem: RobustErm, factor: Factor, state: _State) -> _State:
    """To the minimum of the local model in a plane, halved until ``P`` does not rise."""
    w, raw = state.w, state.raw
    gradient = penalty_of(problem, w, 1) - pull_of(problem, state.slope, state.pulled, w)
    towards = factor.solve(-gradient)
    directions = jnp.stack([towards, state.step], axis=1)
    products = jnp.stack([problem.data @ towards, state.raw_step], axis=1)
    margins = products - problem.radius * (_bend(problem, w) @ directions)[None, :]
    shares = _minimum(_hessian(problem, state).along(directions, margins), gradient @ directions)
    step, raw_step = directions @ shares, products @ shares

    def value(share):
        new = w + share * step
        losses = loss_value("logistic", raw + share * raw_step - damage(problem, new))
        return losses.sum() + penalty_of(problem, new).sum()

    # Near the minimum the decrease drowns in rounding.
    now = value(0)
    rounding = 4 * jnp.finfo(w.dtype).eps * now

    def too_long(carry):
        halvings, share = carry
        return (halvings < _HALVINGS) & ~(value(share) <= now + rounding)

    _, share = lax.while_loop(too_long, lambda c: (c[0] + 1, c[1] / 2), (0, jnp.ones_like(now)))
    new = value(share)
    step, raw_step = (jnp.where(new <= now + rounding, share * x, 0) for x in (step, raw_step))
    slope, pulled, fit = _certified(problem, w + step, raw + raw_step)
    fit = fit._replace(steps=state.fit.steps + 1)
    better = fit.relative_gap < state.best.relative_gap
    return _State(
        w + step,
        raw + raw_step,
        step,
        raw_step,
        slope,
        pulled,
        fit,
        RobustFit(*(jnp.where(better, x, y) for x, y in zip(fit, state.best, strict=True))),
        fall=state.fit.relative_gap / fit.relative_gap,
        stalled=jnp.where(better | (new < now - rounding), 0, state.stalled + 1),
    )


def _minimum(form, gradient) -> Array:
    """Where ``x^T form x / 2 + gradient^T x`` is least, on the first axis if both are one."""
    (a, b), (_, c) = form
    u, v = -gradient
    area = a * c - b**2
    apart = area > jnp.finfo(area.dtype).eps ** 0.5 * a * c
    second = jnp.where(apart, ratio(a * v - b * u, area), 0)
    return jnp.stack([ratio(u - b * second, a), second])
