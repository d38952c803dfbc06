"""arXiv 2402.07712: the recursion with full vectors b and l, last fit first."""

from math import inf

import numpy as np
from scipy.optimize import brentq


def spectrum_of(spectrum, dim, spectrum_exponent, source_exponent, signal_variance):
    """``lambda_k`` and ``w_k^2``."""
    k = np.arange(1.0, dim + 1)
    if spectrum == "isotropic":
        return np.ones(dim), np.full(dim, signal_variance / dim)
    signal = k ** -(1 + 2 * spectrum_exponent * source_exponent)
    eigen = k**-spectrum_exponent
    return eigen, signal_variance * signal / signal.sum() / eigen


def explicit(eigen, weights, eigenvalues=None, teacher=None):
    """What is given in place of the named spectrum; a named signal keeps its ``lambda_k w_k^2``."""
    signal = eigen * weights
    if eigenvalues is not None:
        eigen = np.asarray(eigenvalues, float)
    return eigen, signal / eigen if teacher is None else np.asarray(teacher, float) ** 2


def effective_penalty(eigen, samples, ridge):
    """Largest root of ``kappa (1 - df1 / T) = ridge``, by bracketing in the logarithm."""
    if ridge == 0 and samples >= len(eigen):
        return 0.0

    def excess(log_kappa):
        kappa = np.exp(log_kappa)
        return kappa * (1 - np.sum(eigen / (eigen + kappa)) / samples) - ridge

    top = np.log(ridge + eigen.sum() / samples) + 1e-9
    low = top
    while excess(low) > 0:
        low -= 0.1
    return np.exp(brentq(excess, low, top, xtol=1e-15, rtol=1e-15))


class Fit:
    """``S``, ``quad`` and ``noise`` of one fit."""

    def __init__(self, eigen, samples, ridge):
        self.eigen, self.samples, self.ridge = eigen, samples, ridge
        self.kappa = effective_penalty(eigen, samples, ridge)
        self.keep = eigen / (eigen + self.kappa)
        self.df1, self.df2 = self.keep.sum(), np.sum(self.keep**2)

    def _trace(self, b):
        share = np.sum(b * self.eigen / (self.eigen + self.kappa) ** 2)
        return share / (self.samples - self.df2) if share > 0 else 0.0

    def quad(self, b):
        if self.kappa == 0:
            return b
        lost = self.kappa**2 * self.eigen / (self.eigen + self.kappa) ** 2
        return self.keep**2 * b + lost * self._trace(b)

    def noise(self, b):
        dim, samples = len(self.eigen), self.samples
        if self.ridge > 0:
            return self._trace(b)
        if abs(samples - dim) <= 1:
            return inf
        if samples > dim:
            return np.sum(b / self.eigen) / (samples - dim - 1)
        if np.ptp(self.eigen) == 0:
            return np.mean(b) * samples / (dim - samples - 1)
        return self._trace(b)


def theory(
    dim, num_samples, num_samples_generator, num_generations, ridge, ridge_generator, noise_std,
    noise_std_generator, spectrum, spectrum_exponent, source_exponent, signal_variance, design,
    **arrays,
):  # fmt: skip
    named = spectrum_of(spectrum, dim, spectrum_exponent, source_exponent, signal_variance)
    return errors_of(
        *explicit(*named, **arrays), num_samples, num_samples_generator, num_generations, ridge,
        ridge_generator, noise_std, noise_std_generator, design,
    )  # fmt: skip


def errors_of(
    eigen, weights, num_samples, num_samples_generator, num_generations, ridge, ridge_generator,
    noise_std, noise_std_generator, design="independent",
):  # fmt: skip
    """All outputs, for eigenvalues ``lambda_k`` and squared weights ``w_k^2``."""
    last = Fit(eigen, num_samples, ridge)
    generator = Fit(eigen, num_samples_generator, ridge_generator)

    def noisy(std, noise):
        return 0.0 if std == 0 else std**2 * noise

    b, l = last.quad(eigen), last.keep * eigen
    variance = noisy(noise_std, last.noise(eigen))
    clean_bias = np.sum(weights * (b - 2 * l + eigen))
    slope = noisy(noise_std_generator, generator.noise(b))
    generations, repeats = num_generations, 1
    if design == "same":  # one projection, with the noise of all generations
        generations, repeats = min(num_generations, 1), num_generations
    generator_variance = 0.0
    for _ in range(generations):
        generator_variance += repeats * noisy(noise_std_generator, generator.noise(b))
        b, l = generator.quad(b), generator.keep * l
    bias = np.sum(weights * (b - 2 * l + eigen))
    return {
        "test_error": bias + variance + generator_variance,
        "bias": bias,
        "variance": variance,
        "generator_variance": generator_variance,
        "clean_test_error": clean_bias + variance,
        "excess_error": bias - clean_bias + generator_variance,
        "collapse_slope": slope,
        "kappa": last.kappa,
        "kappa_generator": generator.kappa,
        "df1": last.df1,
        "df2": last.df2,
    }
