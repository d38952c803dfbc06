"""The group-aware prior on real images: handwritten digits with a spurious mark.

Question. Does the prior do for classifiers of real images what it does for Gaussian groups?

Model. The 1,797 images (8 x 8) of handwritten digits that ship with scikit-learn; the label is the
parity of the digit, ``y = ±1``. A mark, a strip of eight more pixels of brightness
``mark_strength (1 + a)/2``, agrees with the label (``a = y``) but for a share ``minority_fraction``
of the training images. Random split per replicate: 397 images to measure errors, with either mark;
``num_group_samples`` with equally many of each of the four groups; the others for training.
Logistic regression with an intercept by gradient descent (momentum 0.9) from 0 on the objective of
`maths.group_prior`: mean training loss, plus ``group_prior_weight`` times the mean loss of the
group set after the worst step of length ``perturbation_radius``, plus ``ridge`` times the squared
norm.

Simulation only. Seen at the defaults: without the prior the minority errs far more often than the
majority; with it the gap closes, and where its weight is large the few group samples carry the fit
and all errors grow, as in ``group-aware-prior``.

Reference: arXiv 2403.09869 (the prior; this small counterpart is the package's own).
"""

import jax
import jax.numpy as jnp
import optax
from jax import lax

from simulator.data.datasets import digits
from simulator.maths.group_prior import group_aware_objective
from simulator.parameters import parameters, static, traced
from simulator.studies.data.group_aware_prior import PAPER
from simulator.study import Figure, Study, simulation_only

_TEST, _STRIP, _MOMENTUM = 397, 8, 0.9


@parameters
class Params:
    minority_fraction: float = traced(0.05, above=0, at_most=0.5)
    mark_strength: float = traced(1.0, "–", "brightness of the mark; pixels reach 1", at_least=0)
    num_group_samples: int = static(80, at_least=4, at_most=1000, multiple_of=4)
    group_prior_weight: float = traced(1.0, at_least=0)
    perturbation_radius: float = traced(0.0, at_least=0)
    ridge: float = traced(1e-3, at_least=0)
    num_steps: int = static(300, at_least=1)
    step_size: float = traced(0.1, above=0)


def simulate_direct(key, params):
    """Split, mark, fit, and measure every test image with either mark."""
    table = digits("parity")
    key_split, key_mark = jax.random.split(key)
    order = jax.random.permutation(key_split, len(table.targets))
    pixels = jnp.asarray(table.features / 16, float)[order]
    y = jnp.asarray(table.targets, float)[order]
    held = _TEST + params.num_group_samples

    test, group, train = (slice(_TEST), slice(_TEST, held), slice(held, None))
    minority = jax.random.uniform(key_mark, y[train].shape, float) < params.minority_fraction
    # Of the group set's images of either label, in their random order, every other one is marked.
    label = (y[group] > 0).astype(int)
    rank = jnp.cumsum(jax.nn.one_hot(label, 2, dtype=int), axis=0)[jnp.arange(len(label)), label]
    even = jnp.where(rank % 2 == 0, 1.0, -1.0).astype(y.dtype)

    def batch(rows, mark, weight=None):
        weight = jnp.ones_like(mark) if weight is None else weight
        return _inputs(pixels[rows], mark, params.mark_strength), y[rows], weight / jnp.sum(weight)

    batches = (
        batch(train, jnp.where(minority, -1, 1) * y[train]),
        batch(group, even, _group_weights(label, even)),
    )
    w = _fitted(params, batches)

    def error(sign):
        inputs = _inputs(pixels[test], sign * y[test], params.mark_strength)
        return jnp.mean(y[test] * (inputs @ w) <= 0, dtype=float)

    majority, minority = error(1), error(-1)
    share = params.minority_fraction
    return {
        "majority_error": majority,
        "minority_error": minority,
        "worst_group_error": jnp.maximum(majority, minority),
        "average_error": (1 - share) * majority + share * minority,
    }


def _inputs(pixels, mark, strength):
    """Pixels, the strip, and the column of the intercept."""
    strip = strength * (1 + mark[:, None]) / 2 * jnp.ones((1, _STRIP), pixels.dtype)
    return jnp.concatenate([pixels, strip, jnp.ones((len(pixels), 1), pixels.dtype)], axis=1)


def _group_weights(label, mark):
    """All four groups weigh alike, though their images are not quite equally many."""
    cell = 2 * label + (mark > 0)
    members = jax.nn.one_hot(cell, 4, dtype=mark.dtype)
    return members @ (1 / jnp.maximum(jnp.sum(members, axis=0), 1))


def _fitted(params, batches):
    def loss(w, batch):
        inputs, y, weight = batch
        return weight @ jnp.logaddexp(0, -y * (inputs @ w))

    objective = group_aware_objective(
        loss,
        weight=params.group_prior_weight,
        radius=params.perturbation_radius,
        decay=params.ridge,
    )
    # The stronger the prior, the steeper the objective.
    step_size = params.step_size / (1 + params.group_prior_weight)
    optimiser = optax.sgd(step_size, _MOMENTUM)

    def step(carry, _):
        w, state = carry
        updates, state = optimiser.update(jax.grad(objective)(w, *batches), state)
        return (optax.apply_updates(w, updates), state), None

    start = jnp.zeros(batches[0][0].shape[1], batches[0][0].dtype)
    return lax.scan(step, (start, optimiser.init(start)), length=params.num_steps)[0][0]


figures = {
    "prior-weight": Figure(
        title="The prior on marked digits: the minority gains, up to a point",
        x="group_prior_weight", y=("majority_error", "minority_error"), replicates=20,
        yscale="linear", grid={"group_prior_weight": [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]},
        caption="Parity of handwritten digits with a mark, 5 % minority, 80 group samples.",
    ),
}  # fmt: skip

STUDY = Study(
    name="group-aware-prior.digits",
    title="handwritten digits with a spurious mark",
    paper=PAPER, params=Params,
    outputs=simulation_only(
        majority_error="error on test images whose mark agrees with the label",
        minority_error="error on the same images with the other mark",
        worst_group_error="the larger of the two",
        average_error="error on the training law",
    ),
    simulate_direct=simulate_direct, figures=figures,
    check_cells=({"num_steps": 20, "num_group_samples": 40},),
)  # fmt: skip
