"""Chains of linear fits: every block through a triangular factor of its rows.

A block is a factor ``R`` and ``q`` with ``R'R = X'X`` and ``R'q = X'e``, from the QR decomposition
of its rows ``(x, e)`` or drawn at once. Blocks are stacked with their weights, the fixed penalty
below them, and solved: without penalty and with fewer rows than dimensions the first of them are
those of a fit of smallest norm. Labels have three columns that superpose: noise-free, noise of real
rows, noise of synthetic rows.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.linalg import solve_triangular

from simulator.sampling.row_factor import CHUNK, factor_of_rows, factor_of_subset, stacked
from simulator.sampling.trapezoid import active_rows, trapezoidal_factor
from simulator.studies.collapse.data_accumulation._policies import rows_of_fits, schedule

#: Columns of labels and weights.
NOISE_FREE, REAL, SYNTHETIC = range(3)
#: ``(key_design, key_noise) -> (inputs (CHUNK, d), noise (CHUNK,))``, of unit scale.
Rows = Callable[[Array, Array], tuple[Array, Array]]


class Chain(NamedTuple):
    """What is fitted: the truth (d,), and the scales of the noise of both kinds of rows."""

    truth: Array
    noise_std: Array
    noise_std_synthetic: Array

    def weights(self) -> Array:
        """The truth in the three columns."""
        return jnp.zeros((len(self.truth), 3), float).at[:, NOISE_FREE].set(self.truth)


class Block(NamedTuple):
    """Inputs as a factor (d, d), label noise of variance 1 (d,)."""

    factor: Array
    noise: Array


def gaussian_rows(dim: int) -> Rows:
    """Standard normal inputs and noise."""

    def rows(key_design, key_noise):
        inputs = jax.random.normal(key_design, (CHUNK, dim), float)
        return inputs, jax.random.normal(key_noise, (CHUNK,), float)

    return rows


def drawn_block(rows: Rows, key_design, key_noise, size, dim) -> Block:
    """Row by row."""

    def chunk_of(chunk):
        inputs, noise = rows(*_of_chunk(key_design, key_noise, chunk))
        return jnp.concatenate([inputs, noise[:, None]], axis=1)

    factor = factor_of_rows(chunk_of, size, jnp.zeros((dim + 1, dim + 1), float))
    seen = active_rows(size, dim)
    return Block(
        jnp.where(seen[:, None], factor[:dim, :dim], 0), jnp.where(seen, factor[:dim, dim], 0)
    )


def _of_chunk(key_design, key_noise, chunk):
    return jax.random.fold_in(key_design, chunk), jax.random.fold_in(key_noise, chunk)


def factored_block(key_design, key_noise, size, dim) -> Block:
    """Gaussian rows at once, whatever their number."""
    noise = jax.random.normal(key_noise, (dim,), float)
    factor = trapezoidal_factor(key_design, size, dim)
    return Block(factor, jnp.where(active_rows(size, dim), noise, 0))


def chain(key, params: Any, fitted: Chain, rows: Rows, block, solve) -> Array:
    """Weights of all generations; shape (n, d, 3).

    ``block(key_design, key_noise, size, dim)`` draws a block, `drawn_block` of ``rows`` unless
    given; ``solve`` is `smallest_norm`, or `determined` where `every_fit_is_determined`.
    """
    plan, d, n = schedule(params), len(fitted.truth), params.num_generations
    b, first_rows = params.synthetic_weight, plan.sizes[0]
    key_design, key_noise = jax.random.split(key)
    penalty = jnp.sqrt(params.ridge * first_rows) * jnp.eye(d, d + 3, dtype=float)
    if params.policy == "accumulate_subsample":
        return _of_subsets(key_design, key_noise, plan, fitted, rows, penalty)
    block = partial(drawn_block, rows) if block is None else block

    def draw(index, size):
        design = 0 if getattr(params, "design", "independent") == "same" else index
        return block(
            jax.random.fold_in(key_design, design), jax.random.fold_in(key_noise, index), size, d
        )

    def labelled(new, weights, noise_std, column):
        """Rows ``(x, y)`` of a block: ``(d, d + 3)``."""
        labels = new.factor @ weights
        return jnp.concatenate([new.factor, labels.at[:, column].add(noise_std * new.noise)], 1)

    def real(index):
        return labelled(draw(index, first_rows), fitted.weights(), fitted.noise_std, REAL)

    kept = stacked(penalty, real(0))[:d]

    def rank(rows):
        return jnp.where(params.ridge > 0, d, jnp.minimum(rows, d))

    first = solve(kept, rank(first_rows))

    def generation(state, now):
        index, here = now
        weights, pool = state
        new = labelled(draw(index, here.sizes), weights, fitted.noise_std_synthetic, SYNTHETIC)
        new = jnp.sqrt(b) * new
        added = jnp.where(b > 0, here.sizes, 0)
        if params.policy == "replace":
            rows, system = here.sizes, stacked(penalty, new / jnp.where(b > 0, jnp.sqrt(b), 1))
        elif params.policy == "accumulate":
            pool = system = stacked(pool, new)[:d]
            rows = first_rows + jnp.where(b > 0, here.totals - first_rows, 0)
        elif params.policy == "keep_real":
            rows, system = first_rows + added, stacked(pool, new)
        else:
            rows, system = first_rows + added, stacked(penalty, real(n + index), new)
        weights = solve(system[:d], rank(rows))
        return (weights, pool), weights

    _, later = lax.scan(generation, (first, kept), (jnp.arange(1, n), plan.later()[0]))
    return jnp.concatenate([first[None], later])


def averages(key, params: Any, solve) -> dict[str, Array]:
    """Squared errors averaged over label noise and the truth's direction, given the designs.

    With the rows ``R`` of a fit, the penalty's among them, a block's rows are ``N R``: errors of
    the last model enter through ``R^+ N' (N R)``, the noise of the block's labels through ``R^+
    N'``. ``R^+`` is what ``solve`` makes of the identity. Not for subsets, whose rows recur.
    """
    plan, d, n = schedule(params), params.dim, params.num_generations
    b, first_rows = params.synthetic_weight, plan.sizes[0]
    identity = jnp.eye(d, dtype=float)
    penalty = jnp.sqrt(params.ridge * first_rows) * identity

    def draw(index, size):
        design = 0 if params.design == "same" else index
        return trapezoidal_factor(jax.random.fold_in(key, design), size, d)

    def responses(system, seen, *blocks):
        """``R^+ N'`` of each block of rows ``N R``."""
        rank = jnp.where(params.ridge > 0, d, jnp.minimum(seen, d))
        inverse = solve(jnp.concatenate([system, identity], 1), rank)
        return [inverse @ (block @ inverse).T for block in blocks]

    real = draw(0, first_rows)
    kept = stacked(penalty, real)
    (response,) = responses(kept, first_rows, real)
    start = response @ real - identity, response @ response.T, jnp.zeros((d, d), float)

    def generation(state, now):
        index, here = now
        (lost, noise, synthetic), pool = state
        weight = 1 if params.policy == "replace" else b
        new = jnp.sqrt(weight) * draw(index, here.sizes)
        added = jnp.where(weight > 0, here.sizes, 0)
        if params.policy == "accumulate":
            pool = stacked(pool, new)
            seen = first_rows + jnp.where(b > 0, here.totals - first_rows, 0)
            (response,) = responses(pool, seen, new)
            synthetic = synthetic + weight * response @ response.T
        elif params.policy == "keep_real":
            (response,) = responses(stacked(pool, new), first_rows + added, new)
            passed = response @ new
            synthetic = passed @ synthetic @ passed.T + weight * response @ response.T
        else:
            fresh = (
                jnp.zeros_like(real) if params.policy == "replace" else draw(n + index, first_rows)
            )
            seen = added if params.policy == "replace" else first_rows + added
            response, other = responses(stacked(penalty, fresh, new), seen, new, fresh)
            passed = response @ new
            lost = other @ fresh + passed @ (identity + lost) - identity
            noise = passed @ noise @ passed.T + other @ other.T
            synthetic = passed @ synthetic @ passed.T + weight * response @ response.T
        state = lost, noise, synthetic
        return (state, pool), state

    _, later = lax.scan(generation, (start, kept), (jnp.arange(1, n), plan.later()[0]))
    lost, noise, synthetic = (
        jnp.concatenate([x[None], more]) for x, more in zip(start, later, strict=True)
    )
    bias = params.signal_variance * jnp.mean(jnp.sum(lost**2, axis=1), axis=1)
    variance = params.noise_std**2 * jnp.trace(noise, axis1=1, axis2=2)
    synthetic = params.noise_std_synthetic**2 * jnp.trace(synthetic, axis1=1, axis2=2)
    return {
        "test_error": bias + variance + synthetic,
        "bias": bias,
        "variance": variance,
        "synthetic_variance": synthetic,
    }


