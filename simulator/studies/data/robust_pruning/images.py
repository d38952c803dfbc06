"""The same pipeline on real images: handwritten digits.

Question. Do error-driven quotas help on a small real data set?

Model. The 1,797 images (8 x 8, pixels over 16) of handwritten digits that ship with scikit-learn,
in a random split per replicate: 997 for training, 400 for validation, 400 for test.
``digits_imbalanced`` thins the training classes at random to frequencies ``~ 10^(-k/9)``. Pipeline,
scores and quotas as in `_classifiers`.

Simulation only, and a negative example: class errors of 0 to 5 % on 40 validation images per class
are mostly noise, and quotas from them bring no dependable gain.

Reference: A. Vysogorets, K. Ahuja, J. Kempe, "DRoP", ICLR 2025, arXiv 2404.05579.
"""

import jax
import jax.numpy as jnp

from simulator.data.datasets import digits as digit_table
from simulator.parameters import choice, parameters
from simulator.studies.data.robust_pruning import PAPER
from simulator.studies.data.robust_pruning._classifiers import (
    TrainingParams,
    labelled,
    outputs,
    pruned_and_retrained,
)
from simulator.study import Figure, Study

_CLASSES, _VALIDATION, _TEST = 10, 400, 400
_THINNING = 10.0  # of the last class relative to the first


@parameters
class Params(TrainingParams):
    data: str = choice("digits", ("digits", "digits_imbalanced"), "–", "images and their classes")


def simulate_direct(key, params):
    """Split the images, thin the training set where asked, then prune and retrain."""
    table = digit_table("value")
    key_split, key_thin, key_prune = jax.random.split(key, 3)
    order = jax.random.permutation(key_split, len(table.targets))
    inputs = jnp.asarray(table.features / 16, float)[order]
    labels = jnp.asarray(table.targets.astype(int))[order]
    held = _VALIDATION + _TEST
    train = labels[held:]
    present = jnp.ones(len(train), bool)
    if params.data == "digits_imbalanced":
        present = _thinned(key_thin, train)
    return pruned_and_retrained(
        key_prune,
        params,
        labelled(inputs[held:], train, present),
        labelled(inputs[:_VALIDATION], labels[:_VALIDATION]),
        labelled(inputs[_VALIDATION:held], labels[_VALIDATION:held]),
        _CLASSES,
    )


def _thinned(key, labels):
    """As many rows as the frequencies allow, the same number of every class before thinning."""
    members = jax.nn.one_hot(labels, _CLASSES)
    frequencies = _THINNING ** (-jnp.arange(_CLASSES) / (_CLASSES - 1))
    most = jnp.min(jnp.sum(members, axis=0) / frequencies)
    tie = jax.random.uniform(key, labels.shape)
    order = jnp.lexsort((tie, labels))
    first = jnp.searchsorted(labels[order], labels, side="left")
    rank = jnp.zeros_like(labels).at[order].set(jnp.arange(len(labels))) - first
    return rank < jnp.round(most * frequencies)[labels]


figures = {
    "digits": Figure(
        title="A limit of the method: few validation images",
        x="density",
        y=("worst_recall", "average_recall"),
        grid={"density": [0.1, 0.2, 0.4, 0.8], "quota": ["none", "drop"]},
        series="quota",
        replicates=20,
        yscale="linear",
        caption="Handwritten digits, samples kept at random.",
    ),
}

STUDY = Study(
    name="robust-pruning.images",
    title="pruning a set of handwritten digits",
    paper=PAPER,
    params=Params,
    outputs=outputs(),
    simulate_direct=simulate_direct,
    figures=figures,
    check_cells=({"num_steps": 20, "density": 0.3, "data": "digits_imbalanced"},),
)
