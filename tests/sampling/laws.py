"""Comparing samplers: whole laws, and no recompilation where a number is traced."""

import functools

import jax
import numpy as np
from scipy import stats

LEVEL = 1e-4  # of each Kolmogorov-Smirnov test; the seeds are fixed


def assert_same_law(sample, reference):
    """Two-sample Kolmogorov-Smirnov test and, for the tails, a 5-sigma test of the mean."""
    sample, reference = np.asarray(sample, float), np.asarray(reference, float)
    assert np.all(np.isfinite(sample))
    # The exact computation gives up, with a warning, on samples with many ties.
    assert stats.ks_2samp(sample, reference, method="asymp").pvalue > LEVEL
    error = np.sqrt(sample.var() / sample.size + reference.var() / reference.size)
    assert abs(sample.mean() - reference.mean()) <= 5 * error


def minimum_norm_fit(inputs, labels):
    """Weights of least squares (of minimal norm) for a batch of inputs (b, n, d), labels (b, n)."""
    transposed, labels = inputs.transpose(0, 2, 1), labels[..., None]
    if inputs.shape[1] < inputs.shape[2]:
        return (transposed @ np.linalg.solve(inputs @ transposed, labels))[..., 0]
    return np.linalg.solve(transposed @ inputs, transposed @ labels)[..., 0]


def draws(sampler, count, *arguments, seed=0):
    """``count`` independent draws of ``sampler(key, *arguments)``, as NumPy arrays.

    A sampler defined once is compiled once, whatever the arguments.
    """
    keys = jax.random.split(jax.random.key(seed), count)
    return jax.device_get(_batched(sampler, len(arguments))(keys, *arguments))


@functools.cache
def _batched(sampler, num_arguments):
    return jax.jit(jax.vmap(sampler, (0,) + (None,) * num_arguments))


class CountTraces:
    """Wrap a function so that ``traces`` counts how often it is compiled under ``jax.jit``."""

    def __init__(self, function):
        self.traces = 0

        def counted(*args):
            self.traces += 1
            return function(*args)

        self.run = jax.jit(counted)

    def __call__(self, *args):
        return jax.device_get(self.run(*args))
