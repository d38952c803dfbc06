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

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.maths.resolvent import (  # isort: skip
    degrees_of_freedom, effective_penalty, residual_fraction, samples_left, shrinkage, survival,
)  # fmt: skip
from simulator.maths.roots import increasing_root, newton_steps, nonzero_slope
from simulator.maths.slopes import ratio
from simulator.runtime.precision import float_dtype
from simulator.runtime.shapes import Numbers, Scalar


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
    gain: Array  # (2,) h_j / omega, 0 without weight; of a source without samples, its limit
    gain_square: Array  # G = sum_j p_j gain_j^2 = eta / omega^2
    df1: Array
    df2: Array
    response: Array  # (dim,) t1_k = lambda_k / (lambda_k + kappa)
    response_square: Array  # (dim,) t2_k = t1_k^2 + q kappa lambda_k / (lambda_k + kappa)^2
    shrinkage: Array  # (dim,) 1 - 2 t1_k + t2_k
    amplification: Array  # U = tau omega^2 = (D2/n) / (1 - G D2/n), D2 = sum_k t2_k
    inflation: Array  # eta tau = G U; u = (D2/n) / (1 - D2/n) if unweighted


def mixture_fit(
    eigenvalues: Float[Array, " dim"],
    num_samples: Scalar,
    fractions: Float[Array, "2"],
    sample_weights: Float[Array, "2"],
    ridge: Scalar,
    width: Scalar | None = None,
    per: Numbers = 1.0,
    dim: Scalar | None = None,
) -> MixtureFit:
    """Solve for ``(kappa, omega)`` and gather what the error of the fit needs.

    Parameters
    ----------
    eigenvalues : array (dim,)
        ``lambda_k > 0``; or 0, for padding.
    num_samples : float
        ``n``, all samples together; infinite is allowed (the plateau).
    fractions, sample_weights : array (2,)
        ``p_j`` and ``a_j``. A source with ``p_j a_j = 0`` is inactive: it changes no value, only
        derivatives; if both are, nothing is fitted: ``kappa = inf``, the response is 0.
    ridge : float
        ``>= 0``. Without ridge, with ``n_eff = n sum_{active} p_j``: ``kappa = 0`` if
        ``d <= min(m, n_eff)``, else ``df1(kappa) = min(m, n_eff)``; and ``omega = 0`` if
        ``n_eff <= min(m, d)``.
    width : float, optional
        ``m``, number of random features; none: the linear model itself.
    per : array (2,), optional
        The weights are ``sample_weights / per``; 0 is allowed where ``p_j = 0``, for a source
        whose weight does not depend on how many samples it has.
    dim : float, optional
        ``d``, the number of eigenvalues that are no padding; all of them unless given.

    Notes
    -----
    ``kappa`` and ``omega`` are differentiable in every parameter (two recorded Newton steps).
    """
    dtype = float_dtype()
    eigenvalues = jnp.asarray(eigenvalues, dtype)
    num_samples, ridge = jnp.asarray(num_samples, dtype), jnp.asarray(ridge, dtype)
    width = None if width is None else jnp.asarray(width, dtype)
    sources = _sources(fractions, sample_weights, per, num_samples)
    anything = jnp.any(sources.active)
    # With no active source solve a harmless problem and overwrite its result.
    harmless = _sources(jnp.asarray([1, 0], dtype), 1.0, 1.0, num_samples)
    sources = _Sources(*(jnp.where(anything, x, y) for x, y in zip(sources, harmless, strict=True)))

    dim = eigenvalues.size if dim is None else dim
    problem = _Problem(eigenvalues, num_samples, sources, ridge, width, dim)
    kappa = _solve(problem)
    omega = _omega(kappa, problem)
    # Exactly 0 where the fit interpolates, with its derivatives kept.
    omega = omega - lax.stop_gradient(jnp.where(_interpolates(problem), omega, 0))

    kappa = jnp.where(anything, kappa, jnp.inf)
    response = survival(eigenvalues, kappa)
    lost = shrinkage(eigenvalues, kappa)
    df1 = degrees_of_freedom(eigenvalues, kappa, 1)
    df2 = degrees_of_freedom(eigenvalues, kappa, 2)

    denominator = sources.per * omega + sources.weights * df1 / num_samples
    gain = jnp.where(anything, ratio(sources.weights, denominator), 0)
    fractions = sources.fractions
    gain_square = jnp.sum(fractions * gain**2)

    # q = (df1 - df2) / (m - df2): the share of the lost part that random features keep as spread.
    spread, rest = jnp.zeros_like(df1), jnp.ones_like(df1)
    between = jnp.sum(response * lost)  # df1 - df2
    if width is not None:
        outside = width * residual_fraction(eigenvalues, kappa, width, 1)  # m - df1
        spread = jnp.where(between > 0, ratio(between, between + outside), 0)
        rest = jnp.where(between > 0, ratio(outside, between + outside), 1)
    second = response**2 + spread * response * lost
    # 1 - G D2/n in positive terms: sum_j p_j c_j (1 - c_j x) + G (df1 - D2)/n.
    unfitted = omega * jnp.sum(fractions * gain * ratio(sources.per, denominator))
    remaining = unfitted + gain_square * rest * between / num_samples
    amplification = jnp.sum(second) / num_samples / nonzero_slope(remaining)
    return MixtureFit(
        kappa=kappa,
        omega=jnp.where(anything, omega, 0),
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


class _Sources(NamedTuple):
    """Shares ``p_j`` and weights ``a_j = weights_j / per_j`` of the two sources; (2,) each."""

    fractions: Array
    weights: Array
    per: Array

    @property
    def active(self) -> Array:
        return (self.fractions > 0) & (self.weights > 0)


def _sources(fractions, weights, per, num_samples) -> _Sources:
    dtype = float_dtype()
    fractions, weights, per = jnp.broadcast_arrays(
        *(jnp.asarray(x, dtype) for x in (fractions, weights, per))
    )
    # No samples: any weight will do where the limit of few samples is not needed, or not defined.
    undefined = (per == 0) & ((weights == 0) | jnp.isinf(num_samples))
    return _Sources(fractions, weights, jnp.where(undefined, 1, per))


class _Problem(NamedTuple):
    eigenvalues: Array
    num_samples: Array
    sources: _Sources
    ridge: Array
    width: Array | None
    dim: Array | int


def _active_share(problem: _Problem) -> Array:
    """``sum_j p_j`` over the active sources."""
    return jnp.sum(jnp.where(problem.sources.active, problem.sources.fractions, 0))


def _interpolates(problem: _Problem) -> Array:
    """Without ridge: no more active samples than can be fitted, ``min(m, d)``."""
    capacity = problem.dim if problem.width is None else jnp.minimum(problem.width, problem.dim)
    return (problem.ridge == 0) & (problem.num_samples * _active_share(problem) <= capacity)


def _solve(problem: _Problem) -> Array:
    """``kappa`` with ``kappa omega(kappa) M(kappa) = ridge``."""
    frozen = lax.stop_gradient(problem)
    eigenvalues, _, sources, ridge, width, dim = frozen
    share = _active_share(frozen)
    samples = frozen.num_samples * share
    limit = samples if width is None else jnp.minimum(samples, width)
    variance = jnp.sum(eigenvalues)
    # omega lies between min_j a_j and max_j a_j times (sum_j p_j - df1/n): both ends bracket kappa.
    scaled = ridge / share * (1 if width is None else dim / width)
    weights = ratio(sources.weights, sources.per)
    heaviest = jnp.max(jnp.where(sources.active, weights, 0))
    lightest = jnp.min(jnp.where(sources.active, weights, jnp.inf))
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
        value = value * free * problem.width / problem.dim  # (m - df1) / d
    return value - problem.ridge


@jax.jit  # traced once for all the Newton steps, which take longer to trace than to run
def _omega(kappa, problem: _Problem) -> Array:
    """Positive root of ``sum_j p_j a_j / (omega + a_j x) = 1``, a quadratic for two sources.

    For ``a_j = w_j / v_j``, with ``y = sum_j p_j - x`` that the samples leave free and
    ``y_j = p_j - x`` that those of source ``j`` would, it reads ``v_1 v_2 omega^2 -
    (v_1 w_2 y_2 + v_2 w_1 y_1) omega = w_1 w_2 x y``. A source without weight or samples leaves
    ``omega = a_j y_j`` of the other, and its derivatives.
    """
    eigenvalues, num_samples, (fractions, weights, per), *_ = problem
    shares = jnp.append(fractions, jnp.sum(fractions))
    finite = jnp.isfinite(num_samples)
    count = jnp.where(finite, num_samples, 1)
    left = jax.vmap(lambda n: samples_left(eigenvalues, kappa, n))(count * shares) / count
    y1, y2, y = jnp.where(finite, left, shares)
    used = jnp.sum(survival(eigenvalues, kappa)) / num_samples
    linear = -(per[0] * weights[1] * y2 + per[1] * weights[0] * y1)
    constant = weights[0] * weights[1] * used * y
    square = per[0] * per[1]
    root = jnp.sqrt(jnp.maximum(linear**2 + 4 * square * constant, jnp.finfo(left.dtype).tiny))
    larger = root + jnp.where(linear > 0, linear, -linear)  # abs() has no slope at 0
    mixed = jnp.where(
        linear > 0, 2 * constant / larger, larger / jnp.where(linear > 0, 1, 2 * square)
    )
    # The double root 0 of a fit that interpolates one source, the other's weight being 0.
    alone = ratio(weights, per) * jnp.stack([y1, y2])
    alone = jnp.sum(jnp.where(problem.sources.active, alone, 0))
    silent = jnp.any((fractions > 0) & (weights == 0))
    return jnp.where(silent & _interpolates(problem), alone, mixed)
