"""Simulations of arXiv 2402.07712: literal, by trapezoidal factors, conditional, and shortcuts.

The conditional ones have one that serves all ridges of the downstream fit with the same draws.

All fits are linear with the same inputs, so the noise-free iterate and the responses to the two
kinds of label noise superpose; their cross terms have mean zero and are left out of the error.
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from simulator.eigenbasis import is_given, spectrum_of, true_weights
from simulator.maths.least_squares import Eigenbasis, factor_solution, ridge_solution
from simulator.sampling.bidiagonal import isotropic_ridge, squared_bidiagonal
from simulator.sampling.increments import increment_variance, least_squares_increment
from simulator.sampling.shared import once
from simulator.sampling.trapezoid import active_rows, trapezoidal_factor
from simulator.studies.collapse.ridge_collapse import _controls
from simulator.study import CONTROLS

#: Columns of the propagated weights.
NOISE_FREE, GENERATOR, DOWNSTREAM = range(3)


def drawn(key, params):
    """Every generation draws its inputs and labels and is fitted."""
    eigen = spectrum_of(params).eigenvalues
    key_generators, key_downstream = jax.random.split(key)

    def draw(key, num_samples):
        key_inputs, key_noise = jax.random.split(key)
        normal = jax.random.normal(key_inputs, (num_samples, params.dim), float)
        noise = jax.random.normal(key_noise, (num_samples,), float)
        return normal * jnp.sqrt(eigen), noise

    def fit(weights, inputs, noise, ridge, column):
        labels = (inputs @ weights).at[:, column].add(noise)
        return ridge_solution(inputs, labels, len(inputs) * ridge)

    def generation(weights, key):
        inputs, noise = draw(key, params.num_samples_generator)
        if params.design == "same":
            inputs, _ = draw(key_generators, params.num_samples_generator)
        noise = params.noise_std_generator * noise
        return fit(weights, inputs, noise, params.ridge_generator, GENERATOR), None

    keys = jax.random.split(jax.random.fold_in(key_generators, 1), params.num_generations)
    weights, _ = lax.scan(generation, _initial_weights(params), keys)
    inputs, noise = draw(key_downstream, params.num_samples)
    weights = fit(weights, inputs, params.noise_std * noise, params.ridge, DOWNSTREAM)
    return _errors(params, weights)


def by_factors(key, params):
    """The same law with every Gaussian design replaced by its trapezoidal factor.

    The cost does not depend on the sample sizes, which are traced, as is the number of generations.
    """
    key_designs, key_noises = jax.random.split(key)

    # One loop over the generators and the downstream fit: one compiled copy of the fit.
    def fit(index, weights):
        last = index == params.num_generations
        design = jnp.where(last, index, 0) if params.design == "same" else index
        return _factor_fit(
            params,
            weights,
            key_design=jax.random.fold_in(key_designs, design),
            key_noise=jax.random.fold_in(key_noises, index),
            num_samples=jnp.where(last, params.num_samples, params.num_samples_generator),
            ridge=jnp.where(last, params.ridge, params.ridge_generator),
            noise_std=jnp.where(last, params.noise_std, params.noise_std_generator),
            column=jnp.where(last, DOWNSTREAM, GENERATOR),
        )

    weights = lax.fori_loop(0, params.num_generations + 1, fit, _initial_weights(params))
    return _errors(params, weights)


def _initial_weights(params):
    return jnp.zeros((params.dim, 3), float).at[:, NOISE_FREE].set(true_weights(params))


def _factor_fit(params, weights, *, key_design, key_noise, num_samples, ridge, noise_std, column):
    """One ridge fit to labels ``design @ weights`` plus noise in one column."""
    factor, active, design = _factor_design(params, key_design, num_samples)
    noise = jnp.where(active, jax.random.normal(key_noise, (params.dim,), float), 0)
    labels = (design @ weights).at[:, column].add(noise_std * noise)
    return _factor_solution(params, factor, active, labels, num_samples, ridge)


def _factor_design(params, key, num_samples):
    """The trapezoidal factor, which of its rows carry data, and these rows with the spectrum."""
    eigen = spectrum_of(params).eigenvalues
    factor = trapezoidal_factor(key, num_samples, params.dim)
    active = active_rows(num_samples, params.dim)
    return factor, active, factor * jnp.sqrt(eigen)


def _factor_solution(params, factor, active, labels, num_samples, ridge):
    """The ridge fits to the columns of ``labels``."""
    scale = jnp.sqrt(spectrum_of(params).eigenvalues)
    return factor_solution(factor, active, scale, labels, num_samples, ridge)


def _downstream_fit(params, weights, key):
    key_design, key_noise = jax.random.split(key)
    return _factor_fit(
        params,
        weights,
        key_design=key_design,
        key_noise=key_noise,
        num_samples=params.num_samples,
        ridge=params.ridge,
        noise_std=params.noise_std,
        column=DOWNSTREAM,
    )


def _errors(params, weights):
    """Squared Σ-norms of the three columns' errors."""
    spectrum = spectrum_of(params)
    weights = weights - _initial_weights(params)
    bias, generator_variance, variance = jnp.sum(spectrum.eigenvalues[:, None] * weights**2, axis=0)
    return _with_sum(bias, variance, generator_variance)


