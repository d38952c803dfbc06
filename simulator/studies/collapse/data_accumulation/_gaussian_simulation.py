"""Chains of fitted Gaussians: mean and triangular factor of every covariance.

Blocks enter through the mean and the centred scatter of standard normal rows ``z``, ``x = mu + L
z``, as triangular factors: covariances are stacked by QR decompositions, which neither cancel nor
fail where one nearly loses a direction. Under ``replace`` and ``accumulate`` a factor of the scale
is kept apart, for variances fall below the smallest number after some hundred generations.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from simulator.sampling.row_factor import CHUNK, factor_of_rows, factor_of_subset, stacked
from simulator.sampling.trapezoid import trapezoidal_factor


class Block(NamedTuple):
    """Standard normal rows: their mean (d,), and a factor (d, d) of their centred scatter."""

    mean: Array
    factor: Array


def drawn_block(key, size, dim) -> Block:
    """Row by row."""

    def rows(chunk):
        return jax.random.normal(jax.random.fold_in(key, chunk), (CHUNK, dim), float)

    return _block_of(factor_of_rows(_with_one(rows), size, jnp.zeros((dim + 1, dim + 1), float)))


def factored_block(key, size, dim) -> Block:
    """At once: mean and scatter are independent, and the scatter is Wishart(size - 1)."""
    key_mean, key_scatter = jax.random.split(key)
    mean = jax.random.normal(key_mean, (dim,), float) / jnp.sqrt(size)
    return Block(mean, trapezoidal_factor(key_scatter, size - 1, dim))


def _with_one(rows):
    return lambda chunk: jnp.concatenate([jnp.ones((CHUNK, 1), float), rows(chunk)], axis=1)


def _block_of(factor) -> Block:
    """Rows ``(1, z)``: the first row of the factor holds their mean, the rest is centred."""
    return Block(factor[0, 1:] / factor[0, 0], factor[1:, 1:])


class Model(NamedTuple):
    """``N(mean, e^{2 log_scale} factor factor')``."""

    mean: Array
    factor: Array  # (d, d)
    log_scale: Array


def chain(key, params, plan, correction, block):
    """Outputs of all generations; ``block(key, size, dim)`` draws the rows of one.

    ``correction`` (n,) is what the estimator multiplies the scatter by.
    """
    d, n = params.dim, params.num_generations
    before = jnp.concatenate([correction[:1], correction[:-1]])
    if params.policy == "accumulate_subsample":
        return _outputs(_of_subsets(key, params, plan, correction), d)

    real = block(jax.random.fold_in(key, 0), plan.sizes[0], d)

    def multiplied(model, now):
        """``Sigma_n = L K_n L'``: a pool of all rows, or the newest block alone."""
        index, here, u, u_before = now
        new = block(jax.random.fold_in(key, index), here.sizes, d)
        omega, rest = here.newest, here.others
        root = stacked(
            jnp.sqrt(u / u_before * rest) * jnp.eye(d, dtype=float),
            jnp.sqrt(u * omega / here.sizes) * new.factor,
            jnp.sqrt(u * omega * rest) * new.mean[None],
        )
        shift = omega * jnp.exp(model.log_scale) * (model.factor @ new.mean)
        factor = model.factor @ root.T
        size = jnp.sqrt(jnp.sum(factor**2) / d)
        size = jnp.where(size > 0, size, 1)
        model = Model(model.mean + shift, factor / size, model.log_scale + jnp.log(size))
        return model, model

    def mixed(model, now):
        """Real rows, the first ones or new ones, beside the newest block."""
        index, here, u, _ = now
        new = block(jax.random.fold_in(key, index), here.sizes, d)
        if params.policy == "fresh_mix":
            others = block(jax.random.fold_in(key, n + index), plan.sizes[0], d)
        else:
            others = real
        others = Block(*(jnp.where(index == 0, 0, x) for x in others))
        omega, rest = here.newest, here.others
        centre = model.mean + model.factor @ new.mean
        root = stacked(
            jnp.sqrt(u * rest / plan.sizes[0]) * others.factor,
            jnp.sqrt(u * omega / here.sizes) * new.factor @ model.factor.T,
            jnp.sqrt(u * omega * rest) * (centre - others.mean)[None],
        )
        mean = rest * others.mean + omega * centre
        model = Model(mean, root.T, model.log_scale)
        return model, model

    generation = multiplied if params.policy in ("replace", "accumulate") else mixed
    truth = Model(jnp.zeros(d, float), jnp.eye(d, dtype=float), jnp.zeros((), float))
    _, models = lax.scan(generation, truth, (jnp.arange(n), plan, correction, before))
    return _outputs(models, d)


def _of_subsets(key, params, plan, correction):
    """Rows of all blocks go by, drawn anew from their keys; a subset of them is chosen."""
    n, d = params.num_generations, params.dim

    def generation(models, index):
        """``models`` holds, shifted by one, what every block is drawn from."""

        def draw(number, chunk):
            at = jax.random.fold_in(jax.random.fold_in(key, number), chunk)
            z = jax.random.normal(at, (CHUNK, d), float)
            rows = models.mean[number] + z @ models.factor[number].T
            rows = jnp.concatenate([jnp.ones((CHUNK, 1), float), rows], axis=1)
            return rows, jax.random.fold_in(at, n + index)

        nothing = jnp.zeros((d + 1, d + 1), float)
        factor = factor_of_subset(draw, plan.sizes, index, plan.subset[index], nothing)
        fitted = _block_of(factor)
        scale = jnp.sqrt(correction[index] / plan.subset[index])
        mean, root = fitted.mean, scale * fitted.factor.T
        models = models._replace(
            mean=models.mean.at[index + 1].set(mean), factor=models.factor.at[index + 1].set(root)
        )
        return models, Model(mean, root, jnp.zeros((), float))

    truths = Model(
        jnp.zeros((n + 1, d), float),
        jnp.tile(jnp.eye(d, dtype=float), (n + 1, 1, 1)),
        jnp.zeros((), float),
    )
    return lax.scan(generation, truths, jnp.arange(n))[1]


def _outputs(models: Model, d):
    """Distances from ``N(0, I)`` of models stacked over generations."""
    scale = jnp.exp(models.log_scale)
    covariance = models.factor @ jnp.swapaxes(models.factor, 1, 2)
    shift = jnp.sum(models.mean**2, axis=1)
    trace = scale**2 * jnp.trace(covariance, axis1=1, axis2=2)
    if d == 1:
        log_det, root = jnp.log(covariance[:, 0, 0]), jnp.abs(models.factor[:, 0, 0])
    else:
        # Stacked factors are triangular, products of them too.
        diagonal = jnp.abs(jnp.diagonal(models.factor, axis1=1, axis2=2))
        log_det = 2 * jnp.sum(jnp.log(diagonal), axis=1)
        values = jnp.linalg.eigvalsh(covariance)
        root = jnp.sum(jnp.sqrt(jnp.maximum(values, 0)), axis=1)
    log_det = log_det + 2 * d * models.log_scale
    return {
        "mean_error": shift / d,
        "trace_ratio": trace / d,
        "log_determinant": log_det,
        "kl_divergence": (trace + shift - d - log_det) / 2,
        "frechet_distance": shift + trace + d - 2 * scale * root,
    }