def every_fit_is_determined(params):
    """There is a penalty, or there are enough rows: one triangular solve each."""
    return params.ridge > 0 or bool(np.all(rows_of_fits(params) >= params.dim))


def determined(system, rank=None):
    """Weights (d, 3) that solve the rows ``(R, Y)``."""
    d = len(system)
    return solve_triangular(system[:, :d], system[:, d:])


def smallest_norm(system, rank):
    """Weights (d, 3) of smallest norm that solve the first ``rank`` rows ``(R, Y)``.

    ``R R'`` comes from the factor of ``R'``: as many digits as ``R`` has, not half of them.
    """
    d = len(system)
    seen = jnp.arange(d) < rank
    factor, labels = (jnp.where(seen[:, None], x, 0) for x in (system[:, :d], system[:, d:]))
    unseen = jnp.diag(jnp.where(seen, 0, 1).astype(factor.dtype))
    other = stacked(factor.T, unseen)
    return factor.T @ solve_triangular(other, solve_triangular(other, labels, trans=1))


def _of_subsets(key_design, key_noise, plan, fitted, rows, penalty):
    """Rows of all blocks go by, drawn anew from their keys; a subset of them is chosen."""
    n, d = len(plan.sizes), len(fitted.truth)

    def generation(models, index):
        """``models`` holds, shifted by one, what labels every block."""

        def draw(number, chunk):
            real = number == 0
            column = jnp.where(real, REAL, SYNTHETIC)
            noise_std = jnp.where(real, fitted.noise_std, fitted.noise_std_synthetic)
            design, noises = (jax.random.fold_in(key, number) for key in (key_design, key_noise))
            design, noises = _of_chunk(design, noises, chunk)
            inputs, noise = rows(design, noises)
            labels = (inputs @ models[number]).at[:, column].add(noise_std * noise)
            both = jnp.concatenate([inputs, labels], axis=1)
            return both, jax.random.fold_in(design, n + index)

        start = stacked(penalty, jnp.zeros((3, d + 3), float))
        system = factor_of_subset(draw, plan.sizes, index, plan.subset[index], start)
        weights = determined(system[:d])
        return models.at[index + 1].set(weights), weights

    start = jnp.tile(fitted.weights(), (n + 1, 1, 1))
    return lax.scan(generation, start, jnp.arange(n))[1]


def errors(fitted: Chain, weights, eigenvalues=1.0):
    """Squared norms of the errors, of all columns together and of each; mappings of (n,)."""
    off = weights - fitted.weights()

    def norm(values):
        return jnp.sum(eigenvalues * values**2, axis=-1)

    bias, variance, synthetic = norm(jnp.moveaxis(off, 2, 0))
    return {
        "test_error": norm(jnp.sum(off, axis=2)),
        "bias": bias,
        "variance": variance,
        "synthetic_variance": synthetic,
    }
