"""Which rows a generation is trained on: five policies, and the recursion behind all studies.

Generation 1 trains on block 1, ``T_1`` real rows; block ``i >= 2`` has ``T_i = floor(T_s (i-1)^g +
1/2)`` rows drawn from the model of generation ``i - 1``. A synthetic row weighs ``b``, a real one
1. Generation ``n >= 2`` trains on

=======================  =================================================================
``replace``              block n
``accumulate``           blocks 1..n
``accumulate_subsample`` ``B_n = min(B, N_n)`` rows of blocks 1..n, chosen afresh; no weights
``fresh_mix``            ``T_1`` new real rows and block n
``keep_real``            block 1 and block n
=======================  =================================================================

Let a row be a vector with mean the truth, the model the weighted mean of its rows, and a new row
have conditional mean the model and conditional variance ``c`` (in units of a real row's). The
variance ``m_n`` of the model around the truth then obeys an exact recursion, `Moments`.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import polygamma

from simulator.maths.slopes import ratio
from simulator.parameters import choice, traced

POLICIES = ("replace", "accumulate", "accumulate_subsample", "fresh_mix", "keep_real")
#: More rows than this are as good as infinitely many, and are cut to it.
MOST_ROWS = 1e15


def policy(default: str) -> Any:
    """Declares which rows a generation is trained on."""
    return choice(default, POLICIES, "–", "rows that a generation is trained on")


def count(default: int, symbol: str, detail: str = "", meaning: str = "") -> Any:
    """Declares a number of rows; the meaning of shared names is in the vocabulary."""
    return traced(default, symbol, meaning, detail=detail, at_least=1, grows=1)


def synthetic_rows(params: Any, generation: Any, numpy: Any) -> Any:
    """``T_i`` of blocks ``i >= 2``, rounded half up; ``numpy`` is NumPy or JAX's."""
    grown = (generation - 1) ** numpy.asarray(params.sample_growth, float)
    return numpy.floor(params.num_samples_synthetic * grown + 0.5)


def rows_of_fits(params: Any) -> np.ndarray:
    """How many rows generations ``1..n`` are trained on, at concrete parameters; shape (n,)."""
    sizes = synthetic_rows(params, np.arange(2.0, params.num_generations + 1), np)
    first = float(params.num_samples)
    if params.policy == "accumulate_subsample":
        return np.minimum(params.num_samples_budget, first + np.cumsum(np.append(0, sizes)))
    if params.policy == "replace":
        return np.append(first, sizes)
    if params.synthetic_weight == 0:
        sizes = 0 * sizes
    return np.append(first, first + (np.cumsum(sizes) if params.policy == "accumulate" else sizes))


def growth() -> Any:
    """Declares how blocks grow."""
    return traced(
        0.0, "g", "growth of blocks: T_s (i-1)^g rows in block i", at_least=0, typical=(0, 2)
    )


def synthetic_weight() -> Any:
    """Declares the weight of a synthetic row."""
    return traced(
        1.0, "b", "weight of a synthetic row, where a real one has 1", at_least=0, typical=(0, 2)
    )


class Schedule(NamedTuple):
    """Sizes and weights of generations ``1..n``, arrays (n,)."""

    sizes: Array  # T_i
    totals: Array  # N_i = T_1 + ... + T_i
    weights: Array  # W_i, the total weight that generation i is trained on
    newest: Array  # omega_i, the share of the newest block in it
    others: Array  # 1 - omega_i
    squares: Array  # sum of the squared normalised weights
    subset: Array  # B_i = min(B, N_i)

    def later(self) -> tuple["Schedule", "Schedule"]:
        """Generations 2..n, and the one before each of them."""
        return Schedule(*(x[1:] for x in self)), Schedule(*(x[:-1] for x in self))


def schedule(params: Any) -> Schedule:
    """Sizes and weights of all generations; rounding half up, in theory and simulation alike."""
    first, b = jnp.asarray(params.num_samples, float), params.synthetic_weight
    generation = jnp.arange(1, params.num_generations + 1, dtype=float)
    is_first = generation == 1
    grown = synthetic_rows(params, jnp.maximum(generation, 2), jnp)
    sizes = jnp.where(is_first, first, jnp.minimum(grown, MOST_ROWS))
    totals = jnp.cumsum(sizes)
    subset = jnp.minimum(jnp.asarray(params.num_samples_budget, float), totals)
    if params.policy == "replace":
        weights, newest, squares = sizes, jnp.ones_like(sizes), 1 / sizes
        others = jnp.zeros_like(sizes)
    elif params.policy == "accumulate_subsample":
        weights, squares = subset, 1 / subset
        newest, others = sizes / totals, 1 - sizes / totals  # on average
    else:
        synthetic = totals - first if params.policy == "accumulate" else sizes
        synthetic = jnp.where(is_first, 0, synthetic)
        weights = first + b * synthetic
        newest = jnp.where(is_first, 1, b * sizes / weights)
        others = jnp.where(is_first, 0, (first + b * (synthetic - sizes)) / weights)
        squares = first / weights / weights + (b / weights) * (b * synthetic / weights)
    return Schedule(sizes, totals, weights, newest, others, squares, subset)


class Moments(NamedTuple):
    """Of the models of generations ``1..n``, in units of a real row's variance; arrays (n,)."""

    error: Array  # m_n, variance of the model around the truth
    spread: Array  # c_n, conditional variance of a row drawn from it


