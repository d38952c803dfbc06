"""A small task with a verifier that accepts or rejects: predicting eigenvalues.

Question. Does the order of verifiers by ``breakdown_error`` survive outside the Gaussian mixture?

Model. See `_eigenvalue_task`. The verifier accepts each of ``K`` candidates independently, with
probability ``phi`` if it is correct and ``psi`` if not; the first accepted one is the label, and
inputs without one are dropped.

Theory. Only ``breakdown_error = phi / (phi + psi)``, read as a proxy: useless and adverse verifiers
(below about 1/2) leave the generator's accuracy, good ones exceed it, none reaches clean labels.

Reference: arXiv 2406.07515 (its transformers predict eigenvalues of symmetric matrices; this small
counterpart is the package's own).
"""

import jax
import jax.numpy as jnp

from simulator.parameters import parameters, traced
from simulator.studies.collapse.verified_synthesis import PAPER
from simulator.studies.collapse.verified_synthesis._eigenvalue_task import TaskParams, run_task
from simulator.study import Figure, Output, Study, simulation_only, theory_only


@parameters
class Params(TaskParams):
    keep_correct: float = traced(0.9, at_least=0, at_most=1)
    keep_incorrect: float = traced(0.1, at_least=0, at_most=1)


def theory(params):
    """The label error that such a verifier absorbs in ``verified-synthesis``."""
    return {
        "breakdown_error": params.keep_correct / (params.keep_correct + params.keep_incorrect),
    }


def simulate_direct(key, params):
    """The first accepted candidate is the label."""

    def verifier(key, errors):
        chance = jnp.where(
            errors < params.error_tolerance, params.keep_correct, params.keep_incorrect
        )
        accepted = jax.random.uniform(key, errors.shape, float) < chance
        return jnp.argmax(accepted, axis=1), jnp.any(accepted, axis=1)

    return run_task(key, params, verifier)


def validate(params, side):
    """Something may be accepted."""
    if params.keep_correct + params.keep_incorrect == 0:
        raise ValueError(
            "keep_correct = 0 is not allowed with keep_incorrect = 0: nothing is ever accepted "
            "(one of them must be > 0)"
        )


figures = {
    "verifiers": Figure(
        title="Good verifiers lift a model above its generator",
        x="keep_correct", replicates=10, xscale="linear", yscale="linear",
        y=("test_accuracy", "test_accuracy_clean", "generator_accuracy"),
        grid={"keep_correct": [0.2, 0.4, 0.6, 0.8, 1.0]},
        params={"keep_incorrect": 0.1, "num_samples": 800, "num_samples_synthetic": 4000,
                "num_samples_test": 4000, "width": 300},
        caption="Eigenvalues of 3x3 matrices, 300 random features, wrong candidates kept with 0.1.",
    ),
}  # fmt: skip

check_cells = (
    {"num_samples": 60, "num_samples_synthetic": 200, "num_samples_test": 100, "width": 24,
     "ridge": 1e-3, "num_candidates": 3, "error_tolerance": 0.4},
)  # fmt: skip

STUDY = Study(
    name="verified-synthesis.eigenvalues",
    title="predicting eigenvalues from the first accepted of K candidates",
    paper=PAPER, params=Params,
    outputs=(
        *theory_only(breakdown_error="largest label error that selection can absorb, a proxy"),
        *simulation_only(
            generator_accuracy="share of test inputs that the generator predicts correctly",
            keep_rate="share of inputs with an accepted candidate",
        ),
        Output(
            "kept_label_accuracy",
            "share of correct labels among the kept; undefined where none is", where="simulation",
            nan_where_undefined=True,
        ),
        *simulation_only(
            test_accuracy="accuracy of the model trained on the kept labels",
            test_accuracy_clean="accuracy of the same model trained on clean labels",
        ),
    ),
    theory=theory, simulate_direct=simulate_direct, validate=validate, figures=figures,
    check_cells=check_cells,
)  # fmt: skip
