"""A chain of linear fits, each trained on labels of its predecessor: errors by recursion.

Generators ``m = 1..n`` are refitted one on the labels of the other; then a downstream model is
fitted to the labels of the last. Given the spectrum ``(lambda_k, s_k)``, ``s_k = lambda_k w_k^2``,
named or measured on data, the errors follow from the two operators of each fit
(`simulator.maths.resolvent`), applied *backwards*: the downstream fit first, then the generators
(arXiv 2402.07712; here for any spectrum, with or without ridge in the
generators, on either side of the interpolation threshold). Start from the form of the test error,
``b = ell = lambda``:

    downstream     variance = sigma^2 noise(b);                 b <- quad(b), ell <- S ell
    n generators   generator_variance += sigma_0^2 noise_0(b);  b <- quad_0(b), ell <- S_0 ell
    last           bias = sum_k s_k (1 - 2 ell_k/lambda_k + b_k/lambda_k)

Exact where every fit is exact (no ridge and either more samples than features or an isotropic
spectrum); elsewhere asymptotic, with relative error O(1/df2).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from simulator.maths.resolvent import RidgeFit, no_fit, noise_variance
from simulator.maths.spectra import Spectrum
from simulator.runtime.shapes import Scalar


class GenerationErrors(NamedTuple):
    """Errors of the downstream model after ``0..num_generations`` generators.

    The excess test error after ``n`` generators is ``bias[n] + variance + generator_variance[n]``.
    """

    bias: Float[Array, " fits"]  # the noise-free part
    variance: Float[Array, ""]  # label noise of the downstream fit
    generator_variance: Float[Array, " fits"]  # label noise of all generators
    collapse_slope: Float[Array, ""]  # generator_variance of the last generator alone


def generation_errors(
    spectrum: Spectrum,
    downstream: RidgeFit,
    generator: RidgeFit,
    noise_std: Scalar,
    noise_std_generator: Scalar,
    num_generations: int,
    *,
    same_design: bool = False,
) -> GenerationErrors:
    """Errors over generations of refitting on the predecessor's labels.

    Parameters
    ----------
    spectrum : Spectrum
        Eigenvalues ``lambda_k`` and signal ``s_k`` of the true labels.
    downstream, generator : RidgeFit
        The last fit, and each of those before it.
    noise_std, noise_std_generator : float
        Label noise ``sigma`` and ``sigma_0``. Zero noise contributes zero, also where the noise
        operator is infinite.
    num_generations : int
        Length ``n`` of the chain (static); ``n = 0`` is a fit to clean labels.
    same_design : bool
        All generators see one design (fresh noise each): without ridge that is one projection,
        hence the law of one generator with noise variance ``n sigma_0^2``. Only valid without
        ridge in the generators; the caller checks.
    """
    one_generation = _one_generation(generator, noise_std_generator)
    start, variance = _downstream(spectrum, downstream, noise_std)

    def recorded(carry, _):
        after, increment = one_generation(carry)
        return after, (*carry, increment)

    # One more step than generations: its increment is the slope, its image is not needed.
    length = min(num_generations, 1) if same_design else num_generations
    _, (form, total, increment) = lax.scan(recorded, start, length=length + 1)
    bias = jax.vmap(lambda form: form.error(spectrum.signal))(form)
    if same_design:
        count = jnp.arange(num_generations + 1)
        bias = bias[jnp.minimum(count, length)]
        total = jnp.where(count > 0, count.astype(total.dtype) * increment[0], 0)
    return GenerationErrors(bias, variance, total, increment[0])


class LastErrors(NamedTuple):
    """Errors of the downstream model after the last generator, and without any."""

    bias: Float[Array, ""]
    clean_bias: Float[Array, ""]  # without generators
    variance: Float[Array, ""]
    generator_variance: Float[Array, ""]
    collapse_slope: Float[Array, ""]

    def parts(self) -> dict[str, Array]:
        """The test error, what it is the sum of, and what the generators add to it."""
        return {
            "test_error": self.bias + self.variance + self.generator_variance,
            "bias": self.bias,
            "variance": self.variance,
            "generator_variance": self.generator_variance,
            "clean_test_error": self.clean_bias + self.variance,
            "excess_error": (self.bias - self.clean_bias) + self.generator_variance,
        }


def last_errors(
    spectrum: Spectrum,
    downstream: RidgeFit,
    generator: RidgeFit,
    noise_std: Scalar,
    noise_std_generator: Scalar,
    num_generations: Scalar,
    *,
    same_design: bool = False,
) -> LastErrors:
    """The end of `generation_errors`; ``num_generations`` may be traced.

    Differentiable in reverse only where it is not traced.
    """
    one_generation = _one_generation(generator, noise_std_generator)
    start, variance = _downstream(spectrum, downstream, noise_std)
    slope = one_generation(start)[1]
    length = num_generations
    if same_design:
        length = jnp.minimum(length, 1) if isinstance(length, Array) else min(length, 1)
    form, total = lax.fori_loop(0, length, lambda _, carry: one_generation(carry)[0], start)
    if same_design:
        count = jnp.asarray(num_generations, slope.dtype)
        total = jnp.where(count > 0, count * slope, 0)
    clean_bias = start[0].error(spectrum.signal)
    return LastErrors(form.error(spectrum.signal), clean_bias, variance, total, slope)


def _downstream(spectrum, downstream, noise_std):
    """Where the recursion starts: the form behind the last fit and no noise yet; its variance."""
    clean = no_fit(spectrum.eigenvalues)
    variance = noise_variance(jnp.square(noise_std), downstream.noise(clean))
    return (downstream.propagate(clean), jnp.zeros_like(variance)), variance


def _one_generation(generator, noise_std_generator):
    """One more generator in front: the new form and noise, and what it added to the noise."""

    def step(carry):
        form, total = carry
        increment = noise_variance(jnp.square(noise_std_generator), generator.noise(form))
        return (generator.propagate(form), total + increment), increment

    return step