def moments(plan: Schedule, policy: str, correction: Array | None) -> Moments:
    """The recursion of the module docstring; exact.

    Parameters
    ----------
    plan : Schedule
    policy : one of `POLICIES`
    correction : array (n,), optional
        A row drawn from the model has variance ``c = u (q - m)``, where ``q`` is the mean square of
        a training row around the truth and ``u`` this correction: 1 conserves ``c + m = 1``
        (maximum likelihood, multinomial counts). None is the unit mode, ``c = 1`` (regression with
        many more rows than features, Poisson counts).
    """
    unit = correction is None
    u = jnp.ones_like(plan.sizes) if correction is None else correction

    def of_subset(pool, square, size, subset):
        if unit:
            return pool + 1 / subset - 1 / size
        return variance_of_subset(pool, square, size, subset)

    def spread_of(u, square, error):
        return jnp.ones_like(error) if unit else u * (square - error)

    def generation(state, now):
        error, spread, square, pool = state
        here, u = now
        size, omega, rest, one = here.sizes, here.newest, here.others, plan.sizes[0]
        drawn = error + spread / size
        mean_square = spread + error
        if policy == "replace":
            error, square = drawn, mean_square
        elif policy == "accumulate":
            error = error + omega**2 * spread / size
            square = rest * square + omega * mean_square
        elif policy == "accumulate_subsample":
            pool, square = pooled(pool, square, drawn, mean_square, size, here.totals)
            error = of_subset(pool, square, here.totals, here.subset)
        else:
            shared = rest * (1 + omega) if policy == "keep_real" else rest**2
            error = shared / one + omega**2 * drawn
            square = rest + omega * mean_square
        state = error, spread_of(u, square, error), square, pool
        return state, state[:2]

    square, pool = jnp.ones_like(u[0]), 1 / plan.sizes[0]
    error = pool
    if policy == "accumulate_subsample":
        error = of_subset(pool, square, plan.totals[0], plan.subset[0])
    first = error, spread_of(u[0], square, error)
    _, later = lax.scan(generation, (*first, square, pool), (plan.later()[0], u[1:]))
    return Moments(
        *(jnp.concatenate([one[None], more]) for one, more in zip(first, later, strict=True))
    )


def pooled(pool, square, drawn, mean_square, size, total):
    """A pool of ``total`` rows, the last ``size`` of which are new, drawn around the last model.

    Returns the variance of its mean, and the mean square of its rows, both around the truth, from
    those of the rows that were there (``pool``, ``square``) and of the new ones. A model that was
    fitted to a subset has, given the pool, its mean.
    """
    new = size / total
    old = 1 - new
    return old * (old + 2 * new) * pool + new**2 * drawn, old * square + new * mean_square


def variance_of_subset(pool, square, size, subset):
    """Variance of the mean of ``subset`` of ``size`` rows, drawn without replacement."""
    return pool + ratio(size - subset, subset * (size - 1)) * (square - pool)


def real_fraction(plan: Schedule, policy: str) -> Array:
    """Share of the real rows in the weight that each generation is trained on; shape (n,)."""
    if policy == "replace":
        return jnp.where(jnp.arange(len(plan.sizes)) == 0, 1.0, 0.0)
    whole = plan.totals if policy == "accumulate_subsample" else plan.weights
    return plan.sizes[0] / whole


def factor_limit(params: Any) -> Array:
    """``T_1 m_n`` of the unit mode as ``n -> inf``, for blocks of equal size (g = 0)."""
    one, more = (jnp.asarray(x, float) for x in (params.num_samples, params.num_samples_synthetic))
    b, rho = params.synthetic_weight, one / more
    omega, rest = b * more / (one + b * more), one / (one + b * more)
    if params.policy == "replace":
        return jnp.full_like(one, jnp.inf)
    if params.policy == "accumulate":
        weighted = b > 0
        return 1 + jnp.where(weighted, rho * polygamma(1, 1 + rho / jnp.where(weighted, b, 1)), 0)
    if params.policy == "accumulate_subsample":
        budget = jnp.asarray(params.num_samples_budget, float)
        pool = polygamma(1, 1 + rho)
        whole = jnp.floor(jnp.maximum(budget - one, 0) / more)
        x = rho + whole + 2
        tail = polygamma(1, x)
        small = 1 / budget + pool * (1 / budget + 2 / more)
        large = 1 / one + pool / more + tail / budget - (1 / (x - 1) - tail) / more + 1 / budget
        return one * jnp.where(budget <= one, small, large)
    shared = rest * (1 + omega)  # 1 - omega^2
    if params.policy == "keep_real":
        return 1 + rho * omega**2 / shared
    return (rest**2 + rho * omega**2) / shared


def optimal_weight(params: Any) -> Array:
    """The weight of a synthetic row at which ``fresh_mix`` settles lowest (many rows per feature).

    ``b* = w* / r``, ``w* = (sqrt(1 + 4k) - 1) / (2k)``, ``k = (T_s/T_1) / r``, ``r = sigma_s^2 /
    sigma^2``; for equal noise and sizes the golden ratio. Rows of one's own model only add variance
    where no fresh real rows come in: 0. Where the weight is not used: 1.
    """
    if params.policy in ("replace", "accumulate_subsample"):
        return jnp.ones((), float)
    if params.policy != "fresh_mix":
        return jnp.zeros((), float)
    real, synthetic = params.noise_std**2, params.noise_std_synthetic**2
    noisy = synthetic > 0
    relative = real / jnp.where(noisy, synthetic, 1)
    k = params.num_samples_synthetic / params.num_samples * relative
    best = relative * 2 / (1 + jnp.sqrt(1 + 4 * k))
    return jnp.where(noisy, best, jnp.where(real > 0, jnp.inf, 0.0))
