"""Deterministic equivalents of ridge regression on a weighted mixture of two sources.

Both sources have inputs ``N(0, Sigma)``, ``Sigma = diag(lambda)``; source ``j`` has ``p_j n``
samples of weight ``a_j``. With ``x = df1(kappa)/n``, the pair ``(kappa, omega)`` solves

    sum_j p_j a_j / (omega + a_j x) = 1,        ridge = kappa omega M,

``M = 1`` for the linear model and ``M = (m - df1)/d`` for ``m`` random features ``S^T x`` with
entries of variance ``1/d`` (arXiv 2410.04840; unweighted:
``omega = 1 - df1/n``). Everything else is written with the *gains*

    h_j / omega = a_j / (omega + a_j x),        sum_j p_j h_j / omega = 1,

which stay finite when ``omega`` vanishes: a fit that interpolates forgets the weights by itself.
Deterministic equivalents: relative error ``O(1/d)``, ``O(1/df2)`` for power laws.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from simulator.maths.precision import float_dtype
from simulator.maths.resolvent import (
    degrees_of_freedom,
    effective_penalty,
    residual_fraction,
    shrinkage,
    survival,
)
from simulator.maths.roots import increasing_root, newton_steps


class MixtureFit(NamedTuple):
    """Equivalent of one fit on a mixture, in the symbols of the module docstring.

    Error parts for a teacher with ``s_k`` (``E s_k = lambda_k w_k^2``), a shift with ``g_k`` and
    correlation ``rho``, label noise ``sigma_j^2``; ``c_j = gain_j``, ``U`` = `amplification`,
    ``I`` = `inflation`, ``t1``, ``t2`` the response and its second moment, ``R`` = `shrinkage`:

    - bias ``(1 + I) sum s R``; variance ``U sum_j p_j c_j^2 sigma_j^2``;
    - shift ``sum_k g_k (p_2^2 c_2^2 [(1 + I) t2 - 2 c_2 U t1] + p_2 c_2^2 U)``;
    - cross ``2 p_2 c_2 rho sum_k sqrt(s g) ((1 + I) t2 - (G + c_2) U t1 + c_2 U - t1)``.
    """

    kappa: Array
    omega: Array
    h: Array  # (2,) h_j = a_j / (1 + a_j df1/(n omega)) = omega gain_j
    gain: Array  # (2,) h_j / omega, 0 for an inactive source
    gain_square: Array  # G = sum_j p_j gain_j^2 = eta / omega^2
    df1: Array
    df2: Array
    response: Array  # (dim,) t1_k = lambda_k / (lambda_k + kappa)
    response_square: Array  # (dim,) t2_k = t1_k^2 + q kappa lambda_k / (lambda_k + kappa)^2
    shrinkage: Array  # (dim,) 1 - 2 t1_k + t2_k
    amplification: Array  # U = tau omega^2 = (D2/n) / (1 - G D2/n), D2 = sum_k t2_k
    inflation: Array  # eta tau = G U; u = (D2/n) / (1 - D2/n) if unweighted


def mixture_fit(
    eigenvalues, num_samples, fractions, sample_weights, ridge, width=None
) -> MixtureFit:
    """Solve for ``(kappa, omega)`` and gather what the error of the fit needs.

    Parameters
    ----------
    eigenvalues : array (dim,)
        ``lambda_k > 0``.
    num_samples : float
        ``n``, all samples together; infinite is allowed (the plateau).
    fractions, sample_weights : array (2,)
        ``p_j`` and ``a_j``. A source with ``p_j a_j = 0`` is inactive and drops out; if both are,
        nothing is fitted: ``kappa = inf``, the response is 0.
    ridge : float
        ``>= 0``. Without ridge, with ``n_eff = n sum_{active} p_j``: ``kappa = 0`` if
        ``d <= min(m, n_eff)``, else ``df1(kappa) = min(m, n_eff)``; and ``omega = 0`` if
        ``n_eff <= min(m, d)``.
    width : float, optional
        ``m``, number of random features; none: the linear model itself.

    Notes
    -----
    ``kappa`` and ``omega`` are differentiable in every parameter (two recorded Newton steps).
    """
    dtype = float_dtype()
    eigenvalues = jnp.asarray(eigenvalues, dtype)
    num_samples, ridge = jnp.asarray(num_samples, dtype), jnp.asarray(ridge, dtype)
    width = None if width is None else jnp.asarray(width, dtype)
    fractions, sample_weights = _active(fractions, sample_weights)
    anything = jnp.sum(fractions) > 0
    # With no active source solve a harmless problem and overwrite its result.
    only_first = jnp.asarray([1, 0], dtype)
    fractions = jnp.where(anything, fractions, only_first)
    sample_weights = jnp.where(anything, sample_weights, only_first)

    problem = _Problem(eigenvalues, num_samples, fractions, sample_weights, ridge, width)
    kappa = _solve(problem)
    interpolates = (ridge == 0) & (_active_samples(problem) <= _capacity(problem))
    omega = _omega(kappa, problem)
    # Exactly 0 where the fit interpolates, with its derivatives kept.
    omega = omega - lax.stop_gradient(jnp.where(interpolates, omega, 0))

    kappa = jnp.where(anything, kappa, jnp.inf)
    response = survival(eigenvalues, kappa)
    lost = shrinkage(eigenvalues, kappa)
    df1 = degrees_of_freedom(eigenvalues, kappa, 1)
    df2 = degrees_of_freedom(eigenvalues, kappa, 2)

    active = anything & (sample_weights > 0)
    denominator = omega + sample_weights * df1 / num_samples
    gain = jnp.where(active, sample_weights / jnp.where(active, denominator, 1), 0)
    gain_square = jnp.sum(fractions * gain**2)

    # q = (df1 - df2) / (m - df2): the share of the lost part that random features keep as spread.
    spread = jnp.zeros_like(df1)
    if width is not None:
        between = jnp.sum(response * lost)  # df1 - df2
        room = between + width * residual_fraction(eigenvalues, kappa, width, 1)  # m - df2
        spread = jnp.where(between > 0, between / jnp.where(between > 0, room, 1), 0)
    second = response**2 + spread * response * lost
    per_sample = jnp.sum(second) / num_samples
    amplification = per_sample / (1 - gain_square * per_sample)
    return MixtureFit(
        kappa=kappa,
        omega=jnp.where(anything, omega, 0),
        h=jnp.where(anything, omega, 0) * gain,
        gain=gain,
        gain_square=gain_square,
        df1=df1,
        df2=df2,
        response=response,
        response_square=second,
        shrinkage=lost**2 + spread * response * lost,
        amplification=amplification,
        inflation=gain_square * amplification,
    )


def _active(fractions, sample_weights):
    """Fractions and weights with inactive sources set to 0 in both."""
    fractions = jnp.asarray(fractions, float_dtype())
    sample_weights = jnp.asarray(sample_weights, float_dtype())
    active = (fractions > 0) & (sample_weights > 0)
    return jnp.where(active, fractions, 0), jnp.where(active, sample_weights, 0)


class _Problem(NamedTuple):
    eigenvalues: Array
    num_samples: Array
    fractions: Array
    weights: Array
    ridge: Array
    width: Array | None


def _active_samples(problem: _Problem) -> Array:
    """``n_eff = n sum_j p_j`` over the active sources."""
    return problem.num_samples * jnp.sum(problem.fractions)


def _capacity(problem: _Problem) -> Array:
    """``min(m, d)``: how many samples can be interpolated."""
    dim = problem.eigenvalues.size
    return jnp.asarray(dim) if problem.width is None else jnp.minimum(problem.width, dim)


def _solve(problem: _Problem) -> Array:
    """``kappa`` with ``kappa omega(kappa) M(kappa) = ridge``."""
    frozen = lax.stop_gradient(problem)
    eigenvalues, _, fractions, weights, ridge, width = frozen
    samples = _active_samples(frozen)
    limit = samples if width is None else jnp.minimum(samples, width)
    variance = jnp.sum(eigenvalues)
    # omega lies between min_j a_j and max_j a_j times (sum_j p_j - df1/n): both ends bracket kappa.
    scaled = ridge / jnp.sum(fractions) * (1 if width is None else eigenvalues.size / width)
    heaviest = jnp.max(weights)
    lightest = jnp.min(jnp.where(weights > 0, weights, jnp.inf))
    rounding = 16 * jnp.finfo(ridge.dtype).eps
    lower = (1 - rounding) * effective_penalty(eigenvalues, limit, scaled / heaviest)
    upper = (1 + rounding) * (
        scaled / lightest + variance / samples + (0 if width is None else variance / width)
    )
    # Without ridge kappa is known, and any bracket keeps the idle solver quiet.
    positive = ridge > 0
    root = increasing_root(
        _equation, jnp.where(positive, lower, 1), jnp.where(positive, upper, 1), frozen
    )
    edge = effective_penalty(eigenvalues, limit, 0)
    return newton_steps(_equation, jnp.where(positive, root, edge), problem)


def _equation(kappa, problem: _Problem) -> Array:
    """``kappa omega M - ridge``, increasing in ``kappa`` where ``df1 < min(m, n_eff)``."""
    value = kappa * _omega(kappa, problem)
    if problem.width is not None:
        free = residual_fraction(problem.eigenvalues, kappa, problem.width, 1)
        value = value * free * problem.width / problem.eigenvalues.size  # (m - df1) / d
    return value - problem.ridge


def _omega(kappa, problem: _Problem) -> Array:
    """Positive root of ``sum_j p_j a_j / (omega + a_j x) = 1``, a quadratic for two sources.

    In terms of what the samples leave free, ``y = sum_j p_j - df1/n``, it reads
    ``omega^2 + b omega = a_1 a_2 x y`` with ``b = p_1 a_2 + p_2 a_1 - (a_1 + a_2) y``; for a single
    active source ``omega = a y``.
    """
    eigenvalues, num_samples, fractions, weights, _, _ = problem
    total = jnp.sum(fractions)
    finite = jnp.isfinite(num_samples)
    count = jnp.where(finite, num_samples, 1) * total
    free = total * jnp.where(finite, residual_fraction(eigenvalues, kappa, count, 1), 1)
    used = jnp.sum(survival(eigenvalues, kappa)) / num_samples
    both = weights[0] * weights[1] > 0
    linear = jnp.where(both, jnp.sum(fractions * weights[::-1]) - jnp.sum(weights) * free, 1)
    constant = weights[0] * weights[1] * used * free
    root = jnp.sqrt(jnp.maximum(linear**2 + 4 * constant, jnp.finfo(free.dtype).tiny))
    larger = jnp.abs(linear) + root
    mixed = jnp.where(linear > 0, 2 * constant / larger, larger / 2)
    return jnp.where(both, mixed, jnp.sum(weights) * free)
