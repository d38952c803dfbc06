"""What Gaussian theory predicts for the experiments of `simulator.data.experiment`.

The theory is told the spectrum of the data, the teacher's signal on it and the size of the
residual, ``(lambda_k, s_k, sigma)``, and nothing else; it is the theory of the studies
``ridge-collapse`` (`simulator.maths.generations`) and ``strong-collapse``
(`simulator.maths.mixture_error`), for an explicit spectrum. Float64, milliseconds.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from simulator.data.checks import (
    check_fractions,
    check_generations,
    check_penalties,
    check_shift,
    check_spectrum,
    noise_level,
)
from simulator.data.population import Population
from simulator.maths.generations import generation_errors
from simulator.maths.mixture_error import mixture_errors
from simulator.maths.mixture_resolvent import mixture_fit
from simulator.maths.resolvent import ridge_fit
from simulator.maths.spectra import Spectrum
from simulator.runtime.compilation import float64_on_cpu, jit_on_cpu


def predict_generations(
    data: Population,
    *,
    num_samples: int,
    num_samples_generator: int,
    num_generations: int,
    ridge: float | Sequence[float],
    ridge_generator: float = 0.0,
    noise_std: float | None = None,
    noise_std_generator: float | None = None,
) -> dict[str, np.ndarray]:
    """Theory for `simulate_generations`: same parameters, same outputs and shapes.

    Infinite where a fit without ridge has as many samples as features, give or take one.
    """
    check_spectrum(data, np.float64)
    ridges = check_penalties(data, ridge, num_samples, "ridge")
    check_penalties(data, ridge_generator, num_samples_generator, "ridge_generator")
    check_generations(num_generations)
    std = noise_level(data, noise_std)
    std_generator = noise_level(data, noise_std_generator)
    with float64_on_cpu():
        errors = _generations(
            jnp.asarray(ridges), data.eigenvalues, data.signal, float(num_samples),
            float(num_samples_generator), float(ridge_generator), std, std_generator,
            num_generations=num_generations,
        )  # fmt: skip
        return {name: np.asarray(value) for name, value in errors.items()}


@functools.partial(jit_on_cpu, static_argnames="num_generations")
def _generations(
    ridges, eigenvalues, signal, num_samples, num_samples_generator, ridge_generator, std,
    std_generator, *, num_generations: int,
):  # fmt: skip
    spectrum = Spectrum(eigenvalues, signal)
    generator = ridge_fit(eigenvalues, num_samples_generator, ridge_generator)

    def one_ridge(ridge):
        downstream = ridge_fit(eigenvalues, num_samples, ridge)
        errors = generation_errors(
            spectrum, downstream, generator, std, std_generator, num_generations
        )
        variance = jnp.broadcast_to(errors.variance, errors.bias.shape)
        return {
            "test_error": errors.bias + variance + errors.generator_variance,
            "bias": errors.bias,
            "variance": variance,
            "generator_variance": errors.generator_variance,
        }

    return jax.vmap(one_ridge)(ridges)


def predict_mixture(
    data: Population,
    *,
    shift: np.ndarray,
    num_samples: int,
    synthetic_fraction: float | Sequence[float],
    ridge: float | Sequence[float],
    noise_std_real: float | None = None,
    noise_std_synthetic: float = 0.0,
) -> dict[str, np.ndarray]:
    """Theory for `simulate_mixture`: same parameters, same outputs and shapes."""
    check_spectrum(data, np.float64)
    ridges = check_penalties(data, ridge, num_samples, "ridge")
    fractions = check_fractions(synthetic_fraction)
    stds = [noise_level(data, std) for std in (noise_std_real, noise_std_synthetic)]
    shift = check_shift(data, shift)
    with float64_on_cpu():
        errors = _mixture(
            jnp.asarray(ridges), jnp.asarray(fractions), data.eigenvalues, data.teacher, shift,
            float(num_samples), jnp.square(jnp.asarray(stds)),
        )  # fmt: skip
        return {name: np.asarray(value) for name, value in errors.items()}


@jit_on_cpu
def _mixture(ridges, fractions, eigenvalues, teacher, shift, num_samples, noise_variances):
    def one_cell(ridge, p2):
        shares = jnp.stack([1 - p2, p2])
        fit = mixture_fit(eigenvalues, num_samples, shares, jnp.ones(2), ridge)
        errors = mixture_errors(
            fit,
            eigenvalues,
            shares,
            noise_variances,
            eigenvalues * teacher**2,
            eigenvalues * shift**2,
            eigenvalues * teacher * shift,
        )
        return {"test_error": sum(errors)} | errors._asdict()

    return jax.vmap(jax.vmap(one_cell, (None, 0)), (0, None))(ridges, fractions)
