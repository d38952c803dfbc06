"""Errors of `data-accumulation`: exact at finite size where known, deterministic equivalents else.

All parts are computed in units of the signal and of the two kinds of label noise. Of every step a
policy knows how much of the old error survives (``kept``) and what it adds. ``N`` rows in ``d``
dimensions without penalty have the noise ``tr(N) = d/(N-d-1)``, ``N/(d-N-1)``, or infinity where
``|N - d| <= 1``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from simulator.maths.roots import increasing_root, relative_error
from simulator.maths.slopes import ratio
from simulator.studies.collapse.data_accumulation._marchenko_pastur import groups, spectrum
from simulator.studies.collapse.data_accumulation._policies import pooled, variance_of_subset


class Parts(NamedTuple):
    """Of the test error, per unit of ``v``, ``sigma^2`` and ``sigma_s^2``; arrays (n,)."""

    bias: Array
    variance: Array
    synthetic: Array
    residual: Array  # of the solvers


def parts(params, plan) -> Parts:
    """All generations under the policy of ``params``."""
    if params.policy == "accumulate_subsample":
        return _subsets(params, plan)
    first = _first(params, plan.sizes[0])
    if params.design == "same":
        return _same_design(params, plan, first)
    if params.policy == "accumulate":
        increments, residual = jax.vmap(lambda now: _increment(params, plan.sizes[0], now))(
            plan.later()[0]
        )
        synthetic = jnp.concatenate([jnp.zeros(1, float), jnp.cumsum(increments)])
        return _constant(plan, first, synthetic, residual)
    if params.policy == "keep_real":
        return _constant(plan, first, *_kept_beside(params, plan))
    return _refreshed(params, plan, first)


def noise_trace(rows, dim):
    """``tr(N)``; entry by entry."""
    over, under = rows >= dim + 2, rows <= dim - 2
    above = dim / jnp.where(over, rows - dim - 1, 1)
    below = rows / jnp.where(under, dim - rows - 1, 1)
    return jnp.where(over, above, jnp.where(under, below, jnp.inf))


def _unseen(dim, rows):
    """Share of the directions without rows; 0 to the last digit where there are enough."""
    return jnp.maximum(dim - rows, 0) / dim


def _first(params, rows):
    """Generation 1: bias, variance, mean shrinkage ``t``, residual."""
    d, penalty = params.dim, params.ridge * rows
    fit = groups(d, penalty, rows[None], jnp.ones(1, float))
    lost = penalty * fit.theta / d
    some = penalty > 0
    bias = jnp.where(some, lost * penalty / fit.slope, _unseen(d, rows))
    noise = fit.theta * rows / ((1 + fit.theta) ** 2 * fit.slope)
    variance = jnp.where(some, noise, noise_trace(rows, d))
    return bias, variance, jnp.where(some, lost, 0), jnp.where(some, fit.residual, 0)


def _constant(plan, first, synthetic, residual):
    """Nothing is recovered, nothing is forgotten: bias and variance are those of generation 1."""
    bias, variance, _, at_first = first
    ones = jnp.ones_like(plan.sizes)
    residual = jnp.maximum(jnp.max(residual, initial=0), at_first)
    return Parts(bias * ones, variance * ones, synthetic, residual)


def _increment(params, one, now):
    """What a block adds under ``accumulate``: ``w_n = w_{n-1} + b (G_n + L)^+ X_n' e_n``."""
    d, b, penalty = params.dim, params.synthetic_weight, params.ridge * one
    counts = jnp.stack([one, now.totals - one])
    fit = groups(d, penalty, counts, jnp.stack([jnp.ones_like(b), b]))
    equivalent = b**2 * now.sizes * fit.theta / ((1 + b * fit.theta) ** 2 * fit.slope)
    over = now.totals >= d + 2
    exact = now.sizes / now.totals * noise_trace(now.totals, d)
    exact = jnp.where(b > 0, exact, 0)
    approximate = (penalty > 0) | (over & (b != 1))
    return jnp.where(approximate, equivalent, exact), jnp.where(approximate, fit.residual, 0)


# --------------------------------------------------------------------------------------------
# Steps that forget: replace, fresh_mix
# --------------------------------------------------------------------------------------------
class _Step(NamedTuple):
    kept: Array  # M: how much of the old error's second moment survives
    mean_kept: Array  # q: of its mean
    forgotten: Array  # new bias
    mean_forgotten: Array  # t
    cross: Array  # of old mean error and new bias
    real: Array  # noise of new real rows
    synthetic: Array