def _with_sum(bias, variance, generator_variance):
    return {
        "test_error": bias + variance + generator_variance,
        "bias": bias,
        "variance": variance,
        "generator_variance": generator_variance,
    }


# --------------------------------------------------------------------------------------------
# Averaged over all label noise given the inputs: its covariance travels through the fits
# --------------------------------------------------------------------------------------------
class _Labeller(NamedTuple):
    """Who labels the downstream inputs, given the generators' designs."""

    weights: Array  # without label noise
    covariance: Array  # of what the generators' label noise adds
    sums: Array  # over their designs, for the control variates


def averaged(key, params):
    """One fit by Cholesky."""
    spectrum, truth = spectrum_of(params), true_weights(params)
    labeller, count = _last_labeller(key, params), params.num_generations
    respond, design, gram = _respond(
        params, jax.random.fold_in(key, count), params.num_samples, params.ridge
    )

    def of_generators():
        keep = respond @ design
        return jnp.sum(spectrum.eigenvalues * jnp.sum((keep @ labeller.covariance) * keep, axis=1))

    missing = respond @ (design @ labeller.weights) - truth
    outputs = _with_sum(
        bias=jnp.sum(spectrum.eigenvalues * missing**2),
        variance=params.noise_std**2 * jnp.sum(spectrum.eigenvalues * jnp.sum(respond**2, axis=1)),
        generator_variance=_if_any(count, of_generators, jnp.zeros((), float)),
    )
    return outputs | {CONTROLS: _known(params, gram, gram**2, labeller.sums)}


def _last_labeller(key, params):
    def generator(index, state):
        which = 0 if params.design == "same" else index
        respond, design, gram = _respond(
            params,
            jax.random.fold_in(key, which),
            params.num_samples_generator,
            params.ridge_generator,
        )
        keep = respond @ design
        added = params.noise_std_generator**2 * respond @ respond.T
        covariance = keep @ state.covariance @ keep.T + added
        return _Labeller(
            keep @ state.weights, covariance, state.sums + _controls.of_generator(gram)
        )

    dim = params.dim
    start = _Labeller(
        true_weights(params), jnp.zeros((dim, dim), float), jnp.zeros((2, dim), float)
    )
    return lax.fori_loop(0, params.num_generations, generator, start)


def _respond(params, key, num_samples, ridge):
    """What answers to labels in one fit, its design, and the Gram matrix of whitened inputs."""
    factor, active, design = _factor_design(params, key, num_samples)
    labels = jnp.where(active, jnp.eye(params.dim, dtype=float), 0)
    respond = _factor_solution(params, factor, active, labels, num_samples, ridge)
    return respond, design, factor.T @ factor / num_samples


def _if_any(count, compute, nothing):
    """A loop of one step, or of none: without generators there is nothing to multiply."""
    return lax.fori_loop(0, jnp.minimum(count, 1), lambda _, found: found + compute(), nothing)


def _known(params, gram, squares, sums):
    fitted, missed = _controls.weights(params)
    downstream = _controls.of_downstream(fitted, missed, gram, squares)
    return downstream | _controls.of_generators(fitted, sums)


class _Decomposed(NamedTuple):
    """The downstream fit in the eigenbasis ``V`` of its inputs: what no ridge enters."""

    inputs: Eigenbasis
    truth: Array  # V^T w0
    drift: Array  # V^T (labeller - w0)
    of_generators: Array  # V^T Σ V times V^T (covariance of the labeller) V, by entries
    gram: Array
    squares: Array  # of its entries
    sums: Array


def along_ridges(key, params):
    """All ridges of the downstream fit from one eigendecomposition of its inputs."""
    count, counted = params.num_generations, replace(params, num_generations=0)
    shared = key, count, replace(counted, ridge=jnp.zeros((), float))
    return once(_decomposed, shared, then=_at_one_ridge, own=counted)


def _at_one_ridge(fit, params):
    keep, missed, response = fit.inputs.fit(params.ridge)
    missing = keep * fit.drift - missed * fit.truth
    variances, share = spectrum_of(params).eigenvalues, params.noise_std**2 / params.num_samples
    outputs = _with_sum(
        bias=jnp.sum(variances * (fit.inputs.vectors @ missing) ** 2),
        variance=share * jnp.sum(fit.inputs.variances * response),
        generator_variance=keep @ fit.of_generators @ keep,
    )
    return outputs | {CONTROLS: _known(params, fit.gram, fit.squares, fit.sums)}


