"""What the four studies share: the parameters of a two-source mixture and what follows from them.

Arrays over the sources have the real source first. Everything is written per eigenvector of the
covariance of the real inputs, in units of label variance: ``s_k = lambda_k E w1_k^2`` for the
teacher and ``g_k = lambda_k E delta_k^2`` for the shift ``delta = w2 - w1`` of the synthetic
labels, so that nothing overflows for steep power laws.
"""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jax import Array

from simulator import eigenbasis
from simulator.eigenbasis import is_given, spectrum_of
from simulator.maths.slopes import ratio, square_root
from simulator.parameters import choice, parameters, static, traced

SPECTRA = ("isotropic", "power_law")
PROFILES = ("whitened", "isotropic", "signal")
WEIGHTINGS = ("uniform", "mixing")


@parameters
class MixtureParams:
    """Parameters that all parts of the paper have; each study adds its own."""

    dim: int = static(200, at_least=2, grows=1, padded=True)
    num_samples: int = traced(
        400, detail="real and synthetic together", at_least=1, static_in=("direct",), grows=1
    )
    synthetic_fraction: float = traced(
        0.2, "p₂", "share of synthetic samples", at_least=0, at_most=1
    )
    ridge: float = traced(0.1, at_least=0, grows=eigenbasis.growth)
    noise_std_real: float = traced(0.5, "σ₁", "label noise of real samples", at_least=0)
    noise_std_synthetic: float = traced(0.5, symbol="σ₂", at_least=0)
    spectrum: str = choice("isotropic", SPECTRA)
    spectrum_exponent: float = traced(1.5, above=0)
    source_exponent: float = traced(0.5, above=0)
    signal_variance: float = traced(1.0, symbol="Σ_k s_k", above=0)
    synthetic_shift: float = traced(0.5, "c²", "E‖w2 - w1‖²_Σ, lack of quality", at_least=0)
    shift_profile: str = choice(
        "whitened", PROFILES, "Δ", "shift: g_k equal, g_k ~ λ_k, or g_k ~ s_k"
    )
    eigenvalues: tuple = eigenbasis.eigenvalues()
    teacher: tuple = eigenbasis.teacher()
    shift: tuple = eigenbasis.coordinates(
        "δ", "shift w2 - w1 of the synthetic labels, in the teacher's coordinates"
    )
    covariance: tuple = eigenbasis.covariance()


def validate(params, side):
    """Refuse spectra that underflow, on either side."""
    return eigenbasis.validate(params)


def completed(given, **more):
    """Explicit spectra at the door; a shift needs the teacher that it shifts."""
    if np.size(given.get("shift", ())) and not np.size(given.get("teacher", ())):
        raise ValueError("shift is given without teacher: give the weights that it shifts, too")
    return eigenbasis.completed(given, vectors=("teacher", "shift"), **more)


# --------------------------------------------------------------------------------------------
# Profiles
# --------------------------------------------------------------------------------------------
def shift_of(params) -> Array:
    """``g_k``, summing to ``c^2`` where the shift is a named one."""
    spectrum = spectrum_of(params)
    if is_given(params.shift):
        shift = eigenbasis.with_zeros(params.shift, len(spectrum.eigenvalues))
        return spectrum.eigenvalues * shift**2
    if params.shift_profile == "isotropic":
        share = spectrum.eigenvalues / jnp.sum(spectrum.eigenvalues)
    elif params.shift_profile == "signal":
        share = spectrum.signal / jnp.sum(spectrum.signal)
    else:
        dim = eigenbasis.dimension(params)
        share = jnp.full(len(spectrum.eigenvalues), 1 / dim, float)
        if not isinstance(dim, int):  # padded, or given
            share = jnp.where(spectrum.eigenvalues > 0, share, 0)
    return params.synthetic_shift * share


def squared_shift(params) -> Array:
    """``c^2 = sum_k g_k``."""
    return jnp.sum(shift_of(params)) if is_given(params.shift) else params.synthetic_shift


def cross_of(params) -> Array:
    """``x_k = lambda_k E w1_k delta_k``."""
    spectrum = spectrum_of(params)
    if is_given(params.shift):
        both = params.teacher * params.shift
        return spectrum.eigenvalues * eigenbasis.with_zeros(both, len(spectrum.eigenvalues))
    return params.shift_correlation * geometric_mean(spectrum.signal, shift_of(params))


def is_correlated(params) -> Array:
    """Whether teacher and shift have a cross term."""
    if is_given(params.shift):
        return jnp.any(cross_of(params) != 0)
    return params.shift_correlation != 0


def geometric_mean(signal, shift) -> Array:
    """``sqrt(s_k g_k)``, with derivative 0 (not NaN) where one of them vanishes."""
    return square_root(signal * shift)


def noise_of(params) -> Array:
    """``(sigma_1, sigma_2)``."""
    return jnp.stack([params.noise_std_real, params.noise_std_synthetic])


# --------------------------------------------------------------------------------------------
# Samples and their weights
# --------------------------------------------------------------------------------------------
def fractions_of(params) -> Array:
    """``(p1, p2)``: the theory takes the fraction as given."""
    p2 = params.synthetic_fraction
    return jnp.stack([1 - p2, p2])


def counts_of(params) -> Array:
    """``(n1, n2)``: simulations round ``p2 n`` to the nearest whole number, halves up.

    To the precision of the scope: in single precision counts beyond 2^24 are themselves rounded.
    """
    n = params.num_samples
    n2 = jnp.minimum(jnp.floor(params.synthetic_fraction * n + 0.5).astype(jnp.int32), n)
    return jnp.stack([n - n2, n2])


def sample_weights(fractions, weighting="uniform", mixing_weight=0.0) -> Array:
    """``a_j``: ones, or ``((1 - alpha)/p1, alpha/p2)``; 0 for a source without samples."""
    weights, per = weights_per(fractions, weighting, mixing_weight)
    return jnp.where(fractions > 0, ratio(weights, per), 0)


def weights_per(fractions, weighting="uniform", mixing_weight=0.0) -> tuple[Array, Array]:
    """Numerators and denominators of ``a_j``, finite also for a source without samples."""
    if weighting == "uniform":
        return jnp.ones_like(fractions), jnp.ones_like(fractions)
    return jnp.stack([1 - mixing_weight, mixing_weight]), fractions


def realised(params):
    """The fraction that a simulation makes of ``p2``: a whole number of samples, concrete."""
    n = params.num_samples
    n2 = min(math.floor(params.synthetic_fraction * n + 0.5), n)
    return replace(params, synthetic_fraction=n2 / n)