def _refreshed(params, plan, first):
    """Every generation forgets; ``c_n`` is the mean error along the truth, without noise."""
    bias, variance, lost, at_first = first
    steps, residual = jax.vmap(lambda now: _step(params, plan.sizes[0], now))(plan.later()[0])

    def times(kept, old):
        return jnp.where(old > 0, kept * old, 0)  # infinity times 0 is 0

    def generation(state, step):
        bias, variance, synthetic, mean = state
        bias = times(step.kept, bias) + step.forgotten - 2 * step.cross * mean
        mean = step.mean_kept * mean - step.mean_forgotten
        variance = times(step.kept, variance) + step.real
        synthetic = times(step.kept, synthetic) + step.synthetic
        state = bias, variance, synthetic, mean
        return state, state[:3]

    start = (bias, variance, jnp.zeros_like(bias))
    _, later = lax.scan(generation, (*start, -lost), steps)
    bias, variance, synthetic = (
        jnp.concatenate([x[None], more]) for x, more in zip(start, later, strict=True)
    )
    residual = jnp.maximum(jnp.max(residual, initial=0), at_first)
    return Parts(bias, variance, synthetic, residual)


def _step(params, one, now):
    d, b, penalty = params.dim, params.synthetic_weight, params.ridge * one
    size = now.sizes
    if params.policy == "replace":
        exact = _replacing(d, size)
        approximate = penalty > 0
        step, residual = _equivalent(d, penalty, 0 * one, size, jnp.ones_like(b))
    else:
        rows = one + size
        exact = _mixing(d, one, size)
        approximate = (penalty > 0) | ((rows >= d + 2) & (b != 1)) & (b > 0)
        step, residual = _equivalent(d, penalty, one, size, b)
        afresh = _Step(*(jnp.zeros_like(one) for _ in range(7)))._replace(
            forgotten=_unseen(d, one), real=noise_trace(one, d)
        )  # b = 0: a fit to the real rows alone
        exact = jax.tree.map(lambda x, y: jnp.where(b > 0, x, y), exact, afresh)
    step = jax.tree.map(lambda x, y: jnp.where(approximate, x, y), step, exact)
    return step, jnp.where(approximate, residual, 0)


def _equivalent(d, penalty, real, new, b):
    """The equivalent for groups ``(real, 1)``, ``(new, b)``, and its residual."""
    fit = groups(d, penalty, jnp.stack([real, new]), jnp.stack([jnp.ones_like(b), b]))
    theta, f = fit.theta, fit.slope
    passed, slope = new * b * theta / (1 + b * theta), new * b / (1 + b * theta) ** 2
    both = real * new * b * (1 - b * theta**2) / ((1 + theta) * (1 + b * theta)) ** 2
    lost = penalty * theta / d
    step = _Step(
        kept=(passed - (both + penalty * slope) * theta / f) / d,
        mean_kept=passed / d,
        forgotten=lost * penalty / f,
        mean_forgotten=lost,
        cross=lost * slope / f,
        real=theta * real / ((1 + theta) ** 2 * f),
        synthetic=theta * b**2 * new / ((1 + b * theta) ** 2 * f),
    )
    return step, fit.residual


def _replacing(d, rows):
    """Exact, without penalty: a projection on ``min(T, d)`` random directions."""
    seen, none = jnp.where(rows < d, rows / d, 1), jnp.zeros_like(rows)
    return _Step(seen, seen, _unseen(d, rows), none, none, none, noise_trace(rows, d))


def _mixing(d, real, new):
    """Exact, without penalty, for equal weights; for any with at most ``d - 2`` rows."""
    rows = real + new
    share, none = new / rows, jnp.zeros_like(rows)
    over, under = rows >= d + 2, rows <= d - 2
    gap = jnp.where(over, rows - d - 1, 1)
    beta = share * (real / (rows - 1)) / (rows + 2)
    fitted = share**2 - 2 * beta / rows + beta + beta * (rows * d - 2) / gap
    hole = jnp.where(under, d - rows - 1, 1)
    interpolated = new / d * (1 + real / hole)
    noise = noise_trace(rows, d)
    return _Step(
        kept=jnp.where(over, fitted, jnp.where(under, interpolated, jnp.inf)),
        mean_kept=none,
        forgotten=jnp.where(under, _unseen(d, rows), 0),
        mean_forgotten=none,
        cross=none,
        real=real / rows * noise,
        synthetic=share * noise,
    )


