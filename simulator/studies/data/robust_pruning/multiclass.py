"""Quotas and scores on trained classifiers: K Gaussian classes of unequal difficulty.

Question. Does what holds for two classes on a line hold for trained classifiers, and what do the
usual scores of hard examples do to the worst class?

Model. ``K`` classes ``N(m_k, std_k² I)`` in ``dim`` dimensions, ``m_k`` random directions of length
``mean_norm`` (drawn in every replicate: compare methods at one seed), ``std_k`` geometric from
``std_min`` to ``std_max``; training frequencies ``~ imbalance_ratio^(-k/(K-1))``, validation and
test uniform. Pipeline, scores and quotas as in `_classifiers`; the full-data model is ``density =
1`` with ``quota = none``.

Simulation only. Seen at the defaults: random pruning with error-driven quotas (``score = random``,
``quota = drop``) raises the worst class above the full-data model at densities 0.2 to 0.8, at a
small loss on average; scores of hard examples collapse at low density. Recalls are smoothed, since
a class without validation errors would otherwise be removed.

Reference: A. Vysogorets, K. Ahuja, J. Kempe, "DRoP", ICLR 2025, arXiv 2404.05579.
"""

import jax
import jax.numpy as jnp

from simulator.studies.data.robust_pruning._classifiers import (  # isort: skip
    TrainingParams, labelled, outputs, pruned_and_retrained,
)  # fmt: skip
from simulator.parameters import parameters, static, traced
from simulator.studies.data.robust_pruning import PAPER
from simulator.study import Figure, Study


@parameters
class Params(TrainingParams):
    num_classes: int = static(8, symbol="K", at_least=2)
    dim: int = static(20, at_least=1)
    mean_norm: float = traced(3.0, "‖m‖", "length of the class means", above=0)
    std_min: float = traced(0.8, "σ_min", "deviation of the easiest class", above=0)
    std_max: float = traced(1.4, "σ_max", "deviation of the hardest class", at_least="std_min")
    imbalance_ratio: float = traced(
        1.0, "–", "training samples of the easiest over the hardest class", at_least=1
    )
    num_samples: int = static(4000, detail="before pruning", at_least="num_classes")
    num_samples_validation: int = static(
        2000, "n_val", "samples that measure the quotas", at_least="num_classes"
    )
    num_samples_test: int = static(8000, at_least="num_classes")


def simulate_direct(key, params):
    """Draw means and three sets, then prune and retrain."""
    key_means, key_train, key_validation, key_test, key_prune = jax.random.split(key, 5)
    classes = params.num_classes
    means = jax.random.normal(key_means, (classes, params.dim), float)
    means = params.mean_norm * means / jnp.linalg.norm(means, axis=1, keepdims=True)
    position = jnp.arange(classes) / (classes - 1)
    stds = params.std_min * (params.std_max / params.std_min) ** position

    def draw(key, count, frequencies):
        key_labels, key_inputs = jax.random.split(key)
        labels = jax.random.choice(key_labels, classes, (count,), p=frequencies)
        noise = jax.random.normal(key_inputs, (count, params.dim), float)
        return labelled(means[labels] + stds[labels][:, None] * noise, labels)

    frequencies = jnp.asarray(params.imbalance_ratio, float) ** -position
    uniform = jnp.full(classes, 1 / classes)
    return pruned_and_retrained(
        key_prune,
        params,
        draw(key_train, params.num_samples, frequencies / jnp.sum(frequencies)),
        draw(key_validation, params.num_samples_validation, uniform),
        draw(key_test, params.num_samples_test, uniform),
        classes,
    )


figures = {
    "worst-class": Figure(
        title="Quotas lift the worst class, hard examples drop it",
        x="density", y=("worst_recall",), series="quota", replicates=10, yscale="linear",
        grid={"density": [0.05, 0.1, 0.2, 0.4, 0.8], "quota": ["none", "drop"]},
        params={"num_samples_test": 4000},
        caption="K = 8 classes in 20 dimensions, samples kept at random.",
    ),
    "scores": Figure(
        title="Scores of hard examples collapse where little is kept",
        x="density", y=("worst_recall", "average_recall"), series="score", replicates=6,
        yscale="linear",
        grid={"density": [0.05, 0.1, 0.2, 0.4, 0.8],
              "score": ["random", "el2n", "forgetting", "dynamic_uncertainty"]},
        params={"num_samples_test": 4000, "quota": "none"},
        caption="K = 8 classes in 20 dimensions, no quotas.",
    ),
    "wider": Figure(
        title="Nearly error-free classes: quotas need smoothed recalls",
        x="density", y=("worst_recall", "average_recall"), series="recall_smoothing", replicates=10,
        yscale="linear", grid={"density": [0.1, 0.3, 0.5], "recall_smoothing": [0.0, 1.0]},
        params={"mean_norm": 2.6, "std_min": 0.5, "std_max": 1.5, "num_samples_test": 4000},
        caption="Means of length 2.6, deviations from 0.5 to 1.5, drop.",
    ),
    "long-tail": Figure(
        title="Long-tailed classes: quotas by error and by size",
        x="density", y=("worst_recall", "average_recall"), series="quota", replicates=10,
        yscale="linear", grid={"density": [0.1, 0.3, 0.6], "quota": ["none", "balanced", "drop"]},
        params={"imbalance_ratio": 10.0, "num_samples_test": 4000},
        caption="The easiest class has ten times the samples of the hardest; kept at random.",
    ),
}  # fmt: skip

check_cells = (
    {"num_classes": 3, "dim": 4, "num_samples": 90, "num_samples_validation": 60,
     "num_samples_test": 60, "num_steps": 20, "imbalance_ratio": 2.0},
)  # fmt: skip

STUDY = Study(
    name="robust-pruning.multiclass",
    title="pruning the data of a trained classifier of K Gaussian classes",
    paper=PAPER, params=Params, outputs=outputs(), simulate_direct=simulate_direct, figures=figures,
    check_cells=check_cells,
)  # fmt: skip
