"""Huber's loss of a law's residuals with its derivatives, of many problems on the same rows.

A bootstrap draw, a start, a group and an influence deletion are all *weights* on the same rows, so
one program serves them: a few problems on rows padded to a multiple of `BLOCK` with weight 0. It is
compiled once for all tables of a law that have so many rows, and small, because whoever fits a
table for the first time waits for its compiler: all sums over rows are two products of matrices.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from simulator.planner.laws import Law
from simulator.runtime.compilation import ONCE_OPTIONS, QUICK_OPTIONS, float64_on_cpu, overlapping

BLOCK = 64  # rows are padded to a multiple of it
#: Problems of one call of the program. A law that is linear in its variables is so cheap that a
#: call must have more of them; the eight starts of another one are a call.
LANES, CURVED_LANES = 32, 8


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


class Problems(NamedTuple):
    """What differs between the problems of a batch.

    Attributes
    ----------
    target : (padded,) or (problems, padded)
        All problems have one target, or each its own.
    weight : (problems, padded)
    delta : (problems,)
        Huber's threshold; infinite for least squares.
    """

    target: np.ndarray
    weight: np.ndarray
    delta: np.ndarray

    @property
    def own_target(self) -> bool:
        return self.target.ndim == 2

    def of(self, chosen: Any) -> "Problems":
        target = self.target[chosen] if self.own_target else self.target
        return Problems(target, self.weight[chosen], self.delta[chosen])


class Point(NamedTuple):
    """Objective and derivatives at one theta of each problem.

    Attributes
    ----------
    objective : (problems,)
    gradient : (problems, variables)
    hessian, metric : (problems, variables, variables)
        The metric is a positive definite majoriser of the Hessian of Huber's loss.
    """

    objective: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    metric: np.ndarray


def padded(features: Mapping[str, Any], target: Any, weight: Any, least: int = 0) -> Rows:
    """Rows of weight 0, copies of the first, to a multiple of `BLOCK`."""
    count = len(target)
    total = -(-max(count, least) // BLOCK) * BLOCK
    fill = np.r_[np.arange(count), np.zeros(total - count, int)]
    weights = np.where(np.arange(total) < count, np.asarray(weight, float)[fill], 0.0)
    return Rows({k: np.asarray(v)[fill] for k, v in features.items()}, target[fill], weights)


# --------------------------------------------------------------------------------------------
# The program
# --------------------------------------------------------------------------------------------
def _sums(law: Law, absolute: bool, features: Any, theta: Any, problem: Any) -> tuple[Any, Any]:
    """Sums over the rows of one problem: with products of slopes, and of the law's curvature.

    With ``J`` the gradient of ``ln L``, ``psi`` Huber's score and ``q_k``, ``v_k`` the shares and
    slopes of the terms, the Hessian is
    ``sum w (inside - psi) J J' + sum w psi sum_k q_k (v_k v_k' + v_k')``, and without the
    logarithm (residuals of the loss itself) ``L`` and ``L^2`` take their places in it.

    Returns
    -------
    (2 variables + 2, variables + 1)
        Rows: first part of the Hessian, metric, gradient (beside 0), and the objective in the
        last column.
    (variables, variables)
        Second part of the Hessian.
    """
    target, weight, delta = problem
    logs, slopes, curvature = jax.vmap(law.terms, in_axes=(None, 0), out_axes=1)(theta, features)
    terms = jnp.exp(logs)
    total = sum(terms)
    shares = terms / total
    r = total - jnp.exp(target) if absolute else jnp.log(total) - target
    psi = jnp.clip(r, -delta, delta)
    score = weight * psi
    inside = jnp.where(psi == r, weight, 0.0)
    down = weight * jnp.minimum(1.0, delta / jnp.abs(r))
    value = score * (r - 0.5 * psi)
    if absolute:
        score, inside, down = score * total, inside * total**2, down * total**2
    else:
        inside = inside - score

    slope = sum(shares[:, :, None] * slopes)
    right = jnp.concatenate([slope, jnp.ones_like(weight)[:, None]], axis=1)
    left = [inside[:, None] * slope, down[:, None] * slope, score[:, None], value[:, None]]
    second = slopes[:, :, :, None] * slopes[:, :, None, :]
    if curvature is not None:
        second = second + curvature
    return jnp.concatenate(left, axis=1).T @ right, jnp.tensordot(score * shares, second, 2)


@functools.lru_cache(maxsize=64)
def program(law: Law, absolute: bool = False, own_target: bool = False) -> Callable[..., Any]:
    """``(features, theta, problems) -> sums``, of as many problems as a call has."""
    axes = (None, 0, (0 if own_target else None, 0, 0))
    lanes = jax.vmap(functools.partial(_sums, law, absolute), in_axes=axes)
    return jax.jit(lanes, compiler_options=QUICK_OPTIONS)


def evaluate(
    law: Law, absolute: bool, rows: Rows, problems: Problems, theta: np.ndarray, which: np.ndarray
) -> Point:
    """Objective and derivatives of some problems (``which``), each at its own theta."""
    count, size = theta.shape
    lanes = LANES if law.linear else CURVED_LANES
    run = program(law, absolute, problems.own_target)
    with float64_on_cpu():
        features = jax.device_put(dict(rows.features))
        if not problems.own_target:
            problems = problems._replace(target=jax.device_put(problems.target))

    def part(first: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.minimum(np.arange(first, first + lanes), count - 1)
        sums, second = run(features, theta[chosen], tuple(problems.of(which[chosen])))
        return np.asarray(sums), np.asarray(second)

    parts = overlapping(part, range(0, count, lanes))
    sums, second = (np.concatenate(values)[:count] for values in zip(*parts, strict=True))
    square = sums[:, :, :size]
    return Point(
        sums[:, -1, -1],
        square[:, 2 * size],
        square[:, :size] + second,
        square[:, size : 2 * size],
    )


# --------------------------------------------------------------------------------------------
# Residuals
# --------------------------------------------------------------------------------------------
def residuals(
    law: Law, rows: Rows, theta: Any, *, absolute: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Residuals (padded,) and their gradients (padded, variables) at one theta."""
    with float64_on_cpu():
        value, slope = _slopes_program(law)(np.asarray(theta, float), dict(rows.features))
        value, slope = np.asarray(value), np.asarray(slope)
    if not absolute:
        return value - rows.target, slope
    loss = np.exp(value)
    return loss - np.exp(rows.target), loss[:, None] * slope


@functools.lru_cache(maxsize=64)
def _slopes_program(law: Law) -> Callable[..., Any]:
    """``(theta, features) -> ln L and its gradient``, row by row."""
    both = jax.vmap(jax.value_and_grad(law.log_loss), in_axes=(None, 0))
    return jax.jit(both, compiler_options=ONCE_OPTIONS)


def many_residuals(law: Law, rows: Rows, theta: Any, *, target: Any) -> np.ndarray:
    """Residuals of the logarithm of the loss, (problems, padded)."""
    with float64_on_cpu():
        logs = [_log_loss_program(law)(one, dict(rows.features)) for one in np.atleast_2d(theta)]
        return np.array(logs) - target


@functools.lru_cache(maxsize=64)
def _log_loss_program(law: Law) -> Callable[..., Any]:
    return jax.jit(jax.vmap(law.log_loss, in_axes=(None, 0)), compiler_options=ONCE_OPTIONS)