def _decomposed(arguments):
    key, count, params = arguments
    params = replace(params, num_generations=count)
    truth, labeller = true_weights(params), _last_labeller(key, params)
    factor = trapezoidal_factor(jax.random.fold_in(key, count), params.num_samples, params.dim)
    gram = factor.T @ factor / params.num_samples
    variances = spectrum_of(params).eigenvalues
    inputs = Eigenbasis.of(gram, variances, params.num_samples)
    vectors = inputs.vectors

    def of_generators():
        metric = vectors.T @ (variances[:, None] * vectors)
        return metric * (vectors.T @ labeller.covariance @ vectors)

    return _Decomposed(
        inputs=inputs,
        truth=vectors.T @ truth,
        drift=vectors.T @ (labeller.weights - truth),
        of_generators=lax.cond(count > 0, of_generators, lambda: jnp.zeros_like(vectors)),
        gram=gram,
        squares=gram**2,
        sums=labeller.sums,
    )


# --------------------------------------------------------------------------------------------
# Shortcuts: generators that only add noise need no matrix at all
# --------------------------------------------------------------------------------------------
def generators_are_unbiased(params):
    """Least squares with at least as many samples as features returns its labeller plus noise."""
    return params.ridge_generator == 0 and params.num_samples_generator >= params.dim


def everything_is_unbiased(params):
    """The downstream fit is least squares with enough samples too."""
    return (
        generators_are_unbiased(params) and params.ridge == 0 and params.num_samples >= params.dim
    )


def one_isotropic_ridge(params):
    """Isotropic inputs of unit variance, and only the downstream fit shrinks."""
    named = params.spectrum == "isotropic" and not is_given(params.eigenvalues)
    return (
        named
        and not is_given(params.teacher)
        and (params.num_generations == 0 or generators_are_unbiased(params))
    )


def simulate_unbiased_generators(key, params):
    """The chain of generators as multivariate-t increments, the downstream fit as before."""
    key_generators, key_downstream = jax.random.split(key)
    noise = _generator_increment(key_generators, params)
    weights = _initial_weights(params).at[:, GENERATOR].set(noise)
    return _errors(params, _downstream_fit(params, weights, key_downstream))


def simulate_unbiased_fits(key, params):
    """All fits as multivariate-t increments: O(n d)."""
    key_generators, key_downstream = jax.random.split(key)
    weights = _initial_weights(params)
    weights = weights.at[:, GENERATOR].set(_generator_increment(key_generators, params))
    own = least_squares_increment(key_downstream, params.num_samples, params.dim)
    own = params.noise_std * own / jnp.sqrt(spectrum_of(params).eigenvalues)
    return _errors(params, weights.at[:, DOWNSTREAM].set(own))


def average_one_isotropic_ridge(key, params):
    """The conditional simulation without any matrix: O(n + d).

    Of the generators' designs only the chi variates are given: the rest is averaged over, too.
    """
    return _isotropic(params, _isotropic_draws(params)(_isotropic_arguments(key, params)))


def average_isotropic_ridges(key, params):
    """The same, with draws that all ridges share."""
    return _isotropic(params, once(_isotropic_draws(params), _isotropic_arguments(key, params)))


def _isotropic_arguments(key, params):
    return key, params.num_samples, params.num_samples_generator, params.num_generations


def _isotropic_draws(params):
    """The squared bidiagonal of the downstream inputs, and the generators' chi variates."""
    dim, same = params.dim, params.design == "same"

    def draws(arguments):
        key, num_samples, num_samples_generator, num_generations = arguments
        key_generators, key_downstream = jax.random.split(key)
        designs = jnp.minimum(num_generations, 1) if same else num_generations
        variance = increment_variance(key_generators, num_samples_generator, dim, designs)
        return squared_bidiagonal(key_downstream, num_samples, dim), variance

    return draws


def _isotropic(params, draws):
    entries, (variance, scales) = draws
    fit = isotropic_ridge(entries, params.num_samples, params.ridge)
    variance = variance * (params.num_generations if params.design == "same" else 1)
    outputs = _with_sum(
        bias=params.signal_variance * fit.bias,
        variance=params.noise_std**2 * fit.noise,
        generator_variance=params.noise_std_generator**2 * variance * fit.df2,
    )
    fitted, missed = _controls.weights(params)
    known = _controls.of_bidiagonal(fitted, missed, *entries) | {"generator_scales": scales}
    return outputs | {CONTROLS: known}


def _generator_increment(key, params):
    """Sum of what the generators' label noise adds to the weights."""
    count, samples = params.num_generations, params.num_samples_generator
    if params.design == "same":  # one design, hence one chi for all generations
        root = jnp.sqrt(jnp.asarray(count, float))
        total = root * least_squares_increment(key, samples, params.dim)
    else:
        total = least_squares_increment(key, samples, params.dim, count)
    return params.noise_std_generator * total / jnp.sqrt(spectrum_of(params).eigenvalues)
