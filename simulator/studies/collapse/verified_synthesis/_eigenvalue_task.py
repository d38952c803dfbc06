"""Predicting the eigenvalues of 3x3 matrices with random features, from selected predictions.

Inputs: ``A = (G + G')/sqrt(2)``, ``G`` with N(0, 1) entries, as the six numbers of its upper
triangle; targets: its three eigenvalues in ascending order. A model is ridge regression on
``width`` features ``relu(W'x + b)`` (entries of ``W`` of variance 1/6, of ``b`` 1/4), one draw per
replicate for all fits: ``(F'F/n + ridge I)^-1 F'Y/n``. A prediction is correct when its relative L1
error is below ``error_tolerance``.

The generator learns from clean samples; for every new input its prediction and noisy copies of it
are the candidates, of which a verifier chooses; the next model learns from what was chosen.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import cho_factor, cho_solve

from simulator.parameters import parameters, static, traced

#: ``(key, errors) -> (index, kept)``: the candidate of every input, and whether there is one.
Verifier = Callable[[Array, Array], tuple[Array, Array]]


@parameters
class TaskParams:
    """What both verifiers share."""

    num_samples: int = static(1500, detail="clean, of the generator", at_least=1)
    num_samples_synthetic: int = static(15000, at_least=1)
    num_samples_test: int = static(10000, at_least=1)
    width: int = static(600, detail="random ReLU features", at_least=1)
    ridge: float = traced(1e-5, detail="beside the mean Gram matrix", above=0)
    num_candidates: int = static(16, at_least=1)
    noise_std_candidates: float = traced(
        0.15, "σ", "standard deviation of all candidates but the first", at_least=0
    )
    error_tolerance: float = traced(
        0.05, "–", "largest relative L1 error of a correct prediction", above=0
    )


def draw_matrices(key: Array, count: int) -> tuple[Array, Array]:
    """Inputs (count, 6) and eigenvalues (count, 3)."""
    normal = jax.random.normal(key, (count, 3, 3), float)
    matrices = (normal + jnp.swapaxes(normal, 1, 2)) / jnp.sqrt(2)
    rows, columns = jnp.triu_indices(3)
    return matrices[:, rows, columns], jnp.linalg.eigvalsh(matrices)


def relative_error(predicted: Array, targets: Array) -> Array:
    """``sum |predicted - target| / sum |target|`` over the three eigenvalues."""
    return jnp.sum(jnp.abs(predicted - targets), axis=-1) / jnp.sum(jnp.abs(targets), axis=-1)


def ridge_weights(features: Array, targets: Array, kept: Array, ridge) -> Array:
    """The fit on the kept rows; zero where none is."""
    rows = jnp.where(kept[:, None], features, 0)
    count = jnp.maximum(jnp.sum(kept), 1)
    gram = rows.T @ rows / count + ridge * jnp.eye(features.shape[1], dtype=features.dtype)
    return cho_solve(cho_factor(gram, lower=True), rows.T @ targets / count)


def run_task(key: Array, params, verifier: Verifier) -> dict[str, Array]:
    """One replicate: accuracies of generator, selection and successor."""
    keys = jax.random.split(key, 7)
    directions = jax.random.normal(keys[0], (6, params.width), float) / jnp.sqrt(6)
    offsets = jax.random.normal(keys[1], (params.width,), float) / 2

    def features(inputs):
        return jax.nn.relu(inputs @ directions + offsets)

    clean, clean_values = draw_matrices(keys[2], params.num_samples)
    everything = jnp.ones(params.num_samples, bool)
    generator = ridge_weights(features(clean), clean_values, everything, params.ridge)

    inputs, values = draw_matrices(keys[3], params.num_samples_synthetic)
    design = features(inputs)
    noise = jax.random.normal(
        keys[4], (params.num_samples_synthetic, params.num_candidates, 3), float
    )
    noise = params.noise_std_candidates * noise.at[:, 0].set(0)
    candidates = (design @ generator)[:, None] + noise
    errors = relative_error(candidates, values[:, None])
    chosen, kept = verifier(keys[5], errors)
    labels = jnp.take_along_axis(candidates, chosen[:, None, None], axis=1)[:, 0]
    correct = jnp.take_along_axis(errors, chosen[:, None], axis=1)[:, 0] < params.error_tolerance

    test, test_values = draw_matrices(keys[6], params.num_samples_test)
    test_design = features(test)

    def test_accuracy(weights):
        right = relative_error(test_design @ weights, test_values) < params.error_tolerance
        return jnp.mean(right, dtype=float)

    every = jnp.ones(params.num_samples_synthetic, bool)
    return {
        "generator_accuracy": test_accuracy(generator),
        "keep_rate": jnp.mean(kept, dtype=float),
        "kept_label_accuracy": jnp.sum(kept & correct) / jnp.sum(kept),
        "test_accuracy": test_accuracy(ridge_weights(design, labels, kept, params.ridge)),
        "test_accuracy_clean": test_accuracy(ridge_weights(design, values, every, params.ridge)),
    }