# --------------------------------------------------------------------------------------------
# keep_real: the deviation from generation 1, eigenvalue by eigenvalue of the real Gram matrix
# --------------------------------------------------------------------------------------------
def _kept_beside(params, plan):
    """``sum_k C_k`` of all generations, and residuals."""
    d, one = params.dim, plan.sizes[0]
    b = jnp.where(params.synthetic_weight > 0, params.synthetic_weight, 1)
    penalty = params.ridge * one
    gram = spectrum(one, d)
    scaled = (gram.eigenvalues + penalty) / b
    unseen = jnp.maximum(d - one, 0)  # directions without real rows

    def generation(state, size):
        squares, diverged = state
        rows = one + size
        free = (penalty == 0) & (rows <= d - 2)  # interpolated: a chain in the unseen directions
        solvable = (penalty > 0) | (rows >= d + 2)
        at = jnp.where(solvable, scaled, scaled + 1)
        empty = jnp.sum(jnp.where(at > 0, 0, gram.directions))
        lower = (size - empty) / (1 + gram.total(ratio(1, at)))
        h = increasing_root(_rows_used, lower, size, at, gram.directions, size)
        residual = relative_error(_rows_used, h, at, gram.directions, size)
        keep, lose = h / (h + at), at / (h + at)
        noise = (gram.total(lose**2 * squares) + 1) / (h + gram.total(keep * lose))
        fitted = keep**2 * (squares + noise)
        hole = jnp.where(free, unseen - size - 1, 1)
        wide = jnp.where(free, unseen, 1)
        chain = size / wide * gram.total(squares) + size / hole
        interpolated = jnp.where(gram.eigenvalues == 0, chain / wide, 0)
        diverged = diverged | ((penalty == 0) & (jnp.abs(rows - d) < 2))
        squares = jnp.where(free, interpolated, jnp.where(solvable, fitted, squares))
        error = jnp.where(diverged, jnp.inf, gram.total(squares))
        return (squares, diverged), (error, jnp.where(solvable, residual, 0))

    start = jnp.zeros_like(gram.eigenvalues), jnp.zeros((), bool)
    _, (later, residual) = lax.scan(generation, start, plan.sizes[1:])
    synthetic = jnp.concatenate([jnp.zeros(1, float), later])
    return jnp.where(params.synthetic_weight > 0, synthetic, 0), residual


def _rows_used(h, scaled, directions, size):
    return h + jnp.sum(directions * h / (h + scaled)) - size


# --------------------------------------------------------------------------------------------
# One design for all blocks; subsets
# --------------------------------------------------------------------------------------------
def _same_design(params, plan, first):
    """Every matrix commutes: recursions for each eigenvalue, or for a number without penalty."""
    d, b, one = params.dim, params.synthetic_weight, plan.sizes[0]
    penalty = params.ridge * one
    some = penalty > 0
    gram = spectrum(one, d)
    # Without penalty a direction that is seen is one of eigenvalue 1, and all count alike.
    s = jnp.where(some, gram.eigenvalues, 1)

    def response(n):
        """To the old model, and to the noise of real and of new labels (squared), step ``n``."""
        if params.policy == "replace":
            total = s + penalty
            return s / total, jnp.zeros_like(s), s / total**2
        seen = 1 + b * n if params.policy == "accumulate" else 1 + b
        total = seen * s + penalty
        return b * s / total, s / total**2, b**2 * s / total**2

    def generation(state, n):
        lost, real, synthetic = state
        old, fresh, new = response(n)
        kept = 1 if params.policy == "accumulate" else old**2
        synthetic = kept * synthetic + new
        if params.policy == "replace":
            lost, real = 1 - old * (1 - lost), old**2 * real
        elif params.policy == "fresh_mix":
            total = (1 + b) * s + penalty
            lost, real = old * lost + penalty / total, old**2 * real + fresh
        return (lost, real, synthetic), (lost, real, synthetic)

    start = penalty / (s + penalty), s / (s + penalty) ** 2, jnp.zeros_like(s)
    steps = jnp.arange(1, params.num_generations, dtype=float)
    _, later = lax.scan(generation, start, steps)
    lost, real, synthetic = (
        jnp.concatenate([x[None], more]) for x, more in zip(start, later, strict=True)
    )
    total = jax.vmap(gram.total)
    bias, variance, _, residual = first
    trace = noise_trace(one, d)
    ones = jnp.ones_like(plan.sizes)

    def noise(values):
        """Without penalty all are multiples of generation 1's, 0 times infinity being 0."""
        multiple = values[:, 0]
        return jnp.where(some, total(values), jnp.where(multiple > 0, multiple * trace, 0))

    if params.policy in ("accumulate", "keep_real"):
        return Parts(bias * ones, variance * ones, noise(synthetic), residual)
    return Parts(jnp.where(some, total(lost**2) / d, bias), noise(real), noise(synthetic), residual)


def _subsets(params, plan):
    """``E_n = e_n d B_n / (B_n - d - 1)``; ``e_n`` of many rows per feature, for each noise."""
    d = params.dim

    def chain(real, synthetic):
        def generation(state, now):
            error, pool, square = state
            drawn, mean_square = error + synthetic / now.sizes, error + synthetic
            pool, square = pooled(pool, square, drawn, mean_square, now.sizes, now.totals)
            error = variance_of_subset(pool, square, now.totals, now.subset)
            return (error, pool, square), error

        pool = real / plan.sizes[0]
        error = variance_of_subset(pool, real, plan.totals[0], plan.subset[0])
        _, later = lax.scan(generation, (error, pool, real), plan.later()[0])
        return jnp.concatenate([error[None], later])

    units = jnp.eye(2, dtype=float)
    variance, synthetic = d * plan.subset / (plan.subset - d - 1) * jax.vmap(chain)(*units)
    return Parts(jnp.zeros_like(variance), variance, synthetic, jnp.zeros((), float))
