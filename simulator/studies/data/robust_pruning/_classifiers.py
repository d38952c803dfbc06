"""Train, score, prune, train again: softmax regression on K classes.

1. Train on the full set; the recall of each class on a validation set gives the quotas.
2. Score the samples in a separate short run (higher scores are kept first).
3. Keep the best of each class by its quota, or the best of all.
4. Train from scratch on what is left, and measure the recall of each class on a test set.

Training: weights 0 at the start, ``V <- momentum V + grad``, ``W <- W - step_size V``, ``grad``
that of the mean cross-entropy of the kept samples plus ``regularization W`` (not on the intercept).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from simulator.maths.slopes import ratio
from simulator.parameters import choice, parameters, static, traced
from simulator.studies.data.robust_pruning._model import saturate
from simulator.study import Output, simulation_only

SCORES = ("random", "el2n", "grand", "forgetting", "dynamic_uncertainty", "coreset")
CLASS_QUOTAS = ("none", "balanced", "drop", "drop_equal_base")

# The run that scores the samples.
_EPOCHS, _EARLY, _WINDOW = 40, 5, 10
_SCORE_STEP, _SCORE_MOMENTUM, _SCORE_DECAY = 0.05, 0.9, 1e-3
_BATCHES, _SMALLEST_BATCH = 20, 32


@parameters
class TrainingParams:
    """How the data are pruned and the classifiers trained."""

    density: float = traced(0.2, above=0, at_most=1)
    score: str = choice("random", SCORES, "–", "which samples of a class are kept first")
    quota: str = choice("drop", CLASS_QUOTAS, "–", "how many samples of each class are kept")
    recall_smoothing: float = traced(
        1.0, "–", "added errors: 1 - r_k = (errors + s)/(n_k + 2 s)", at_least=0
    )
    num_steps: int = static(150, at_least=1)
    step_size: float = traced(0.5, above=0)
    momentum: float = traced(0.9, "–", "momentum of the training", at_least=0, below=1)
    regularization: float = traced(1e-3, detail="weight decay", at_least=0)


class Labelled(NamedTuple):
    """Inputs with a last column of ones, labels, and which rows are there."""

    inputs: Array  # (rows, features + 1)
    labels: Array  # (rows,)
    present: Array  # (rows,)


def labelled(inputs: Array, labels: Array, present: Array | None = None) -> Labelled:
    """Append the column of the intercept."""
    ones = jnp.ones((len(inputs), 1), inputs.dtype)
    present = jnp.ones(len(inputs), bool) if present is None else present
    return Labelled(jnp.concatenate([inputs, ones], axis=1), labels, present)


def outputs() -> tuple[Output, ...]:
    """What a pruned and retrained classifier is measured by."""
    return simulation_only(
        average_recall="mean over classes of the test recall",
        worst_recall="smallest test recall of a class",
        recall_gap="largest minus smallest recall",
        recall_std="standard deviation over classes of the recall",
    )


def pruned_and_retrained(key, params, train, validation, test, num_classes: int):
    """The whole pipeline; recalls on the test set."""

    def fit(weights):
        return _trained(params, train, weights, num_classes)

    sizes = jnp.sum(_one_hot(train, num_classes), axis=0)
    errors = _error_rates(fit(train.present), validation, num_classes, params.recall_smoothing)
    kept = _kept(key, params, train, sizes, errors, num_classes)
    recall = 1 - _error_rates(fit(kept), test, num_classes, 0)
    return {
        "average_recall": jnp.mean(recall),
        "worst_recall": jnp.min(recall),
        "recall_gap": jnp.max(recall) - jnp.min(recall),
        "recall_std": jnp.std(recall),
    }


def _trained(params, data: Labelled, weights, num_classes) -> Array:
    """Full-batch gradient descent with momentum on the weighted mean cross-entropy."""
    start = jnp.zeros((data.inputs.shape[1], num_classes), data.inputs.dtype)

    def step(_, carry):
        w, velocity = carry
        gradient = _gradient(w, data.inputs, data.labels, weights, params.regularization)
        velocity = params.momentum * velocity + gradient
        return w - params.step_size * velocity, velocity

    return lax.fori_loop(0, params.num_steps, step, (start, jnp.zeros_like(start)))[0]


def _gradient(w, inputs, labels, weights, decay) -> Array:
    residual = jax.nn.softmax(inputs @ w) - jax.nn.one_hot(labels, w.shape[1], dtype=w.dtype)
    weights = weights.astype(w.dtype)
    mean = inputs.T @ (weights[:, None] * residual) / jnp.maximum(jnp.sum(weights), 1)
    return mean + decay * w.at[-1].set(0)


def _error_rates(w, data: Labelled, num_classes, smoothing) -> Array:
    """Share of wrong predictions per class, smoothed towards 1/2."""
    members = _one_hot(data, num_classes)
    wrong = jnp.argmax(data.inputs @ w, axis=1) != data.labels
    return ratio(wrong @ members + smoothing, jnp.sum(members, axis=0) + 2 * smoothing)


def _one_hot(data: Labelled, num_classes) -> Array:
    members = jax.nn.one_hot(data.labels, num_classes, dtype=data.inputs.dtype)
    return members * data.present[:, None]


# --------------------------------------------------------------------------------------------
# What is kept
# --------------------------------------------------------------------------------------------
def _kept(key, params, data: Labelled, sizes, errors, num_classes) -> Array:
    """Which rows are kept: by rank of their score, within classes or among all."""
    key_score, key_ties = jax.random.split(key)
    by_class = params.quota != "none"
    score = jnp.where(
        data.present, _score(key_score, params.score, data, by_class, num_classes), -jnp.inf
    )
    group = data.labels if by_class else jnp.zeros_like(data.labels)
    tie = jax.random.uniform(key_ties, score.shape, score.dtype)
    order = jnp.lexsort((tie, -score, group))
    first = jnp.searchsorted(group[order], group, side="left")
    rank = jnp.zeros_like(group).at[order].set(jnp.arange(len(group))) - first
    if not by_class:
        return data.present & (rank < jnp.round(params.density * jnp.sum(sizes)))
    there = jnp.maximum(sizes, 1e-9)
    weights = {
        "balanced": lambda: 1 / there,
        "drop": lambda: errors,
        "drop_equal_base": lambda: errors / there,
    }[params.quota]()
    quota = jnp.round(saturate(params.density, there, weights) * sizes)
    return data.present & (rank < quota[data.labels])


def _score(key, name: str, data: Labelled, by_class: bool, num_classes) -> Array:
    """Scores of all rows; the higher ones are kept first."""
    if name == "random":
        return jnp.zeros(len(data.labels), data.inputs.dtype)  # ties are broken at random
    if name == "coreset":
        return _greedy_centres(key, data, by_class)
    probability = _score_run(key, data, num_classes)  # (epochs, rows, classes)
    own = jnp.take_along_axis(probability, data.labels[None, :, None], axis=2)[..., 0]
    if name in ("el2n", "grand"):
        early = probability[_EARLY - 1] - jax.nn.one_hot(data.labels, num_classes, dtype=own.dtype)
        size = jnp.linalg.norm(early, axis=1)
        return size if name == "el2n" else size * jnp.linalg.norm(data.inputs, axis=1)
    if name == "forgetting":
        correct = jnp.argmax(probability, axis=2) == data.labels
        forgotten = jnp.sum(correct[:-1] & ~correct[1:], axis=0)
        return jnp.where(jnp.any(correct, axis=0), forgotten, _EPOCHS).astype(own.dtype)
    windows = jnp.stack([own[i : i + _WINDOW] for i in range(_EPOCHS - _WINDOW + 1)])
    return jnp.mean(jnp.std(windows, axis=1, ddof=1), axis=0)


def _score_run(key, data: Labelled, num_classes) -> Array:
    """Predicted probabilities at the end of every epoch of minibatch training."""
    rows = len(data.labels)
    batch = min(max(_SMALLEST_BATCH, rows // _BATCHES), rows)
    start = jnp.zeros((data.inputs.shape[1], num_classes), data.inputs.dtype)

    def epoch(carry, key):
        order = jax.random.permutation(key, rows)[: rows // batch * batch].reshape(-1, batch)

        def step(carry, chosen):
            w, velocity = carry
            gradient = _gradient(
                w, data.inputs[chosen], data.labels[chosen], data.present[chosen], _SCORE_DECAY
            )
            velocity = _SCORE_MOMENTUM * velocity + gradient
            return (w - _SCORE_STEP * velocity, velocity), None

        carry = lax.scan(step, carry, order)[0]
        return carry, jax.nn.softmax(data.inputs @ carry[0])

    keys = jax.random.split(key, _EPOCHS)
    return lax.scan(epoch, (start, jnp.zeros_like(start)), keys)[1]


def _greedy_centres(key, data: Labelled, by_class: bool) -> Array:
    """Minus the position at which greedy k-centre takes a row, alone in its class or among all."""
    rows = len(data.labels)
    # Rows of a class without a centre are infinitely far, in random order: the first is random.
    distance = 1e12 * (1 + jax.random.uniform(key, (rows,), data.inputs.dtype))
    distance = jnp.where(data.present, distance, -1)

    def take(position, carry):
        distance, score = carry
        chosen = jnp.argmax(distance)
        away = jnp.sum((data.inputs - data.inputs[chosen]) ** 2, axis=1)
        if by_class:
            away = jnp.where(data.labels == data.labels[chosen], away, jnp.inf)
        distance = jnp.minimum(distance, away).at[chosen].set(-1)
        return distance, score.at[chosen].set(-position)

    score = jnp.full(rows, -rows, data.inputs.dtype)
    return lax.fori_loop(0, rows, take, (distance, score))[1]
