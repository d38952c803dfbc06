"""Optimal models of the laws in parameters and tokens, as functions of the fit variables.

``G = (alpha A / (beta B))^{1 / (alpha + beta)}``, ``N* = G (C/k)^{beta / (alpha + beta)}``,
``D* = C / (k N*)`` and ``L* = E + F C^-gamma`` with ``gamma = alpha beta / (alpha + beta)``.
All functions take ``(fit, theta, ...)`` and are differentiable in theta.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from simulator.maths.roots import bisected, newton_steps
from simulator.planner.laws import Law

if TYPE_CHECKING:
    from simulator.planner.result import Fit

GRID = 65
GOLDEN = 0.6180339887498949
STEPS = 60  # halvings
SECTIONS = 36


def has_allocation(law: Law) -> bool:
    """Whether a law says how a budget is shared between parameters and tokens."""
    return law.name in ("chinchilla", "tied", "data-constrained")


def constants(fit: "Fit", theta: Any) -> tuple[Any, ...]:
    """``E, A, B, alpha, beta``."""
    raw = fit.law.raw(theta, fit.centre)
    return tuple(raw[name] for name in ("E", "A", "B", "alpha", "beta"))


def log_g(fit: "Fit", theta: Any) -> Any:
    _, a, b, alpha, beta = constants(fit, theta)
    return (jnp.log(alpha * a) - jnp.log(beta * b)) / (alpha + beta)


def log_params(fit: "Fit", theta: Any, flop: Any) -> Any:
    """``ln N*`` at a budget."""
    *_, alpha, beta = constants(fit, theta)
    return log_g(fit, theta) + beta / (alpha + beta) * jnp.log(flop / fit.table.k)


def log_tokens(fit: "Fit", theta: Any, flop: Any) -> Any:
    """``ln D*`` at a budget."""
    return jnp.log(flop / fit.table.k) - log_params(fit, theta, flop)


def log_ratio(fit: "Fit", theta: Any, flop: Any) -> Any:
    """``ln D*/N*`` at a budget."""
    return log_tokens(fit, theta, flop) - log_params(fit, theta, flop)


def fresh_loss(fit: "Fit", theta: Any, params: Any, tokens: Any) -> Any:
    """The loss on tokens of which none is repeated."""
    e, a, b, alpha, beta = constants(fit, theta)
    return e + a * params**-alpha + b * tokens**-beta


def optimal_loss(fit: "Fit", theta: Any, flop: Any) -> Any:
    """``L*`` at a budget."""
    params = jnp.exp(log_params(fit, theta, flop))
    return fresh_loss(fit, theta, params, flop / (fit.table.k * params))


def frontier(fit: "Fit", theta: Any) -> tuple[Any, Any]:
    """``F`` and ``gamma``."""
    _, a, b, alpha, beta = constants(fit, theta)
    g, gamma = log_g(fit, theta), alpha * beta / (alpha + beta)
    return (a * jnp.exp(-alpha * g) + b * jnp.exp(beta * g)) * fit.table.k**gamma, gamma


def flop_for(fit: "Fit", theta: Any, loss: Any) -> Any:
    """The smallest budget that reaches a loss; infinite at and below the floor."""
    f, gamma = frontier(fit, theta)
    return _power(f, loss - constants(fit, theta)[0], gamma)


def tokens_for(fit: "Fit", theta: Any, loss: Any, params: Any) -> Any:
    """The fewest tokens that reach a loss with a model of given size."""
    e, a, b, alpha, beta = constants(fit, theta)
    return _power(b, loss - e - a * params**-alpha, beta)


def params_for(fit: "Fit", theta: Any, loss: Any, tokens: Any) -> Any:
    """The smallest model that reaches a loss on given tokens."""
    e, a, b, alpha, beta = constants(fit, theta)
    return _power(a, loss - e - b * tokens**-beta, alpha)


def _power(coefficient: Any, gap: Any, exponent: Any) -> Any:
    """``(coefficient / gap)^{1 / exponent}``, infinite without a gap."""
    open_ = gap > 0
    return jnp.where(open_, (coefficient / jnp.where(open_, gap, 1.0)) ** (1 / exponent), jnp.inf)


def with_inference(fit: "Fit", theta: Any, flop: Any, served: Any) -> Any:
    """``ln N`` of least loss where ``k N D + 2 N served = flop``.

    Differentiable: the optimum solves ``A alpha N^-alpha = B beta D^-beta (flop / (k N D))``.
    """
    _, a, b, alpha, beta = constants(fit, theta)
    k = fit.table.k

    def pull(x: Any) -> Any:  # of the two terms; increasing in x
        tokens = (flop * jnp.exp(-x) - 2 * served) / k
        data = jnp.log(b * beta) - beta * jnp.log(tokens) + jnp.log(flop / k) - x - jnp.log(tokens)
        return data - jnp.log(a * alpha) + alpha * x

    top = jnp.log(flop) - (jnp.log(2 * served) if served > 0 else jnp.log(k))
    return newton_steps(pull, zero(lambda x: pull(x) > 0, top - 60.0, top))


# --------------------------------------------------------------------------------------------
# Searches that vmap over draws
# --------------------------------------------------------------------------------------------
def zero(above: Callable[[Any], Any], low: Any, high: Any) -> Any:
    """The point from which on ``above`` is true, by bisection."""
    return bisected(above, low, high, STEPS)[1]


def minimum(function: Callable[[Any], Any], low: Any, high: Any) -> tuple[Any, Any]:
    """Where a function of one variable is smallest, and its value: a grid, then golden sections."""
    grid = jnp.linspace(low, high, GRID)
    best = jnp.argmin(jax.vmap(function)(grid))
    ends = grid[jnp.maximum(best - 1, 0)], grid[jnp.minimum(best + 1, GRID - 1)]

    def shrink(_: Any, ends: Any) -> Any:
        lower, upper = ends
        left = upper - GOLDEN * (upper - lower)
        right = lower + GOLDEN * (upper - lower)
        first = function(left) < function(right)
        return jnp.where(first, lower, left), jnp.where(first, right, upper)

    lower, upper = lax.fori_loop(0, SECTIONS, shrink, ends)
    middle = 0.5 * (lower + upper)
    return middle, function(middle)
